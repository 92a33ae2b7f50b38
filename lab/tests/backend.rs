//! The test backend as a process, over real sockets.
//!
//! Nothing here measures time: a wait is for bytes or for a process to end, and only a failing test
//! waits until its patience is over.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running backend, ended with the test.
struct Backend {
    child: Child,
    address: SocketAddr,
    announced: String,
}

/// The program with `flags`, untouched by the environment of whoever runs the tests.
fn program(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-backend"));
    command.args(flags).env_remove("PORT").env_remove("SERVER_ID");
    command
}

impl Backend {
    fn start(flags: &[&str]) -> Self {
        Self::spawn(program(flags).args(["--port", "0"]))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut announced = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut announced).unwrap();
        let (_, rest) = announced.split_once(" listening on ").expect("the start-up line");
        let address: SocketAddr = rest.split_once(',').unwrap().0.parse().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
        Self { child, address, announced }
    }

    fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// A number of `/proc/<pid>/status`; sizes are in KiB.
    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// Looks again and again until `done`.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a test may look at the clock to give up")]
    let (now, deadline) = (Instant::now, Instant::now() + PATIENCE);
    while !done() {
        assert!(now() < deadline, "in vain: {what}");
        std::thread::yield_now();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "the end after {head:?}");
        }
        head
    }

    /// The head of a response and its body.
    fn response(&mut self) -> (String, String) {
        let head = self.head();
        let mut body = vec![0; usize::try_from(content_length(&head)).unwrap()];
        self.0.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }

    fn get(&mut self) -> String {
        self.send(GET);
        self.response().1
    }

    /// The rest, until the backend closes in good order.
    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

fn content_length(head: &str) -> u64 {
    let (_, rest) = head.split_once("Content-Length: ").expect("a length");
    rest.split_once("\r\n").unwrap().0.parse().unwrap()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

#[test]
fn it_greets_in_cycle_order_whichever_connection_asks() {
    let backend = Backend::start(&["--id", "web", "--profile", "1,2.5,0x2"]);
    assert!(backend.announced.ends_with(", profile 1,2.5,0,0 ms\n"), "{}", backend.announced);
    let mut clients = [backend.connect(), backend.connect()];
    for (turn, delay) in ["1", "2.5", "0", "0", "1", "2.5", "0"].iter().enumerate() {
        let expected = format!("Hello from web – simulated {delay}ms");
        assert_eq!(clients[turn % 2].get(), expected);
    }
    clients[0].send(GET);
    let (head, _) = clients[0].response();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"), "{head}");
}

#[test]
fn the_environment_names_port_and_profile_and_flags_go_before_it() {
    let backend = Backend::spawn(program(&[]).env("PORT", "0").env("SERVER_ID", "b"));
    assert!(backend.announced.starts_with("backend b listening on 0.0.0.0:"));
    assert!(backend.announced.ends_with(", profile 200 ms\n"));
    let command = &mut program(&["--port", "0", "--id", "C", "--listen", "127.0.0.1"]);
    let backend = Backend::spawn(command.env("PORT", "1").env("SERVER_ID", "B"));
    assert!(backend.announced.starts_with("backend C listening on 127.0.0.1:"));
    assert!(backend.announced.ends_with(", profile 250 ms\n"));
    let backend = Backend::start(&[]);
    assert!(backend.announced.ends_with(", profile 10,15,20,400,400,400,10,15,20 ms\n"));
}

#[test]
fn a_thousand_requests_wait_on_one_thread_and_none_holds_up_the_next() {
    let backend = Backend::start(&["--profile", "3600000x1000,0"]);
    let mut waiting: Vec<Client> = (0..1000).map(|_| backend.connect()).collect();
    for client in &mut waiting {
        client.send(GET);
    }
    // Connections and their bytes are taken in the order they came: this is the thousand and first.
    assert_eq!(backend.connect().get(), "Hello from A – simulated 0ms");
    assert_eq!(
        backend.status("Threads:"),
        4,
        "the loop, one that waits for signals, two that print"
    );
    assert!(backend.status("VmHWM:") < 32 * 1024);
}

#[test]
fn a_large_body_streams_down_at_the_client_s_pace_and_is_never_held() {
    let size = 256 << 20;
    let backend = Backend::start(&["--profile", "0", "--body-size", &size.to_string()]);
    let mut client = backend.connect();
    client.send(GET);
    assert_eq!(content_length(&client.head()), size);
    // While one client does not read, another is served.
    let mut other = backend.connect();
    other.send(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(content_length(&other.head()), size);
    let (mut line, mut received, mut lines) = (String::new(), 0, 0);
    while received < size {
        line.clear();
        received += client.0.by_ref().take(size - received).read_line(&mut line).unwrap() as u64;
        let is_whole = line == PATTERN_LINE;
        assert!(is_whole || lines == 0 || received == size, "torn at {received}: {line:?}");
        lines += 1;
    }
    assert_eq!(lines, size / 64);
    assert!(backend.status("VmHWM:") < 32 * 1024);
    client.send(GET);
    assert_eq!(content_length(&client.head()), size, "the connection goes on");
}

/// What fills a large body, line by line.
const PATTERN_LINE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz.\n";

#[test]
fn large_uploads_are_passed_over_and_never_held() {
    let backend = Backend::start(&["--profile", "0"]);
    let mut client = backend.connect();
    let piece = vec![b'x'; 1 << 20];
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 134217728\r\n\r\n");
    for _ in 0..128 {
        client.send(&piece);
    }
    assert!(client.response().0.starts_with("HTTP/1.1 200 "));
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..128 {
        client.send(b"100000\r\n");
        client.send(&piece);
        client.send(b"\r\n");
    }
    client.send(b"0\r\nSum: none\r\n\r\n");
    assert!(client.response().0.starts_with("HTTP/1.1 200 "));
    assert!(backend.status("VmHWM:") < 32 * 1024);
}

#[test]
fn a_client_that_has_finished_sending_still_gets_its_answers() {
    let backend = Backend::start(&["--profile", "5"]);
    let mut client = backend.connect();
    client.send(&GET.repeat(3));
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest().matches("simulated 5ms").count(), 3);
}

#[test]
fn nonsense_gets_its_400_even_while_the_client_keeps_sending() {
    let backend = Backend::start(&["--profile", "0"]);
    let mut client = backend.connect();
    client.send(b"\x01nonsense\r\n\r\n");
    client.send(&vec![b'x'; 1 << 20]);
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert!(client.rest().starts_with("HTTP/1.1 400 Bad Request\r\n"));
}

#[test]
fn connections_are_closed_as_told() {
    let backend = Backend::start(&["--profile", "0", "--close-every", "3", "--fail-every", "2"]);
    let mut client = backend.connect();
    client.send(&GET.repeat(2));
    assert!(client.response().0.starts_with("HTTP/1.1 200 "));
    assert!(client.response().0.starts_with("HTTP/1.1 500 "));
    client.send(GET);
    let (head, _) = client.response();
    assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
    assert_eq!(client.rest(), "");
    let mut old = backend.connect();
    old.send(b"GET / HTTP/1.0\r\n\r\n");
    assert!(old.rest().ends_with("A fails on purpose"));
}

#[test]
fn a_signal_ends_it_at_once_with_success_whatever_is_under_way() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut backend = Backend::start(&["--profile", "3600000"]);
        let mut client = backend.connect();
        client.send(GET);
        backend.signal(signal);
        assert_eq!(backend.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_client_that_resets_while_it_waits_is_forgotten_at_once() {
    let backend = Backend::start(&["--profile", "3600000,0"]);
    let idle = backend.open_files();
    let mut client = backend.connect();
    client.send(GET);
    // Answering another shows that the first has been taken in.
    let mut other = backend.connect();
    other.get();
    assert_eq!(backend.open_files(), idle + 2);
    socket2::SockRef::from(client.0.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    until("the descriptor is given back", || backend.open_files() == idle + 1);
}

#[test]
fn bytes_that_come_during_a_delay_do_not_shorten_the_next() {
    let backend = Backend::start(&["--profile", "100,0,3600000,0"]);
    let (mut client, mut other) = (backend.connect(), backend.connect());
    client.send(GET);
    other.get();
    client.send(GET);
    assert_eq!(client.response().1, "Hello from A – simulated 100ms");
    assert_eq!(other.get(), "Hello from A – simulated 0ms");
    client.0.get_ref().set_nonblocking(true).unwrap();
    assert_eq!(client.0.fill_buf().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn an_interrupted_wait_goes_on() {
    let backend = Backend::start(&["--profile", "0"]);
    let mut client = backend.connect();
    client.get();
    for _ in 0..3 {
        backend.signal(Signal::STOP);
        backend.signal(Signal::CONT);
        client.get();
    }
}

#[test]
fn a_taken_port_is_named_with_the_way_to_another() {
    let backend = Backend::start(&[]);
    let port = backend.address.port().to_string();
    let output = run(&mut program(&["--port", &port]));
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
        ["--colour", "red"],
    ] {
        let output = run(&mut program(&flags));
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains(flags[0]), "{complaint}");
    }
    let output = run(program(&[]).env("PORT", "many"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("'many'"));
}

#[test]
fn the_last_answer_outlasts_what_its_client_says_late() {
    let backend = Backend::start(&["--profile", "0", "--body-size", "2000000"]);
    let mut client = backend.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let head = client.head();
    client.send(b"\r\n");
    let mut body = Vec::new();
    client.0.read_to_end(&mut body).unwrap();
    assert_eq!(body.len() as u64, content_length(&head));
}

#[test]
fn health_tells_whether_a_backend_answers_and_leaves_its_cycle_alone() {
    let backend = Backend::start(&["--profile", "1,2,3"]);
    let port = backend.address.port().to_string();
    for delay in 1..=3 {
        assert_eq!(run(&mut program(&["--port", &port, "--health"])).status.code(), Some(0));
        assert_eq!(backend.connect().get(), format!("Hello from A – simulated {delay}ms"));
    }
    drop(backend);
    let output = run(&mut program(&["--port", &port, "--health"]));
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains(&format!("127.0.0.1:{port}")), "{complaint}");
    assert_eq!(complaint.lines().count(), 1);
}

#[test]
fn health_says_that_nothing_was_answered_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let output = run(&mut program(&["--port", &port, "--health"]));
    let expected = format!("error: no backend answers at 127.0.0.1:{port}: no answer within 2 s\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn when_descriptors_run_out_the_rest_waits_its_turn() {
    let script = "ulimit -n 24; exec \"$0\" --port 0 --profile 0";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_tidegate-backend")]);
    let backend = Backend::spawn(command.env_remove("PORT").env_remove("SERVER_ID"));
    let mut clients: Vec<Client> = (0..60).map(|_| backend.connect()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    // The kernel has taken all sixty; the backend gets to the later ones as the earlier ones leave.
    for mut client in clients {
        assert_eq!(client.response().1, "Hello from A – simulated 0ms");
    }
}

#[test]
fn nobody_reading_what_it_says_is_no_reason_to_stop() {
    // An address of our own, so that no other test is given the port in between.
    let address = TcpListener::bind("127.0.0.77:0").unwrap().local_addr().unwrap();
    let port = address.port().to_string();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = program(&["--listen", "127.0.0.77", "--port", &port, "--profile", "0"]);
    let child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    let backend = Backend { child, address, announced: String::new() };
    until("it listens", || TcpStream::connect(address).is_ok());
    assert_eq!(backend.connect().get(), "Hello from A – simulated 0ms");
}
