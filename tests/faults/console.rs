//! Standard output and error are a full pipe that is not read: the programs serve nevertheless.

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::path::Path;
use std::process::Command;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Resource, Signal};

use support::clock::until;
use support::http::{Connection, get};
use support::log::{Row, endings, rows};
use support::origin::Origin;
use support::process::{Process, Proxy, tidegate};
use support::programs::program;

/// A pipe that accepts nothing until its reader reads.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    for size in [4096, 1] {
        while rustix::io::write(&writer, &vec![b'x'; size]).is_ok() {}
    }
    assert_eq!(rustix::io::write(&writer, b"x"), Err(Errno::AGAIN));
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

/// Starts a program whose output and errors go to a stalled pipe.
fn start_stalled(command: &mut Command) -> (Process, PipeReader) {
    let (reader, writer) = full_pipe();
    let command = command.stdout(writer.try_clone().unwrap()).stderr(writer);
    (Process::spawn_unheard(command), reader)
}

fn start_proxy(origin: &Origin, log: &str, flags: &[&str]) -> (Proxy, PipeReader) {
    let url = format!("http://{}", origin.address);
    let own = ["--listen", "127.0.0.1:0", "--upstream", &url, "--workers", "1", "--log", log];
    let (process, reader) = start_stalled(&mut tidegate(&[&own, flags].concat()));
    let addresses = vec![process.listens()];
    (Proxy { process, addresses }, reader)
}

fn stop(proxy: &mut Proxy) {
    proxy.process.signal(Signal::TERM);
    assert!(proxy.process.ended().success());
}

#[test]
fn a_console_that_is_never_read_costs_no_request_and_no_row() {
    const REQUESTS: usize = 500;
    let origin = Origin::echoing_targets();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let (mut proxy, reader) = start_proxy(&origin, log.to_str().unwrap(), &["-v"]);
    let mut client = Connection::connect(proxy.address());
    for n in 0..REQUESTS {
        assert_eq!(client.get(&format!("/{n}")).text(), format!("/{n}"));
    }
    stop(&mut proxy);
    assert_eq!(endings(&rows(&log)), vec![("200", "", "1"); REQUESTS]);
    drop(reader);
}

#[test]
fn a_reader_that_reads_again_gets_what_was_printed_meanwhile() {
    let origin = Origin::echoing_targets();
    let (mut proxy, mut reader) = start_proxy(&origin, "none", &[]);
    assert_eq!(get(proxy.address(), "/").status, 200);
    let reading = std::thread::spawn(move || {
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        said
    });
    stop(&mut proxy);
    let said = reading.join().unwrap();
    assert!(said.contains("listening on http://127.0.0.1:"), "the greeting");
    assert!(said.ends_with("\n1 requests, 0 errors, 0 rows, 0 rows lost\n"), "the totals");
}

#[test]
fn errors_that_are_not_read_cost_clients_nothing() {
    let origin = Origin::echoing_targets();
    let (mut proxy, reader) = start_proxy(&origin, "none", &["--max-connections", "100"]);
    let mut accepted = Connection::connect(proxy.address());
    assert_eq!(accepted.get("/").status, 200);
    let limit = proxy.process.highest_file() + 1;
    let given = proxy.process.limit(Resource::Nofile, Some(limit));
    let mut waiting = Connection::connect(proxy.address());
    waiting.send("GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n");
    for n in 0..100 {
        assert_eq!(accepted.get(&format!("/{n}")).text(), format!("/{n}"));
    }
    proxy.process.limit(Resource::Nofile, given);
    assert_eq!(waiting.answer().text(), "/waiting");
    drop((accepted, waiting));
    stop(&mut proxy);
    drop(reader);
}

/// The rows of a log that is being written; none while the last one is incomplete.
fn rows_so_far(log: &Path) -> Vec<Row> {
    let text = fs::read_to_string(log).unwrap();
    if text.ends_with('\n') { rows(log) } else { Vec::new() }
}

#[test]
fn errors_of_the_log_that_are_not_read_do_not_block_it() {
    let origin = Origin::echoing_targets();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let (mut proxy, reader) = start_proxy(&origin, log.to_str().unwrap(), &[]);
    let mut client = Connection::connect(proxy.address());
    assert_eq!(client.get("/before").status, 200);
    until("a row", || (rows_so_far(&log).len() == 1).then_some(()));
    let full = fs::metadata(&log).unwrap().len();
    let unlimited = proxy.process.limit(Resource::Fsize, Some(full));
    assert_eq!(client.get("/lost").status, 200);
    // Reopening the log prints something, too.
    proxy.process.signal(Signal::HUP);
    until("a row that is written again", || {
        proxy.process.limit(Resource::Fsize, unlimited);
        assert_eq!(client.get("/again").status, 200);
        rows_so_far(&log).iter().any(|row| row["path"] == "/again").then_some(())
    });
    stop(&mut proxy);
    drop(reader);
}

#[test]
fn a_log_on_a_stalled_standard_output_does_not_keep_the_proxy_from_serving_and_ending() {
    let origin = Origin::echoing_targets();
    let (mut proxy, reader) = start_proxy(&origin, "/dev/stdout", &[]);
    for _ in 0..3 {
        assert_eq!(get(proxy.address(), "/").status, 200);
    }
    stop(&mut proxy);
    drop(reader);
}

#[test]
fn the_other_programs_serve_though_their_console_is_not_read() {
    let backend = program("tidegate-backend");
    let dashboard = program("tidegate-dashboard");
    for (program, flags) in
        [(backend, &["--listen", "127.0.0.1", "--profile", "0"][..]), (dashboard, &[])]
    {
        let mut command = Command::new(program);
        command.env_remove("PORT").env_remove("DASHBOARD_PORT").args(["--port", "0"]).args(flags);
        let (mut process, reader) = start_stalled(&mut command);
        assert_eq!(get(process.listens(), "/").status, 200);
        process.signal(Signal::TERM);
        assert!(process.ended().success());
        drop(reader);
    }
}
