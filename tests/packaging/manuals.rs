//! Manual pages and completions.

use std::collections::BTreeSet;
use std::process::Command;

use crate::{given, printed};

const PROGRAMS: [&str; 3] = [
    env!("CARGO_BIN_EXE_tidegate"),
    env!("CARGO_BIN_EXE_tidegatectl"),
    env!("CARGO_BIN_EXE_tidegate-dashboard"),
];

fn says(program: &str, args: &[&str]) -> String {
    printed(Command::new(program).args(args))
}

/// The long flags of a program and of its subcommands, and these.
fn words(program: &str) -> BTreeSet<String> {
    let help = says(program, &["--help"]);
    let tasks: Vec<_> = match help.split_once("\nCommands:\n") {
        Some((_, tasks)) => tasks
            .lines()
            .take_while(|line| !line.is_empty())
            // What is indented further goes on.
            .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
            .filter(|task| !task.is_empty())
            .collect(),
        None => Vec::new(),
    };
    let helps = tasks.iter().map(|task| says(program, &[task, "--help"]));
    let helps: String = helps.chain([help.clone()]).collect();
    let flags = helps.lines().filter_map(|line| {
        let line = line.trim_start();
        // A short form may precede it.
        let line = line.split_once(", ").map_or(line, |(short, long)| match short.len() {
            2 => long,
            _ => line,
        });
        line.strip_prefix("--")?.split([' ', '[', '.']).next().map(|flag| format!("--{flag}"))
    });
    flags.chain(tasks.iter().map(|&task| task.to_owned())).collect()
}

#[test]
fn the_manual_pages_have_every_flag_and_task_and_no_warning() {
    for program in PROGRAMS {
        let page = says(program, &["man"]);
        let words = words(program);
        assert!(words.len() > 5, "{words:?}");
        for word in words {
            assert!(page.contains(&word.replace('-', "\\-")), "{program}: {word}");
        }
        let groff = ["-man", "-Tutf8", "-ww", "-z"];
        assert_eq!(given(Command::new("groff").args(groff), &page), "");
    }
}

#[test]
fn completions_have_every_flag_and_task_and_are_what_a_shell_reads() {
    for program in PROGRAMS {
        let bash = says(program, &["completions", "bash"]);
        let fish = says(program, &["completions", "fish"]);
        let zsh = says(program, &["completions", "zsh"]);
        for word in words(program) {
            // `-l` is a long flag and `-a` an argument there.
            let bare = word.trim_start_matches('-');
            assert!(bash.contains(&word) && zsh.contains(&word), "{program}: {word}");
            assert!(fish.contains(&format!(" {bare}")) || fish.contains(&format!("\"{bare}")));
        }
        let name = program.rsplit('/').next().unwrap();
        let then = format!("\ncomplete -p {name}");
        let known = given(Command::new("bash").arg("-s"), &(bash + &then));
        assert!(known.starts_with("complete ") && known.contains(name), "{known}");
    }
}

#[test]
fn a_flag_is_completed() {
    let bash = says(PROGRAMS[1], &["completions", "bash"]);
    let ask = "\nCOMP_WORDS=(tidegatectl dr) COMP_CWORD=1\n\
               _tidegatectl tidegatectl dr tidegatectl\necho \"${COMPREPLY[@]}\"";
    assert_eq!(given(Command::new("bash").arg("-s"), &(bash + ask)), "drain\n");
}

#[test]
fn a_shell_that_is_not_known_is_refused_with_those_that_are() {
    let output = Command::new(PROGRAMS[0]).args(["completions", "tcsh"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("tcsh") && said.contains("bash"), "{said}");
}
