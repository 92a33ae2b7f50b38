//! Completions for shells and the manual page of a program. Both are made from its command line, so
//! that they can't differ from it.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;

const COMPLETIONS: &str = "completions";
const SHELL: &str = "SHELL";
const PAGE: &str = "man";

/// What a program prints about itself for other programs.
enum Asked {
    Completions(Shell),
    Page,
}

/// The program with subcommands that print its completions and its manual page.
pub(super) fn with_tasks(program: Command) -> Command {
    let name = program.get_name().to_owned();
    // What has flags only takes either these or one of the two.
    let has_tasks = program.has_subcommands();
    let program = if has_tasks { program } else { program.args_conflicts_with_subcommands(true) };
    let shell = Arg::new(SHELL).required(true).value_parser(value_parser!(Shell));
    let shell = shell.hide_possible_values(true).help("bash, elvish, fish, powershell or zsh");
    let completions = Command::new(COMPLETIONS)
        .about("Print a script that has a shell complete the flags of this program")
        .after_help(format!("For this shell alone:\n  source <({name} {COMPLETIONS} bash)"))
        .arg(shell);
    let page = Command::new(PAGE).about("Print the manual page, in the format of man");
    let hidden = !has_tasks;
    program
        .disable_help_subcommand(true)
        .subcommand(completions.hide(hidden))
        .subcommand(page.hide(hidden))
}

/// Prints what is asked for and ends the program, unless it is asked for something else.
pub(super) fn serve(matches: &ArgMatches, program: &Command) {
    let asked = match matches.subcommand() {
        Some((COMPLETIONS, matches)) => matches.get_one(SHELL).copied().map(Asked::Completions),
        Some((PAGE, _)) => Some(Asked::Page),
        _ => None,
    };
    let Some(asked) = asked else { return };
    let printed = print(&asked, program.clone());
    // A reader that has seen enough is no failure.
    let is_well = printed.is_ok_and(|text| io::stdout().write_all(&text).is_ok());
    std::process::exit(i32::from(!is_well));
}

fn print(asked: &Asked, mut program: Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    match asked {
        Asked::Completions(shell) => {
            let name = program.get_name().to_owned();
            clap_complete::generate(*shell, &mut program, name, &mut text);
        }
        Asked::Page => page(program, &mut text)?,
    }
    Ok(text)
}

/// The manual page. What `clap_mangen` does not do: the parts of the help below the flags become
/// sections, and subcommands are described on the same page.
fn page(mut program: Command, text: &mut Vec<u8>) -> io::Result<()> {
    // Without this, the synopsis would have every flag.
    let usage = program.render_usage().to_string();
    let program = program.override_usage(usage.trim_start_matches("Usage: ").to_owned());
    let notes = program.get_after_long_help().or(program.get_after_help());
    let notes = notes.map(ToString::to_string).unwrap_or_default();
    let tasks: Vec<_> = program.get_subcommands().filter(|it| !it.is_hide_set()).cloned().collect();
    let name = program.get_name().to_owned();
    let title = name.to_uppercase();
    let man = Man::new(program).title(title).manual("tidegate");
    man.render_title(text)?;
    man.render_name_section(text)?;
    man.render_synopsis_section(text)?;
    man.render_description_section(text)?;
    man.render_options_section(text)?;
    if !tasks.is_empty() {
        writeln!(text, ".SH COMMANDS")?;
    }
    for task in tasks {
        describe(&name, task, text)?;
    }
    text.write_all(sections(&notes).as_bytes())
}

/// A subcommand with its arguments.
fn describe(program: &str, task: Command, text: &mut Vec<u8>) -> io::Result<()> {
    let about = task.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(
        text,
        ".SS {}\n{}",
        escape(&format!("{program} {}", task.get_name())),
        escape(&about)
    )?;
    let mut options = Vec::new();
    Man::new(task.disable_help_flag(true)).render_options_section(&mut options)?;
    let options = String::from_utf8_lossy(&options);
    // Before the first one are a heading and definitions that the page has already.
    let options = options.find(".TP").map_or("", |first| &options[first..]);
    text.write_all(options.as_bytes())
}

/// The parts of a help as sections: those headed by a line above indented ones, line by line, and
/// what precedes them as paragraphs.
fn sections(notes: &str) -> String {
    let mut page = String::new();
    let mut lines = notes.trim_end().lines().peekable();
    let is_indented = |line: &&str| line.starts_with("  ");
    // Writing to a String can't fail.
    while let Some(line) = lines.next() {
        let text = escape(line.strip_prefix("  ").unwrap_or(line));
        let _ = if !line.is_empty() && !is_indented(&line) && lines.peek().is_some_and(is_indented)
        {
            writeln!(page, ".SH {}\n.nf", text.trim_end_matches(':').to_uppercase())
        } else if page.is_empty() {
            writeln!(page, ".SH NOTES\n{text}")
        } else {
            writeln!(page, "{text}")
        };
    }
    page
}

/// Text as it has to be written for `man`.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn made(asked: &Asked, program: Command) -> String {
        String::from_utf8(print(asked, with_tasks(program)).expect("a text")).expect("UTF-8")
    }

    #[test]
    fn a_program_with_flags_only_takes_either_them_or_a_task() {
        let program = Command::new("it").arg(Arg::new("policy")).arg(Arg::new("port").long("port"));
        let program = with_tasks(program);
        program.clone().debug_assert();
        let task = |args: &str| {
            let matches = program.clone().try_get_matches_from(args.split(' '));
            matches.map(|it| it.subcommand_name().map(str::to_owned)).map_err(|it| it.kind())
        };
        assert_eq!(task("it fast --port 1"), Ok(None));
        assert_eq!(task("it completions bash"), Ok(Some(COMPLETIONS.to_owned())));
        assert_eq!(task("it man"), Ok(Some(PAGE.to_owned())));
        assert!(task("it completions tcsh").is_err() && task("it completions").is_err());
        let help = program.clone().render_help().to_string();
        assert!(!help.contains("Commands:"), "{help}");
    }

    #[derive(Parser)]
    #[command(
        name = "it",
        version,
        about = "Does it",
        after_help = "Be brief.\n\nExamples:\n  it go"
    )]
    enum Tasks {
        /// Goes
        Go {
            /// How fast
            #[arg(long, value_name = "N")]
            speed: Option<u8>,
        },
    }

    #[test]
    fn the_page_has_every_task_and_every_part_of_the_help() {
        let page = made(&Asked::Page, <Tasks as clap::CommandFactory>::command());
        for part in [
            ".TH IT 1",
            "it \\- Does it",
            ".SS it go\nGoes\n.TP\n",
            "\\-\\-speed",
            "How fast",
            ".SS it completions\n",
            ".SH NOTES\nBe brief.\n\n.SH EXAMPLES\n.nf\nit go\n",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("EXTRA"), "{page}");
    }

    #[test]
    fn what_would_be_a_command_of_man_is_text() {
        assert_eq!(escape(".nf"), "\\&.nf");
        assert_eq!(escape("a\\b --c 'd'"), "a\\eb \\-\\-c \\(aqd\\(aq");
    }

    #[test]
    fn completions_know_flags_and_tasks() {
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            let text = made(&Asked::Completions(shell), <Tasks as clap::CommandFactory>::command());
            for word in ["speed", "go", "completions"] {
                assert!(text.contains(word), "{shell}: {word}");
            }
        }
    }
}
