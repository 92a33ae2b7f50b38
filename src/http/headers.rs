//! The fields of a head as spans, in the order received. Each name is classified once.

use super::error::HeadError;
use super::list::{is_blank, is_text, is_token, trim};
use super::name::Name;
use super::span::Span;

/// One field line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name, classified.
    pub id: Name,
    /// Whether a `Connection` field names this field, so that it is not forwarded.
    pub named: bool,
    /// The name as written.
    pub name: Span,
    /// The value without the whitespace around it.
    pub value: Span,
}

/// The fields of the head parsed last: scratch space that is reused for every head.
#[derive(Debug)]
pub struct Headers {
    fields: Vec<Field>,
    /// One bit for each [`Name`] that occurs, so that looking for an absent field costs nothing.
    present: u32,
    limit: usize,
}

/// Fields that httparse parses at a time. Its results borrow from the head, so they are on the
/// stack; a longer head takes several rounds.
const BATCH: usize = 24;

impl Headers {
    /// Space for heads of at most `max_headers` fields.
    #[must_use]
    pub fn new(max_headers: usize) -> Headers {
        Headers { fields: Vec::new(), present: 0, limit: max_headers }
    }

    /// The fields in the order received.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Most fields a head may have.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn fields_mut(&mut self) -> &mut [Field] {
        &mut self.fields
    }

    /// Whether a field of this name occurs.
    #[must_use]
    pub fn has(&self, id: Name) -> bool {
        self.present & bit(id) != 0
    }

    /// The values of all fields of this name, in the order received.
    #[must_use]
    pub fn values<'h>(
        &self,
        head: &'h [u8],
        id: Name,
    ) -> impl DoubleEndedIterator<Item = &'h [u8]> {
        let fields = if self.has(id) { self.fields.as_slice() } else { &[] };
        fields.iter().filter(move |field| field.id == id).map(|field| field.value.of(head))
    }

    /// Parses the field lines of `head` from offset `from` to its end, which must be the end of an
    /// empty line.
    pub(super) fn parse(&mut self, head: &[u8], from: usize) -> Result<(), HeadError> {
        self.fields.clear();
        self.present = 0;
        let mut rest = &head[from..];
        loop {
            let mut batch = [httparse::EMPTY_HEADER; BATCH];
            let consumed = match httparse::parse_headers(rest, &mut batch) {
                Ok(httparse::Status::Complete((consumed, parsed))) => {
                    let parsed = parsed.len();
                    self.push(head, &batch[..parsed])?;
                    Some(consumed)
                }
                Err(httparse::Error::TooManyHeaders) => {
                    self.push(head, &batch)?;
                    None
                }
                Ok(httparse::Status::Partial) | Err(_) => return Err(malformed(&head[from..])),
            };
            match consumed {
                Some(all) if all == rest.len() => return Ok(()),
                // There is an empty line before the end that the caller found.
                Some(_) => return Err(HeadError::BadField),
                None => {
                    let last = self.fields.last().map_or(from, |field| field.value.end());
                    let line_end = memchr::memchr(b'\n', &head[last..]);
                    rest = &head[last + line_end.ok_or(HeadError::BadField)? + 1..];
                }
            }
        }
    }

    /// Parses the field lines of a response like [`Headers::parse`], but accepts whitespace before
    /// a colon, which a proxy removes (RFC 9112 §5.1). It is rare, so the plain parser comes first.
    pub(super) fn parse_response(&mut self, head: &[u8], from: usize) -> Result<(), HeadError> {
        match self.parse(head, from) {
            Err(HeadError::BadField) => self.parse_spaced(head, from),
            verdict => verdict,
        }
    }

    fn parse_spaced(&mut self, head: &[u8], from: usize) -> Result<(), HeadError> {
        self.fields.clear();
        self.present = 0;
        let lines = head[from..].strip_suffix(b"\r\n").ok_or(HeadError::BadField)?;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r\n").ok_or(HeadError::BadField)?;
            let colon = memchr::memchr(b':', line).ok_or(HeadError::BadField)?;
            let (mut name, value) = (&line[..colon], trim(&line[colon + 1..]));
            while let [rest @ .., last] = name
                && is_blank(*last)
            {
                name = rest;
            }
            if !is_token(name) || !value.iter().copied().all(is_text) {
                return Err(HeadError::BadField);
            }
            self.push_field(head, name, value)?;
        }
        Ok(())
    }

    fn push(&mut self, head: &[u8], parsed: &[httparse::Header<'_>]) -> Result<(), HeadError> {
        for header in parsed {
            self.push_field(head, header.name.as_bytes(), header.value)?;
        }
        Ok(())
    }

    fn push_field(&mut self, head: &[u8], name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        if self.fields.len() == self.limit {
            return Err(HeadError::TooManyHeaders);
        }
        let id = Name::classify(name);
        self.present |= bit(id);
        let (name, value) = (Span::within(head, name), Span::within(head, value));
        self.fields.push(Field { id, named: false, name, value });
        Ok(())
    }
}

/// Why field lines can't be parsed: a continued line (RFC 9112 §5.2) has an error of its own.
fn malformed(lines: &[u8]) -> HeadError {
    let mut each = lines.split_inclusive(|byte| *byte == b'\n');
    let continues = |line: &[u8]| line.first().copied().is_some_and(is_blank);
    if each.any(continues) { HeadError::FoldedField } else { HeadError::BadField }
}

/// Whether `line`, its end included, is a field line that [`Headers::parse`] accepts.
pub(super) fn judge_line(line: &[u8]) -> Result<(), HeadError> {
    // The empty line is missing, so a valid line is "partial" to httparse.
    match httparse::parse_headers(line, &mut [httparse::EMPTY_HEADER]) {
        Ok(httparse::Status::Partial) => Ok(()),
        Ok(httparse::Status::Complete(_)) | Err(_) => Err(malformed(line)),
    }
}

fn bit(id: Name) -> u32 {
    1 << id as u32
}
