//! Backends that authenticate a connection instead of each request, as NTLM and Negotiate do.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::clock::{pause, until};
use support::http::{Answer, Connection, field};
use support::log::Logged;
use support::origin::{Origin, ok};
use support::process::Proxy;

/// A backend that authenticates each connection in two steps. From then on it answers every request
/// on it with the user's name and the number of the connection.
fn ntlm() -> Origin {
    let made = AtomicUsize::new(0);
    Origin::serve(move |mut connection| {
        let number = made.fetch_add(1, Ordering::Relaxed);
        let (mut begun, mut user) = (false, None);
        while let Some((head, _)) = connection.request() {
            let credentials = field(&head, "authorization").unwrap_or_default();
            let token = credentials.strip_prefix("NTLM ").unwrap_or_default();
            if token == "hello" {
                begun = true;
            } else if begun && !token.is_empty() {
                user = Some(token.to_owned());
            }
            connection.send(match &user {
                Some(user) => ok(&format!("{user} {number}")),
                None => format!(
                    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM{}\r\n\
                     Content-Length: 0\r\n\r\n",
                    if begun { " nonce" } else { "" }
                ),
            });
        }
    })
}

fn ask(client: &mut Connection, token: &str) -> Answer {
    let fields = format!("Host: a\r\nAuthorization: NTLM {token}");
    client.send(format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n"));
    client.answer()
}

/// Authenticates a client; returns the answer.
fn log_in(client: &mut Connection, user: &str) -> String {
    assert_eq!(client.get("/").status, 401);
    let answer = ask(client, "hello");
    assert_eq!(field(&answer.head, "www-authenticate").as_deref(), Some("NTLM nonce"));
    ask(client, user).text()
}

#[test]
fn no_client_is_served_with_the_rights_of_another() {
    let origins = [ntlm(), ntlm()];
    let addresses = [origins[0].address, origins[1].address];
    let proxy = Proxy::start(&addresses, &["--workers", "1"]);
    let [mut ann, mut bob, mut eve] = [(); 3].map(|()| Connection::connect(proxy.address()));
    let told = [log_in(&mut ann, "ann"), log_in(&mut bob, "bob")];
    for _ in 0..10 {
        // Without credentials, which belong to the connection.
        assert_eq!([ann.get("/").text(), bob.get("/").text()], told);
        assert_eq!(eve.get("/").status, 401);
    }
    assert!(told[0].starts_with("ann ") && told[1].starts_with("bob "), "{told:?}");
}

#[test]
fn an_authenticated_connection_ends_with_its_client() {
    let (closed, count) = (std::sync::Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let seen = std::sync::Arc::clone(&closed);
    let origin = Origin::serve(move |mut connection| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        while connection.request().is_some() {
            connection.send(ok(&number.to_string()));
        }
        seen.fetch_add(1, Ordering::Relaxed);
    });
    let proxy = Proxy::start(&[origin.address], &["--workers", "1"]);
    for number in 0..5 {
        let mut client = Connection::connect(proxy.address());
        assert_eq!(ask(&mut client, "x").text(), number.to_string());
        assert_eq!(client.get("/").text(), number.to_string());
        drop(client);
        until("the end of the bound connection", || {
            (closed.load(Ordering::Relaxed) == number + 1).then_some(())
        });
    }
}

#[test]
fn a_request_over_a_bound_connection_is_sent_once_and_completely() {
    let origin = Origin::serve(|mut connection| {
        // It answers as early as possible, so that the answer may come before it is expected.
        while let Some(head) = connection.head() {
            connection.send(ok("early"));
            connection.body(&head);
        }
    });
    let proxy = Logged::start(&[origin.address], &["--workers", "1"]);
    let mut client = Connection::connect(proxy.address());
    assert_eq!(ask(&mut client, "x").text(), "early");
    let body = "x".repeat(50_000);
    for _ in 0..100 {
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n{body}"));
        assert_eq!(client.answer().text(), "early");
    }
    assert_eq!(origin.accepted(), 1);
    let made = proxy.rows().iter().filter(|row| !row["connect_ms"].is_empty()).count();
    assert_eq!(made, 1, "one connection was made, the others were reused");
}

#[test]
fn a_bound_connection_that_the_backend_closes_is_replaced() {
    let origin = Origin::serve(|mut connection| {
        if connection.request().is_some() {
            connection.send(ok("once"));
        }
    });
    let proxy = Proxy::start(&[origin.address], &["--workers", "1"]);
    let mut client = Connection::connect(proxy.address());
    for _ in 0..20 {
        assert_eq!(ask(&mut client, "x").text(), "once");
    }
    assert_eq!(origin.accepted(), 20);
}

#[test]
fn without_persistent_connections_every_request_has_to_authenticate() {
    let origin = ntlm();
    let proxy = Proxy::start(&[origin.address], &["--connections", "non-persistent"]);
    for token in ["hello", "ann"] {
        let mut client = Connection::connect(proxy.address());
        assert_eq!(ask(&mut client, token).status, 401);
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(origin.accepted(), 2);
}

/// Such a connection is checked before it is reused. What the backend sends once it has the request
/// is the answer, and no surplus.
#[test]
fn a_bound_connection_whose_backend_answers_at_once_is_reused() {
    let origin = Origin::serve(|connection| {
        let mut stream = connection.stream();
        stream.set_nonblocking(true).unwrap();
        let mut block = [0; 4096];
        // It polls, so that its answer comes as soon as possible.
        loop {
            match stream.read(&mut block) {
                Ok(0) => return,
                Ok(_) => stream.write_all(ok("x").as_bytes()).unwrap(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
                Err(_) => return,
            }
        }
    });
    let proxy = Proxy::start(&[origin.address], &["--workers", "1", "--response-timeout", "5s"]);
    let mut client = Connection::connect(proxy.address());
    assert_eq!(ask(&mut client, "x").text(), "x");
    for _ in 0..100 {
        // A connection that was not idle is not checked.
        pause(Duration::from_millis(2));
        assert_eq!(client.get("/").text(), "x");
    }
    assert_eq!(origin.accepted(), 1);
}
