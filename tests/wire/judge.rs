//! Compares what happened in a case with what it allows, and with what must always hold.

use crate::case::{Case, Expect, Pattern};
use crate::client::Received;
use strict::{Ending, Extent, Faults, Reader, Request, Responses, requests, responses, shown};

/// All that was seen in a case.
#[derive(Debug, Eq, PartialEq)]
pub struct Evidence {
    /// By connection of the backend.
    pub upstream: Vec<Vec<u8>>,
    /// `None` if the client reset the connection.
    pub client: Option<Received>,
}

/// The reasons why a case fails; none if it passes. What only tidegate promises beyond the case is
/// checked only if `is_ours`.
pub fn judge(case: &Case, evidence: &Evidence, is_ours: bool) -> Faults {
    let mut why = Vec::new();
    let ending = evidence.client.as_ref().and_then(|received| received.ending);
    let bytes = evidence.client.as_ref().map_or(&[][..], |received| &received.bytes);
    let reader = Reader { methods: &case.methods, ending, is_http10: case.is_http10 };
    let seen = responses(bytes, reader);
    let is_tunnel = seen.finals.first().is_some_and(|first| first.extent == Extent::Tunnel);
    // After a request that opens a tunnel there is no HTTP.
    let most = if is_tunnel { 1 } else { usize::MAX };
    let requests: Vec<Request> =
        evidence.upstream.iter().flat_map(|bytes| requests(bytes).into_iter().take(most)).collect();
    let used = evidence.upstream.iter().filter(|bytes| !bytes.is_empty()).count() as u64;
    if !case.expect.connections.is_empty() && !case.expect.connections.contains(&used) {
        why.push(format!("{used} connections, allowed are {:?}", case.expect.connections));
    }
    judge_upstream(&case.expect, &requests, &evidence.upstream.concat(), &mut why);
    if evidence.client.is_some() {
        let closed = ending.is_some();
        judge_statuses(&case.expect, &seen, closed, &mut why);
        judge_client(&case.expect, &seen, bytes, &mut why);
        judge_ending(&case.expect, &seen, closed, &mut why);
        if is_ours {
            always_to_client(&seen, &mut why);
        }
    }
    let ours = requests.iter().filter(|_| is_ours);
    why.extend(ours.filter(|request| request.has_head).flat_map(always_upstream));
    why
}

fn judge_upstream(expect: &Expect, requests: &[Request], bytes: &[u8], why: &mut Faults) {
    let is_forwarded = requests.iter().any(|request| request.has_head);
    match expect.forwarded {
        Some(true) if !is_forwarded => why.push("not forwarded".to_owned()),
        Some(false) if is_forwarded => why.push(format!("forwarded {}", shown(bytes))),
        _ => {}
    }
    if !bytes.is_empty() {
        contains("upstream", bytes, &expect.upstream_has, &expect.upstream_lacks, why);
    }
    for fault in requests.iter().flat_map(|request| &request.faults) {
        why.push(format!("upstream: {fault}"));
    }
    let valid: Vec<&Request> =
        requests.iter().filter(|request| request.is_whole && request.faults.is_empty()).collect();
    let count = valid.len() as u64;
    if !expect.upstream_complete.is_empty() && !expect.upstream_complete.contains(&count) {
        let allowed = &expect.upstream_complete;
        why.push(format!("{count} complete requests upstream, allowed are {allowed:?}"));
    }
    if requests.len() as u64 > expect.max_upstream {
        why.push(format!("{} requests upstream of {}", requests.len(), expect.max_upstream));
    }
    if let (Some(body), Some(first)) = (&expect.upstream_body, valid.first())
        && first.body != *body
    {
        why.push(format!("upstream body {}", shown(&first.body)));
    }
}

fn contains(whose: &str, bytes: &[u8], has: &[Pattern], lacks: &[Pattern], why: &mut Faults) {
    for pattern in has.iter().filter(|pattern| !pattern.is_in(bytes)) {
        why.push(format!("{whose} lacks {:?}", pattern.text));
    }
    for pattern in lacks.iter().filter(|pattern| pattern.is_in(bytes)) {
        why.push(format!("{whose} has {:?}", pattern.text));
    }
}

/// The status of a response as the case files write it; -2 is none.
fn status_of(seen: &Responses, index: usize, closed: bool) -> i64 {
    match seen.finals.get(index) {
        Some(response) => response.status.map_or(-2, i64::from),
        None if closed => 0,
        None => -1,
    }
}

fn judge_statuses(expect: &Expect, seen: &Responses, closed: bool, why: &mut Faults) {
    let of_first = std::slice::from_ref(&expect.status);
    let allowed = if expect.statuses.is_empty() { of_first } else { &expect.statuses };
    for (index, allowed) in allowed.iter().enumerate() {
        let status = status_of(seen, index, closed);
        if !allowed.contains(&status) {
            why.push(format!("response {}: {status}, allowed are {allowed:?}", index + 1));
        }
    }
}

fn judge_client(expect: &Expect, seen: &Responses, bytes: &[u8], why: &mut Faults) {
    why.extend(seen.faults.iter().map(|fault| format!("client: {fault}")));
    if !seen.surplus.is_empty() {
        why.push(format!("client: bytes after the last response {}", shown(&seen.surplus)));
    }
    contains("client", bytes, &expect.client_has, &expect.client_lacks, why);
    if let (Some(body), Some(first)) = (&expect.client_body, seen.finals.first())
        && matches!(first.status, Some(200..=299))
        && (first.body != *body || !first.is_whole && expect.client_complete != Some(false))
    {
        let is_whole = if first.is_whole { "" } else { ", incomplete" };
        why.push(format!("client body {}{is_whole}", shown(&first.body)));
    }
    let interims: Vec<i64> =
        seen.interims.iter().map(|interim| interim.status.map_or(-2, i64::from)).collect();
    for status in expect.interim.iter().filter(|status| !interims.contains(status)) {
        why.push(format!("interim {status} is missing"));
    }
    for status in expect.not_interim.iter().filter(|status| interims.contains(status)) {
        why.push(format!("interim {status}"));
    }
}

fn judge_ending(expect: &Expect, seen: &Responses, closed: bool, why: &mut Faults) {
    if expect.closes.is_some_and(|closes| closes != closed) {
        why.push(format!("the connection was {}", if closed { "closed" } else { "left open" }));
    }
    let first = seen.finals.first();
    let is_whole = first.is_some_and(|first| first.is_whole);
    let is_error = first.is_some_and(|first| first.status >= Some(500));
    match expect.client_complete {
        Some(true) if !is_whole => why.push("the response is incomplete".to_owned()),
        Some(false) if is_whole && !is_error => {
            why.push("a truncated response looks complete".to_owned());
        }
        _ => {}
    }
}

/// What every forwarded request must have, whatever was received (RFC 9110 §7.6.1, §7.6.3).
fn always_upstream(request: &Request) -> Faults {
    const HOPS: [&str; 4] = ["keep-alive", "proxy-connection", "te", "http2-settings"];
    let mut why: Faults = Vec::new();
    let via = request.values("via").concat();
    // Each process has a name of its own in `Via`, by which it recognises loops.
    if !via.rsplit(|byte| *byte == b' ').next().unwrap_or_default().starts_with(b"tidegate") {
        why.push(format!("upstream: Via {}", shown(&via)));
    }
    for (name, value) in [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "http")] {
        let lines = request.values(name);
        if lines.len() != 1 || !lines[0].ends_with(value.as_bytes()) {
            why.push(format!("upstream: {} lines of {name}", lines.len()));
        }
    }
    let hops = HOPS.iter().filter(|name| !request.values(name).is_empty());
    why.extend(hops.map(|name| format!("upstream: {name}")));
    why
}

/// What every final response must have, and what none may have (RFC 9110 §6.6.1, §7.6.1).
fn always_to_client(seen: &Responses, why: &mut Faults) {
    const HOPS: [&str; 3] = ["keep-alive", "proxy-connection", "te"];
    for response in &seen.finals {
        if response.status.is_none() || response.fields.is_empty() {
            continue;
        }
        if response.extent != Extent::Tunnel && response.values("date").is_empty() {
            why.push("client: no Date".to_owned());
        }
        let hops = HOPS.iter().filter(|name| !response.values(name).is_empty());
        why.extend(hops.map(|name| format!("client: {name}")));
    }
}

#[test]
fn a_stream_that_ends_by_a_reset_is_never_complete() {
    let methods = [b"GET".to_vec()];
    let bytes = b"HTTP/1.1 200 OK\r\nDate: x\r\n\r\nhello";
    for (ending, is_whole) in [(Ending::Finished, true), (Ending::Reset, false)] {
        let reader = Reader { methods: &methods, ending: Some(ending), is_http10: false };
        assert_eq!(responses(bytes, reader).finals[0].is_whole, is_whole);
    }
}
