//! The stream of figures: server-sent events, how many there are, and who may hold up whom.

use std::net::TcpStream;

use serde_json::Value;
use support::http::Connection;
use tidegate::dashboard::STREAMS_MAX;
use tidegate::journal::header;

use super::scene::Scene;

const STREAM: &str = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The figures of one event, which is one chunk.
fn event(connection: &mut Connection) -> Value {
    let chunk = connection.chunk().unwrap();
    let (id, rest) = chunk.split_once('\n').unwrap();
    assert!(id.starts_with("id: "), "{id}");
    let data = rest.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap();
    assert!(!data.contains('\n'));
    serde_json::from_str(data).unwrap()
}

fn stream(scene: &Scene) -> Connection {
    let mut connection = scene.connect();
    connection.send(STREAM);
    let head = connection.answer_head();
    assert_eq!((head.status, head.header("Content-Type")), (200, Some("text/event-stream")));
    connection
}

#[test]
fn figures_are_sent_as_they_change() {
    let scene = Scene::started();
    let mut stream = stream(&scene);
    assert_eq!(event(&mut stream)["source"]["state"], "waiting");
    let row = "2026-11-23T10:00:00Z,http://a,1,200,adaptive_sma\n";
    scene.write("x.csv", header() + row);
    while event(&mut stream)["since"]["requests"] != 1 {}
    scene.append("x.csv", row);
    while event(&mut stream)["since"]["requests"] != 2 {}
}

#[test]
fn a_stream_is_of_the_window_that_was_asked_for() {
    let scene = Scene::started();
    let mut connection = scene.connect();
    connection.send("GET /events?window=all HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(connection.answer_head().status, 200);
    assert_eq!(event(&mut connection)["window"]["name"], "all");
}

#[test]
fn who_takes_no_chunks_is_told_to_ask_for_the_data() {
    let scene = Scene::started();
    let answer = scene.connect().ask("GET /events HTTP/1.0\r\n\r\n");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("/data"));
}

#[test]
fn beyond_the_limit_there_are_no_streams_until_one_ends() {
    let scene = Scene::started();
    let mut streams: Vec<_> = (0..STREAMS_MAX).map(|_| stream(&scene)).collect();
    let refused = scene.get("/events");
    assert_eq!((refused.status, refused.header("Retry-After")), (503, Some("30")));
    assert_eq!(scene.get("/data").status, 200);
    // All of them get what comes.
    for stream in &mut streams {
        event(stream);
        event(stream);
    }
    drop(streams.pop());
    // The dashboard notices at its next event.
    loop {
        let mut connection = scene.connect();
        connection.send(STREAM);
        if connection.answer_head().status == 200 {
            break;
        }
    }
}

#[test]
fn browsers_that_do_not_read_hold_up_nobody() {
    let scene = Scene::started();
    // Far more is asked for than fits the buffers of a connection.
    let unread: Vec<Connection> = (0..8)
        .map(|_| {
            let mut connection = scene.connect();
            connection.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000));
            connection
        })
        .collect();
    let silent: Vec<_> = (0..8).map(|_| TcpStream::connect(scene.address()).unwrap()).collect();
    let mut stream = stream(&scene);
    for _ in 0..3 {
        event(&mut stream);
        assert_eq!(scene.get("/").status, 200);
        assert_eq!(scene.get("/data").status, 200);
    }
    drop((unread, silent));
}
