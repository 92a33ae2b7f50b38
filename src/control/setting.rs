//! The description of a setting, and its part of the plan.

use serde_json::Value as Json;

use super::diagnostic::{Diagnostic, Spot};
use super::format::Format;
use crate::proxy::settings::Plan;

/// Settings that belong together.
pub struct Group {
    /// Their heading in help and documents.
    pub heading: &'static str,
    /// In the order in which they are shown.
    pub settings: &'static [Setting],
}

/// One setting.
pub struct Setting {
    /// Its name, in lower case with dashes.
    pub name: &'static str,
    /// How it is given on the command line.
    pub spelling: Spelling,
    /// The placeholder of its value; empty for a switch.
    pub value: &'static str,
    /// The unit of its number, if the name does not say it.
    pub unit: &'static str,
    /// One line for `-h`, or empty: then only `--help` lists it.
    pub brief: &'static str,
    /// What it does, for `--help` and the documents.
    pub help: &'static str,
    /// When a new value takes effect.
    pub change: Change,
    /// Its part of the plan.
    pub part: &'static dyn Part,
}

/// How a setting is given on the command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spelling {
    /// `--name`.
    Long,
    /// `--name`, or a dash and this letter.
    Short(char),
    /// By its position, without a name.
    Positional,
    /// `--name`, which replaces another setting. Only the command line has it.
    InPlaceOf(&'static str),
}

/// When a new value of a setting takes effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// While the proxy runs.
    Running,
    /// At a restart.
    Restart,
}

/// One setting as a source gives it.
pub struct Given {
    /// The setting.
    pub setting: &'static Setting,
    /// Its values; only a list has more than one, or none.
    pub values: Vec<Value>,
}

impl Given {
    /// The texts of its values.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.values.iter().map(|value| value.text.clone()).collect()
    }
}

/// One value of a setting as a source gives it.
pub struct Value {
    /// Its text.
    pub text: String,
    /// Where it is given.
    pub place: Place,
}

/// Where a value is given.
#[derive(Clone, Debug)]
pub enum Place {
    /// By this flag or variable.
    Named(String),
    /// In a file.
    Spot(Spot),
}

impl Place {
    /// Says what is wrong there.
    #[must_use]
    pub fn explain(&self, what: &str) -> String {
        match self {
            Self::Named(name) => format!("{name}: {what}"),
            Self::Spot(spot) => {
                Diagnostic { spot: spot.clone(), what: what.to_owned() }.to_string()
            }
        }
    }
}

/// A value that is not accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Its text.
    pub text: String,
    /// What is accepted.
    pub reason: String,
}

/// The part of the plan that a setting is.
pub trait Part: Send + Sync {
    /// Parses the texts: one, or all elements of a list.
    ///
    /// # Errors
    /// The first value that is not accepted.
    fn read(&self, texts: &[String], plan: &mut Plan) -> Result<(), Refusal>;

    /// The value: a number, a boolean, a text as it is parsed, or a list of these. Null if it is
    /// part of another setting.
    fn show(&self, plan: &Plan) -> Json;

    /// The numbers that are accepted, in words; empty if that needs no words.
    fn range(&self) -> String;

    /// The words that are accepted, if nothing else is.
    fn choices(&self) -> Vec<&'static str>;

    /// Whether it is a list.
    fn is_list(&self) -> bool;
}

impl Setting {
    /// The default as text; empty if there is none.
    #[must_use]
    pub fn default(&self) -> String {
        as_text(&self.part.show(&Plan::default()))
    }

    /// Whether a text is accepted.
    ///
    /// # Errors
    /// What is accepted.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let read = self.part.read(&[text.to_owned()], &mut Plan::default());
        read.map_err(|refusal| refusal.reason)
    }

    /// Its form on the command line, such as `--name <VALUE>`.
    #[must_use]
    pub fn usage(&self) -> String {
        let Self { name, value, .. } = self;
        match self.spelling {
            Spelling::Positional => format!("[{value}]"),
            Spelling::Short(short) if value.is_empty() => format!("-{short}, --{name}"),
            Spelling::Short(short) => format!("-{short}, --{name} <{value}>"),
            Spelling::Long if value.is_empty() => format!("--{name}"),
            Spelling::Long | Spelling::InPlaceOf(_) => format!("--{name} <{value}>"),
        }
    }
}

/// A value as text; a list is separated by commas.
#[must_use]
pub fn as_text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Array(values) => values.iter().map(as_text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A place in the plan, and the format of its value.
pub(super) struct At<F: Format + 'static> {
    pub(super) format: F,
    pub(super) get: fn(&Plan) -> &F::Value,
    pub(super) get_mut: fn(&mut Plan) -> &mut F::Value,
}

impl<F: Format> Part for At<F> {
    fn read(&self, texts: &[String], plan: &mut Plan) -> Result<(), Refusal> {
        *(self.get_mut)(plan) = self.format.read_all(texts)?;
        Ok(())
    }

    fn show(&self, plan: &Plan) -> Json {
        self.format.show((self.get)(plan))
    }

    fn range(&self) -> String {
        self.format.range()
    }

    fn choices(&self) -> Vec<&'static str> {
        self.format.choices()
    }

    fn is_list(&self) -> bool {
        F::IS_LIST
    }
}
