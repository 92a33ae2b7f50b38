//! The one CSV schema: its columns, how a row is written and how it is read back.
//!
//! The first five columns are a public contract, and other tools write them alone; so readers find
//! the columns by the header and go without the others. A row written here is one line of printable
//! ASCII whatever the request held, so that line tools and CSV readers agree on where it ends.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::cell::{MARK, needs_mark, unmarked};
use super::error::RowError;
use super::line::Line;
use super::timestamp::timestamp_us;
use super::value::{is_missing, millis, parse, status, whole};
use crate::endpoint::Client;

/// The columns in order. `latency_ms` and its kin are decimal milliseconds with three digits.
pub const COLUMNS: [&str; 17] = [
    "timestamp",
    "backend_url",
    "latency_ms",
    "status_code",
    "routing_mode",
    "connection",
    "worker",
    "client",
    "method",
    "path",
    "request_bytes",
    "response_bytes",
    "connect_ms",
    "first_byte_ms",
    "attempts",
    "fault",
    "probe",
];

/// How many of [`COLUMNS`], from the first, every log of this format has.
pub const CONTRACT_COLUMNS: usize = 5;

/// What the column `probe` says of a request that only asked whether the proxy is there.
pub const HEALTH_PROBE: &str = "health";

/// The header row with its line end.
#[must_use]
pub fn header() -> String {
    COLUMNS.join(",") + "\n"
}

/// One row. What a five-column log does not have, and what is empty, is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row<'a> {
    /// When the request ended, in microseconds since 1970 UTC.
    pub timestamp_us: i64,
    /// The backend as configured, `None` if the request was never dispatched.
    pub backend_url: Option<&'a str>,
    /// From dispatch to the upstream's last byte.
    pub latency: Option<Duration>,
    /// What was sent to the client, 499 if it left first; `None` where other tools know of none.
    pub status: Option<u16>,
    /// The balancing policy.
    pub routing_mode: &'a str,
    /// `persistent` or `non-persistent`.
    pub connection: Option<&'a str>,
    /// The index of the worker that served it.
    pub worker: Option<usize>,
    /// The client's address.
    pub client: Option<Client>,
    /// The method. Any bytes can be written; what is read back is what [`RowWriter`] made of them.
    pub method: Option<&'a [u8]>,
    /// The request target, treated as the method is.
    pub path: Option<&'a [u8]>,
    /// Bytes that came from the client.
    pub request_bytes: Option<u64>,
    /// Bytes that went to the client.
    pub response_bytes: Option<u64>,
    /// From the start of the last attempt to its connection.
    pub connect: Option<Duration>,
    /// How long the backend of the last attempt took to the first byte of its response: the sample
    /// that policies learn.
    pub first_byte: Option<Duration>,
    /// How many connections to backends were asked for, pooled ones included.
    pub attempts: Option<u32>,
    /// The label of what went wrong, if anything did.
    pub fault: Option<&'a str>,
    /// What was probed, if the request is a probe and no load: [`HEALTH_PROBE`].
    pub probe: Option<&'a str>,
}

impl Row<'_> {
    /// Whether the request counts as an error: 4xx, 5xx, no status, or a fault. Tools that leave
    /// the status out do so where no answer came.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.status.is_none_or(|status| status >= 400) || self.fault.is_some()
    }

    /// Whether the request only asked if the proxy is there. It has no part in counts, spans and
    /// estimates, which are to tell of the load.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe == Some(HEALTH_PROBE)
    }
}

/// Writes rows. Keeps the date text of the last second, for rows come by the thousand in each.
#[derive(Debug, Default)]
pub struct RowWriter {
    second: Option<i64>,
    date_and_time: String,
}

impl RowWriter {
    /// Appends a row and its line end to `out`.
    ///
    /// Text that is not plain is quoted (RFC 4180 §2), and its bytes outside printable ASCII are
    /// percent-encoded (RFC 3986 §2.1): line ends and broken UTF-8 do not get into the log. Text
    /// that a spreadsheet would take for a formula has a `'` in front, as [`marked`] has it.
    ///
    /// [`marked`]: super::marked
    pub fn write(&mut self, row: &Row<'_>, out: &mut Vec<u8>) {
        self.write_timestamp(row.timestamp_us, out);
        let mut fields = Fields { out, digits: itoa::Buffer::new() };
        fields.text(row.backend_url);
        fields.millis(row.latency);
        fields.number(row.status);
        fields.text(Some(row.routing_mode));
        fields.text(row.connection);
        fields.number(row.worker);
        fields.client(row.client);
        fields.text(row.method);
        fields.text(row.path);
        fields.number(row.request_bytes);
        fields.number(row.response_bytes);
        fields.millis(row.connect);
        fields.millis(row.first_byte);
        fields.number(row.attempts);
        fields.text(row.fault);
        fields.text(row.probe);
        out.push(b'\n');
    }

    /// RFC 3339 in UTC with microseconds: `2026-11-23T10:11:12.123456Z`.
    fn write_timestamp(&mut self, timestamp_us: i64, out: &mut Vec<u8>) {
        let second = timestamp_us.div_euclid(1_000_000);
        if self.second != Some(second) {
            let time = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
            self.date_and_time = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            self.second = Some(second);
        }
        out.extend_from_slice(self.date_and_time.as_bytes());
        out.push(b'.');
        pad(out, itoa::Buffer::new().format(timestamp_us.rem_euclid(1_000_000)), 6);
        out.push(b'Z');
    }
}

/// Bytes that stand in a cell as they are. A table, for most of a row's bytes are asked of it.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        plain[byte as usize] = byte != b'"' && byte != b',';
        byte += 1;
    }
    plain
};

/// The fields of one row after its first, each with the comma before it.
struct Fields<'o> {
    out: &'o mut Vec<u8>,
    digits: itoa::Buffer,
}

impl Fields<'_> {
    fn number(&mut self, number: Option<impl itoa::Integer>) {
        self.out.push(b',');
        if let Some(number) = number {
            self.out.extend_from_slice(self.digits.format(number).as_bytes());
        }
    }

    fn millis(&mut self, duration: Option<Duration>) {
        // Divided as 64 bits, which is several times faster than as 128; half a million years do.
        let micros = duration.map(|spent| u64::try_from(spent.as_micros()).unwrap_or(u64::MAX));
        self.number(micros.map(|micros| micros / 1000));
        if let Some(micros) = micros {
            self.out.push(b'.');
            pad(self.out, self.digits.format(micros % 1000), 3);
        }
    }

    fn client(&mut self, client: Option<Client>) {
        use io::Write as _;
        self.out.push(b',');
        match client {
            None => {}
            // Formatting it as text in general would be a third of the whole row's work.
            Some(Client::Ip(SocketAddr::V4(client))) => {
                for (octet, mark) in client.ip().octets().into_iter().zip(*b"...:") {
                    self.out.extend_from_slice(self.digits.format(octet).as_bytes());
                    self.out.push(mark);
                }
                self.out.extend_from_slice(self.digits.format(client.port()).as_bytes());
            }
            Some(client) => {
                // Writing to a vector cannot fail.
                let _ = write!(self.out, "{client}");
            }
        }
    }

    fn text(&mut self, text: Option<impl AsRef<[u8]>>) {
        self.out.push(b',');
        let Some(text) = text else { return };
        let text = text.as_ref();
        if text.iter().all(|byte| PLAIN[usize::from(*byte)]) && !needs_mark(text) {
            self.out.extend_from_slice(text);
        } else {
            self.quoted(text);
        }
    }

    #[cold]
    fn quoted(&mut self, text: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        self.out.push(b'"');
        // What is encoded begins no formula.
        if text.first().is_some_and(u8::is_ascii_graphic) && needs_mark(text) {
            self.out.push(MARK);
        }
        for &byte in text {
            match byte {
                b'"' => self.out.extend_from_slice(b"\"\""),
                b' '..=b'~' => self.out.push(byte),
                _ => self.out.extend_from_slice(&[
                    b'%',
                    HEX[usize::from(byte >> 4)],
                    HEX[usize::from(byte & 15)],
                ]),
            }
        }
        self.out.push(b'"');
    }
}

/// Appends a number of at most `width` digits with its leading zeros, six at most.
fn pad(out: &mut Vec<u8>, digits: &str, width: usize) {
    out.extend_from_slice(&b"000000"[..width.saturating_sub(digits.len())]);
    out.extend_from_slice(digits.as_bytes());
}

/// Where each of [`COLUMNS`] stands in a log, and how its dates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    places: [Option<usize>; COLUMNS.len()],
    days_first: bool,
}

impl Columns {
    /// Reads a header; `None` if it has not all columns of the contract, in whatever order.
    #[must_use]
    pub(super) fn find(header: &Line<'_>) -> Option<Self> {
        let places = COLUMNS.map(|name| header.iter().position(|field| is_name(field, name)));
        let has_contract = places[..CONTRACT_COLUMNS].iter().all(Option::is_some);
        has_contract.then_some(Self { places, days_first: false })
    }

    /// Takes `row`, above which there is no header, for the first of a log whose columns are in
    /// our order: all of them, or those of the contract. `None` if it can't be one.
    #[must_use]
    pub(super) fn of_row(row: &Line<'_>) -> Option<Self> {
        let count = row.iter().count();
        // Before it had the last of its columns, our log had sixteen.
        let known = if (16..=COLUMNS.len()).contains(&count) { count } else { CONTRACT_COLUMNS };
        let mut place = 0..known;
        let columns = Self { places: COLUMNS.map(|_| place.next()), days_first: false };
        let parsed = Row::parse(&columns, *row).ok().filter(|_| count >= CONTRACT_COLUMNS)?;
        let is_ours = known > CONTRACT_COLUMNS;
        (is_ours || parsed.status.is_some() || parsed.latency.is_some()).then_some(columns)
    }

    /// Whether `05/08/2025` is a day in August.
    #[must_use]
    pub(super) fn has_days_first(&self) -> bool {
        self.days_first
    }

    /// The same columns, with dates in this order.
    #[must_use]
    pub(super) fn days_first(self, is_so: bool) -> Self {
        Self { days_first: is_so, ..self }
    }

    /// The field with the time.
    #[must_use]
    pub(super) fn timestamp<'a>(&self, line: &Line<'a>) -> Option<&'a [u8]> {
        line.get(self.places[0]?)
    }
}

/// Whether a header's field names a column, as people and programs write it: `Status Code`.
fn is_name(field: &[u8], name: &str) -> bool {
    // A header that is a comment begins with its sign.
    let field = field.strip_prefix(b"#").unwrap_or(field).trim_ascii();
    let same = |(byte, expected): (&u8, u8)| match byte {
        b' ' | b'-' => expected == b'_',
        _ => byte.to_ascii_lowercase() == expected,
    };
    field.len() == name.len() && field.iter().zip(name.bytes()).all(same)
}

impl<'a> Row<'a> {
    /// Reads one row of a log with these columns.
    ///
    /// A row needs nothing but its time, which may have any form; any other field that can't be
    /// read is taken for missing, for it belongs to a request that was made.
    pub(super) fn parse(columns: &Columns, line: Line<'a>) -> Result<Self, RowError> {
        let mut fields = Walk { columns, line, column: 0 };
        Ok(Self {
            timestamp_us: fields.time()?,
            backend_url: fields.text(),
            latency: fields.value(millis),
            status: fields.value(status),
            routing_mode: fields.text().unwrap_or_default(),
            connection: fields.text(),
            worker: fields.value(whole),
            client: fields.value(parse),
            method: fields.bytes().map(unmarked).filter(|text| !text.is_empty()),
            path: fields.bytes().map(unmarked).filter(|text| !text.is_empty()),
            request_bytes: fields.value(whole),
            response_bytes: fields.value(whole),
            connect: fields.value(millis),
            first_byte: fields.value(millis),
            attempts: fields.value(whole),
            fault: fields.text(),
            probe: fields.text(),
        })
    }
}

/// Walks over the fields of a line in the order of [`COLUMNS`].
struct Walk<'c, 'a> {
    columns: &'c Columns,
    line: Line<'a>,
    column: usize,
}

impl<'a> Walk<'_, 'a> {
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let place = self.columns.places[self.column];
        self.column += 1;
        self.line.get(place?)
    }

    fn time(&mut self) -> Result<i64, RowError> {
        let column = COLUMNS[self.column];
        let field = self.bytes().unwrap_or_default();
        timestamp_us(field, self.columns.days_first)
            .ok_or_else(|| RowError { column, value: String::from_utf8_lossy(field).into_owned() })
    }

    fn text(&mut self) -> Option<&'a str> {
        let field = self.bytes()?.trim_ascii();
        let field = Some(field).filter(|field| !is_missing(field)).map(unmarked)?;
        str::from_utf8(field).ok().filter(|text| !text.is_empty())
    }

    fn value<T>(&mut self, read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        read(self.bytes()?.trim_ascii())
    }
}

#[cfg(test)]
mod tests;
