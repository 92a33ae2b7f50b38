//! A record as bytes, for the way through a ring from a worker to the writer.
//!
//! Bytes, because a ring of bytes holds records of any length without an allocation for each.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Bytes of a method that reach the log; a longer one is cut.
pub const LONGEST_METHOD: usize = 64;

/// Bytes of a path that reach the log; a longer one is cut.
pub const LONGEST_PATH: usize = 2048;

/// One request that has ended, as a worker knows it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When it ended.
    pub ended: Instant,
    /// The client's address.
    pub client: SocketAddr,
    /// Index of the backend tried last; `None` if it was never dispatched.
    pub backend: Option<u16>,
    /// The status sent to the client; 499 if it left first.
    pub status: u16,
    /// As sent; empty if it could not be told.
    pub method: &'a [u8],
    /// Path and query as sent; empty if they could not be told.
    pub path: &'a [u8],
    /// Bytes received from the client.
    pub request_bytes: u64,
    /// Bytes sent to the client.
    pub response_bytes: u64,
    /// From dispatch to the upstream's last byte.
    pub latency: Option<Duration>,
    /// For the connection to the backend; `None` if it came from the pool.
    pub connect: Option<Duration>,
    /// From the last attempt's start to the first byte of its response.
    pub first_byte: Option<Duration>,
    /// Attempts made.
    pub attempts: u32,
    /// What went wrong, in one word.
    pub fault: Option<&'static str>,
}

impl Record<'_> {
    /// Whether it counts as an error: a status of 400 or more, or a fault.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.status >= 400 || self.fault.is_some()
    }
}

/// What comes out of a ring.
#[derive(Debug)]
pub(super) enum Frame<'a> {
    Record(Framed<'a>),
    /// A line for the console.
    Line(&'a [u8]),
}

/// A [`Record`] on the far side: the same facts, times in microseconds.
#[derive(Debug)]
pub(super) struct Framed<'a> {
    /// Since the journal's start.
    pub(super) ended_micros: u64,
    pub(super) client: SocketAddr,
    pub(super) backend: Option<u16>,
    pub(super) status: u16,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) latency_micros: Option<u64>,
    pub(super) connect_micros: Option<u64>,
    pub(super) first_byte_micros: Option<u64>,
    pub(super) attempts: u32,
    pub(super) method: &'a [u8],
    pub(super) path: &'a [u8],
    pub(super) fault: &'a [u8],
}

const RECORD: u8 = 1;
const LINE: u8 = 2;

/// Stands for `None` where a number is expected.
const NONE: u64 = u64::MAX;

fn micros(duration: Option<Duration>) -> u64 {
    duration.map_or(NONE, |duration| u64::try_from(duration.as_micros()).unwrap_or(NONE - 1))
}

fn cut(bytes: &[u8], longest: usize) -> &[u8] {
    &bytes[..bytes.len().min(longest)]
}

/// Appends a length that fits, for all that is framed is cut before.
fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(cut(bytes, usize::from(length)));
}

/// Appends a record as a frame; `start` is when the journal started.
pub(super) fn put_record(out: &mut Vec<u8>, record: &Record<'_>, start: Instant) {
    let ended = record.ended.saturating_duration_since(start);
    let ip = match record.client.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    out.push(RECORD);
    for number in [
        micros(Some(ended)),
        record.request_bytes,
        record.response_bytes,
        micros(record.latency),
        micros(record.connect),
        micros(record.first_byte),
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&record.attempts.to_le_bytes());
    for number in [record.backend.unwrap_or(u16::MAX), record.status, record.client.port()] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&ip.octets());
    put_bytes(out, cut(record.method, LONGEST_METHOD));
    put_bytes(out, cut(record.path, LONGEST_PATH));
    put_bytes(out, record.fault.unwrap_or_default().as_bytes());
}

/// Appends a line for the console as a frame.
pub(super) fn put_line(out: &mut Vec<u8>, line: &str) {
    out.push(LINE);
    put_bytes(out, line.as_bytes());
}

/// Takes frames off the front of `bytes`, in order. It ends at the end, or at what is no frame,
/// which only a defect could have put there.
pub(super) fn frames(mut bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    std::iter::from_fn(move || take_frame(&mut bytes))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(u16::from_le_bytes(take(bytes)?));
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn take_frame<'a>(bytes: &mut &'a [u8]) -> Option<Frame<'a>> {
    match take::<1>(bytes)? {
        [RECORD] => take_record(bytes).map(Frame::Record),
        [LINE] => take_bytes(bytes).map(Frame::Line),
        _ => None,
    }
}

fn take_record<'a>(bytes: &mut &'a [u8]) -> Option<Framed<'a>> {
    let mut numbers = [0; 6];
    for number in &mut numbers {
        *number = u64::from_le_bytes(take(bytes)?);
    }
    let [ended_micros, request_bytes, response_bytes, latency, connect, first_byte] = numbers;
    let attempts = u32::from_le_bytes(take(bytes)?);
    let backend = u16::from_le_bytes(take(bytes)?);
    let status = u16::from_le_bytes(take(bytes)?);
    let port = u16::from_le_bytes(take(bytes)?);
    let ip = Ipv6Addr::from(take::<16>(bytes)?).to_canonical();
    let some = |micros: u64| (micros != NONE).then_some(micros);
    Some(Framed {
        ended_micros,
        client: SocketAddr::new(ip, port),
        backend: (backend != u16::MAX).then_some(backend),
        status,
        request_bytes,
        response_bytes,
        latency_micros: some(latency),
        connect_micros: some(connect),
        first_byte_micros: some(first_byte),
        attempts,
        method: take_bytes(bytes)?,
        path: take_bytes(bytes)?,
        fault: take_bytes(bytes)?,
    })
}
