//! What is wrong with a scenario: the file, the line, the key, and what is allowed.

use std::fmt;
use std::ops::Range;

use tidegate::usage::or_nearest;

/// Displayed as `file, line 7: slots = "four": invalid type …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScenarioError {
    file: String,
    place: Option<Place>,
    what: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    line: usize,
    text: String,
}

impl ScenarioError {
    pub(super) fn unreadable(file: &str, error: &std::io::Error) -> Self {
        Self { file: file.to_owned(), place: None, what: error.to_string() }
    }

    /// One that concerns a whole table: `at` is where that begins.
    pub(super) fn of_table(file: &str, text: &str, at: Range<usize>, what: String) -> Self {
        Self { file: file.to_owned(), place: Place::of(text, at.start), what }
    }

    pub(super) fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let place = error.span().and_then(|span| Place::of(text, span.start));
        Self { file: file.to_owned(), place, what: with_nearest(error.message()) }
    }
}

impl Place {
    fn of(text: &str, at: usize) -> Option<Self> {
        let before = text.get(..at)?;
        let line = before.matches('\n').count() + 1;
        let text = text.lines().nth(line - 1).unwrap_or_default().trim().to_owned();
        Some(Self { line, text })
    }
}

/// The message of serde about an unknown name ends with the known ones: the nearest is what was
/// meant.
fn with_nearest(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    match names.next() {
        Some(typed) if message.starts_with("unknown ") => or_nearest(&message, typed, names),
        _ => message.to_owned(),
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, text }) = &self.place {
            write!(f, ", line {line}: {text}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for ScenarioError {}
