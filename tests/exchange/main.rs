//! The proxy's behaviour, told by theme: byte strings in, byte strings and one row out, under
//! simulated time.
//!
//! [`ExchangeHarness`] plays the worker and both peers. What must not depend on how bytes are cut
//! is written as a [`Scene`] and played whole, byte by byte, cut at every place and through
//! reluctant sockets.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "a test program exports nothing")]

mod account;
mod announced;
mod beginnings;
mod bodies;
mod bound;
mod client_gone;
mod crossings;
mod draining;
mod early;
mod failover;
mod forwarding;
mod hedging;
mod interactions;
mod internal;
mod keep_alive;
mod lingering;
mod outcomes;
mod parked;
mod pooled;
mod queueing;
mod read;
mod retries;
mod samples;
mod scene;
mod settings;
mod silence;
mod timeouts;
mod truncation;
mod trusted;
mod tunnel;

use std::time::Duration;

use rig::{Connection, DATE, Dial, ExchangeHarness, Peer, Row, SILENCE};
use tidegate::balance::{Choice, Outcome, Policy, Reason, Role, Tried};
use tidegate::proxy::exchange::{CloseMode, Exchange, HedgeEvent, Side, StreamEnd};
use tidegate::proxy::settings::{HalfClose, Hedging, UpstreamReuse};

use scene::Scene;

/// The plainest request, and what a backend gets of it.
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_FORWARDED: &str = "GET / HTTP/1.1\r\nHost: a\r\n\
    X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\
    Via: 1.1 tidegate\r\n\r\n";

/// The plainest response, and what a client gets of it.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const OK_FORWARDED: &str = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    Content-Length: 2\r\n\r\nok";

/// What a backend gets of a request to `Host: a`, given its first line, the fields that are passed
/// on, those that follow ours, and the body.
fn forwarded(line: &str, passed: &str, framing: &str, body: &str) -> String {
    format!(
        "{line}\r\nHost: a\r\n{passed}X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\
         X-Forwarded-Host: a\r\nVia: 1.1 tidegate\r\n{framing}\r\n{body}"
    )
}

/// What a client gets of a response, likewise.
fn answered(line: &str, passed: &str, framing: &str, body: &str) -> String {
    format!("HTTP/1.1 {line}\r\n{passed}Date: {DATE}\r\n{framing}\r\n{body}")
}

/// Whether `got` is a whole answer of the proxy's own with this status, that ends the connection or
/// doesn't.
#[track_caller]
fn assert_reply(got: &str, status: u16, closes: bool) {
    let response = read::whole_response(got).expect(got);
    assert_eq!(response.status, Some(status), "{got}");
    let connection: &[&[u8]] = if closes { &[b"close"] } else { &[] };
    assert_eq!(response.values("connection"), connection, "{got}");
}
