//! The log: one row for each request, whatever its outcome.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};
use tidegate::journal::{header, meta_path};

use support::clock::until;
use support::http::{Connection, get};
use support::log::{column, logging, rows, stop};
use support::origin::{Origin, Silent};
use support::process::{Process, Proxy, tidegate};

#[test]
fn every_request_has_its_row_whatever_its_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("deep/log.csv");
    let origin = Origin::serve(|mut connection| {
        while let Some((head, _)) = connection.request() {
            match head.split(' ').nth(1).unwrap() {
                "/close" => return,
                "/short" => {
                    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
                    return;
                }
                "/hang" => assert_eq!(connection.head(), None),
                _ => connection.send("HTTP/1.1 404 None\r\nContent-Length: 2\r\n\r\nno"),
            }
        }
    });
    let mut proxy = logging(&origin, &log, &["--workers", "1"]);
    let address = proxy.address();
    assert_eq!(get(address, "/none?q=1").status, 404);
    assert_eq!(get(address, "/close").status, 502);
    let mut connection = Connection::connect(address);
    connection.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(connection.answer().status, 400);
    let mut connection = Connection::connect(address);
    connection.send("GET /short HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(connection.rest().ends_with(b"short"));
    // A client that leaves before its answer; when the proxy notices is not known.
    let mut connection = Connection::connect(address);
    connection.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the request at the origin", || (origin.accepted() == 4).then_some(()));
    connection.reset();
    until("five rows", || (fs::read_to_string(&log).unwrap().lines().count() == 6).then_some(()));
    // Bytes that are no request, and a connection without a byte, which gets no row.
    drop(Connection::connect(address));
    let totals = stop(&mut proxy);
    assert!(totals.ends_with("5 requests, 5 errors, 5 rows, 0 rows lost\n"), "{totals}");

    let rows = rows(&log);
    assert_eq!(column(&rows, "status_code"), ["404", "502", "400", "200", "499"]);
    let faults = ["", "upstream_closed", "missing_host", "response_truncated", "client_gone"];
    assert_eq!(column(&rows, "fault"), faults);
    assert_eq!(column(&rows, "path"), ["/none?q=1", "/close", "/", "/short", "/hang"]);
    // The second was sent again on a new connection, because the pooled one ended.
    assert_eq!(column(&rows, "attempts"), ["1", "2", "0", "1", "1"]);
    let url = format!("http://{}", origin.address);
    assert_eq!(column(&rows, "backend_url"), [&url, &url, "", &url, &url]);
    assert_eq!(rows[2]["latency_ms"], "");
    assert!(rows.iter().all(|row| row["routing_mode"] == "round-robin" && row["worker"] == "0"));
    assert!(rows.iter().all(|row| row["client"].starts_with("127.0.0.1:")));
}

#[test]
fn a_health_check_has_a_row_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let origin = Origin::echoing_targets();
    let mut proxy = logging(&origin, &log, &["--workers", "1"]);
    let address = proxy.address();
    let asked = Process::spawn(&mut tidegate(&["--health", "--listen", &address.to_string()]));
    assert!({ asked }.ended().success());
    let mut connection = Connection::connect(address);
    connection.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!(connection.answer().status, 200);
    assert_eq!(connection.get("/").status, 200);
    let totals = stop(&mut proxy);
    assert!(totals.ends_with("3 requests, 0 errors, 3 rows, 0 rows lost\n"), "{totals}");
    assert_eq!(column(&rows(&log), "probe"), ["health", "", ""]);
}

#[test]
fn the_configuration_is_written_beside_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let origin = Origin::echoing_targets();
    let read = || -> Value {
        serde_json::from_str(&fs::read_to_string(meta_path(&log)).unwrap()).unwrap()
    };
    let url = format!("http://{}", origin.address);
    let before = jiff::Timestamp::now();
    let flags =
        ["adaptive_sma", "--sma-window", "7", "--workers", "2", "--upstream", "http://[::1]:9"];
    let mut proxy = logging(&origin, &log, &flags);
    let mut meta = read();
    let started: jiff::Timestamp = meta["started"].as_str().unwrap().parse().unwrap();
    assert!((before..=jiff::Timestamp::now()).contains(&started), "{started}");
    meta.as_object_mut().unwrap().remove("started");
    let settings = meta.as_object_mut().unwrap().remove("settings").unwrap();
    let shown = ["policy", "sma-window", "workers", "body-timeout"].map(|name| &settings[name]);
    assert_eq!(shown, [&json!("adaptive_sma"), &json!(7), &json!(2), &json!("30s")]);
    let expected = json!({
        "format": 1, "policy": "adaptive_sma", "parameters": { "window": 7 },
        "failure_sample_ms": 10_000, "resample_after_ms": null, "connections": "persistent",
        "workers": 2, "backends": [{ "url": "http://[::1]:9" }, { "url": url }],
    });
    assert_eq!(meta, expected);
    // It is written again for each log.
    fs::rename(&log, folder.path().join("old")).unwrap();
    fs::remove_file(meta_path(&log)).unwrap();
    proxy.process.signal(Signal::HUP);
    until("log and description again", || meta_path(&log).exists().then_some(()));
    assert_eq!(read()["policy"], "adaptive_sma");
    stop(&mut proxy);

    let flags = [
        "adaptive_ewma",
        "--ewma-alpha",
        "0.5",
        "--resample-after",
        "2s",
        "--connections",
        "non-persistent",
    ];
    stop(&mut logging(&origin, &log, &flags));
    let meta = read();
    assert_eq!(
        (&meta["parameters"], &meta["resample_after_ms"], &meta["connections"]),
        (&json!({ "alpha": 0.5 }), &json!(2000), &json!("non-persistent"))
    );
    let mut proxy = logging(&origin, &log, &[]);
    assert_eq!(read()["parameters"], json!({}));
    stop(&mut proxy);
}

#[test]
fn a_folder_in_which_no_file_can_be_made_is_an_error_message() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    fs::create_dir(folder.path().join("log.csv.meta.json.tmp")).unwrap();
    let origin = Origin::echoing_targets();
    let mut proxy = logging(&origin, &log, &[]);
    assert_eq!(get(proxy.address(), "/").status, 200);
    stop(&mut proxy);
    assert_eq!(rows(&log).len(), 1);
    let told = proxy.process.stderr();
    let name = format!("`{}` beside it", meta_path(&log).display());
    assert!(told.contains(&name) && told.lines().count() == 1, "{told}");
}

#[test]
fn standard_output_as_the_log_has_rows_and_nothing_else() {
    let origin = Origin::echoing_targets();
    for name in ["-", "/dev/stdout"] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("http://{}", origin.address);
        let flags = ["--listen", "127.0.0.1:0", "-v", "--upstream", &url, "--log", name];
        let mut proxy = Process::spawn(tidegate(&flags).current_dir(folder.path()));
        let address = until("the address listened on", || {
            let said = proxy.stderr();
            let line = said.lines().find_map(|line| line.strip_prefix("listening on http://"));
            line.filter(|_| said.contains("\nupstream ")).map(|line| line.parse().unwrap())
        });
        assert_eq!(get(address, "/one?a=b").status, 200);
        proxy.signal(Signal::TERM);
        assert!(proxy.ended().success());
        let (log, told) = (proxy.stdout(), proxy.stderr());
        let lines: Vec<_> = log.lines().collect();
        assert_eq!((lines.len(), lines[0]), (2, header().trim_end()), "{log}");
        assert!(lines[1].contains(",GET,/one?a=b,"), "{log}");
        assert!(told.ends_with("1 requests, 0 errors, 1 rows, 0 rows lost\n"), "{told}");
        assert!(told.lines().count() > 4, "a line per decision: {told}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no file of that name");
    }
}

#[test]
fn the_header_begins_with_the_five_columns_of_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let origin = Origin::echoing_targets();
    let mut proxy = logging(&origin, &log, &[]);
    assert_eq!(get(proxy.address(), "/").status, 200);
    stop(&mut proxy);
    let text = fs::read_to_string(&log).unwrap();
    let contract = "timestamp,backend_url,latency_ms,status_code,routing_mode,";
    assert!(text.starts_with(contract), "{text}");
    let row = &rows(&log)[0];
    let (timestamp, latency) = (&row["timestamp"], &row["latency_ms"]);
    assert!(timestamp.len() == 27 && timestamp.ends_with('Z'), "{timestamp}");
    assert_eq!(latency.split_once('.').map(|(_, digits)| digits.len()), Some(3), "{latency}");
}

#[test]
fn sighup_continues_in_a_new_file_and_no_row_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (log, old) = (folder.path().join("log.csv"), folder.path().join("log.csv.1"));
    let origin = Origin::echoing_targets();
    let mut proxy = logging(&origin, &log, &[]);
    let mut connection = Connection::connect(proxy.address());
    let mut ask = |count: usize| {
        for _ in 0..count {
            assert_eq!(connection.get("/").status, 200);
        }
    };
    ask(30);
    fs::rename(&log, &old).unwrap();
    ask(10);
    proxy.process.signal(Signal::HUP);
    until("a new file", || log.exists().then_some(()));
    ask(20);
    let totals = stop(&mut proxy);
    assert!(totals.ends_with("60 requests, 0 errors, 60 rows, 0 rows lost\n"), "{totals}");
    let (before, after) = (rows(&old).len(), rows(&log).len());
    assert_eq!(before + after, 60);
    assert!((30..=40).contains(&before), "{before}");
}

#[test]
fn a_log_of_an_earlier_run_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let origin = Origin::echoing_targets();
    for _ in 0..2 {
        let mut proxy = logging(&origin, &log, &[]);
        assert_eq!(get(proxy.address(), "/").status, 200);
        stop(&mut proxy);
        assert_eq!(rows(&log).len(), 1);
    }
    let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let logs: Vec<_> = files.filter(|file| file.extension().unwrap() == "csv").collect();
    assert_eq!(logs.len(), 2);
    assert!(logs.iter().all(|log| meta_path(log).exists()), "moved with its log");
}

#[test]
fn a_log_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let origin = Origin::echoing_targets();
    let mut first = logging(&origin, &log, &[]);
    let upstream = format!("http://{}", Silent::reserve().address);
    let listen = ["--listen", "127.0.0.1:0", "--upstream", &upstream, "--log"];
    let mut second = Process::spawn(tidegate(&listen).arg(&log));
    assert_eq!(second.ended().code(), Some(2));
    assert!(second.stderr().contains(log.to_str().unwrap()), "{}", second.stderr());
    assert_eq!(get(first.address(), "/").status, 200);
    stop(&mut first);
    assert_eq!(rows(&log).len(), 1);
}

#[test]
fn with_verbose_a_refusal_is_printed_with_its_cause_and_backend() {
    let origin = Origin::serve(|mut connection| {
        if connection.request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nX: y\n\r\n");
            assert_eq!(connection.head(), None);
        }
    });
    let proxy = Proxy::start(&[origin.address], &["-v"]);
    let client = |request: &str| {
        let mut client = Connection::connect(proxy.address());
        client.send(request);
        (client.answer(), client.stream().local_addr().unwrap())
    };
    let (answer, client_address) = client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let cause = "a line ends without CR LF";
    let told = format!("502 Bad Gateway: the backend's answer was refused: {cause}\n");
    assert_eq!((answer.status, answer.text()), (502, told));
    let line = format!(
        "response_bare_lf: the backend's answer was refused: {cause}; 502 to {client_address}, \
         backend http://{}\n",
        origin.address
    );
    let is_told = |line: &str| proxy.process.stdout().contains(line).then_some(());
    until("the refused answer", || is_told(&line));
    let (answer, client_address) = client("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n");
    assert_eq!((answer.status, answer.text()), (400, format!("400 Bad Request: {cause}\n")));
    let line = format!("bare_lf: {cause}; 400 to {client_address}, no backend\n");
    until("the refused request", || is_told(&line));
}
