//! Prints settings: those of a plan, also as a configuration file, and the table of all flags for
//! the documents.

use serde_json::{Map, Value as Json};

use super::backend;
use super::command_line::MODES;
use super::file::BACKEND;
use super::setting::{Setting, Spelling, as_text};
use super::table::{self, GROUPS, OTHER, UPSTREAM};
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

/// The plan as a configuration file with an explanation of each setting. Those that have their
/// defaults are comments, so that what differs stands out. Read back, it is the same plan.
#[must_use]
pub fn file(plan: &Plan) -> String {
    let defaults = Plan::default();
    let mut file = String::new();
    for group in GROUPS {
        file += &format!("## {}\n\n", group.heading);
        for setting in group.settings.iter().filter(|setting| setting.name != UPSTREAM) {
            let value = setting.part.show(plan);
            if value.is_null() {
                continue;
            }
            let is_default = value == setting.part.show(&defaults);
            let off = if is_default { "# " } else { "" };
            let help = commented(&format!("{}{}", setting.help, in_parentheses(setting)));
            file += &format!("{help}{off}{} = {}\n\n", setting.name, toml_value(&value));
        }
    }
    file += &format!("## Backends\n\n{}", commented(BACKENDS));
    if plan.backends.is_empty() {
        return file + &format!("{BACKEND} = []\n");
    }
    file + &plan.backends.iter().map(backend_table).collect::<String>()
}

/// What the file says of backends, which are given in another form than by a flag.
const BACKENDS: &str = "A table for each backend. url: `http://host[:port]`, or \
    `unix:/path/to/socket`. weight: its share of the requests beside the others (default: 1). \
    max-in-flight: how many requests it gets at a time in all (default: no limit). backup: true if \
    it gets requests only while no other backend takes them (default: false)";

fn backend_table(backend: &Backend) -> String {
    let mut table = format!("\n[[{BACKEND}]]\n");
    if let Json::Object(described) = backend::describe(backend) {
        for (key, value) in described {
            table += &format!("{key} = {}\n", toml_value(&value));
        }
    }
    table
}

/// A setting's default and range as the end of its explanation.
fn in_parentheses(setting: &Setting) -> String {
    let said = [("default", setting.default()), ("range", setting.part.range())];
    let said = said.into_iter().filter(|(_, text)| !text.is_empty());
    let said: Vec<String> = said.map(|(what, text)| format!("{what}: {text}")).collect();
    if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) }
}

/// A text as comments of at most 80 columns.
fn commented(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > 80 {
            lines += &line;
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}

/// A value as TOML writes it, which differs from JSON in nothing that a setting can have: control
/// characters are escaped alike, but DEL.
fn toml_value(value: &Json) -> String {
    match value {
        Json::Array(values) => {
            let values: Vec<String> = values.iter().map(toml_value).collect();
            format!("[{}]", values.join(", "))
        }
        value => value.to_string().replace('\x7f', "\\u007f"),
    }
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
