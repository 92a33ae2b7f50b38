//! What needs a process of its own, for limits and standard output belong to the whole process:
//! this test binary is started again with one test and the log it is to write.

use super::*;

use std::fs::File;
use std::process::{Command, Output};

const ROLE: &str = "TIDEGATE_JOURNAL_TEST_LOG";

/// Runs `test` in its own process with its log in `log`.
fn again(test: &str, log: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "--nocapture", &format!("journal::tests::alone::{test}")]);
    command.env(ROLE, log);
    command
}

fn role() -> Option<PathBuf> {
    std::env::var_os(ROLE).map(PathBuf::from)
}

fn passed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{}\n{said}", text(&output.stdout));
    said
}

#[test]
fn a_disk_that_fills_is_survived_and_the_log_ends_whole() {
    const LIMIT: u64 = 10_000;
    let Some(path) = role() else {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.csv");
        let test = "a_disk_that_fills_is_survived_and_the_log_ends_whole";
        let output = again(test, path.to_str().expect("text")).output().expect("ran");
        let said = passed(&output);
        assert!(said.contains("x.csv") && said.contains("File too large"), "{said}");
        assert!(said.contains("can be written again"), "{said}");
        return;
    };
    let unlimited = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    let limit = rustix::process::Rlimit { current: Some(LIMIT), ..unlimited };
    // Without a handler the signal that comes with the error would end the process.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).expect("handled");
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).expect("limited");

    let (journal, mut senders) = Journal::start(options(Some(&path), 1)).expect("started");
    let mut fill = |requests: std::ops::Range<u64>| {
        for request in requests {
            senders[0].record(&record(format!("/{request}").as_bytes()));
        }
    };
    fill(0..200);
    poll_until("a short write to be cut back", || {
        let length = fs::metadata(&path).expect("a log").len();
        length < LIMIT && length > LIMIT - 200
    });
    rustix::process::setrlimit(rustix::process::Resource::Fsize, unlimited).expect("freed");
    fill(200..250);
    let totals = journal.close();
    Console::standard().finish();
    assert_eq!((totals.requests, totals.rows + totals.lost), (250, 250));
    assert!(totals.lost > 0, "{totals:?}");
    let paths = logged_in(&path);
    assert_eq!(paths.len() as u64, totals.rows);
    assert_eq!(paths.last(), Some(&"/249".to_owned()), "written again");
}

#[test]
fn standard_output_can_be_the_log_and_nothing_in_it_is_overwritten() {
    let Some(path) = role() else {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let test = "standard_output_can_be_the_log_and_nothing_in_it_is_overwritten";
        let mut out = File::create(&path).expect("a file");
        out.write_all(b"before\n").expect("written");
        let told = passed(&again(test, "/dev/stdout").stdout(out).output().expect("ran"));
        let said = fs::read_to_string(&path).expect("the output");
        let log = said.find(&header()).expect("a header");
        let end = said.rfind("test result: ok").expect("the last line of the child");
        assert!(said.starts_with("before\n") && said[log..end].contains(",GET,/stdout,"));
        assert!(told.contains("-v line\n") && !said.contains("-v line\n"), "{told}");
        return;
    };
    let console = Console::on_stderr();
    let verbose = Options { verbose: true, console, ..options(Some(&path), 1) };
    let (journal, mut senders) = Journal::start(verbose).expect("started");
    assert!(journal.moved_aside().is_empty());
    senders[0].record(&record(b"/stdout"));
    senders[0].log_line(format_args!("-v {}", "line"));
    journal.reopener().reopen();
    assert_eq!(journal.close(), Totals { requests: 1, errors: 0, rows: 1, lost: 0 });
    Console::standard().finish();
}
