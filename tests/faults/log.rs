//! The log fills its disk, is not read, or is renamed under load: requests never wait for it.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Resource, Signal};
use tidegate::journal::{Tail, header};

use support::clock::{pause, until};
use support::http::{Connection, get};
use support::log::{Logged, column, logging, rows, stop, totals};
use support::origin::Origin;
use support::over::Over;
use support::process::Proxy;

#[test]
fn a_log_on_a_full_disk_costs_rows_and_no_request() {
    const REQUESTS: usize = 100;
    let origin = Origin::echoing_targets();
    let mut proxy = Logged::start(&[origin.address], &["--workers", "1"]);
    let log = proxy.path();
    let mut client = Connection::connect(proxy.address());
    let mut ask = |path: &str| {
        for n in 0..REQUESTS {
            assert_eq!(client.get(&format!("/{path}/{n}")).status, 200);
        }
    };
    ask("before");
    proxy.has_rows(REQUESTS);
    // Space for some more rows, and for a part of one.
    let full = fs::metadata(&log).unwrap().len() + 1000;
    let unlimited = proxy.proxy.process.limit(Resource::Fsize, Some(full));
    ask("full");
    until("the error message", || {
        proxy.proxy.process.stderr().contains("cannot be written").then_some(())
    });
    assert!(fs::read_to_string(&log).unwrap().ends_with('\n'), "the last row is complete");
    proxy.proxy.process.limit(Resource::Fsize, unlimited);
    ask("after");
    let said = stop(&mut proxy.proxy);
    let [requests, _, written, lost] = totals(&said);
    assert_eq!((requests, written + lost), (3 * REQUESTS, 3 * REQUESTS));
    let rows = rows(&log);
    let paths = column(&rows, "path");
    let of = |part: &str| paths.iter().filter(|path| path.starts_with(part)).count();
    assert_eq!((paths.len(), of("/before/"), of("/after/")), (written, REQUESTS, REQUESTS));
    assert!(lost > 0 && of("/full/") + lost == REQUESTS, "{lost} rows lost");
    let told = proxy.proxy.process.stderr();
    assert!(told.contains("can be written again"), "{told}");
}

#[test]
fn a_disk_that_is_full_at_start_costs_rows_and_no_request() {
    const REQUESTS: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let origin = Origin::echoing_targets();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -f 0; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tidegate")]);
    command.args(["--listen", "127.0.0.1:0", "--workers", "1", "--upstream"]);
    command.arg(format!("http://{}", origin.address)).arg("--log").arg(&log);
    let mut proxy = Proxy::spawn(&mut command);
    let mut client = Connection::connect(proxy.address());
    let mut ask = |path: &str| {
        for n in 0..REQUESTS {
            assert_eq!(client.get(&format!("/{path}/{n}")).status, 200);
        }
    };
    until("the error message", || {
        proxy.process.stderr().contains("cannot be written").then_some(())
    });
    ask("full");
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    proxy.process.limit(Resource::Fsize, None);
    until("the header", || (fs::metadata(&log).unwrap().len() > 0).then_some(()));
    ask("after");
    let [requests, _, written, lost] = totals(&stop(&mut proxy));
    let rows = rows(&log);
    assert_eq!((requests, written + lost, rows.len()), (2 * REQUESTS, 2 * REQUESTS, written));
    let after = rows.iter().filter(|row| row["path"].starts_with("/after/"));
    assert_eq!(after.count(), REQUESTS);
    assert!(proxy.process.stderr().contains("can be written again"), "{}", proxy.process.stderr());
}

#[test]
fn a_log_that_is_copied_and_truncated_continues_with_a_header() {
    const TURNS: usize = 5;
    let origin = Origin::echoing_targets();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let mut proxy = logging(&origin, &log, &["--workers", "1"]);
    let address = proxy.address();
    let is_over = AtomicBool::new(false);
    let asked: usize = thread::scope(|scope| {
        let over = Over(&is_over);
        let asking = scope.spawn(|| {
            let mut connection = Connection::connect(address);
            let asked = (0..).take_while(|n| {
                assert_eq!(connection.get(&format!("/{n}")).status, 200);
                !is_over.load(Ordering::Relaxed)
            });
            asked.count() + 1
        });
        for turn in 0..TURNS {
            until("a header and rows after it", || {
                let text = fs::read_to_string(&log).unwrap();
                (text.contains(&header()) && text.lines().count() > 20).then_some(())
            });
            fs::copy(&log, folder.path().join(format!("{turn}.csv"))).unwrap();
            File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
        }
        drop(over);
        asking.join().unwrap()
    });
    assert_eq!(get(address, "/last").status, 200);
    until("the last row", || fs::read_to_string(&log).unwrap().contains("/last").then_some(()));
    fs::copy(&log, folder.path().join("last.csv")).unwrap();
    File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    until("a header without a row", || {
        (fs::read_to_string(&log).unwrap() == header()).then_some(())
    });
    assert_eq!(totals(&stop(&mut proxy)), [asked + 1, 0, asked + 1, 0]);
    let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let mut paths = Vec::new();
    for file in files.filter(|file| file.extension().is_some_and(|it| it == "csv")) {
        let mut tail = Tail::open(&file, None)
            .unwrap_or_else(|error| panic!("{error}: {}", fs::read_to_string(&file).unwrap()));
        while tail.read_on().unwrap() > 0 {
            while let Some(row) = tail.next_row() {
                paths.push(row.unwrap().path.unwrap().to_vec());
            }
        }
    }
    // What is written between copy and truncation is lost; nothing is there twice.
    assert!(paths.len() <= asked + 1 && paths.len() > 20 * TURNS, "{} of {asked}", paths.len());
    paths.sort_unstable();
    assert!(paths.is_sorted_by(|one, next| one < next), "no row is doubled");
}

#[test]
fn a_log_that_is_not_read_costs_rows_and_no_request() {
    const REQUESTS: usize = 3000;
    const MEMORY_KIB: u64 = 32 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("log");
    rustix::fs::mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let mut reader = File::options().read(true).custom_flags(nonblocking).open(&pipe).unwrap();
    let origin = Origin::echoing_targets();
    let mut proxy = logging(&origin, &pipe, &["--workers", "1"]);
    let mut client = Connection::connect(proxy.address());
    // Paths so long that the log's rings are full before the requests end. Only the log's thread
    // waits for the pipe.
    let long = "x".repeat(2000);
    for n in 0..REQUESTS {
        assert_eq!(client.get(&format!("/{n}/{long}")).status, 200);
    }
    let peak = proxy.process.status().vmhwm.unwrap();
    assert!(peak < MEMORY_KIB, "{peak} KiB");
    // Once the pipe is read, it gets what the rings hold.
    let reading = thread::spawn(move || {
        let flags = rustix::fs::fcntl_getfl(&reader).unwrap().difference(OFlags::NONBLOCK);
        rustix::fs::fcntl_setfl(&reader, flags).unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    let [requests, _, written, lost] = totals(&stop(&mut proxy));
    let text = reading.join().unwrap();
    println!("{written} rows, {lost} lost, {peak} KiB at most");
    assert_eq!((requests, written + lost), (REQUESTS, REQUESTS));
    assert_eq!(text.lines().count(), written + 1);
    assert!(lost > 0 && proxy.process.stderr().contains("not written fast enough"));
}

#[test]
fn a_log_that_is_reopened_under_load_loses_and_doubles_no_row() {
    const CLIENTS: usize = 4;
    const TURNS: usize = 10;
    let origin = Origin::echoing_targets();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let mut proxy = logging(&origin, &log, &["--workers", "2"]);
    let is_over = AtomicBool::new(false);
    let address = proxy.address();
    let ask = |client: usize| -> usize {
        let mut connection = Connection::connect(address);
        let asked = (0..).take_while(|n| {
            assert_eq!(connection.get(&format!("/{client}/{n}")).status, 200);
            // At full speed, a disk that is busy for a second costs rows; that is another test.
            pause(Duration::from_millis(1));
            !is_over.load(Ordering::Relaxed)
        });
        asked.count() + 1
    };
    let asked: usize = thread::scope(|scope| {
        let (over, ask) = (Over(&is_over), &ask);
        let clients = (0..CLIENTS).map(|client| scope.spawn(move || ask(client)));
        let clients: Vec<_> = clients.collect();
        for turn in 0..TURNS {
            until("rows in the new log", || {
                (fs::read_to_string(&log).unwrap().lines().count() > 20).then_some(())
            });
            fs::rename(&log, folder.path().join(format!("log.csv.{turn}"))).unwrap();
            // SIGUSR1 is the one that nginx uses.
            proxy.process.signal(if turn % 2 == 0 { Signal::HUP } else { Signal::USR1 });
            until("a new log", || log.exists().then_some(()));
        }
        drop(over);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    let said = totals(&stop(&mut proxy));
    assert_eq!(said, [asked, 0, asked, 0], "{}", proxy.process.stderr());
    let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|file| file.extension().is_none_or(|it| it != "json"));
    let rows: Vec<_> = files.flat_map(|file| rows(&file)).collect();
    let mut paths = column(&rows, "path");
    assert_eq!(paths.len(), asked);
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), asked, "no row is doubled");
    println!("{asked} rows in {} logs", TURNS + 1);
}
