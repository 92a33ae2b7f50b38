//! The test backend as a process, over real sockets.
//!
//! Nothing here measures time: a wait is for bytes or for a process to end, and only a failing test
//! waits until its patience is over.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};

use rustix::process::Signal;
use support::clock::until;
use support::http::{Answer, Connection};
use support::process::{Backend, Process, backend};
use support::programs::program;

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// What it printed when it began to listen.
fn announced(backend: &Backend) -> String {
    backend.process.stdout()
}

fn greeting(backend: &Backend) -> String {
    backend.connect().ask(GET).text()
}

fn content_length(answer: &Answer) -> usize {
    answer.header("Content-Length").expect("a length").parse().unwrap()
}

#[test]
fn it_greets_in_cycle_order_whichever_connection_asks() {
    let backend = Backend::start(&["--id", "web", "--profile", "1,2.5,0x2"]);
    let announced = announced(&backend);
    assert!(announced.ends_with(", profile 1,2.5,0,0 ms\n"), "{announced}");
    let mut clients = [backend.connect(), backend.connect()];
    for (turn, delay) in ["1", "2.5", "0", "0", "1", "2.5", "0"].iter().enumerate() {
        let expected = format!("Hello from web – simulated {delay}ms");
        assert_eq!(clients[turn % 2].ask(GET).text(), expected);
    }
    let head = clients[0].ask(GET).head;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"), "{head}");
}

#[test]
fn the_environment_names_port_and_profile_and_flags_go_before_it() {
    let by_environment = Backend::spawn(backend(&[]).env("PORT", "0").env("SERVER_ID", "b"));
    assert!(announced(&by_environment).starts_with("backend b listening on 0.0.0.0:"));
    assert!(announced(&by_environment).ends_with(", profile 200 ms\n"));
    let command = &mut backend(&["--port", "0", "--id", "C", "--listen", "127.0.0.1"]);
    let by_flags = Backend::spawn(command.env("PORT", "1").env("SERVER_ID", "B"));
    assert!(announced(&by_flags).starts_with("backend C listening on 127.0.0.1:"));
    assert!(announced(&by_flags).ends_with(", profile 250 ms\n"));
    let queueing = Backend::start(&["--service", "exp:250us", "--slots", "4"]);
    assert!(announced(&queueing).ends_with(", service exp:250us, 4 slots\n"));
    let neither = Backend::start(&[]);
    assert!(announced(&neither).ends_with(", profile 10,15,20,400,400,400,10,15,20 ms\n"));
}

#[test]
fn a_thousand_requests_wait_on_one_thread_and_none_holds_up_the_next() {
    let backend = Backend::start(&["--profile", "3600000x1000,0"]);
    let mut waiting: Vec<Connection> = (0..1000).map(|_| backend.connect()).collect();
    for client in &mut waiting {
        client.send(GET);
    }
    // Connections and their bytes are taken in the order they came: this is the thousand and first.
    assert_eq!(greeting(&backend), "Hello from A – simulated 0ms");
    assert_eq!(
        backend.process.status().threads,
        3,
        "the loop, one that waits for signals, one that prints"
    );
    assert!(backend.process.status().vmhwm.unwrap() < 32 * 1024);
}

#[test]
fn a_large_body_streams_down_at_the_client_s_pace_and_is_never_held() {
    let size = 256 << 20;
    let backend = Backend::start(&["--profile", "0", "--body-size", &size.to_string()]);
    let mut client = backend.connect();
    client.send(GET);
    assert_eq!(content_length(&client.answer_head()), size);
    // While one client does not read, another is served.
    let mut other = backend.connect();
    let head = other.ask("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(content_length(&head), size);
    for block in 0..size / BLOCK_BYTES {
        let lines = client.take(BLOCK_BYTES);
        // The first block begins with the greeting instead.
        let torn =
            lines.chunks(PATTERN.len()).skip(usize::from(block == 0)).find(|l| *l != PATTERN);
        assert_eq!(torn, None, "in block {block}");
    }
    assert!(backend.process.status().vmhwm.unwrap() < 32 * 1024);
    client.send(GET);
    assert_eq!(content_length(&client.answer_head()), size, "the connection goes on");
}

const BLOCK_BYTES: usize = 1 << 20;

/// What a large body is filled with, line by line.
const PATTERN: &[u8] = b"\nABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz.";

#[test]
fn large_uploads_are_passed_over_and_never_held() {
    let backend = Backend::start(&["--profile", "0"]);
    let mut client = backend.connect();
    let piece = vec![b'x'; 1 << 20];
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 134217728\r\n\r\n");
    for _ in 0..128 {
        client.send(&piece);
    }
    assert_eq!(client.answer().status, 200);
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..128 {
        client.send("100000\r\n");
        client.send(&piece);
        client.send("\r\n");
    }
    client.send("0\r\nSum: none\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert!(backend.process.status().vmhwm.unwrap() < 32 * 1024);
}

#[test]
fn a_client_that_has_finished_sending_still_gets_its_answers() {
    let backend = Backend::start(&["--profile", "5"]);
    let mut client = backend.connect();
    client.send(GET.repeat(3));
    client.finish();
    for _ in 0..3 {
        assert_eq!(client.answer().text(), "Hello from A – simulated 5ms");
    }
    assert_eq!(client.rest(), b"");
}

#[test]
fn nonsense_gets_its_400_even_while_the_client_keeps_sending() {
    let backend = Backend::start(&["--profile", "0"]);
    let mut client = backend.connect();
    client.send("\x01nonsense\r\n\r\n");
    client.send(vec![b'x'; 1 << 20]);
    client.finish();
    assert!(client.answer().head.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    assert_eq!(client.rest(), b"");
}

#[test]
fn connections_are_closed_as_told() {
    let backend = Backend::start(&["--profile", "0", "--close-every", "3", "--fail-every", "2"]);
    let mut client = backend.connect();
    client.send(GET.repeat(2));
    assert_eq!([client.answer().status, client.answer().status], [200, 500]);
    let head = client.ask(GET).head;
    assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
    assert_eq!(client.rest(), b"");
    let mut old = backend.connect();
    assert_eq!(old.ask("GET / HTTP/1.0\r\n\r\n").text(), "A fails on purpose");
    assert_eq!(old.rest(), b"");
}

#[test]
fn a_signal_ends_it_at_once_with_success_whatever_is_under_way() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut backend = Backend::start(&["--profile", "3600000"]);
        let mut client = backend.connect();
        client.send(GET);
        backend.process.signal(signal);
        assert_eq!(backend.process.ended().code(), Some(0));
    }
}

#[test]
fn a_client_that_resets_while_it_waits_is_forgotten_at_once() {
    let backend = Backend::start(&["--profile", "3600000,0"]);
    let idle = backend.process.open_files();
    let mut client = backend.connect();
    client.send(GET);
    // Answering another shows that the first has been taken in.
    let mut other = backend.connect();
    other.ask(GET);
    assert_eq!(backend.process.open_files(), idle + 2);
    client.reset();
    let is_free = || backend.process.open_files() == idle + 1;
    until("the descriptor is given back", || is_free().then_some(()));
}

#[test]
fn bytes_that_come_during_a_delay_do_not_shorten_the_next() {
    let backend = Backend::start(&["--profile", "100,0,3600000,0"]);
    let (mut client, mut other) = (backend.connect(), backend.connect());
    client.send(GET);
    other.ask(GET);
    client.send(GET);
    assert_eq!(client.answer().text(), "Hello from A – simulated 100ms");
    assert_eq!(other.ask(GET).text(), "Hello from A – simulated 0ms");
    assert!(!client.has_bytes());
}

#[test]
fn an_interrupted_wait_goes_on() {
    let backend = Backend::start(&["--profile", "0"]);
    let mut client = backend.connect();
    client.ask(GET);
    for _ in 0..3 {
        backend.process.signal(Signal::STOP);
        backend.process.signal(Signal::CONT);
        client.ask(GET);
    }
}

#[test]
fn a_taken_port_is_named_with_the_way_to_another() {
    let other = Backend::start(&[]);
    let port = other.address.port().to_string();
    let output = run(&mut backend(&["--port", &port, "--listen", "127.0.0.1"]));
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("error: port {port} is taken; choose another with --port\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    assert_eq!(output.stdout, b"");
}

#[test]
fn a_flag_that_makes_no_sense_is_named_with_code_2() {
    for flags in [
        ["--port", "70000"],
        ["--port", "http"],
        ["--listen", "localhost"],
        ["--profile", "10,fast"],
        ["--body-size", "1k"],
        ["--status", "199"],
        ["--status", "600"],
        ["--fail-every", "0"],
        ["--close-every", "0"],
        ["--service", "10ms"],
        ["--slots", "0"],
        ["--cores", "0"],
        ["--script", "1s..2s quick"],
        ["--drift", "0.5"],
        ["--errors", "2"],
        ["--colour", "red"],
    ] {
        let output = run(&mut backend(&flags));
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains(flags[0]), "{complaint}");
    }
    for (flags, said) in [
        (&["--slots", "2", "--cores", "2"][..], "'--slots <N>' cannot be used with '--cores <N>'"),
        (&["--service", "exp:1ms", "--profile", "1"], "cannot be used with"),
        (&["--service", "gauss:1ms"], "lognormal:10ms,sigma=1.4"),
        (&["--script", "1s.. pause"], "a pause has an end"),
        (&["--errors", "2"], "give a part, 0 to 1"),
        (&["--phase", "x"], "what happens and when: '--script <PHASE>'"),
        (&["--workers", "3"], "requests worked on at once: '--slots <N>'"),
    ] {
        let output = run(&mut backend(flags));
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains(said), "{complaint}");
    }
    let output = run(backend(&[]).env("PORT", "many"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("'many'"));
}

#[test]
fn the_last_answer_outlasts_what_its_client_says_late() {
    let backend = Backend::start(&["--profile", "0", "--body-size", "2000000"]);
    let mut client = backend.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let head = client.answer_head();
    client.send("\r\n");
    assert_eq!(client.rest().len(), content_length(&head));
}

#[test]
fn health_tells_whether_a_backend_answers_and_leaves_its_cycle_alone() {
    let healthy = Backend::start(&["--profile", "1,2,3"]);
    let port = healthy.address.port().to_string();
    for delay in 1..=3 {
        assert_eq!(run(&mut backend(&["--port", &port, "--health"])).status.code(), Some(0));
        assert_eq!(greeting(&healthy), format!("Hello from A – simulated {delay}ms"));
    }
    drop(healthy);
    let output = run(&mut backend(&["--port", &port, "--health"]));
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains(&format!("127.0.0.1:{port}")), "{complaint}");
    assert_eq!(complaint.lines().count(), 1);
}

#[test]
fn health_says_that_nothing_was_answered_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let output = run(&mut backend(&["--port", &port, "--health"]));
    let expected = format!("error: no backend answers at 127.0.0.1:{port}: no answer within 2 s\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn when_descriptors_run_out_the_rest_waits_its_turn() {
    let script = "ulimit -n 24; exec \"$0\" --port 0 --profile 0";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(program("tidegate-backend"));
    let backend = Backend::spawn(command.env_remove("PORT").env_remove("SERVER_ID"));
    let mut clients: Vec<Connection> = (0..60).map(|_| backend.connect()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    // The kernel has taken all sixty; the backend gets to the later ones as the earlier ones leave.
    for mut client in clients {
        assert_eq!(client.answer().text(), "Hello from A – simulated 0ms");
    }
}

#[test]
fn it_serves_though_its_output_is_closed() {
    // An address of our own, so that no other test is given the port in between.
    let address = TcpListener::bind("127.0.0.77:0").unwrap().local_addr().unwrap();
    let port = address.port().to_string();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = backend(&["--listen", "127.0.0.77", "--port", &port, "--profile", "0"]);
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let backend = Backend { process: Process::spawn_unheard(&mut command), address };
    until("it listens", || TcpStream::connect(address).ok());
    assert_eq!(greeting(&backend), "Hello from A – simulated 0ms");
}
