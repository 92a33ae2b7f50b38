//! The picture of the README: what its own commands show. `scripts/picture` takes it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use super::in_browser;
use super::page::{CHARTS_DRAWN, text};
use support::commands::sections;

/// Requests in the last minute, one after the other: the last is nearly all of a minute under load.
const REQUESTS: [u32; 4] = [7_000, 14_000, 21_000, 27_500];

/// A command of the README that runs until it is stopped.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(line: &str, folder: &Path) -> Self {
        let root = env!("CARGO_MANIFEST_DIR");
        let line = line.replace("./scripts/", &format!("{root}/scripts/"));
        let mut bash = Command::new("bash");
        bash.arg("-c").arg(format!("exec {line}")).current_dir(folder);
        let mut child = bash.process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn says(&mut self, words: &str) {
        let mut lines = self.output.by_ref().lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(words)), "it never says {words:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::INT);
        let _ = self.child.wait();
    }
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
        let mut stack = Running::start(&demo[0], folder.path());
        stack.says(" is up at ");
        let _load = Running::start(&load, folder.path());
        browser.resize(1440, 1320).await;
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
