//! A configuration file that is read again on SIGHUP.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;
use tidegate::journal::meta_path;

use support::clock::until;
use support::http::{Connection, get};
use support::log::{column, rows, stop};
use support::origin::{Origin, ok};
use support::process::{Proxy, run};
use support::programs::program;

/// A file that a proxy was started with.
struct Configured {
    folder: TempDir,
    proxy: Proxy,
}

impl Configured {
    fn start(rest: &str, backends: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        write(&path, rest, backends);
        let proxy = Proxy::spawn(Command::new(program("tidegate")).arg("--config").arg(path));
        Self { folder, proxy }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Has it read this in place of what was in the file: what it says of that.
    fn reload(&mut self, rest: &str, backends: &[SocketAddr]) -> String {
        write(&self.path("a.toml"), rest, backends);
        self.proxy.process.signal(Signal::HUP);
        self.proxy.process.line("reloaded")
    }
}

fn write(path: &Path, rest: &str, backends: &[SocketAddr]) {
    let tables = backends.iter().map(|at| format!("[[backend]]\nurl = 'http://{at}'\n"));
    let text = format!("listen = '127.0.0.1:0'\n{rest}\n{}", tables.collect::<String>());
    // In one step, so that it is never read in part.
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

fn answering(text: &'static str) -> Origin {
    Origin::serve(move |mut connection| {
        while connection.request().is_some() {
            connection.send(ok(text));
        }
    })
}

#[test]
fn backends_and_settings_change_and_the_difference_is_said() {
    let (first, second) = (answering("first"), answering("second"));
    let mut configured = Configured::start("log = 'none'", &[first.address]);
    let address = configured.proxy.address();
    let mut client = Connection::connect(address);
    assert_eq!(client.get("/").text(), "first");
    let said = configured.reload("log = 'none'\nbody-timeout = '7s'", &[second.address]);
    for change in [
        format!("added http://{}", second.address),
        format!("removed http://{}", first.address),
        "changed body-timeout".to_owned(),
    ] {
        assert!(said.contains(&change), "{said}");
    }
    until("the other backend", || (client.get("/").text() == "second").then_some(()));
    let said = configured.reload("log = 'none'\nbody-timeout = '7s'", &[second.address]);
    assert!(said.contains("nothing changed"), "{said}");
}

#[test]
fn a_wrong_file_changes_nothing_and_is_shown() {
    let origin = answering("first");
    let mut configured = Configured::start("log = 'none'", &[origin.address]);
    let full = configured.path("a.toml").join("x.csv").display().to_string();
    for (rest, reason) in [
        ("max-attempts = 0", "a.toml:2:16: max-attempts: give a number, at least 1"),
        ("cooldown = '1m'\nlog = 'none'", "--cooldown must not be longer"),
        ("workers = 77\nlog = 'none'", "workers can't change while the proxy runs"),
        ("log = 'x.csv'", "log can't change while the proxy runs"),
        (&format!("log = '{full}'"), "Not a directory"),
    ] {
        let said = configured.reload(rest, &[]);
        assert!(said.contains("not reloaded, nothing has changed: "), "{said}");
        assert!(said.contains(reason), "{said}");
        assert_eq!(get(configured.proxy.address(), "/").text(), "first");
    }
    fs::remove_file(configured.path("a.toml")).unwrap();
    configured.proxy.process.signal(Signal::HUP);
    let said = configured.proxy.process.line("reloaded");
    assert!(said.contains("can't read the configuration"), "{said}");
    assert_eq!(get(configured.proxy.address(), "/").text(), "first");
}

#[test]
fn the_policy_and_the_log_change_and_each_row_is_of_the_one_that_held() {
    let origin = answering("x");
    let folder = tempfile::tempdir().unwrap();
    let log = |name: &str| folder.path().join(name);
    let with =
        |policy: &str, name: &str| format!("policy = '{policy}'\nlog = '{}'", log(name).display());
    let mut configured = Configured::start(&with("round-robin", "a.csv"), &[origin.address]);
    let address = configured.proxy.address();
    assert_eq!(get(address, "/1").status, 200);
    configured.reload(&with("least-conn", "a.csv"), &[origin.address]);
    let is_told = || fs::read_to_string(meta_path(&log("a.csv"))).unwrap().contains("least-conn");
    until("a new description", || is_told().then_some(()));
    assert_eq!(get(address, "/2").status, 200);
    configured.reload(&with("adaptive", "b.csv"), &[origin.address]);
    until("another log", || log("b.csv").exists().then_some(()));
    assert_eq!(get(address, "/3").status, 200);
    let totals = stop(&mut configured.proxy);
    assert!(totals.ends_with("3 requests, 0 errors, 3 rows, 0 rows lost\n"), "{totals}");
    let (first, second) = (rows(&log("a.csv")), rows(&log("b.csv")));
    assert_eq!(column(&first, "routing_mode"), ["round-robin", "least-conn"]);
    assert_eq!(column(&second, "routing_mode"), ["adaptive"]);
}

#[test]
fn no_request_fails_and_no_row_is_lost_however_often_it_is_reloaded() {
    const RELOADS: usize = 500;
    /// Resident memory may grow by so many KiB once it has been reloaded a few times.
    const GROWTH: u64 = 8 * 1024;
    let origins = [(); 4].map(|()| answering("x"));
    let addresses = origins.each_ref().map(|origin| origin.address);
    let folder = tempfile::tempdir().unwrap();
    let log = |name: usize| folder.path().join(format!("{name}.csv"));
    let rest = |log: &Path, more: &str| format!("log = '{}'\nworkers = 2\n{more}", log.display());
    let mut configured = Configured::start(&rest(&log(0), ""), &addresses);
    let address = configured.proxy.address();
    let is_over = AtomicBool::new(false);
    let asked: u64 = thread::scope(|scope| {
        let clients = [(); 4].map(|()| {
            scope.spawn(|| {
                let (mut kept, mut count) = (Connection::connect(address), 0);
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(kept.get("/kept").status, 200);
                    assert_eq!(get(address, "/new").status, 200);
                    count += 2;
                }
                count
            })
        });
        let mut chance = fastrand::Rng::with_seed(15);
        let mut resident = 0;
        for reload in 0..RELOADS {
            if reload == RELOADS / 5 {
                resident = configured.proxy.process.status().vmrss.unwrap();
            }
            let policy = chance.choice(["round-robin", "adaptive", "least-conn"]).unwrap();
            let more = match chance.usize(..3) {
                0 => "max-attempts = 0".to_owned(),
                1 => format!("policy = '{policy}'\npool-size = {}", chance.u8(..)),
                _ => format!("policy = '{policy}'\nresponse-timeout = '{}s'", chance.u8(10..)),
            };
            let first = chance.usize(..4);
            let used = &addresses[first..chance.usize(first + 1..=4)];
            let said = configured.reload(&rest(&log(chance.usize(..2)), &more), used);
            assert_eq!(said.contains("not reloaded"), more.ends_with("= 0"), "{said}");
        }
        is_over.store(true, Ordering::Relaxed);
        let grown = configured.proxy.process.status().vmrss.unwrap().saturating_sub(resident);
        assert!(grown <= GROWTH, "{resident} KiB have become {grown} KiB more");
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    let totals = stop(&mut configured.proxy);
    let expected = format!("{asked} requests, 0 errors, {asked} rows, 0 rows lost\n");
    assert!(totals.ends_with(&expected), "{asked}: {totals}");
}

#[test]
fn what_is_printed_as_a_file_is_what_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    let flags = ["least-conn", "--body-timeout", "7s", "--upstream", "http://127.0.0.1:1 weight=3"];
    let printed = run(&[&flags[..], &["--print-config"]].concat());
    assert_eq!(printed.code, Some(0));
    for line in ["body-timeout = \"7s\"", "# workers = \"auto\""] {
        assert!(printed.stdout.contains(&format!("\n{line}\n")), "{}", printed.stdout);
    }
    fs::write(&path, &printed.stdout).unwrap();
    let path = path.to_str().unwrap();
    let by_flags = run(&[&flags[..], &["--check", "--json"]].concat());
    let by_file = Command::new(program("tidegate"))
        .args(["--config", path, "--check", "--json"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&by_file.stdout), by_flags.stdout);
}
