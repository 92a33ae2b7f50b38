//! The picture of the README: what its own commands show. `scripts/picture` takes it.

use std::path::Path;
use std::process::Command;

use support::commands::sections;
use support::process::Process;

use super::in_browser;
use super::page::{CHARTS_DRAWN, text};

/// Requests in the last minute, one after the other: the last is nearly all of a minute under load.
const REQUESTS: [u32; 4] = [8_000, 17_000, 25_000, 33_000];

/// Starts a command of the README, which runs until it is dropped.
fn start(line: &str, folder: &Path) -> Process {
    let root = env!("CARGO_MANIFEST_DIR");
    let line = line.replace("./scripts/", &format!("{root}/scripts/"));
    let mut bash = Command::new("bash");
    bash.arg("-c").arg(format!("exec {line}")).current_dir(folder);
    Process::spawn_group(&mut bash)
}

#[test]
#[ignore = "takes the README's ports for a minute: ./scripts/picture"]
fn the_page_that_the_readme_leads_to() {
    let demo = sections(include_str!("../../README.md"))
        .into_iter()
        .find(|commands| commands.first().is_some_and(|first| first.starts_with("./scripts/up")))
        .expect("the demo");
    let load = demo.iter().find(|command| command.starts_with("wrk ")).expect("its load").clone();
    in_browser(|browser, _| async move {
        let folder = tempfile::tempdir().unwrap();
        let mut stack = start(&demo[0], folder.path());
        stack.line(" is up at ");
        let _load = start(&load, folder.path());
        browser.resize(1440, 1400).await;
        browser.prefer_colours("light").await;
        browser.open("http://localhost:5002").await;
        browser.until(CHARTS_DRAWN).await;
        for requests in REQUESTS {
            let note = text("errors-note");
            let shown = format!("parseInt({note}.split(' of ')[1].replaceAll(',', ''))");
            browser.until(&format!("{shown} > {requests}")).await;
        }
        browser.shoot("readme").await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}
