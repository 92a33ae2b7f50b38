//! Prints settings: those of a plan, and the table of all flags for the documents.

use serde_json::{Map, Value as Json, json};

use super::backend;
use super::command_line::MODES;
use super::setting::{Setting, Spelling, as_text};
use super::table::{self, GROUPS, OTHER};
use crate::proxy::settings::{Backend, Plan};

/// One line of a plan as text.
#[must_use]
pub fn line(name: &str, value: &str) -> String {
    format!("{name:<22} {value}\n")
}

/// The plan as text, one line per setting.
#[must_use]
pub fn text(plan: &Plan) -> String {
    shown(plan).map(|(setting, value)| line(setting.name, &with_unit(setting, &value))).collect()
}

/// The plan as an object with one member per setting. A value has the form in which it is given,
/// but numbers are numbers, lists are arrays and switches are booleans.
#[must_use]
pub fn json(plan: &Plan) -> Map<String, Json> {
    shown(plan).map(|(setting, value)| (setting.name.to_owned(), value)).collect()
}

/// A backend as an object: its URL, and those of its options that differ from the defaults.
#[must_use]
pub fn backend(backend: &Backend) -> Json {
    json!(backend::describe(backend))
}

/// All settings except those that are part of another one.
fn shown(plan: &Plan) -> impl Iterator<Item = (&'static Setting, Json)> {
    let values = table::all().map(|setting| (setting, setting.part.show(plan)));
    values.filter(|(_, value)| !value.is_null())
}

fn with_unit(setting: &Setting, value: &Json) -> String {
    match as_text(value) {
        text if text.is_empty() => "none".to_owned(),
        text if value.is_number() && !setting.unit.is_empty() => format!("{text} {}", setting.unit),
        text => text,
    }
}

/// The flags as tables in Markdown, one for each group.
#[must_use]
pub fn markdown() -> String {
    const HEAD: &str = "| flag | default (range) | what it says |\n|---|---|---|\n";
    let tables = GROUPS.iter().map(|group| {
        let flags = group.settings.iter().filter(|it| it.spelling != Spelling::Positional);
        let rows = flags.map(|it| row(&it.usage(), &numbers(it), it.help));
        let modes = MODES.iter().filter(|_| group.heading == OTHER);
        let modes = modes.map(|mode| row(&mode.usage(), "", mode.help));
        format!("**{}**\n\n{HEAD}{}", group.heading, rows.chain(modes).collect::<String>())
    });
    tables.collect::<Vec<_>>().join("\n")
}

fn row(flag: &str, numbers: &str, words: &str) -> String {
    format!("| `{}` | {numbers}| {words} |\n", flag.replace('|', "\\|"))
}

/// The default and the range, each followed by a space.
fn numbers(setting: &Setting) -> String {
    let range = setting.part.range();
    let range = if range.is_empty() { range } else { format!("({range}) ") };
    let values = match setting.part.show(&Plan::default()) {
        Json::Array(values) => values,
        Json::Null | Json::Bool(_) => Vec::new(),
        value => vec![value],
    };
    let defaults = values.iter().map(|value| format!("`{}` ", as_text(value)));
    defaults.chain([range]).collect()
}
