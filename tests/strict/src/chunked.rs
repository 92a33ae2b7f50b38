//! A chunked body (RFC 9112 §7.1).

use super::{Faults, Field, fields, has_bare_feed, has_bare_return, is_text, line, shown};

/// More bytes than this are no line, if its end is not among them.
const LONGEST_LINE: usize = 64 * 1024;

/// A body so far.
#[derive(Debug, Default)]
pub struct Chunked {
    /// The data.
    pub body: Vec<u8>,
    /// The lines after the last chunk.
    pub trailers: Vec<Field>,
    /// Where the next message starts; `None` if this one is incomplete.
    pub end: Option<usize>,
}

/// Parses the body that starts at `at`, up to its first fault.
pub fn read(bytes: &[u8], at: usize, faults: &mut Faults) -> Chunked {
    let (mut chunked, mut decoder, mut at) = (Chunked::default(), Decoder::default(), at);
    loop {
        let (used, part) = match decoder.read(&bytes[at..]) {
            Ok(next) => next,
            Err(fault) => {
                faults.push(fault);
                return chunked;
            }
        };
        at += used;
        match part {
            _ if decoder == Decoder::End => {
                chunked.end = Some(at);
                return chunked;
            }
            _ if used == 0 => return chunked,
            Part::Data(data) => chunked.body.extend(data),
            Part::Trailer(line) => chunked.trailers.extend(fields(&[line], faults)),
            Part::Framing => {}
        }
    }
}

/// What a body goes on with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Decoder {
    /// The line with the size of a chunk.
    #[default]
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// The end of line after a chunk.
    DataEnd,
    /// A trailer, or the empty line that is the last.
    Trailer,
    /// Nothing.
    End,
}

/// A part of a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part<'a> {
    /// What only delimits it.
    Framing,
    /// Data of a chunk.
    Data(&'a [u8]),
    /// A line after the last chunk.
    Trailer(&'a [u8]),
}

impl Decoder {
    /// Reads the next part in `bytes`, and how many of them lead to its end. None do if more are
    /// needed, or the body is over.
    ///
    /// # Errors
    /// There is a fault in the framing. Trailers are not looked into.
    pub fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, Part<'a>), String> {
        match self {
            Self::Size => {
                let Some((text, end)) = whole_line(bytes)? else { return Ok((0, Part::Framing)) };
                let size =
                    size(text).ok_or_else(|| format!("a malformed chunk line: {}", shown(text)))?;
                *self = if size == 0 { Self::Trailer } else { Self::Data(size) };
                Ok((end, Part::Framing))
            }
            Self::Data(left) => {
                let count =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= count as u64;
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                Ok((count, Part::Data(&bytes[..count])))
            }
            Self::DataEnd if bytes.starts_with(b"\r\n") => {
                *self = Self::Size;
                Ok((2, Part::Framing))
            }
            Self::DataEnd if b"\r\n".starts_with(bytes) => Ok((0, Part::Framing)),
            Self::DataEnd => Err("no CR LF after the data of a chunk".to_owned()),
            Self::Trailer => match whole_line(bytes)? {
                None => Ok((0, Part::Framing)),
                Some(([], end)) => {
                    *self = Self::End;
                    Ok((end, Part::Framing))
                }
                Some((text, end)) => Ok((end, Part::Trailer(text))),
            },
            Self::End => Ok((0, Part::Framing)),
        }
    }
}

/// The line that `bytes` begin with, and where the next one starts; `None` if it goes on.
fn whole_line(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, String> {
    match line(bytes, 0) {
        None if bytes.len() > LONGEST_LINE => Err("a line without an end".to_owned()),
        None if has_bare_feed(bytes) || has_bare_return(bytes) => {
            Err(format!("bare CR or bare LF in the line {}", shown(bytes)))
        }
        line => Ok(line),
    }
}

/// `chunk-size [ chunk-ext ]`; of the extension, only invalid bytes are checked.
fn size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, extension) = line.split_at(end);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let is_extension = extension.is_empty()
        || extension.iter().find(|byte| !blank(byte)) == Some(&b';')
            && extension.iter().all(|byte| is_text(*byte));
    let digits = str::from_utf8(digits).ok()?;
    u64::from_str_radix(digits, 16).ok().filter(|_| is_extension)
}
