//! What takes much, takes long, or never ends.

use rustix::process::{Resource, Signal};

use support::clock::{hear, until};
use support::http::{Connection, get};
use support::origin::{Origin, ok};

use crate::scene::{Scene, answering, request};

#[test]
fn a_hundred_connections_that_ask_nothing_keep_nobody_out() {
    let scene = Scene::start(&[answering("x").address], &[]);
    let unix = [(); 100].map(|()| scene.connect());
    let tcp = [(); 100].map(|()| Connection::connect(scene.tcp));
    assert_eq!(scene.ask("GET", "/health", "").status, 200);
    assert_eq!(scene.get("/health")["status"], "serving");
    let files = scene.proxy.process.open_files();
    assert!(files < 200, "{files} descriptors");
    drop((unix, tcp));
}

#[test]
fn half_a_request_at_one_address_keeps_nobody_out_at_the_other() {
    let scene = Scene::start(&[answering("x").address], &[]);
    let mut halves = [(); 100].map(|()| Connection::connect(scene.tcp));
    for half in &mut halves {
        // The first ones were closed for the last ones.
        half.offer("GET /health HTTP/1.1\r\n");
    }
    assert_eq!(scene.ask("GET", "/health", "").status, 200);
    assert_eq!(scene.get("/health")["status"], "serving");
}

#[test]
fn what_is_too_large_or_no_http_is_refused_and_others_are_answered() {
    let scene = Scene::start(&[answering("x").address], &[]);
    let long = "x".repeat(100_000);
    for (bytes, status) in [
        (request("PUT", "/backends", &long), 413),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 414),
        ("\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), 400),
    ] {
        let mut connection = scene.connect();
        connection.offer(bytes);
        assert_eq!(connection.answer().status, status);
    }
    let nested = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(scene.ask("PUT", "/backends", &nested).status, 400);
    assert_eq!(scene.ask("GET", "/health", "").status, 200);
}

#[test]
fn requests_on_one_connection_are_answered_in_order() {
    let scene = Scene::start(&[answering("x").address, answering("y").address], &[]);
    let weights: String = (1..=5)
        .map(|weight| request("PATCH", "/backends/0.0", &format!("{{ \"weight\": {weight} }}")))
        .collect();
    let mut connection = scene.connect();
    connection.send(weights + &request("GET", "/backends/0.0", ""));
    let answers = [(); 6].map(|()| connection.answer());
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(answers[5].text().contains("\"weight\": 5"), "{}", answers[5].text());
}

#[test]
fn a_change_whose_client_has_left_is_made_all_the_same() {
    let origins = [answering("x"), answering("y")];
    let scene = Scene::start(&origins.each_ref().map(|origin| origin.address), &[]);
    for weight in 2..50 {
        let mut connection = scene.connect();
        connection.send(request("PATCH", "/backends/0.0", &format!("{{ \"weight\": {weight} }}")));
    }
    let is_made = || (scene.get("/backends/0.0")["weight"] == 49).then_some(());
    until("the last change", is_made);
}

#[test]
fn it_is_answered_again_when_there_are_descriptors_again() {
    let origin = answering("x");
    let scene = Scene::start(&[origin.address], &[]);
    assert_eq!(get(scene.proxy.address(), "/").status, 200);
    let process = &scene.proxy.process;
    // Those that are open stay open, and no other can be opened.
    let before = process.limit(Resource::Nofile, Some(3));
    let mut waiting = scene.connect();
    waiting.send(request("GET", "/health", ""));
    let mut tcp = [(); 20].map(|()| Connection::connect(scene.tcp));
    for connection in &mut tcp {
        connection.send(request("GET", "/health", ""));
    }
    process.limit(Resource::Nofile, before);
    assert_eq!(waiting.answer().status, 200);
    for mut connection in tcp {
        assert_eq!(connection.answer().status, 200);
    }
}

#[test]
fn a_stop_ends_the_connections_of_the_admin_after_the_last_request() {
    let (asked, was_asked) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel();
    let (asked, may_go_on) = (std::sync::Mutex::new(asked), std::sync::Mutex::new(may_go_on));
    let origin = Origin::serve(move |mut connection| {
        while connection.request().is_some() {
            asked.lock().unwrap().send(()).unwrap();
            hear::<()>(&may_go_on.lock().unwrap());
            connection.send(ok("late"));
        }
    });
    let mut scene = Scene::start(&[origin.address], &[]);
    let mut idle = scene.connect();
    assert_eq!(idle.ask(&request("GET", "/health", "")).status, 200);
    let mut client = Connection::connect(scene.proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    hear(&was_asked);
    scene.proxy.process.signal(Signal::TERM);
    until("another health", || (scene.ask("GET", "/health", "").status == 503).then_some(()));
    assert_eq!(scene.backend(origin.address)["in_flight"], 1);
    go_on.send(()).unwrap();
    assert_eq!(client.answer().text(), "late");
    assert!(idle.is_closed());
    assert_eq!(scene.proxy.process.ended().code(), Some(0));
}
