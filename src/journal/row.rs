//! The CSV's two sides: a record written as a row, and a row read back.
//!
//! The first five columns are the ones that other tools write, too; their rows are read as well,
//! with whole milliseconds and timestamps without a zone.

use std::io;

use super::frame::Framed;
use super::stamp::{Stamps, put_digits};

/// The header row, without its line end.
pub const HEADER: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode,connection,\
worker,client,method,path,request_bytes,response_bytes,connect_ms,first_byte_ms,attempts,fault";

/// What all rows of a journal have in common, escaped for CSV.
#[derive(Debug)]
pub(super) struct Common {
    backends: Vec<Vec<u8>>,
    /// Routing mode and connection mode, with the commas between which they stand.
    modes: Vec<u8>,
}

impl Common {
    pub(super) fn new(backends: &[String], routing_mode: &str, connection: &str) -> Self {
        let field = |text: &str| {
            let mut out = Vec::new();
            put_text(&mut out, text.as_bytes());
            out
        };
        let modes = [b",", &field(routing_mode)[..], b",", &field(connection)[..], b","].concat();
        Self { backends: backends.iter().map(|backend| field(backend)).collect(), modes }
    }

    /// Appends the row of a record that `worker` made.
    pub(super) fn put_row(
        &self,
        out: &mut Vec<u8>,
        stamps: &mut Stamps,
        worker: usize,
        record: &Framed<'_>,
    ) {
        stamps.put(out, record.ended_micros);
        out.push(b',');
        if let Some(url) = record.backend.and_then(|index| self.backends.get(usize::from(index))) {
            out.extend_from_slice(url);
        }
        out.push(b',');
        put_millis(out, record.latency_micros);
        out.push(b',');
        put_number(out, record.status);
        out.extend_from_slice(&self.modes);
        put_number(out, worker);
        out.push(b',');
        // Writing to a Vec can't fail.
        let _ = io::Write::write_fmt(out, format_args!("{},", record.client));
        put_text(out, record.method);
        out.push(b',');
        put_text(out, record.path);
        out.push(b',');
        put_number(out, record.request_bytes);
        out.push(b',');
        put_number(out, record.response_bytes);
        out.push(b',');
        put_millis(out, record.connect_micros);
        out.push(b',');
        put_millis(out, record.first_byte_micros);
        out.push(b',');
        put_number(out, record.attempts);
        out.push(b',');
        put_text(out, record.fault);
        out.push(b'\n');
    }
}

fn put_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Milliseconds with three digits; nothing for `None`.
fn put_millis(out: &mut Vec<u8>, micros: Option<u64>) {
    if let Some(micros) = micros {
        put_number(out, micros / 1000);
        out.push(b'.');
        put_digits(out, micros % 1000, 3);
    }
}

/// Appends text that a peer chose. Control bytes, and bytes that make no UTF-8, are
/// percent-encoded: a row stays one line, and the file stays text. Quotes are doubled as RFC 4180
/// has it.
fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let plain = |byte: &u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b',');
    if text.iter().all(plain) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\"\""),
                control if control.is_control() => {
                    control.encode_utf8(&mut [0; 4]).bytes().for_each(|b| put_percent(out, b));
                }
                other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        chunk.invalid().iter().for_each(|byte| put_percent(out, *byte));
    }
    out.push(b'"');
}

fn put_percent(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

/// A row as read back. What the five-column form does not have is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// When the request ended, in microseconds of Unix time; without a zone UTC is meant.
    pub ended_unix_micros: i64,
    /// The backend as configured; empty if the request was never dispatched.
    pub backend_url: String,
    /// Milliseconds from dispatch to the upstream's last byte.
    pub latency_ms: Option<f64>,
    /// The status sent to the client.
    pub status_code: u16,
    /// The policy's name.
    pub routing_mode: String,
    /// `persistent` or `non-persistent`.
    pub connection: Option<String>,
    /// Index of the worker.
    pub worker: Option<u32>,
    /// The client's address and port.
    pub client: Option<String>,
    /// The request's method.
    pub method: Option<String>,
    /// The request's path and query.
    pub path: Option<String>,
    /// Bytes received from the client.
    pub request_bytes: Option<u64>,
    /// Bytes sent to the client.
    pub response_bytes: Option<u64>,
    /// Milliseconds for the connection to the backend.
    pub connect_ms: Option<f64>,
    /// Milliseconds from the last attempt's start to its first byte.
    pub first_byte_ms: Option<f64>,
    /// Attempts made.
    pub attempts: Option<u32>,
    /// What went wrong, in one word; empty if nothing did.
    pub fault: Option<String>,
}

/// A line that is no row.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// It is no CSV.
    #[error("line {line}: {reason}")]
    Csv {
        /// Counted from 1, the header included.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// A field does not hold what its column says.
    #[error("line {line}: column {column} can't be `{value}`")]
    Field {
        /// Counted from 1, the header included.
        line: u64,
        /// The column's name.
        column: &'static str,
        /// What it holds.
        value: String,
    },
}

/// Reads rows, the header first. A broken row is an error, and the next one is read on.
pub fn read_rows(source: impl io::Read) -> impl Iterator<Item = Result<Row, RowError>> {
    let reader = csv::ReaderBuilder::new().flexible(true).from_reader(source);
    reader.into_records().map(|record| match record {
        Ok(record) => Row::parse(&record),
        Err(error) => Err(RowError::Csv {
            line: error.position().map_or(0, csv::Position::line),
            reason: error.to_string(),
        }),
    })
}

impl Row {
    /// Reads one CSV record of five columns or of all.
    ///
    /// # Errors
    /// The first field that can't be read.
    pub fn parse(record: &csv::StringRecord) -> Result<Self, RowError> {
        let fields = Fields { record };
        Ok(Self {
            ended_unix_micros: fields.must(0, "timestamp", parse_timestamp)?,
            backend_url: fields.must(1, "backend_url", |text| Some(text.to_owned()))?,
            latency_ms: fields.may(2, "latency_ms", parse_millis)?,
            status_code: fields.must(3, "status_code", |text| text.parse().ok())?,
            routing_mode: fields.must(4, "routing_mode", |text| Some(text.to_owned()))?,
            connection: fields.text(5),
            worker: fields.may(6, "worker", |text| text.parse().ok())?,
            client: fields.text(7),
            method: fields.text(8),
            path: fields.text(9),
            request_bytes: fields.may(10, "request_bytes", |text| text.parse().ok())?,
            response_bytes: fields.may(11, "response_bytes", |text| text.parse().ok())?,
            connect_ms: fields.may(12, "connect_ms", parse_millis)?,
            first_byte_ms: fields.may(13, "first_byte_ms", parse_millis)?,
            attempts: fields.may(14, "attempts", |text| text.parse().ok())?,
            fault: fields.text(15),
        })
    }
}

struct Fields<'a> {
    record: &'a csv::StringRecord,
}

impl Fields<'_> {
    fn text(&self, index: usize) -> Option<String> {
        self.record.get(index).map(str::to_owned)
    }

    fn must<T>(
        &self,
        index: usize,
        column: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, RowError> {
        let value = self.record.get(index).unwrap_or_default();
        parse(value).ok_or_else(|| RowError::Field {
            line: self.record.position().map_or(0, csv::Position::line),
            column,
            value: value.to_owned(),
        })
    }

    /// An empty field is `None`.
    fn may<T>(
        &self,
        index: usize,
        column: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, RowError> {
        match self.record.get(index) {
            None | Some("") => Ok(None),
            Some(_) => self.must(index, column, parse).map(Some),
        }
    }
}

fn parse_millis(text: &str) -> Option<f64> {
    text.parse().ok().filter(|millis: &f64| millis.is_finite() && *millis >= 0.0)
}

fn parse_timestamp(text: &str) -> Option<i64> {
    let zoned = text.parse::<jiff::Timestamp>();
    let timestamp = zoned.or_else(|_| {
        let civil: jiff::civil::DateTime = text.parse()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp())
    });
    timestamp.ok().map(jiff::Timestamp::as_microsecond)
}
