//! A strict parser of what RFC 9112 allows a sender to send. It checks every byte that the proxy
//! sends to either side.
//!
//! It depends on no other code, and not on the proxy, whose mistakes it would share.
//!
//! [`requests`] and [`responses`] parse bytes that are all there. They parse on after a fault if
//! that gives more information, but a fault is never accepted. [`Head`], [`Body`] and [`Messages`]
//! parse messages while they arrive, and end at the first fault; the clients and servers of the lab
//! and of the tests are built on them.

mod body;
pub mod chunked;
mod head;
mod messages;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use body::Body;
pub use head::{Head, Version};
pub use messages::{Messages, NoMore};
pub use request::{Request, request, requests};
pub use response::{Ending, Extent, Reader, Response, Responses, responses};

/// A field line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field {
    /// `field-name`, in lower case.
    pub name: Vec<u8>,
    /// `field-value`, without the blanks around it.
    pub value: Vec<u8>,
}

/// The values of all lines of that name, in order.
#[must_use]
pub fn values<'a>(fields: &'a [Field], name: &str) -> Vec<&'a [u8]> {
    let lines = fields.iter().filter(|field| field.name == name.as_bytes());
    lines.map(|field| field.value.as_slice()).collect()
}

/// What is wrong with a message, as text.
pub type Faults = Vec<String>;

/// The first bytes, as text for an error message.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    const LONGEST: usize = 60;
    format!("\"{}\"", bytes[..bytes.len().min(LONGEST)].escape_ascii())
}

/// `token` (RFC 9110 §5.6.2)
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    let is_mark = |byte: &u8| b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

/// The text of the line that starts at `at`, and where the next one starts.
fn line(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let mut end = at;
    loop {
        end += bytes[end..].iter().position(|byte| *byte == b'\n')? + 1;
        if let Some(text) = bytes[at..end].strip_suffix(b"\r\n") {
            return Some((text, end));
        }
    }
}

/// Whether there is a line feed without a carriage return.
fn has_bare_feed(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().any(|(at, byte)| *byte == b'\n' && (at == 0 || bytes[at - 1] != b'\r'))
}

/// Whether there is a carriage return without a line feed, other than the last byte.
fn has_bare_return(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
}

/// The lines of the head that starts at `at`, and where it ends; `None` if it is incomplete.
pub fn head<'a>(bytes: &'a [u8], at: usize, faults: &mut Faults) -> Option<(Vec<&'a [u8]>, usize)> {
    let mut lines = Vec::new();
    let mut next = at;
    loop {
        let (text, end) = line(bytes, next)?;
        next = end;
        if text.is_empty() && !lines.is_empty() {
            return Some((lines, end));
        }
        if text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            faults.push(format!("bare CR, bare LF or NUL in {}", shown(text)));
        }
        lines.push(text);
    }
}

/// Parses field lines.
pub fn fields(lines: &[&[u8]], faults: &mut Faults) -> Vec<Field> {
    let read = |line: &&[u8]| {
        let (name, value) = field(line, faults)?;
        Some(Field { name: name.to_ascii_lowercase(), value: value.to_vec() })
    };
    lines.iter().filter_map(read).collect()
}

/// Parses `field-name ":" OWS field-value OWS` (RFC 9112 §5): the name and the value.
fn field<'a>(line: &'a [u8], faults: &mut Faults) -> Option<(&'a [u8], &'a [u8])> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        faults.push(format!("a line that begins with a blank: {}", shown(line)));
        return None;
    }
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
    if colon == line.len() || !is_token(name) || !value.iter().all(|byte| is_text(*byte)) {
        faults.push(format!("a malformed field line: {}", shown(line)));
    }
    Some((name, trim(value)))
}

/// `VCHAR / obs-text / SP / HTAB`: the bytes of values, reasons and extensions.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The value of `Content-Length`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Length {
    /// There is none.
    #[default]
    Absent,
    /// It is no number.
    Invalid,
    /// A length in bytes.
    Is(u64),
}

/// The fields of a head that delimit the body.
#[derive(Debug, Default)]
pub struct Framing {
    /// The length, if there is one.
    pub length: Length,
    /// All transfer codings in order, in lower case.
    pub codings: Vec<Vec<u8>>,
}

impl Framing {
    /// Parses `Content-Length` and `Transfer-Encoding`. A sender must not use both, and the former
    /// only once (RFC 9112 §6.1, §6.2; RFC 9110 §8.6).
    pub fn of(fields: &[Field], faults: &mut Faults) -> Self {
        let [lengths, codings] =
            ["content-length", "transfer-encoding"].map(|name| values(fields, name));
        Self::read(&lengths, &codings, faults)
    }

    fn read(lengths: &[&[u8]], coding_lists: &[&[u8]], faults: &mut Faults) -> Self {
        if lengths.len() > 1 {
            faults.push(format!("{} Content-Length lines", lengths.len()));
        }
        let length = lengths.first().map_or(Length::Absent, |value| decimal(value));
        for value in lengths.iter().filter(|value| decimal(value) == Length::Invalid) {
            faults.push(format!("Content-Length {}", shown(value)));
        }
        let mut codings = Vec::new();
        for value in coding_lists {
            for coding in value.split(|byte| *byte == b',').map(trim) {
                if !is_token(coding) {
                    faults.push(format!("Transfer-Encoding {}", shown(value)));
                }
                codings.push(coding.to_ascii_lowercase());
            }
        }
        if !lengths.is_empty() && !codings.is_empty() {
            faults.push("both Content-Length and Transfer-Encoding".to_owned());
        }
        if codings.iter().filter(|coding| *coding == b"chunked").count() > 1 {
            faults.push("chunked twice".to_owned());
        }
        Self { length, codings }
    }

    /// Whether there is either of them.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.length != Length::Absent || !self.codings.is_empty()
    }

    /// Whether chunked is the final coding.
    #[must_use]
    pub fn ends_in_chunked(&self) -> bool {
        self.codings.last().is_some_and(|coding| coding == b"chunked")
    }
}

/// `1*DIGIT`
fn decimal(text: &[u8]) -> Length {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = str::from_utf8(text).ok().filter(|_| is_number).and_then(|text| text.parse().ok());
    number.map_or(Length::Invalid, Length::Is)
}
