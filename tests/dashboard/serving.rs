//! How the page's files are served, and what is refused.

use std::sync::Barrier;

use support::http::{Answer, Connection};

use super::scene::Scene;

fn ask(scene: &Scene, line: &str, fields: &str) -> Answer {
    scene.connect().ask(&format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"))
}

#[test]
fn files_come_packed_to_who_takes_that_and_plain_to_others() {
    let scene = Scene::started();
    let plain = ask(&scene, "GET /", "");
    assert_eq!(plain.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(plain.header("Content-Encoding"), None);
    assert!(plain.text().starts_with("<!doctype html>"));
    let packed = ask(&scene, "GET /", "Accept-Encoding: deflate, gzip, br\r\n");
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < plain.body.len());
    assert_eq!(packed.header("Vary"), Some("Accept-Encoding"));
}

#[test]
fn a_file_that_the_browser_has_is_not_sent_again() {
    let scene = Scene::started();
    let etag = ask(&scene, "GET /app.js", "").header("ETag").unwrap().to_owned();
    let again = ask(&scene, "GET /app.js", &format!("If-None-Match: {etag}\r\n"));
    assert_eq!((again.status, again.body.len()), (304, 0));
    let other = ask(&scene, "GET /app.js", "If-None-Match: \"other\"\r\n");
    assert_eq!(other.status, 200);
}

#[test]
fn what_is_not_there_or_not_meant_is_refused_with_the_reason() {
    let scene = Scene::started();
    for (line, status, reason) in [
        ("GET /nothing", 404, "no such page"),
        ("GET /../Cargo.toml", 404, "no such page"),
        ("GET /data?window=2m", 400, "ask for window=1m, window=5m or window=all"),
        ("GET /events?window=", 400, "no such window"),
        ("POST /data", 405, "only GET"),
        ("DELETE /", 405, "only GET"),
    ] {
        let answer = ask(&scene, line, "");
        assert_eq!(answer.status, status, "{line}");
        assert!(answer.text().contains(reason), "{line}: {}", answer.text());
    }
    assert_eq!(ask(&scene, "PUT /", "").header("Allow"), Some("GET, HEAD"));
}

#[test]
fn head_is_answered_without_a_body() {
    let scene = Scene::started();
    let mut connection = scene.connect();
    let head = connection.ask("HEAD /frame.css HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.header("Content-Length").unwrap().parse::<usize>().unwrap() > 1000);
    // The next answer begins right after it.
    assert_eq!(connection.ask("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
}

#[test]
fn every_answer_forbids_what_the_page_does_not_need() {
    let scene = Scene::started();
    for target in ["/", "/data", "/app.js", "/nothing", "/data?window=x"] {
        let answer = scene.get(target);
        let policy = answer.header("Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("://") && !policy.contains('*'), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    }
    assert_eq!(scene.get("/data").header("Cache-Control"), Some("no-store"));
}

#[test]
fn connections_that_come_at_once_and_stay_are_all_answered() {
    const AT_ONCE: usize = 6;
    let scene = Scene::started();
    let mut kept: Vec<Connection> = Vec::new();
    for _ in 0..10 {
        let barrier = Barrier::new(AT_ONCE);
        let answered = std::thread::scope(|scope| {
            let ask = || {
                barrier.wait();
                let mut connection = scene.connect();
                let answer = connection.ask("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
                assert_eq!(answer.text(), "tidegate-dashboard\n");
                connection
            };
            let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        kept.extend(answered);
    }
}
