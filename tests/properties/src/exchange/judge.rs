//! Holds what all peers got against what they were sent, as the grammar reads it.

use super::MOST_HEDGES;
use rig::{Connection, ExchangeHarness, Row};
use strict::{Ending, Extent, Reader, Request, Response, Responses, request, responses, shown};
use tidegate::proxy::exchange::HedgeEvent;

/// Methods that may be sent again although a byte was sent (RFC 9110 §9.2.2).
const IDEMPOTENT: [&[u8]; 5] = [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"];

/// Connections that one request may be sent over: a stale and a fresh one to each of the backends.
const MOST_ATTEMPTS: usize = 6;

/// A request as the client sent it, and all that it sent behind it.
pub(super) struct Asked<'a> {
    request: Request,
    rest: &'a [u8],
}

/// The requests that a client sent, the last of them perhaps in part.
pub(super) fn requests_of(mut bytes: &[u8]) -> Vec<Asked<'_>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        // Empty lines before a request are no part of it (RFC 9112 §2.2). With nothing behind them
        // they are one all the same, if the first half of the last one waited for the other.
        while let Some(rest) = bytes.strip_prefix(b"\r\n") {
            bytes = rest;
        }
        let (request, end) = request(bytes, 0);
        bytes = end.map_or(&[], |end| &bytes[end..]);
        all.push(Asked { request, rest: bytes });
    }
    all
}

/// Backends got valid requests, each of them one that the client sent and whose row tells of it,
/// unchanged, and never again where that could do harm.
pub(super) fn upstreams(rig: &ExchangeHarness, rows: &[Row], asked: &[Asked<'_>]) {
    assert!(rows.len() <= asked.len(), "{} rows of {} requests", rows.len(), asked.len());
    let mut times_sent = vec![0; rows.len()];
    for connection in &rig.connections {
        for (index, bytes) in connection.asked.runs() {
            times_sent[index] += 1;
            let answers = answers(connection, index, b"GET");
            let switched = answers.is_some_and(|seen| is_switch(&seen));
            forwarded(bytes, &rows[index], &asked[index], switched);
        }
        not_used_again(connection, asked);
    }
    for (index, times) in times_sent.into_iter().enumerate() {
        let may_repeat = IDEMPOTENT.contains(&asked[index].request.method.as_slice());
        let most = if may_repeat { MOST_ATTEMPTS } else { 1 };
        assert!(times <= most, "sent {times} times: {:?}", rows[index]);
    }
}

/// Only requests that may be repeated were hedged, no more often than is allowed, and rows tell of
/// all hedges that won.
pub(super) fn hedges(rig: &ExchangeHarness, rows: &[Row], asked: &[Asked<'_>]) {
    let mut hedged = 0;
    let mut won = Vec::new();
    for (row, asked) in rows.iter().zip(asked).filter(|(row, _)| row.hedge_backend.is_some()) {
        hedged += 1;
        assert!(IDEMPOTENT.contains(&asked.request.method.as_slice()), "{row:?}");
        assert!(row.attempts > 1 && (row.hedge.is_some() || row.fault.is_some()), "{row:?}");
        if row.hedge == Some("won") {
            assert_eq!(row.backend, row.hedge_backend, "{row:?}");
            won.extend(row.hedge_backend.map(usize::from));
        }
    }
    let of = |event| rig.hedges.iter().filter(move |hedge| hedge.1 == event);
    let sent = of(HedgeEvent::Sent).count();
    assert!((hedged..=hedged * usize::from(MOST_HEDGES)).contains(&sent), "{sent} of {hedged}");
    assert_eq!(of(HedgeEvent::Won).map(|hedge| hedge.0).collect::<Vec<_>>(), won);
}

/// When the client has left, no backend has anything of it in flight, no connection is attached to
/// it, and no more hedges were sent than the budget allowed: a token for each request, and one for
/// each time that a script asked for a hedge.
pub(super) fn nothing_is_left(rig: &ExchangeHarness, rows: &[Row]) {
    let in_flight = (0..rig.servers.len()).map(|backend| rig.in_flight(backend));
    assert_eq!(in_flight.sum::<u32>(), 0, "leases");
    assert!(rig.links.iter().all(Option::is_none), "connections: {:?}", rig.links);
    let is_pooled = |at| rig.servers.iter().any(|server| server.pool.contains(&at));
    for (at, connection) in rig.connections.iter().enumerate() {
        assert!(connection.is_over() != is_pooled(at), "connection {at}: {connection:?}");
    }
    let sent = rig.hedges.iter().filter(|hedge| hedge.1 == HedgeEvent::Sent).count();
    let earned = rows.iter().filter(|row| row.attempts > 0).count() + rig.hedges_asked;
    assert!(sent <= earned, "{sent} hedges for {earned} tokens");
}

/// What a backend answered to a request by `method` on this connection.
fn answers(connection: &Connection, index: usize, method: &[u8]) -> Option<Responses> {
    let (_, bytes) = connection.answered.runs().find(|(request, _)| *request == index)?;
    let methods = [method.to_vec()];
    let reader = Reader { methods: &methods, ending: Some(Ending::Finished), is_http10: false };
    Some(responses(bytes, reader))
}

/// Whether the connection changed to another protocol.
fn is_switch(seen: &Responses) -> bool {
    seen.finals.first().is_some_and(|response| response.extent == Extent::Tunnel)
}

/// A backend that sent more than its answer is not asked again on that connection: what else it
/// sends might be taken for the next answer (RFC 9112 §9.2).
fn not_used_again(connection: &Connection, asked: &[Asked<'_>]) {
    let last = connection.asked.runs().last().map_or(0, |(index, _)| index);
    for (index, _) in connection.answered.runs().filter(|(index, _)| *index < last) {
        let seen = answers(connection, index, &asked[index].request.method);
        let surplus = seen.filter(|seen| seen.faults.is_empty()).map(|seen| seen.surplus);
        assert!(surplus.is_none_or(|surplus| surplus.is_empty()), "used again behind a surplus");
    }
}

fn forwarded(bytes: &[u8], row: &Row, asked: &Asked<'_>, switched: bool) {
    let (sent, end) = request(bytes, 0);
    assert!(sent.faults.is_empty(), "{:?} in {}", sent.faults, bytes.escape_ascii());
    assert!(row.attempts > 0 && asked.request.has_head, "{row:?}");
    if !sent.has_head {
        return;
    }
    let original = &asked.request;
    assert_eq!((sent.method, sent.target), (original.method.clone(), target(original)));
    match end {
        None => assert!(original.body.starts_with(&sent.body), "{}", shown(&sent.body)),
        Some(end) if switched => {
            assert!(asked.rest.starts_with(&bytes[end..]), "{}", shown(&bytes[end..]));
        }
        Some(end) => {
            assert_eq!(end, bytes.len(), "more than was asked: {}", shown(&bytes[end..]));
            assert!(original.is_whole && sent.body == original.body, "{}", shown(&sent.body));
        }
    }
}

/// The target in origin-form (RFC 9112 §3.2).
fn target(request: &Request) -> Vec<u8> {
    let target = &request.target;
    if target.starts_with(b"/") || target == b"*" {
        return target.clone();
    }
    let rest = target.get(b"http://".len()..).unwrap_or_default();
    let path = rest.iter().position(|byte| b"/?".contains(byte)).map_or(&[][..], |at| &rest[at..]);
    match path.first() {
        Some(b'/') => path.to_vec(),
        None if request.method == b"OPTIONS" => b"*".to_vec(),
        _ => [b"/", path].concat(),
    }
}

/// The client got one response for each row and in their order, all of them valid, whole unless the
/// row says otherwise, and what the backend had sent if it came from there.
pub(super) fn client(rig: &ExchangeHarness, rows: &[Row], asked: &[Asked<'_>]) {
    let received = &rig.client.received;
    assert_eq!(received.len() as u64, rows.iter().map(|row| row.response_bytes).sum::<u64>());
    let mut at = 0;
    for (index, row) in rows.iter().enumerate() {
        let bytes = &received[at..][..usize::try_from(row.response_bytes).unwrap_or(usize::MAX)];
        at += bytes.len();
        let request = &asked[index].request;
        // One that could not be read is answered as if it were a GET.
        let method = if row.attempts == 0 { b"GET".to_vec() } else { request.method.clone() };
        let is_http10 = row.attempts > 0 && request.version == b"HTTP/1.0";
        let reader = Reader { methods: std::slice::from_ref(&method), ending: None, is_http10 };
        let seen = responses(bytes, reader);
        let is_cut = row.fault.is_some() && index + 1 == rows.len();
        assert!(seen.faults.is_empty(), "{:?} in {}", seen.faults, bytes.escape_ascii());
        assert!(seen.surplus.is_empty(), "{row:?}: behind it {}", shown(&seen.surplus));
        let Some(response) = seen.finals.first() else {
            assert!(is_cut, "{row:?} without a response");
            continue;
        };
        let says_close =
            response.values("connection").iter().any(|value| value.starts_with(b"close"));
        assert!(!says_close || index + 1 == rows.len(), "another one behind the last: {row:?}");
        let is_whole = response.is_whole || response.extent == Extent::UntilClose;
        assert!(is_whole || is_cut, "{row:?}: {}", bytes.escape_ascii());
        assert!(row.status == 499 || response.status == Some(row.status), "{row:?}");
        // Of a head that is not whole, not even the status may be that of the final response.
        let has_head = response.is_whole || response.extent != Extent::NoBody;
        if row.attempts > 0 && has_head {
            unchanged(rig, index, row, response, &method);
        }
    }
}

/// What came from a backend came as it was, and from the one that the row names.
fn unchanged(rig: &ExchangeHarness, index: usize, row: &Row, received: &Response, method: &[u8]) {
    let named = rig.connections.iter().filter(|c| row.backend.map(usize::from) == Some(c.backend));
    let sent = named.filter_map(|connection| answers(connection, index, method));
    let sent: Vec<Response> =
        sent.filter(|sent| sent.faults.is_empty()).flat_map(|sent| sent.finals).collect();
    let is_same = |sent: &Response| {
        let is_part = sent.body.starts_with(&received.body);
        sent.status == received.status
            && (sent.body == received.body || row.fault.is_some() && is_part)
    };
    let is_ours = row.fault.is_some() && received.status >= Some(400);
    assert!(is_ours || sent.is_empty() || sent.iter().any(is_same), "{row:?} {sent:?}");
}
