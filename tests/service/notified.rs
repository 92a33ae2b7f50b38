//! What the manager is told.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

use super::manager::{Told, alone};
use support::clock::{now, until};
use support::process::Process;

/// The proxy's monotonic clock, in microseconds.
fn monotonic() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
}

fn start(told: &Told, flags: &[&str]) -> Process {
    let mut command = alone(&["--listen", "127.0.0.1:0", "--log", "none"]);
    told.listens_to(&mut command);
    Process::spawn(command.args(flags))
}

fn reloading(message: &[String], since: i64) {
    let [reloading, at] = message else { panic!("{message:?}") };
    assert_eq!(reloading, "RELOADING=1");
    let at: i64 = at.strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!((since..=monotonic()).contains(&at), "{since} {at}");
}

#[test]
fn it_tells_when_it_serves_reloads_and_stops_and_what_came_of_it() {
    let (told, folder) = (Told::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("a.toml");
    fs::write(&file, "[[backend]]\nurl = 'http://127.0.0.1:1'").unwrap();
    let mut proxy = start(&told, &["--config", file.to_str().unwrap()]);
    assert_eq!(told.next(), ["READY=1", "STATUS=serving with 1 upstreams"]);
    for (text, status) in [
        ("body-timeout = '9s'", "STATUS=reloaded "),
        ("body-timeout = 9", "STATUS=not reloaded, nothing has changed: "),
    ] {
        fs::write(&file, format!("{text}\n[[backend]]\nurl = 'http://127.0.0.1:1'")).unwrap();
        let since = monotonic();
        proxy.signal(Signal::HUP);
        reloading(&told.next(), since);
        let message = told.next();
        assert_eq!((message.len(), &*message[0]), (2, "READY=1"));
        assert!(message[1].starts_with(status), "{message:?}");
    }
    proxy.signal(Signal::TERM);
    assert_eq!(told.next()[0], "STOPPING=1");
    assert!(proxy.ended().success());
    assert_eq!(told.waiting(), 0);
}

#[test]
fn a_reload_is_answered_where_there_is_no_file_and_the_log_s_reopening_is_none() {
    let told = Told::new();
    let mut proxy = start(&told, &["--upstream", "http://127.0.0.1:1"]);
    assert_eq!(told.next()[0], "READY=1");
    proxy.signal(Signal::USR1);
    let since = monotonic();
    proxy.signal(Signal::HUP);
    reloading(&told.next(), since);
    assert_eq!(told.next()[0], "READY=1");
    proxy.signal(Signal::TERM);
    assert_eq!(told.next()[0], "STOPPING=1");
    proxy.ended();
}

#[test]
fn a_manager_that_is_gone_is_missed_by_nobody() {
    let told = Told::new();
    let mut command = alone(&["--listen", "127.0.0.1:0", "--log", "none"]);
    told.listens_to(&mut command);
    drop(told);
    let mut proxy = Process::spawn(command.args(["--upstream", "http://127.0.0.1:1"]));
    proxy.line("upstream");
    proxy.signal(Signal::TERM);
    assert!(proxy.ended().success());
}

#[test]
fn a_manager_that_does_not_read_delays_nothing_and_is_told_all_in_order_when_it_reads() {
    let (told, folder) = (Told::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("a.toml");
    fs::write(&file, "[[backend]]\nurl = 'http://127.0.0.1:1'").unwrap();
    told.fill();
    let mut command =
        alone(&["--listen", "127.0.0.1:0", "--log", "none", "--shutdown-delay", "1m"]);
    told.listens_to(&mut command);
    command.args(["--config", file.to_str().unwrap()]).env("WATCHDOG_USEC", "4000");
    let mut proxy = Process::spawn(&mut command);
    proxy.line("upstream");
    proxy.signal(Signal::HUP);
    proxy.line("reloaded");
    proxy.signal(Signal::TERM);
    let next = || {
        let is_other = |message: &Vec<String>| message[0] != "WATCHDOG=1";
        until("a message", || Some(told.next_behind()).filter(is_other))
    };
    assert_eq!(next()[0], "READY=1");
    assert_eq!(next()[0], "RELOADING=1");
    assert_eq!(next()[0], "READY=1");
    assert_eq!(next()[0], "STOPPING=1");
    // It is full again, and the second signal ends the program nonetheless.
    told.fill();
    until("its end", || {
        proxy.signal(Signal::TERM);
        proxy.has_ended().then_some(())
    });
}

/// Stops one thread of a process as a debugger does, until it is dropped.
struct Held(#[expect(dead_code, reason = "its end lets the thread go")] Process);

impl Held {
    fn hold(thread: i32) -> Self {
        const SCRIPT: &str = "import ctypes, os, sys, time\n\
            libc = ctypes.CDLL(None, use_errno=True)\n\
            SEIZE, INTERRUPT = 0x4206, 0x4207\n\
            for request in SEIZE, INTERRUPT:\n\
            \x20   if libc.ptrace(request, int(sys.argv[1]), None, None) != 0:\n\
            \x20       sys.exit(os.strerror(ctypes.get_errno()))\n\
            os.waitpid(int(sys.argv[1]), 0x40000000)\n\
            print('held', flush=True)\n\
            time.sleep(1000)\n";
        let mut command = Command::new("python3");
        let mut process = Process::spawn(command.args(["-c", SCRIPT, &thread.to_string()]));
        process.line("held");
        Self(process)
    }
}

#[test]
fn the_watchdog_is_fed_until_one_worker_of_two_hangs_and_again_when_it_goes_on() {
    const LIMIT_MICROSECONDS: u64 = 400_000;
    let told = Told::new();
    let mut command = alone(&["--listen", "127.0.0.1:0", "--log", "none", "--workers", "2"]);
    told.listens_to(&mut command);
    command.env("WATCHDOG_USEC", LIMIT_MICROSECONDS.to_string());
    let mut proxy = Process::spawn(command.args(["--upstream", "http://127.0.0.1:1"]));
    let fed = || {
        until("food", || (told.next() == ["WATCHDOG=1"]).then_some(()));
    };
    for _ in 0..20 {
        fed();
    }
    let held = Held::hold(proxy.thread("worker-1"));
    let mut last = now();
    // What a manager would do then is known: here it only watches.
    until("a silence of four limits", || {
        if told.waiting() > 0 {
            last = now();
        }
        (now() - last).as_micros().ge(&u128::from(4 * LIMIT_MICROSECONDS)).then_some(())
    });
    drop(held);
    fed();
    proxy.signal(Signal::TERM);
    until("the end of its stopping", || (told.next()[0] == "STOPPING=1").then_some(()));
    assert!(proxy.ended().success());
}
