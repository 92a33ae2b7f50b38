//! The same bytes, cut differently: what the client gets, and what the rows say, is the same.

use rig::{ExchangeHarness, Peer, Row};
use strict::{Ending, Reader, requests, responses};
use tidegate::proxy::exchange::{CloseMode, StreamEnd};

/// Requests to which an arbitrary response is cut.
pub(super) const ASKED: [&str; 4] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
];

/// In which pieces bytes come, and how many are taken at once.
const MANNERS: [(usize, usize); 6] =
    [(1, usize::MAX), (2, 1), (3, usize::MAX), (7, 5), (64, 64), (usize::MAX, 3)];

/// Most bytes that are cut, for the time it takes.
const MOST_BYTES: usize = 2000;

/// What must not depend on the cuts.
type Promised = (Vec<u8>, Vec<(u16, Option<&'static str>, String)>, Option<CloseMode>);

/// Plays a client that sends `bytes` against a backend that answers each request once it is whole.
pub(super) fn of_requests(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MOST_BYTES)];
    let whole = converse(bytes, (usize::MAX, usize::MAX));
    for manner in MANNERS {
        let cut = converse(bytes, manner);
        assert!(cut == whole, "{manner:?}\n{}\nwhole\n{}", shown(&cut), shown(&whole));
    }
}

fn shown((client, rows, over): &Promised) -> String {
    format!("\"{}\" {rows:?} {over:?}", client.escape_ascii())
}

fn pieces(bytes: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(size.min(bytes.len()).max(1))
}

fn converse(bytes: &[u8], (size, write_bytes): (usize, usize)) -> Promised {
    let mut rig = ExchangeHarness::new();
    rig.write_bytes = write_bytes;
    let mut answered = Vec::new();
    for piece in pieces(bytes, size) {
        rig.client(piece);
        while answer_next(&mut rig, &mut answered) {}
    }
    promised(rig)
}

/// Answers a request that is whole and has no answer, if there is one; `answered` counts them by
/// connection.
fn answer_next(rig: &mut ExchangeHarness, answered: &mut Vec<usize>) -> bool {
    let Some(attached) = rig.attached() else { return false };
    answered.resize(rig.connections.len(), 0);
    let received = requests(&rig.connections[attached].socket.received);
    let whole = received.get(answered[attached]).filter(|request| request.is_whole);
    let Some(request) = whole else { return false };
    answered[attached] += 1;
    let body = if request.method == b"HEAD" { "" } else { "ok" };
    rig.upstream(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}"));
    true
}

fn promised(mut rig: ExchangeHarness) -> Promised {
    rig.client_ends(StreamEnd::Finished);
    // A head that was refused is named by as much of it as had come.
    let path = |row: &Row| row.fault.map_or(row.path.clone(), |_| String::new());
    let rows = rig.rows().iter().map(|row| (row.status, row.fault, path(row))).collect();
    (std::mem::take(&mut rig.client.received), rows, rig.over)
}

/// Plays a backend that answers a request by `bytes` and ends its stream.
pub(super) fn of_response(asked: &str, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(MOST_BYTES)];
    let whole = respond(asked, bytes, (usize::MAX, usize::MAX));
    for manner in MANNERS {
        let cut = respond(asked, bytes, manner);
        assert_eq!(cut.1.is_none(), whole.1.is_none(), "{manner:?}: {cut:?}, whole {whole:?}");
        // How much of a broken response had been sent when it broke depends on the cuts.
        if whole.1.is_none() {
            assert_eq!(cut, whole, "{manner:?}");
        }
    }
}

/// The head of the final response as it came, and its body without chunks; the fault, if there was
/// one; and how it ended.
type Response = (String, Option<&'static str>, Option<CloseMode>);

fn respond(asked: &str, bytes: &[u8], (size, write_bytes): (usize, usize)) -> Response {
    let mut rig = ExchangeHarness::new();
    rig.write_bytes = write_bytes;
    rig.client(asked);
    for piece in pieces(bytes, size) {
        if rig.attached().is_some() {
            rig.arrive(Peer::Upstream, piece);
            rig.run();
        }
    }
    if rig.attached().is_some() {
        rig.upstream_ends(StreamEnd::Finished);
    }
    rig.client_ends(StreamEnd::Finished);
    let fault = rig.rows().first().and_then(|row| row.fault);
    let method = asked.split(' ').next().unwrap_or_default().as_bytes().to_vec();
    let reader = Reader {
        methods: &[method],
        ending: Some(Ending::Finished),
        is_http10: asked.contains("HTTP/1.0"),
    };
    let seen = responses(&rig.client.received, reader);
    (format!("{seen:?}"), fault, rig.over)
}
