//! The command line: a source of settings, and its help.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::setting::{Given, Place, Setting, Spelling, Value};
use super::table::{self, GROUPS, OTHER};

/// What the program does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Serves requests.
    Serve,
    /// Checks all that can be checked without serving, and prints the plan.
    Check(Form),
    /// Prints the plan as a configuration file.
    PrintConfig,
    /// Asks a running proxy whether it answers.
    Health,
}

/// How the plan is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// A flag that is no setting: it selects the mode, or another source of settings.
pub(super) struct ModeFlag {
    pub(super) name: &'static str,
    /// The placeholder of its value; empty for a switch.
    pub(super) value: &'static str,
    pub(super) help: &'static str,
}

impl ModeFlag {
    /// Its form on the command line.
    pub(super) fn usage(&self) -> String {
        match self.value {
            "" => format!("--{}", self.name),
            value => format!("--{} <{value}>", self.name),
        }
    }
}

const CONFIG: ModeFlag = ModeFlag {
    name: "config",
    value: "FILE",
    help: "Read settings from this file, too; flags win; SIGHUP reads it again",
};
const CHECK: ModeFlag = ModeFlag {
    name: "check",
    value: "",
    help: "Check the settings, resolve the backends, print the result, and exit",
};
const JSON: ModeFlag = ModeFlag { name: "json", value: "", help: "Print JSON, with --check" };
const PRINT_CONFIG: ModeFlag = ModeFlag {
    name: "print-config",
    value: "",
    help: "Print all settings as a file for --config, and exit",
};
const HEALTH: ModeFlag = ModeFlag {
    name: "health",
    value: "",
    help: "Exit with 0 if a proxy answers at the address of --listen, else with 1",
};

/// All flags that are no settings.
pub(super) const MODES: [ModeFlag; 5] = [CONFIG, CHECK, JSON, PRINT_CONFIG, HEALTH];

/// Longer defaults are left out of `-h`, so that each flag fits on one line.
const BRIEF_DEFAULT_CHARS: usize = 20;

/// The program's command line.
#[must_use]
pub fn command() -> Command {
    let settings = GROUPS.iter().flat_map(|group| {
        group.settings.iter().map(|setting| argument(setting).help_heading(group.heading))
    });
    let modes = MODES.iter().map(|ModeFlag { name, value, help }| {
        let arg = Arg::new(*name).long(*name).help(*help).help_heading(OTHER);
        let arg = if value.is_empty() {
            arg.action(ArgAction::SetTrue)
        } else {
            arg.value_name(*value).value_parser(value_parser!(PathBuf))
        };
        if *name == JSON.name { arg.requires(CHECK.name) } else { arg }
    });
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
    Command::new("tidegate")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An adaptive HTTP/1.1 reverse proxy and load balancer")
        .max_term_width(100)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(settings)
        .args(modes)
        .arg(help.help("Print a summary; with --help, everything").help_heading(OTHER))
        .arg(version.help("Print the version").help_heading(OTHER))
}

fn argument(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.name).help(brief(setting)).long_help(long(setting));
    let arg = arg.hide_short_help(setting.brief.is_empty());
    let arg = match setting.spelling {
        Spelling::Positional => arg.index(1).display_order(0),
        Spelling::Long => arg.long(setting.name),
        Spelling::Short(short) => arg.long(setting.name).short(short),
        Spelling::InPlaceOf(other) => arg.long(setting.name).conflicts_with(other),
    };
    if setting.value.is_empty() {
        return arg.action(ArgAction::SetTrue);
    }
    let is_list = setting.part.is_list();
    let arg = arg.value_name(setting.value).hide_possible_values(true);
    let arg = arg.action(if is_list { ArgAction::Append } else { ArgAction::Set });
    let choices = setting.part.choices();
    if choices.is_empty() {
        arg.value_parser(|text: &str| setting.check(text).map(|()| text.to_owned()))
    } else {
        let value = |name: &'static str| PossibleValue::new(name).alias(name.replace('-', "_"));
        arg.value_parser(PossibleValuesParser::new(choices.into_iter().map(value)))
    }
}

/// The help for `-h`.
fn brief(setting: &Setting) -> String {
    let default = setting.default();
    if setting.value.is_empty() || default.len() > BRIEF_DEFAULT_CHARS {
        return setting.brief.to_owned();
    }
    format!("{}{}", setting.brief, bracketed("default", &default))
}

/// The help for `--help`.
fn long(setting: &Setting) -> String {
    if setting.value.is_empty() {
        return setting.help.to_owned();
    }
    let range = bracketed("range", &setting.part.range());
    let numbers = range + &bracketed("default", &setting.default());
    format!("{}\n{}", setting.help, numbers.trim_start()).trim_end().to_owned()
}

fn bracketed(what: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" [{what}: {text}]") }
}

/// The settings that flags give.
#[must_use]
pub fn read(matches: &ArgMatches) -> Vec<Given> {
    table::all().filter_map(|setting| given(setting, matches)).collect()
}

fn given(setting: &'static Setting, matches: &ArgMatches) -> Option<Given> {
    let texts: Vec<String> = if setting.value.is_empty() {
        matches.get_flag(setting.name).then(|| vec![true.to_string()])?
    } else {
        matches.get_many::<String>(setting.name)?.cloned().collect()
    };
    let value = |text| Value { text, place: Place::Named(setting.usage()) };
    Some(Given { setting, values: texts.into_iter().map(value).collect() })
}

/// The configuration file that a flag names.
#[must_use]
pub fn config(matches: &ArgMatches) -> Option<PathBuf> {
    matches.get_one(CONFIG.name).cloned()
}

/// The mode that flags select.
#[must_use]
pub fn mode(matches: &ArgMatches) -> Mode {
    let is_set = |flag: ModeFlag| matches.get_flag(flag.name);
    if is_set(HEALTH) {
        Mode::Health
    } else if is_set(CHECK) {
        Mode::Check(if is_set(JSON) { Form::Json } else { Form::Text })
    } else if is_set(PRINT_CONFIG) {
        Mode::PrintConfig
    } else {
        Mode::Serve
    }
}

#[cfg(test)]
mod tests;
