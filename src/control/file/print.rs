//! A plan as a configuration file.

use serde_json::Value as Json;

use super::BACKEND;
use crate::control::backend;
use crate::control::setting::Setting;
use crate::control::table::{GROUPS, UPSTREAM};
use crate::proxy::settings::{Backend, Plan};

/// The columns that an explanation takes at most.
const COLUMNS: usize = 80;

/// What is said of backends, which have another form here than as flags.
const BACKENDS: &str = "A table for each backend. url: `http://host[:port]`, or \
    `unix:/path/to/socket`. weight: its share of the requests beside the others (default: 1). \
    max-in-flight: how many requests it gets at a time in all (default: no limit). backup: true if \
    it gets requests only while no other backend takes them (default: false). drained: true if it \
    finishes what it has and gets nothing new (default: false). resolve: \"all\" if each address \
    of its name is a backend by itself";

/// The plan with an explanation of each setting. Those that have their defaults are comments, so
/// that what differs stands out. Read back, it is the same plan.
#[must_use]
pub fn print(plan: &Plan) -> String {
    let groups = GROUPS.iter().map(|group| {
        let settings = group.settings.iter().filter(|setting| setting.name != UPSTREAM);
        let settings = settings.filter_map(|setting| entry(setting, plan));
        format!("## {}\n\n{}", group.heading, settings.collect::<String>())
    });
    let backends = if plan.backends.is_empty() {
        format!("{BACKEND} = []\n")
    } else {
        plan.backends.iter().map(table).collect()
    };
    groups.collect::<String>() + "## Backends\n\n" + &commented(BACKENDS) + &backends
}

/// A setting with its explanation; `None` if it is part of another one.
fn entry(setting: &Setting, plan: &Plan) -> Option<String> {
    let value = Some(setting.part.show(plan)).filter(|value| !value.is_null())?;
    let is_default = value == setting.part.show(&Plan::default());
    let off = if is_default { "# " } else { "" };
    let help = commented(&(setting.help.to_owned() + &in_parentheses(setting)));
    Some(format!("{help}{off}{} = {}\n\n", setting.name, written(&value)))
}

fn table(backend: &Backend) -> String {
    let described = backend::describe(backend);
    let entries = described.iter().map(|(key, value)| format!("{key} = {}\n", written(value)));
    format!("\n[[{BACKEND}]]\n{}", entries.collect::<String>())
}

/// A setting's default and range as the end of its explanation.
fn in_parentheses(setting: &Setting) -> String {
    let said = [("default", setting.default()), ("range", setting.part.range())];
    let said = said.iter().filter(|(_, text)| !text.is_empty());
    let said: Vec<String> = said.map(|(what, text)| format!("{what}: {text}")).collect();
    if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) }
}

/// A text as lines of comments.
fn commented(text: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= COLUMNS => line.extend([" ", word]),
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.join("\n") + "\n"
}

/// A value as TOML writes it, which differs from JSON in no value that a setting can have, but for
/// one control character.
fn written(value: &Json) -> String {
    match value {
        Json::Array(values) => {
            format!("[{}]", values.iter().map(written).collect::<Vec<_>>().join(", "))
        }
        value => value.to_string().replace('\x7f', "\\u007f"),
    }
}
