//! Errors of a command line, with a suggestion of the right one.
//!
//! Clap suggests the flag that is spelled most like the one that was typed. That is often wrong:
//! the value may be given without a flag, or the flag may be another program's. Here a suggestion
//! is made only where it is right. Each program knows its own flags.

mod manual;

use std::env;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, Error, Parser};
use strsim::osa_distance;

/// The suggestion for a word that is no flag or subcommand of this program.
#[derive(Clone, Copy, Debug)]
pub struct Advice {
    /// The subcommand that it is for; empty for a program without subcommands, or before one.
    pub task: &'static str,
    /// The words, without dashes. None means every flag for which there is no similar one.
    pub words: &'static [&'static str],
    /// What to do instead; `{}` in it is replaced by what was typed, with its value.
    pub tip: &'static str,
}

/// Parses the command line; ends the program if it is wrong, or if help, completions or the manual
/// page were asked for.
#[must_use]
pub fn parse<P: Parser>(advice: &[Advice]) -> P {
    let matches = matches(P::command(), advice);
    P::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut P::command()).exit())
}

/// The command line of a program without a [`Parser`].
#[must_use]
pub fn matches(program: Command, advice: &[Advice]) -> ArgMatches {
    let program = manual::with_tasks(program);
    let matches = program.clone().try_get_matches().unwrap_or_else(|error| {
        let typed: Vec<_> = env::args().collect();
        explain(error, program.clone(), &typed, advice).exit()
    });
    manual::serve(&matches, &program);
    matches
}

/// The names of `known` that were probably meant by `typed`: those that are equal except for case
/// and separators, else those with the fewest typing errors, else those that contain the word.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    /// One typing error per so many letters.
    const LETTERS_PER_ERROR: usize = 3;
    /// More would be no help.
    const MOST: usize = 8;
    let bare = plain(typed);
    let rank = |name: &'a str| {
        let errors = osa_distance(&bare, &plain(name));
        let has_words = !bare.is_empty() && words(typed).all(|it| words(name).any(|w| w == it));
        match errors {
            0..=1 => Some(errors),
            _ if errors <= bare.len() / LETTERS_PER_ERROR => Some(errors),
            _ if has_words => Some(usize::MAX),
            _ => None,
        }
    };
    let ranked = known.into_iter().filter_map(|name| Some((rank(name)?, name)));
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let best = ranked.first().map(|(rank, _)| *rank);
    let names = ranked.into_iter().take_while(|(rank, _)| Some(*rank) == best);
    names.map(|(_, name)| name).take(MOST).collect()
}

/// An error, with the names that were probably meant.
pub fn or_nearest<'a>(
    refusal: &dyn std::fmt::Display,
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    match nearest(typed, known).as_slice() {
        [] => refusal.to_string(),
        names => format!("{refusal}; did you mean {}?", names.join(" or ")),
    }
}

/// The words of a name, in lower case.
fn words(name: &str) -> impl Iterator<Item = String> {
    name.split(['-', '_', ' ']).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// A name without separators and case, which are often mistyped.
fn plain(name: &str) -> String {
    words(name).collect()
}

/// The error with correct suggestions instead of clap's.
fn explain(error: Error, mut program: Command, typed: &[String], advice: &[Advice]) -> Error {
    let kind = match error.kind() {
        ErrorKind::InvalidValue => return explain_value(error),
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => return error,
    };
    let Some(ContextValue::String(word)) = error.get(kind).cloned() else { return error };
    program.build();
    let task = typed.iter().skip(1).find_map(|word| program.find_subcommand(word));
    let advice: Vec<_> = {
        let name = task.map_or("", |task| task.get_name());
        advice.iter().filter(|advice| advice.task == name).copied().collect()
    };
    let asked = Asked { word: &word, typed, task: task.unwrap_or(&program) };
    asked.explain(error, &advice)
}

/// Suggests one of the possible values.
fn explain_value(mut error: Error) -> Error {
    error.remove(ContextKind::SuggestedValue);
    let (word, known) = (error.get(ContextKind::InvalidValue), error.get(ContextKind::ValidValue));
    let names = match (word, known) {
        (Some(ContextValue::String(word)), Some(ContextValue::Strings(known))) => {
            owned(nearest(word, known.iter().map(String::as_str)))
        }
        _ => Vec::new(),
    };
    suggest(error, ContextKind::SuggestedValue, names)
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn tip(mut error: Error, words: String) -> Error {
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![words.into()]));
    error
}

fn suggest(mut error: Error, kind: ContextKind, names: Vec<String>) -> Error {
    if !names.is_empty() {
        error.insert(kind, ContextValue::Strings(names));
    }
    error
}

/// A word that is no argument of a subcommand.
struct Asked<'a> {
    word: &'a str,
    typed: &'a [String],
    task: &'a Command,
}

impl Asked<'_> {
    fn explain(&self, mut error: Error, advice: &[Advice]) -> Error {
        // Clap's suggestions, and its guess that a flag was meant as a value.
        let found =
            [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::Suggested];
        for kind in found {
            error.remove(kind);
        }
        let usage = self.task.clone().render_usage();
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
        let is_about_it =
            |it: &&Advice| !nearest(&self.name(), it.words.iter().copied()).is_empty();
        if let Some(advice) = advice.iter().find(is_about_it) {
            return tip(error, self.fill_in(advice));
        }
        if error.kind() == ErrorKind::InvalidSubcommand {
            return suggest(error, ContextKind::SuggestedSubcommand, self.tasks());
        }
        if !self.word.starts_with('-') {
            return error;
        }
        if let Some(words) = self.positional() {
            return tip(error, words);
        }
        let flags = self.flags();
        match advice.iter().find(|advice| advice.words.is_empty()) {
            Some(advice) if flags.is_empty() => tip(error, self.fill_in(advice)),
            _ => suggest(error, ContextKind::SuggestedArg, flags),
        }
    }

    /// The word without dashes, and without what follows `=`.
    fn name(&self) -> String {
        let name = self.word.split_once('=').map_or(self.word, |(name, _)| name);
        name.trim_start_matches('-').to_owned()
    }

    /// Similar subcommands.
    fn tasks(&self) -> Vec<String> {
        let tasks = self.task.get_subcommands().filter(|task| !task.is_hide_set());
        owned(nearest(self.word, tasks.map(Command::get_name)))
    }

    /// Similar flags.
    fn flags(&self) -> Vec<String> {
        let flags = self.task.get_arguments().filter(|arg| !arg.is_hide_set());
        let names = flags.filter_map(Arg::get_long);
        // A single letter is similar only to itself.
        let name = self.name();
        let names = if name.len() > 1 { nearest(&name, names) } else { Vec::new() };
        names.into_iter().map(|name| format!("--{name}")).collect()
    }

    /// How to give this value, if it is one that has no flag.
    fn positional(&self) -> Option<String> {
        let name = self.name();
        let value_name = |arg: &Arg| Some(arg.get_value_names()?.first()?.to_string());
        let is_meant = |known: &String| !nearest(&name, [known.as_str()]).is_empty();
        let found = self.task.get_positionals().filter(|arg| !arg.is_last_set());
        let known = found.filter_map(value_name).find(is_meant)?;
        let program = self.task.get_bin_name().unwrap_or_else(|| self.task.get_name());
        let value = self.value().unwrap_or_else(|| format!("<{known}>"));
        Some(format!("{known} is given without a flag: '{program} {value}'"))
    }

    fn fill_in(&self, advice: &Advice) -> String {
        let value = self.value().map_or_else(String::new, |value| format!(" {value}"));
        let flag = self.word.split_once('=').map_or(self.word, |(flag, _)| flag);
        advice.tip.replace("{}", &format!("{flag}{value}"))
    }

    /// The value that was typed for it.
    fn value(&self) -> Option<String> {
        let is_it = |word: &String| {
            word == self.word || word.split_once('=').is_some_and(|(name, _)| name == self.word)
        };
        let at = self.typed.iter().position(is_it)?;
        let next = self.typed.get(at + 1).filter(|next| !next.starts_with('-')).cloned();
        self.typed[at].split_once('=').map(|(_, value)| value.to_owned()).or(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Subcommand};

    const POLICIES: [&str; 3] = ["round-robin", "adaptive_sma", "adaptive_ewma"];

    #[test]
    fn a_name_is_found_despite_typing_errors_and_by_its_words() {
        for (typed, meant) in [
            ("ewma", &["adaptive_ewma"][..]),
            ("EWMA", &["adaptive_ewma"]),
            ("sma", &["adaptive_sma"]),
            ("adaptive-emwa", &["adaptive_ewma"]),
            ("adaptve_sma", &["adaptive_sma"]),
            ("roundrobin", &["round-robin"]),
            ("Round Robin", &["round-robin"]),
            ("robin", &["round-robin"]),
            ("adaptive", &["adaptive_sma", "adaptive_ewma"]),
            ("random", &[]),
            ("fastest", &[]),
            ("", &[]),
            ("-", &[]),
        ] {
            assert_eq!(nearest(typed, POLICIES), meant, "{typed}");
        }
        let flags = ["connect-timeout", "response-timeout", "out", "health", "pool-size"];
        assert_eq!(nearest("timeout", flags), ["connect-timeout", "response-timeout"]);
        for typed in ["port", "alpha", "policy"] {
            assert!(nearest(typed, flags).is_empty(), "{typed}");
        }
    }

    #[test]
    fn an_error_names_what_was_meant() {
        assert_eq!(or_nearest(&"no", "ewma", POLICIES), "no; did you mean adaptive_ewma?");
        let both = "no; did you mean adaptive_sma or adaptive_ewma?";
        assert_eq!(or_nearest(&"no", "adaptive", POLICIES), both);
        assert_eq!(or_nearest(&"no", "fastest", POLICIES), "no");
    }

    #[derive(Debug, Parser)]
    #[command(name = "it")]
    struct Flags {
        #[command(subcommand)]
        _task: Task,
    }

    #[derive(Debug, Subcommand)]
    enum Task {
        Up {
            #[arg(value_name = "POLICY")]
            _policy: Option<String>,
            #[arg(long)]
            _pool_size: Option<u32>,
            #[arg(long)]
            _ewma_alpha: Option<f64>,
            #[arg(long, value_parser = ["persistent", "non-persistent"])]
            _connections: Option<String>,
            #[arg(last = true)]
            _more: Vec<String>,
        },
        Report,
    }

    const ADVICE: [Advice; 3] = [
        Advice { task: "", words: &POLICIES, tip: "'it up <POLICY>' runs one" },
        Advice { task: "up", words: &["port"], tip: "ports come from the system" },
        Advice { task: "up", words: &[], tip: "other flags: '-- {}'" },
    ];

    fn said(args: &[&str]) -> String {
        let typed = [&["it"], args].concat();
        let error = Flags::try_parse_from(&typed).expect_err("refused");
        let typed: Vec<_> = typed.into_iter().map(str::to_owned).collect();
        explain(error, Flags::command(), &typed, &ADVICE).to_string()
    }

    #[test]
    fn suggestions_are_made_where_they_are_right_and_nowhere_else() {
        for (args, words) in [
            (&["up", "--polcy", "x"][..], "tip: POLICY is given without a flag: 'it up x'\n"),
            (&["up", "--policy=x"], "tip: POLICY is given without a flag: 'it up x'\n"),
            (&["up", "--policy"], "tip: POLICY is given without a flag: 'it up <POLICY>'\n"),
            (&["up", "--pol-size", "1"], "tip: a similar argument exists: '--pool-size'\n"),
            (&["up", "--alpha=1"], "tip: a similar argument exists: '--ewma-alpha'\n"),
            (&["up", "--ports", "1"], "tip: ports come from the system\n"),
            (&["up", "--workers", "1"], "tip: other flags: '-- --workers 1'\n"),
            (&["up", "--workers=1"], "tip: other flags: '-- --workers 1'\n"),
            (&["up", "-v"], "tip: other flags: '-- -v'\n"),
            (&["up", "--connections", "nonpersistant"], "value exists: 'non-persistent'\n"),
            (&["ewma"], "tip: 'it up <POLICY>' runs one\n"),
            (&["reprot"], "tip: a similar subcommand exists: 'report'\n"),
        ] {
            let said = said(args);
            assert!(said.contains(words), "{args:?}: {said}");
            assert_eq!(said.matches("tip: ").count(), 1, "{args:?}: {said}");
            assert!(!said.contains("as a value, use"), "{args:?}: {said}");
        }
        for args in [
            &["report", "--policy", "x"][..],
            &["report", "--port"],
            &["report", "x"],
            &["up", "--connections", "some"],
            &["fast"],
        ] {
            assert!(!said(args).contains("tip: "), "{args:?}: {}", said(args));
        }
    }
}
