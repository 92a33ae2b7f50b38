//! The configuration file: a source of settings, in TOML. Each setting has the name of its flag,
//! and a backend is a table:
//!
//! ```toml
//! listen = ["0.0.0.0:9090"]
//! policy = "adaptive"
//! [[backend]]
//! url = "http://10.0.0.7:8080"
//! weight = 3
//! ```

mod print;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::diagnostic::{Diagnostic, Source, Spot};
use super::setting::{Given, Place, Setting, Spelling, Value};
use super::table::{self, UPSTREAM};
use crate::usage::or_nearest;

pub use print::print;

/// The name of a backend's table, and of its one key that is no option.
const BACKEND: &str = "backend";
const URL: &str = "url";

/// Longer files are refused, because they are no configuration.
const MOST_BYTES: u64 = 16 << 20;

/// How much of what is wrong is shown. A file that is no configuration at all is wrong everywhere.
const MOST_SHOWN: usize = 20;

/// A file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can't be read.
    #[error("can't read the configuration {path}: {error}")]
    Unreadable {
        /// Its path.
        path: String,
        /// The reason.
        error: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}", Lines(.0))]
    Wrong(Vec<Diagnostic>),
}

struct Lines<'a>(&'a [Diagnostic]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, diagnostic) in self.0.iter().enumerate() {
            let between = if place == 0 { "" } else { "\n" };
            write!(f, "{between}{diagnostic}")?;
        }
        Ok(())
    }
}

/// The settings that a file gives.
///
/// # Errors
/// It can't be read, or something in it is wrong.
pub fn read(path: &Path) -> Result<Vec<Given>, FileError> {
    let name = path.display().to_string();
    let text =
        read_text(path).map_err(|error| FileError::Unreadable { path: name.clone(), error })?;
    parse(&name, &text)
}

fn read_text(path: &Path) -> io::Result<String> {
    let found = fs::metadata(path)?;
    // A pipe would have to be waited for, and a device may have no end.
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if found.len() > MOST_BYTES {
        let why = format!("{} bytes are too many for a configuration", found.len());
        return Err(io::Error::other(why));
    }
    fs::read_to_string(path)
}

/// The settings that a file of this name and text gives.
///
/// # Errors
/// What is wrong in it, in its order.
pub fn parse(name: &str, text: &str) -> Result<Vec<Given>, FileError> {
    let source = Arc::new(Source { name: name.to_owned(), text: text.to_owned() });
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { source, given: Vec::new(), wrong: Vec::new() };
    for error in &errors {
        reader.refuse(error.span().unwrap_or_default(), error.message().to_owned());
    }
    // What is no TOML may have been read as something else than was meant.
    if errors.is_empty() {
        reader.read(document.get_ref());
    }
    let Reader { given, mut wrong, .. } = reader;
    if wrong.is_empty() {
        return Ok(given);
    }
    // Neither the parser nor a table keeps the order of the file.
    wrong.sort_by_key(|diagnostic| diagnostic.spot.at.start);
    wrong.truncate(MOST_SHOWN);
    Err(FileError::Wrong(wrong))
}

struct Reader {
    source: Arc<Source>,
    given: Vec<Given>,
    wrong: Vec<Diagnostic>,
}

impl Reader {
    fn spot(&self, at: Range<usize>) -> Spot {
        Spot { source: Arc::clone(&self.source), at }
    }

    fn refuse(&mut self, at: Range<usize>, what: String) {
        self.wrong.push(Diagnostic { spot: self.spot(at), what });
    }

    fn read(&mut self, document: &DeTable<'_>) {
        for (key, value) in document {
            match key.get_ref().as_ref() {
                BACKEND => self.backends(key.span(), value),
                name => match setting_of(name) {
                    Some(setting) => self.setting(setting, key.span(), value),
                    None => self.refuse(key.span(), unknown(name)),
                },
            }
        }
    }

    fn setting(
        &mut self,
        setting: &'static Setting,
        at: Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) {
        if let Spelling::InPlaceOf(other) = setting.spelling {
            let what = format!("{} is only a flag; here it is `{other}`", setting.usage());
            return self.refuse(at, what);
        }
        if setting.name == UPSTREAM {
            return self.refuse(at, format!("each backend is a table here: [[{BACKEND}]]"));
        }
        let values = match value.get_ref() {
            DeValue::Array(values) if setting.part.is_list() => self.values(setting, values),
            _ => self.value(setting, value).into_iter().collect(),
        };
        self.given.push(Given { setting, values });
    }

    fn values(&mut self, setting: &Setting, values: &DeArray<'_>) -> Vec<Value> {
        values.iter().filter_map(|value| self.value(setting, value)).collect()
    }

    /// A value with the text that its flag would have; `None` if it is not accepted.
    fn value(&mut self, setting: &Setting, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let checked = match (scalar(value.get_ref()), value.get_ref()) {
            (Some(text), DeValue::String(_)) => setting.check(&text).map(|()| text),
            (Some(text), _) if !takes_any_text(setting) => setting.check(&text).map(|()| text),
            _ => Err(self.allowed(setting, value.span())),
        };
        let place = Place::Spot(self.spot(value.span()));
        match checked {
            Ok(text) => Some(Value { text, place }),
            Err(reason) => {
                self.refuse(value.span(), refused(setting.name, &reason));
                None
            }
        }
    }

    /// What is allowed in place of a value of another type.
    fn allowed(&self, setting: &Setting, at: Range<usize>) -> String {
        let written = self.source.text.get(at).and_then(|text| text.lines().next());
        let written = written.unwrap_or_default();
        let refusals = [written, ""].into_iter().filter_map(|text| setting.check(text).err());
        refusals.into_iter().next().unwrap_or_else(|| "give a text".to_owned())
    }

    fn backends(&mut self, at: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let Some(setting) = setting_of(UPSTREAM) else { return };
        let DeValue::Array(tables) = value.get_ref() else {
            return self.refuse(at, format!("each backend begins with [[{BACKEND}]]"));
        };
        let mut values = Vec::new();
        for value in tables {
            if let DeValue::Table(table) = value.get_ref() {
                values.extend(self.backend(setting, &value.span(), table));
            } else {
                self.refuse(value.span(), format!("give a table with a `{URL}`"));
            }
        }
        self.given.push(Given { setting, values });
    }

    /// A backend with the text that its flag would have: its URL, followed by options.
    fn backend(
        &mut self,
        setting: &Setting,
        at: &Range<usize>,
        table: &DeTable<'_>,
    ) -> Option<Value> {
        let Some((_, value)) = table.iter().find(|(key, _)| key.get_ref() == URL) else {
            self.refuse(at.clone(), format!("the backend has no `{URL}`"));
            return None;
        };
        let url = match value.get_ref() {
            DeValue::String(url) if !url.contains(char::is_whitespace) => url.as_ref(),
            _ => {
                self.refuse(value.span(), format!("{URL}: give a text without spaces"));
                return None;
            }
        };
        if let Err(reason) = setting.check(url) {
            self.refuse(value.span(), refused(URL, &reason));
            return None;
        }
        let mut text = url.to_owned();
        for (key, option) in table.iter().filter(|(key, _)| key.get_ref() != URL) {
            match option_of(setting, url, key.get_ref(), option.get_ref()) {
                Ok(option) => text += &option,
                Err(reason) => self.refuse(key.span().start..option.span().end, reason),
            }
        }
        Some(Value { text, place: Place::Spot(self.spot(value.span())) })
    }
}

/// An option of a backend as it follows the URL; nothing if it is off.
fn option_of(
    setting: &Setting,
    url: &str,
    key: &str,
    value: &DeValue<'_>,
) -> Result<String, String> {
    let word = format!(" {key}");
    let is_word = setting.check(&format!("{url}{word}")).is_ok();
    match value {
        DeValue::Boolean(is_on) if is_word => return Ok(if *is_on { word } else { String::new() }),
        _ if is_word => return Err(refused(key, "give true or false")),
        _ => {}
    }
    // An option has no spaces, neither by itself nor behind a URL.
    let given = scalar(value).filter(|text| !text.contains(char::is_whitespace));
    let option = format!("{word}={}", given.unwrap_or_default());
    match setting.check(&format!("{url}{option}")) {
        Ok(()) => Ok(option),
        Err(_) if setting_of(key).is_some() => {
            Err(refused(key, &format!("settings are above the first [[{BACKEND}]]")))
        }
        Err(reason) => Err(reason),
    }
}

/// Whether a setting accepts every text. Then a value of another type is meant as something else:
/// `log = false` is no file of that name.
fn takes_any_text(setting: &Setting) -> bool {
    setting.check("any text").is_ok()
}

/// What a flag would say in place of a value that is one; `None` of a list, a table or a date.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(is_on) => Some(is_on.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn setting_of(name: &str) -> Option<&'static Setting> {
    table::all().find(|setting| setting.name == name)
}

fn refused(name: &str, reason: &str) -> String {
    format!("{name}: {reason}")
}

fn unknown(name: &str) -> String {
    let is_in_files = |setting: &&Setting| {
        !matches!(setting.spelling, Spelling::InPlaceOf(_)) && setting.name != UPSTREAM
    };
    let known = table::all().filter(is_in_files).map(|setting| setting.name).chain([BACKEND]);
    or_nearest(&format!("there is no setting `{name}`"), name, known)
}
