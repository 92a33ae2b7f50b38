//! The real logrotate with the snippet of the package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::clock::{pause, until};
use support::http::Connection;
use support::log::{Row, column, logging, rows, stop, totals};
use support::origin::Origin;
use support::over::Over;
use support::scripted::programs;
use tempfile::TempDir;

use crate::read;

const SNIPPET: &str = "packaging/debian/tidegate.logrotate";
const CLIENTS: usize = 4;
const TURNS: usize = 5;

/// The snippet, applied to logs in a folder.
struct Rotation {
    folder: TempDir,
    logs: PathBuf,
    /// Where commands are searched, the one that takes systemd's place first.
    path: String,
    _systemctl: TempDir,
}

impl Rotation {
    /// What the snippet asks of systemd is done to this process.
    fn of(process: u32, logs: &Path) -> Self {
        let systemctl = programs(&[(
            "systemctl",
            &format!(
                "case \"$*\" in\n'--quiet is-active tidegate.service') ;;\n\
                 'kill --kill-who=main --signal=SIGUSR1 tidegate.service') \
                 kill -s USR1 {process} ;;\n\
                 *) echo \"unexpected: $*\" >&2; exit 1 ;;\nesac"
            ),
        )]);
        // Debian has servers' programs where only root looks.
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}:/usr/sbin", systemctl.path().display());
        let folder = tempfile::tempdir().unwrap();
        let text = read(SNIPPET).replace("/var/log/tidegate/", &format!("{}/", logs.display()));
        fs::write(folder.path().join("tidegate"), text).unwrap();
        Self { folder, logs: logs.to_owned(), path, _systemctl: systemctl }
    }

    fn rotate(&self) {
        let mut logrotate = Command::new("logrotate");
        logrotate.args(["--force", "--state", "state", "tidegate"]);
        let output = logrotate.current_dir(&self.folder).env("PATH", &self.path).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.is_empty(), "{said}");
    }

    /// The rows of the log and of those before it, which are unpacked.
    fn rows(&self) -> Vec<Row> {
        let files = fs::read_dir(&self.logs).unwrap().map(|file| file.unwrap().path());
        let (packed, plain): (Vec<_>, Vec<_>) = files
            .filter(|path| path.extension().is_none_or(|end| end != "json"))
            .partition(|path| path.extension().is_some_and(|end| end == "gz"));
        assert_eq!(packed.len(), TURNS - 1, "the last one may still be written to");
        assert!(Command::new("gunzip").args(&packed).status().unwrap().success());
        let unpacked = packed.iter().map(|path| path.with_extension(""));
        plain.into_iter().chain(unpacked).flat_map(|path| rows(&path)).collect()
    }
}

#[test]
fn the_log_is_rotated_under_load_without_losing_a_row() {
    let origin = Origin::echoing_targets();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.csv");
    let mut proxy = logging(&origin, &log, &["--workers", "2"]);
    let rotation = Rotation::of(proxy.process.id(), folder.path());
    let (is_over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = proxy.address();
    thread::scope(|scope| {
        let _over = Over(&is_over);
        for client in 0..CLIENTS {
            let (is_over, asked) = (&is_over, &asked);
            scope.spawn(move || {
                let mut connection = Connection::connect(address);
                for n in (0..).take_while(|_| !is_over.load(Ordering::Relaxed)) {
                    asked.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(connection.get(&format!("/{client}/{n}")).status, 200);
                    pause(Duration::from_millis(1));
                }
            });
        }
        for _ in 0..TURNS {
            until("rows in the log", || {
                (fs::read_to_string(&log).ok()?.lines().count() > 20).then_some(())
            });
            rotation.rotate();
        }
        until("a new log", || log.exists().then_some(()));
    });
    let asked = asked.into_inner();
    assert_eq!(totals(&stop(&mut proxy)), [asked, 0, asked, 0], "{}", proxy.process.stderr());
    let rows = rotation.rows();
    let mut paths = column(&rows, "path");
    assert_eq!(paths.len(), asked);
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), asked, "no row is doubled");
}

#[test]
fn the_log_of_choices_is_rotated_with_that_of_requests() {
    let origin = Origin::echoing_targets();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (log, choices) = (path("access.csv"), path("decisions.jsonl"));
    let flags = ["--decisions", choices.to_str().unwrap(), "--decision-sample", "1"];
    let mut proxy = logging(&origin, &log, &flags);
    let rotation = Rotation::of(proxy.process.id(), folder.path());
    let lines = |path: &Path| fs::read_to_string(path).map_or(0, |text| text.lines().count());
    let address = proxy.address();
    for turn in ["first", "second"] {
        assert_eq!(Connection::connect(address).get(&format!("/{turn}")).status, 200);
        until("a row and a choice", || (lines(&log) == 2 && lines(&choices) == 1).then_some(()));
        rotation.rotate();
        until("new logs", || (log.exists() && choices.exists()).then_some(()));
    }
    assert_eq!(totals(&stop(&mut proxy)), [2, 0, 2, 0, 2, 0]);
    for (name, count) in [("access.csv.1", 2), ("decisions.jsonl.1", 1)] {
        assert_eq!(lines(&path(name)), count, "{name}");
        assert!(path(&name.replace(".1", ".2.gz")).exists(), "the one before is packed");
    }
}

#[test]
fn logs_of_earlier_runs_are_removed_after_a_fortnight() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let log = path("access.csv");
    let [old, new] = ["2026-01-01", "2026-02-01"].map(|day| {
        [".csv", ".jsonl"].map(|end| {
            let log = if end == ".csv" { "access" } else { "decisions" };
            path(&format!("{log}.{day}T00-00-00Z{end}"))
        })
    });
    for path in [&log].into_iter().chain(&old).chain(&new) {
        fs::write(path, "timestamp\n").unwrap();
    }
    let mut touch = Command::new("touch");
    assert!(touch.args(["-d", "16 days ago"]).args(&old).status().unwrap().success());
    // It ends by the signal.
    let mut signalled = Command::new("sleep").arg("60").spawn().unwrap();
    Rotation::of(signalled.id(), folder.path()).rotate();
    assert!(!signalled.wait().unwrap().success());
    assert!(old.iter().all(|path| !path.exists()) && new.iter().all(|path| path.exists()));
    assert!(path("access.csv.1").exists());
}
