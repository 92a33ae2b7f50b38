use super::*;
use crate::backend::{Backends, Behaviour, Remote};
use crate::scenario::Group;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::thread::{self, JoinHandle};
use tidegate::endpoint::Endpoint;

/// A backend on its thread, stopped with the test.
struct Server {
    url: String,
    remote: Remote,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(profile: &str, close_every: Option<u64>, fail_every: Option<u64>) -> Self {
        let group = Group::new(format!("cycle:{profile}").parse().expect("a profile"));
        let behaviour = Behaviour {
            fail_every: fail_every.and_then(|n| n.try_into().ok()),
            close_every: close_every.and_then(|n| n.try_into().ok()),
            ..Behaviour::new("A", group)
        };
        let any = Endpoint::Tcp((Ipv4Addr::LOCALHOST, 0).into());
        let backends = Backends::bind(&[(any, behaviour)], Duration::MAX).expect("bound");
        let url = format!("http://{}", backends.endpoints().next().expect("one"));
        let remote = backends.remote();
        let thread = thread::spawn(|| drop(backends.run().expect("served")));
        Self { url, remote, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.remote.stop().expect("called");
        self.thread.take().expect("once").join().expect("no panic");
    }
}

fn plan(url: &str, per_second: u32, connections: u32) -> Plan {
    Plan { target: url.parse().expect("a URL"), per_second, connections, seconds: 1 }
}

#[test]
fn every_request_of_the_schedule_is_asked_and_answered() {
    let server = Server::start("0", None, None);
    let mut told = Vec::new();
    let report = load(&plan(&server.url, 500, 4), &mut |it| told.push(it)).expect("loaded");
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.latencies.len(), 500);
    assert!(report.took >= Duration::from_millis(990), "not before their time");
    let first = Progress { elapsed: told[0].elapsed, asked: 0, answered: 0, errors: 0 };
    assert_eq!(told[0], first, "told from the beginning on");
    let pairs = told.windows(2).map(|pair| (pair[0], pair[1]));
    for (earlier, later) in pairs {
        assert!(earlier.elapsed < later.elapsed && earlier.answered <= later.answered, "{told:?}");
    }
}

#[test]
fn a_connection_that_is_closed_after_an_answer_is_made_anew() {
    let server = Server::start("0", Some(1), None);
    let report = load(&plan(&server.url, 200, 2), &mut |_| ()).expect("loaded");
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.latencies.len(), 200);
}

#[test]
fn statuses_of_errors_are_errors() {
    let server = Server::start("0", None, Some(4));
    let report = load(&plan(&server.url, 100, 2), &mut |_| ()).expect("loaded");
    assert_eq!((report.errors, report.latencies.len()), (25, 75), "{report}");
}

#[test]
fn what_waits_for_a_connection_has_waited_since_its_intended_start() {
    // One connection and 100 ms for each: of 20 requests in a second, the last waits another one.
    let server = Server::start("100", None, None);
    let report = load(&plan(&server.url, 20, 1), &mut |_| ()).expect("loaded");
    assert!(report.is_clean(), "{report}");
    let (least, most) = (report.latencies.min(), report.latencies.max());
    assert!(least >= 99_000 && most >= 1_000_000, "{least} to {most}");
}

#[test]
fn connections_that_break_are_errors_and_the_load_goes_on() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    // They end with the test's process. None waits for another: which connection is asked next is
    // the load's choice.
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || client.read(&mut [0; 1024]));
        }
    });
    let report = load(&plan(&url, 50, 2), &mut |_| ()).expect("loaded");
    assert_eq!((report.errors, report.latencies.len(), report.unanswered), (50, 0, 0), "{report}");
}

#[test]
fn a_missing_server_is_reported_at_once() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let error = load(&plan(&url, 50, 2), &mut |_| ()).expect_err("nobody");
    assert!(error.to_string().starts_with("no server answers at 127.0.0.1:"), "{error}");
}
