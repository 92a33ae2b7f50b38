//! By which names the dashboard may be asked. A page from elsewhere whose name is made to lead here
//! (DNS rebinding) must not read the log.

use support::http::Answer;

use super::scene::Scene;

fn ask(scene: &Scene, host: &str, target: &str) -> Answer {
    scene.connect().ask(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
}

#[test]
fn a_name_of_the_loopback_is_answered_with_any_port() {
    let scene = Scene::started();
    for host in [
        "localhost",
        "LOCALHOST:1",
        "localhost.:5002",
        "a.b.localhost",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.255.3.4",
        "[::1]",
        "[::1]:5002",
        "[0:0:0:0:0:0:0:1]",
    ] {
        assert_eq!(ask(&scene, host, "/data").status, 200, "{host}");
    }
}

#[test]
fn another_name_is_misdirected_whatever_is_asked_for() {
    let scene = Scene::started();
    for host in [
        "evil.example",
        "evil.example:5002",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1.evil.example",
        "128.0.0.1",
        "0.0.0.0",
        "[::2]",
        "192.0.2.7",
        "localhost..",
    ] {
        for target in ["/", "/data", "/events", "/health", "/app.js", "/nothing"] {
            let answer = ask(&scene, host, target);
            assert_eq!(answer.status, 421, "{host} {target}");
            assert!(answer.text().contains("--allow-host"), "{}", answer.text());
        }
    }
    assert_eq!(ask(&scene, "", "/data").status, 421);
    // The name that counts is the one in the target, where there is one.
    let line = "GET http://evil.example/data HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(scene.connect().ask(line).status, 421);
    let line = "GET /data HTTP/1.1\r\n\r\n";
    assert_eq!(scene.connect().ask(line).status, 400);
}

#[test]
fn names_are_allowed_by_flags() {
    let flags = ["--allow-host", "lab.example", "--allow-host", "Tide.Example"];
    let scene = Scene::new().start(&flags);
    for host in ["lab.example", "LAB.example:443", "tide.example.", "localhost"] {
        assert_eq!(ask(&scene, host, "/data").status, 200, "{host}");
    }
    for host in ["www.lab.example", "example"] {
        assert_eq!(ask(&scene, host, "/data").status, 421, "{host}");
    }
}

#[test]
fn the_address_that_was_connected_to_is_answered_on_the_wildcard() {
    let scene = Scene::new().start(&["--listen", "0.0.0.0"]);
    for (host, status) in [("127.0.0.1", 200), ("0.0.0.0", 200), ("192.0.2.7", 421)] {
        assert_eq!(ask(&scene, host, "/data").status, status, "{host}");
    }
    let scene = Scene::new().start(&["--listen", "::"]);
    for (host, status) in [("[::1]", 200), ("[::]", 200), ("[2001:db8::1]", 421)] {
        assert_eq!(ask(&scene, host, "/data").status, status, "{host}");
    }
}
