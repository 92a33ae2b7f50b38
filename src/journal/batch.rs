//! Rows as text, one behind the other, in a block that is used again and again.
//!
//! A row is one line of printable ASCII whatever the request held, so that line tools and CSV
//! readers agree on where it ends. One thread writes the rows of all workers, so a value is
//! formatted in its place and with few instructions; `scripts/bench --instructions` counts them.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::columns::{BACKEND_BYTES_MAX, Facts, METHOD_BYTES_MAX, PATH_BYTES_MAX};
use super::escape::{PLAIN, escape, is_plain, needs_mark};

/// Longer than any row: a byte of the long texts takes three at most when it is escaped, and
/// numbers and words are short.
const ROW_BYTES_MAX: usize =
    3 * (2 * BACKEND_BYTES_MAX + METHOD_BYTES_MAX + PATH_BYTES_MAX) + WORDS_BYTES_MAX;

const WORDS_BYTES_MAX: usize = 4096;

/// A longer block is given back when its rows are written.
const BLOCK_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Shorter texts are written without a call.
const SHORT_BYTES: usize = 8;

/// Rows that are to be written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Longer than the rows: what is behind them is overwritten by the next one.
    block: Vec<u8>,
    length: usize,
    rows: u64,
    seconds: Seconds,
}

impl Batch {
    /// Adds the row of a request.
    pub(super) fn add(&mut self, facts: &Facts<'_>) {
        let length_max = self.length + ROW_BYTES_MAX;
        if self.block.len() < length_max {
            self.block.resize(length_max.max(2 * self.block.len()), 0);
        }
        let (block, at) = (&mut self.block[..], self.length);
        let mut cells = Cells { block, at, seconds: &mut self.seconds };
        facts.write(&mut cells);
        self.length = cells.at;
        // In place of the comma behind the last cell.
        self.block[self.length - 1] = b'\n';
        self.rows += 1;
    }

    /// Adds a line of JSON.
    pub(super) fn add_json(&mut self, line: &impl Serialize) {
        self.block.truncate(self.length);
        // Nothing in it can't be written, and writing to a Vec can't fail.
        let _ = serde_json::to_writer(&mut self.block, line);
        self.block.push(b'\n');
        self.length = self.block.len();
        self.rows += 1;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.block[..self.length]
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn clear(&mut self) {
        if self.block.len() > BLOCK_BYTES_MAX {
            self.block = Vec::new();
        }
        (self.length, self.rows) = (0, 0);
    }
}

/// The cells of a row that is being written. Each ends in a comma.
#[derive(Debug)]
pub(super) struct Cells<'b> {
    /// Longer than the row can get.
    block: &'b mut [u8],
    at: usize,
    seconds: &'b mut Seconds,
}

impl Cells<'_> {
    /// Puts the first `count` of some bytes. All are copied, because a fixed number of them takes
    /// an instruction or two; what is too much is overwritten by what comes next.
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N], count: usize) {
        self.block[self.at..self.at + N].copy_from_slice(&bytes);
        self.at += count;
    }

    /// A value that is missing.
    #[inline]
    pub(super) fn nothing(&mut self) {
        self.put([b','], 1);
    }

    #[inline]
    pub(super) fn number(&mut self, number: u64) {
        let digits = usize::try_from(number).ok().and_then(|number| NUMBERS.get(number));
        if let Some(Digits { cell, length, .. }) = digits {
            self.put(*cell, usize::from(*length));
        } else {
            self.at = write_large(number, self.block, self.at);
            self.put([b','], 1);
        }
    }

    /// A number with something else than a comma behind it.
    #[inline]
    fn number_and(&mut self, number: u64, mark: u8) {
        self.number(number);
        self.block[self.at - 1] = mark;
    }

    /// Milliseconds with three decimals. What is below a microsecond is cut off.
    #[inline]
    pub(super) fn millis(&mut self, span: Duration) {
        // In 64 bits, which is several times faster than in 128; half a million years do.
        let micros = span.as_secs().saturating_mul(1_000_000);
        let micros = micros.saturating_add(span.subsec_micros().into());
        self.number_and(micros / 1000, b'.');
        let [a, b, c] = padded(micros);
        self.put([a, b, c, b','], 4);
    }

    /// RFC 3339 in UTC with microseconds: `2026-11-23T10:11:12.123456Z`.
    #[inline]
    pub(super) fn time(&mut self, timestamp_us: i64) {
        let (second, micros) = self.seconds.of(timestamp_us);
        let text = second.text;
        self.put(text, text.len());
        let mut decimals = *b"000000Z,";
        decimals[..3].copy_from_slice(&padded(micros / 1000));
        decimals[3..6].copy_from_slice(&padded(micros));
        self.put(decimals, decimals.len());
    }

    pub(super) fn address(&mut self, address: SocketAddr) {
        match address {
            // Formatting it as text in general would be a third of the whole row's work.
            SocketAddr::V4(address) => {
                for (octet, mark) in address.ip().octets().into_iter().zip(*b"...:") {
                    self.number_and(octet.into(), mark);
                }
                self.number(address.port().into());
            }
            SocketAddr::V6(_) => self.escaped(address.to_string().as_bytes()),
        }
    }

    #[inline]
    pub(super) fn text(&mut self, text: &[u8]) {
        self.at = if text.len() < SHORT_BYTES {
            write_short(text, self.block, self.at)
        } else {
            write_long(text, self.block, self.at)
        };
        self.put([b','], 1);
    }

    /// A text that stands in its cell as it is.
    #[inline]
    pub(super) fn escaped(&mut self, text: &[u8]) {
        self.at = copy(text, self.block, self.at);
        self.put([b','], 1);
    }
}

// These take the place by value and tell the end, so that nobody else has a reference to the place
// of the cells, and it stays in a register. What is rare or long is a call, so that the rest is
// none.

/// Copies a text that stands in its cell as it is.
#[inline]
fn copy(text: &[u8], block: &mut [u8], at: usize) -> usize {
    let end = at + text.len();
    block[at..end].copy_from_slice(text);
    end
}

/// Writes a text of few bytes, which are sooner looked at one by one.
#[inline]
fn write_short(text: &[u8], block: &mut [u8], at: usize) -> usize {
    let mut is_plain = !needs_mark(text);
    for (byte, place) in text.iter().zip(&mut block[at..]) {
        is_plain &= PLAIN[usize::from(*byte)];
        *place = *byte;
    }
    if is_plain { at + text.len() } else { write_escaped(text, block, at) }
}

#[inline(never)]
fn write_long(text: &[u8], block: &mut [u8], at: usize) -> usize {
    if is_plain(text) { copy(text, block, at) } else { write_escaped(text, block, at) }
}

#[cold]
fn write_escaped(text: &[u8], block: &mut [u8], at: usize) -> usize {
    copy(&escape(text), block, at)
}

#[inline(never)]
fn write_large(number: u64, block: &mut [u8], at: usize) -> usize {
    copy(itoa::Buffer::new().format(number).as_bytes(), block, at)
}

/// How a number below 1,000 is written.
#[derive(Clone, Copy)]
struct Digits {
    /// Without leading zeros, and with the comma behind it.
    cell: [u8; 4],
    /// How long that is.
    length: u8,
    /// With leading zeros.
    padded: [u8; 3],
}

/// The numbers below 1,000: nearly all numbers of a row are such, or are put together of such.
static NUMBERS: [Digits; 1000] = {
    let mut numbers = [Digits { cell: *b"0,  ", length: 2, padded: *b"000" }; 1000];
    let mut number = 1;
    while number < numbers.len() {
        let padded = match numbers[number - 1].padded {
            [a, b'9', b'9'] => [a + 1, b'0', b'0'],
            [a, b, b'9'] => [a, b + 1, b'0'],
            [a, b, c] => [a, b, c + 1],
        };
        let (cell, length) = match padded {
            [b'0', b'0', c] => ([c, b',', b' ', b' '], 2),
            [b'0', b, c] => ([b, c, b',', b' '], 3),
            [a, b, c] => ([a, b, c, b','], 4),
        };
        numbers[number] = Digits { cell, length, padded };
        number += 1;
    }
    numbers
};

/// The last three digits of a number.
fn padded(number: u64) -> [u8; 3] {
    NUMBERS[(number % 1000) as usize].padded
}

const SECOND_US: u64 = 1_000_000;

/// The last seconds as text, which many rows share. A row has two times that are often not of the
/// same second.
#[derive(Debug, Default)]
struct Seconds([Second; 2]);

#[derive(Clone, Copy, Debug)]
struct Second {
    begins_us: i64,
    /// With the point behind it.
    text: [u8; 20],
}

impl Default for Second {
    fn default() -> Self {
        Self { begins_us: 0, text: *b"1970-01-01T00:00:00." }
    }
}

impl Second {
    fn of(timestamp_us: i64) -> Self {
        let begins_us = timestamp_us - timestamp_us.rem_euclid(SECOND_US.cast_signed());
        let time = Timestamp::from_microsecond(begins_us).unwrap_or_default();
        let text = time.strftime("%Y-%m-%dT%H:%M:%S.").to_string();
        let text = text.as_bytes().try_into().unwrap_or(Self::default().text);
        Self { begins_us, text }
    }

    /// The microseconds since its beginning; a large number if that is later.
    #[inline]
    fn micros(&self, timestamp_us: i64) -> u64 {
        timestamp_us.wrapping_sub(self.begins_us).cast_unsigned()
    }
}

impl Seconds {
    /// The second of a time, and the microseconds in it.
    #[inline]
    fn of(&mut self, timestamp_us: i64) -> (&Second, u64) {
        let known = self.0.iter().position(|second| second.micros(timestamp_us) < SECOND_US);
        let second = &self.0[known.unwrap_or_else(|| self.add(timestamp_us))];
        (second, second.micros(timestamp_us))
    }

    #[cold]
    fn add(&mut self, timestamp_us: i64) -> usize {
        self.0 = [Second::of(timestamp_us), self.0[0]];
        0
    }
}
