//! What holds whatever the peers do: arbitrary streams, cut and interleaved anyhow, with clocks
//! that run and connections that end at any moment. The rig checks the rest on the way.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// Bodies that a careless reader would take for requests.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// A stream, shown as text, and whether a byte of it was damaged.
#[derive(Clone)]
struct Stream(Vec<u8>, bool);

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// One request, or something like it, whose target is its place in the stream.
fn ask(place: usize, kind: u8, size: usize) -> Vec<u8> {
    let body = SMUGGLED.repeat(size / SMUGGLED.len() + 1);
    let body = &body[..size];
    let place = format!("{place}{place}"); // No single damage makes one of another.
    let head = |line: &str, fields: &str| format!("{line}\r\nHost: a\r\n{fields}\r\n");
    let line = |method: &str| format!("{method} /{place} HTTP/1.1");
    let chunked = "Transfer-Encoding: chunked\r\n";
    let text = match kind {
        0 => head(&line("GET"), ""),
        1 => head(&line("HEAD"), ""),
        2 => head(&line("POST"), &format!("Content-Length: {size}\r\n")) + body,
        3 => head(&line("PUT"), &format!("Content-Length: {size}\r\n")) + body,
        4 => head(&line("POST"), chunked) + &chunks(body) + "X-Sum: 1\r\n\r\n",
        5 => head(&line("PUT"), chunked) + &chunks(body) + "\r\n",
        6 => head(&format!("GET /{place} HTTP/1.0"), ""),
        7 => head(&format!("GET /{place} HTTP/1.0"), "Connection: keep-alive\r\n"),
        8 => head(&line("GET"), "Connection: close\r\n"),
        9 => head(&line("GET"), "Connection: upgrade\r\nUpgrade: x\r\n"),
        10 => head(&line("OPTIONS"), "Max-Forwards: 0\r\n"),
        11 => {
            head(&line("POST"), &format!("Expect: 100-continue\r\nContent-Length: {size}\r\n"))
                + body
        }
        12 => head(&line("POST"), &format!("Content-Length: {size}\r\n{chunked}")) + body,
        13 => head(&line("POST"), chunked) + "g\r\n" + body,
        _ => "\r\n".to_owned(),
    };
    text.into_bytes()
}

/// Chunks with extensions, up to the line of the last one.
fn chunks(body: &str) -> String {
    let chunk = |part: &[u8]| {
        let part = String::from_utf8_lossy(part);
        format!("{:x};x=y\r\n{part}\r\n", part.len())
    };
    body.as_bytes().chunks(1000).map(chunk).collect::<String>() + "0\r\n"
}

/// One response, or something like it.
fn answer(kind: u8, size: usize) -> Vec<u8> {
    let body = "HTTP/1.1 200 OK\r\n\r\nsmuggled ".repeat(size / 28 + 1);
    let body = &body[..size];
    let chunked = "Transfer-Encoding: chunked\r\n";
    let text = match kind {
        0 => format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{body}"),
        1 => format!("HTTP/1.1 200 OK\r\n{chunked}\r\n{}X-Sum: 1\r\n\r\n", chunks(body)),
        2 => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        3 => format!("HTTP/1.1 304 Not Modified\r\nContent-Length: {size}\r\n\r\n"),
        4 => {
            format!("HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n{body}")
        }
        5 => "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        6 => format!("HTTP/1.1 200 OK\r\n\r\n{body}"),
        7 => "HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: x\r\n\r\ntunnel".to_owned(),
        8 => format!("HTTP/1.1 200 OK\r\n{chunked}\r\nx\r\n"),
        9 => format!("HTTP/1.1 200 OK\r\nContent-Length: {size}, 1\r\n\r\n{body}"),
        10 => format!("HTTP/1.0 200 OK\r\nContent-Length: {size}\r\n\r\n{body}surplus"),
        _ => "junk".to_owned(),
    };
    text.into_bytes()
}

fn damage(bytes: &mut [u8], damage: Option<(Index, u8)>) {
    if let Some((at, byte)) = damage.filter(|_| !bytes.is_empty()) {
        let at = at.index(bytes.len());
        bytes[at] = byte;
    }
}

fn any_byte() -> impl Strategy<Value = Option<(Index, u8)>> {
    option::weighted(0.3, (any::<Index>(), prop_oneof![any::<u8>(), select(&b"\r\n\0 :;,0"[..])]))
}

prop_compose! {
    fn asks(kinds: std::ops::Range<u8>)(
        asks in vec((kinds, prop_oneof![0..50_usize, 0..5000_usize]), 1..6),
        harm in any_byte(),
    ) -> Stream {
        let asks = asks.into_iter().enumerate();
        let mut bytes: Vec<u8> =
            asks.flat_map(|(place, (kind, size))| ask(place, kind, size)).collect();
        let is_damaged = harm.is_some();
        damage(&mut bytes, harm);
        Stream(bytes, is_damaged)
    }
}

prop_compose! {
    fn answers()(
        answers in vec((0..12_u8, prop_oneof![0..50_usize, 0..9000_usize]), 1..6),
        harm in any_byte(),
    ) -> Stream {
        let mut bytes: Vec<u8> =
            answers.into_iter().flat_map(|(kind, size)| answer(kind, size)).collect();
        let is_damaged = harm.is_some();
        damage(&mut bytes, harm);
        Stream(bytes, is_damaged)
    }
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Send(Side, usize),
    Take(Side, usize),
    Advance(u64),
    ExpireEarly,
    End(Side, Closing),
    Dial(usize, Dial),
    Drain,
    Stop,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let side = || select(&[Side::Client, Side::Upstream][..]);
    let count = || prop_oneof![1..20_usize, 1..1000_usize, 1..100_000_usize];
    let how = select(&[Closing::Finished, Closing::Reset, Closing::WriteFailed][..]);
    let dial = select(&[Dial::Answers, Dial::Hangs, Dial::Refuses, Dial::NoResources][..]);
    let action = prop_oneof![
        40 => (side(), count()).prop_map(|(side, count)| Action::Send(side, count)),
        40 => (side(), count()).prop_map(|(side, count)| Action::Take(side, count)),
        8 => prop_oneof![0..100_u64, 0..40_000_u64].prop_map(Action::Advance),
        4 => Just(Action::ExpireEarly),
        4 => (side(), how).prop_map(|(side, how)| Action::End(side, how)),
        4 => (0..2_usize, dial).prop_map(|(backend, dial)| Action::Dial(backend, dial)),
        1 => Just(Action::Drain),
        1 => Just(Action::Stop),
    ];
    vec(action, 1..80)
}

/// Plays one action; `streams` are what client and backend have still to send.
fn play(rig: &mut Rig, action: Action, streams: &mut [&[u8]; 2]) {
    let nobody_is_there = rig.attached.is_none();
    match action {
        Action::Send(Side::Upstream, _)
        | Action::Take(Side::Upstream, _)
        | Action::End(Side::Upstream, _)
            if nobody_is_there => {}
        Action::Send(side, count) => {
            let stream = &mut streams[usize::from(side == Side::Upstream)];
            let (piece, rest) = stream.split_at(count.min(stream.len()));
            rig.arrive(side, piece);
            *stream = rest;
        }
        Action::Take(Side::Client, count) => rig.client.window = count,
        Action::Take(Side::Upstream, count) => rig.upstream_socket().window = count,
        Action::Advance(millis) => rig.advance_ms(millis),
        Action::ExpireEarly => rig.act(Exchange::expired),
        Action::End(Side::Client, how) => rig.client_ends(how),
        Action::End(Side::Upstream, how) => rig.upstream_ends(how),
        Action::Dial(backend, dial) => rig.servers[backend].dials = vec![dial],
        Action::Drain => rig.draining = true,
        Action::Stop => rig.act(Exchange::stop),
    }
    rig.run();
}

/// All that backends got is valid, in the order of its rows, and sent again only if that does no
/// harm: once per attempt, and once for the connection of the pool that was stale.
fn judge_upstreams(rig: &Rig, rows: &[Row]) {
    let mut times_sent: BTreeMap<String, usize> = BTreeMap::new();
    for connection in &rig.connections {
        let lines = request_lines(&connection.socket.received);
        let row = |line: &String| {
            rows.iter().position(|row| *line == format!("{} {} HTTP/1.1", row.method, row.path))
        };
        let rows = lines.iter().map(|line| row(line).expect("a row")).collect::<Vec<_>>();
        assert!(rows.is_sorted_by(|a, b| a < b), "{lines:?}");
        for line in lines {
            *times_sent.entry(line).or_default() += 1;
        }
    }
    for (line, times) in &times_sent {
        // Two backends, each with a stale connection and then a fresh one.
        let most = if line.starts_with("POST ") { 1 } else { 4 };
        assert!(*times <= most, "{times} times {line}");
    }
}

/// The first lines of the requests in a stream, also of one that is not whole. Behind the offer of
/// another protocol anything may follow.
fn request_lines(mut bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        match judge::request(bytes) {
            Ok(message) => {
                let is_offer = !message.all("upgrade").is_empty();
                bytes = if is_offer { &[] } else { &bytes[message.end..] };
                lines.push(message.line);
            }
            Err(judge::Flaw::Unfinished) => {
                let text = judge::text(bytes);
                lines.extend(text.split_once("\r\n").map(|(line, _)| line.to_owned()));
                bytes = &[];
            }
            Err(judge::Flaw::Wrong(why)) => panic!("{why}"),
        }
    }
    lines
}

/// The client got one valid response per row, in order, and none in part but the last.
fn judge_client(received: &[u8], rows: &[Row]) {
    assert_eq!(received.len() as u64, rows.iter().map(|row| row.response_bytes).sum::<u64>());
    let mut at = 0;
    for (index, row) in rows.iter().enumerate() {
        let bytes = &received[at..][..usize::try_from(row.response_bytes).expect("small")];
        at += bytes.len();
        // A head that could not be read is answered as if it were a GET's.
        let method = if row.attempts == 0 { "GET" } else { row.method.as_str() };
        match last_response(bytes, method) {
            Ok(message) if message.status() == 101 => return,
            Ok(message) => {
                assert_eq!(message.end, bytes.len(), "{row:?}");
                assert!(row.status == 499 || row.status == message.status(), "{row:?}");
            }
            Err(judge::Flaw::Unfinished) => {
                assert!(row.fault.is_some() && index + 1 == rows.len(), "{row:?}");
            }
            Err(judge::Flaw::Wrong(why)) => panic!("{why}"),
        }
    }
}

/// The final response, or the 101, of those to one request.
fn last_response(bytes: &[u8], method: &str) -> Result<judge::Message, judge::Flaw> {
    let mut start = 0;
    loop {
        let message = judge::response(&bytes[start..], method)?;
        if message.status() >= 200 || message.status() == 101 {
            return Ok(judge::Message { end: start + message.end, ..message });
        }
        start += message.end;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_happens_everyone_gets_what_is_valid_and_every_request_its_row(
        asks in asks(0..15),
        answers in answers(),
        actions in actions(),
        pooled in 0..3_usize,
        persistent in any::<bool>(),
        write_bytes in prop_oneof![Just(usize::MAX), 1..100_usize],
    ) {
        let mut rig = Rig::with(2, Policy::RoundRobin);
        rig.write_bytes = write_bytes;
        if !persistent {
            rig.settings.connections = Connections::NonPersistent;
        }
        (0..pooled).for_each(|index| rig.pool(index % 2));
        let mut streams = [asks.0.as_slice(), answers.0.as_slice()];
        for action in actions {
            play(&mut rig, action, &mut streams);
        }
        rig.client_ends(Closing::Reset);
        let rows = rig.rows();
        judge_upstreams(&rig, &rows);
        // Damage can turn the framing of a body into that of none, and what it held into a request.
        let damaged = asks.1;
        prop_assert!(damaged || rows.iter().all(|row| !row.path.contains("smuggled")));
        judge_client(&rig.client.received, &rows);
    }

    #[test]
    fn the_client_gets_the_same_however_its_requests_are_cut(
        asks in asks(0..15),
        sizes in vec(prop_oneof![1..4_usize, 1..200_usize, 1..5000_usize], 1..8),
        write_bytes in prop_oneof![Just(usize::MAX), 1..100_usize],
    ) {
        let whole = converse(&asks.0, &[usize::MAX], usize::MAX);
        prop_assert_eq!(converse(&asks.0, &sizes, write_bytes), whole);
    }

    #[test]
    fn the_client_gets_the_same_however_responses_are_cut(
        kinds in vec((0..6_u8, 0..5000_usize), 1..5),
        sizes in vec(prop_oneof![1..4_usize, 1..200_usize, 1..5000_usize], 1..8),
        write_bytes in prop_oneof![Just(usize::MAX), 1..100_usize],
    ) {
        let answers: Vec<_> = kinds.into_iter().map(|(kind, size)| answer(kind, size)).collect();
        let whole = respond(&answers, &[usize::MAX], usize::MAX);
        prop_assert_eq!(respond(&answers, &sizes, write_bytes), whole);
    }
}

/// Bytes in pieces of the sizes given, again and again.
fn pieces<'a>(mut bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = sizes.next()?;
        let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

type Promised = (String, Vec<(u16, Option<&'static str>, String)>, Option<Hangup>);

/// What must not depend on how bytes were cut.
fn promised(mut rig: Rig) -> Promised {
    rig.client_ends(Closing::Finished);
    // A head that was refused is named by as much of it as had come.
    let path = |row: &Row| row.fault.map_or(row.path.clone(), |_| String::new());
    let rows = rig.rows().iter().map(|row| (row.status, row.fault, path(row))).collect();
    (rig.client.received.escape_ascii().to_string(), rows, rig.over)
}

/// Plays a client against a backend that answers each request once it is whole.
fn converse(asks: &[u8], sizes: &[usize], write_bytes: usize) -> Promised {
    let mut rig = Rig::new();
    rig.write_bytes = write_bytes;
    let mut answered = Vec::new();
    for piece in pieces(asks, sizes) {
        rig.client(piece);
        while answer_next(&mut rig, &mut answered) {}
    }
    promised(rig)
}

/// Answers a request that is whole and has no answer, if there is one; `answered` counts them by
/// connection.
fn answer_next(rig: &mut Rig, answered: &mut Vec<usize>) -> bool {
    let Some(attached) = rig.attached else { return false };
    answered.resize(rig.connections.len(), 0);
    let received = &rig.connections[attached].socket.received;
    let (whole, _) = judge::requests(received).expect("valid requests");
    let Some(request) = whole.get(answered[attached]) else { return false };
    answered[attached] += 1;
    let body_bytes = if request.word(0) == "HEAD" { 0 } else { "ok".len() };
    rig.upstream(&OK[..OK.len() - "ok".len() + body_bytes]);
    true
}

/// Plays a backend against a client that asks once after the other.
fn respond(answers: &[Vec<u8>], sizes: &[usize], write_bytes: usize) -> Promised {
    let mut rig = Rig::new();
    rig.write_bytes = write_bytes;
    for answer in answers {
        rig.client(GET);
        for piece in pieces(answer, sizes) {
            if rig.attached.is_some() {
                rig.upstream(piece);
            }
        }
    }
    promised(rig)
}
