//! What a crowd of connections can take from the dashboard: some of its descriptors, and no more.

use std::net::TcpStream;

use support::http::Connection;

use super::scene::{Scene, limited};

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The most connections there are at once, as the documentation says.
const CONNECTIONS_MAX: usize = 128;

fn silent(scene: &Scene, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(scene.address()).unwrap()).collect()
}

#[test]
fn connections_beyond_the_limit_on_descriptors_end_nothing() {
    let scene = Scene::new().start_limited(100);
    for _ in 0..3 {
        let crowd = silent(&scene, 150);
        assert_eq!(scene.get("/data").status, 200);
        assert_eq!(scene.get("/").status, 200);
        drop(crowd);
    }
    // The log is read with descriptors that no connection can take.
    let crowd = silent(&scene, 150);
    let row = "2026-11-23T10:00:00Z,http://a,1,200,adaptive_sma\n";
    scene.write("x.csv", tidegate::journal::header() + row);
    scene.until_rows(1);
    drop(crowd);
}

#[test]
fn hardly_any_descriptors_are_enough_to_answer() {
    let scene = Scene::new().start_limited(20);
    let crowd = silent(&scene, 30);
    assert_eq!(scene.get("/data").status, 200);
    drop(crowd);
}

#[test]
fn with_too_few_descriptors_to_answer_it_does_not_start() {
    let output = limited(19).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let expected = "error: 20 open files are needed and 19 allowed; raise it with ulimit -n\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
}

#[test]
fn connections_that_say_nothing_take_neither_threads_nor_more_than_the_limit() {
    let scene = Scene::started();
    assert_eq!(scene.get("/health").status, 200);
    let (threads, descriptors) = (scene.process().status().threads, scene.process().open_files());
    let crowd = silent(&scene, CONNECTIONS_MAX + 72);
    // Once it is answered, all that came before it have been accepted.
    assert_eq!(scene.get("/health").status, 200);
    assert_eq!(scene.process().status().threads, threads);
    assert!(
        scene.process().open_files() <= descriptors + CONNECTIONS_MAX,
        "{}",
        scene.process().open_files()
    );
    drop(crowd);
}

#[test]
fn the_connection_that_is_idle_for_longest_goes_first_and_one_that_is_answered_stays() {
    let scene = Scene::started();
    let mut stream = scene.connect();
    stream.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(stream.answer_head().status, 200);
    let mut oldest = scene.connect();
    assert_eq!(oldest.ask(HEALTH).status, 200);
    let mut crowd = silent(&scene, CONNECTIONS_MAX);
    // The last of the crowd is still there, so it is not the one that had to go.
    assert_eq!(Connection::new(crowd.pop().unwrap()).ask(HEALTH).status, 200);
    assert!(oldest.is_closed());
    for _ in 0..3 {
        assert!(stream.chunk().is_some());
    }
}
