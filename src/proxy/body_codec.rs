//! A body on its way through a pipe: follows its framing and leaves it framed for the other side.
//!
//! A body of known length passes untouched. A chunked one passes chunk by chunk without its
//! extensions, or loses its framing for a peer that speaks HTTP/1.0. One that ends with the
//! connection gets chunks for a peer that speaks HTTP/1.1, so that its end can be told from a cut.

use std::io::Write;

use super::fault::Fault;
use super::pipe::Pipe;
use crate::http::{Chunks, FramingError, HeadError, Headers, Part, rewrite_trailers};

/// A chunk made here of up to this many bytes is copied behind its size, to leave in one `write`.
const SMALL_CHUNK_BYTES: usize = 4096;

/// How a body arrives, how far it has come, and how it leaves.
#[derive(Debug)]
pub(super) enum BodyCodec {
    /// This many bytes are still to come; they leave as they are.
    Length { left: u64 },
    /// In chunks; `decoded` leaves the bare data.
    Chunked { chunks: Chunks, decoded: bool, data_bytes: u64, trailers: Vec<u8> },
    /// Until the sender closes; `encoded` leaves as chunks.
    UntilClose { encoded: bool },
}

/// Why a codec can't go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BodyError {
    Framing(FramingError),
    Trailers(HeadError),
}

impl From<FramingError> for BodyError {
    fn from(error: FramingError) -> Self {
        Self::Framing(error)
    }
}

impl BodyError {
    pub(super) fn of_request(self) -> Fault {
        match self {
            Self::Framing(error) => Fault::RequestBody(error),
            Self::Trailers(error) => Fault::RequestTrailers(error),
        }
    }

    pub(super) fn of_response(self) -> Fault {
        match self {
            Self::Framing(error) => Fault::ResponseBody(error),
            Self::Trailers(error) => Fault::ResponseTrailers(error),
        }
    }
}

/// What trailers are judged by.
pub(super) struct TrailerRules<'a> {
    pub(super) headers: &'a mut Headers,
    /// The field names that the message's `Connection` field lists.
    pub(super) named: &'a [u8],
}

impl BodyCodec {
    /// Chunks, with at most `trailer_limit` bytes of trailers behind the last.
    pub(super) fn chunked(decoded: bool, trailer_limit: usize) -> Self {
        let chunks = Chunks::new(trailer_limit);
        Self::Chunked { chunks, decoded, data_bytes: 0, trailers: Vec::new() }
    }

    /// Bytes of the body proper that came through a chunked codec.
    pub(super) fn chunked_data_bytes(&self) -> u64 {
        match self {
            Self::Chunked { data_bytes, .. } => *data_bytes,
            Self::Length { .. } | Self::UntilClose { .. } => 0,
        }
    }

    /// Whether more may be received. A chunk made here must have left before the next is made.
    pub(super) fn wants_bytes(&self, pipe: &Pipe) -> bool {
        !matches!(self, Self::UntilClose { encoded: true }) || pipe.is_drained()
    }

    /// Works on the raw bytes of `pipe`; true when the body has been seen whole. Bytes behind its
    /// end stay raw.
    pub(super) fn advance(
        &mut self,
        pipe: &mut Pipe,
        rules: &mut TrailerRules<'_>,
    ) -> Result<bool, BodyError> {
        match self {
            Self::Length { left } => {
                let available = pipe.body.raw().len();
                let count = usize::try_from(*left).map_or(available, |left| left.min(available));
                pipe.body.commit(count);
                *left -= count as u64;
                Ok(*left == 0)
            }
            Self::Chunked { chunks, decoded, data_bytes, trailers } => {
                if !scan(chunks, *decoded, data_bytes, trailers, pipe)? {
                    return Ok(false);
                }
                if !trailers.is_empty() {
                    let mut kept = Vec::new();
                    rewrite_trailers(&mut kept, trailers, rules.headers, rules.named)
                        .map_err(BodyError::Trailers)?;
                    if !*decoded {
                        pipe.push_behind(&kept);
                    }
                }
                Ok(true)
            }
            Self::UntilClose { encoded: false } => {
                pipe.body.commit(pipe.body.raw().len());
                Ok(false)
            }
            Self::UntilClose { encoded: true } => {
                encode(pipe);
                Ok(false)
            }
        }
    }

    /// The sender ended its stream; true when that is how this body ends.
    pub(super) fn end_of_stream(&mut self, pipe: &mut Pipe) -> bool {
        match self {
            Self::UntilClose { encoded } => {
                if *encoded {
                    pipe.push_behind(b"0\r\n\r\n");
                }
                true
            }
            Self::Length { .. } | Self::Chunked { .. } => false,
        }
    }
}

/// Follows the chunks; true at the end of the body, trailers collected.
fn scan(
    chunks: &mut Chunks,
    decoded: bool,
    data_bytes: &mut u64,
    trailers: &mut Vec<u8>,
    pipe: &mut Pipe,
) -> Result<bool, BodyError> {
    loop {
        let raw = pipe.body.raw();
        let (count, part) = chunks.next(raw)?;
        match part {
            Part::End => return Ok(true),
            Part::Trailer => {
                trailers.extend_from_slice(&raw[..count]);
                pipe.body.discard(count);
            }
            Part::Data => {
                *data_bytes += count as u64;
                pipe.body.commit(count);
            }
            Part::Framing if !decoded => pipe.body.commit(count),
            Part::Framing | Part::Discard => pipe.body.discard(count),
        }
        if count == 0 {
            return Ok(false);
        }
    }
}

/// Makes one chunk of all raw bytes.
fn encode(pipe: &mut Pipe) {
    pipe.free_sent();
    let (head, raw) = pipe.head_and_raw();
    let count = raw.len();
    if count == 0 {
        return;
    }
    // Writing to a Vec can't fail.
    let _ = write!(head, "{count:x}\r\n");
    if count <= SMALL_CHUNK_BYTES {
        head.extend_from_slice(raw);
        head.extend_from_slice(b"\r\n");
        pipe.body.discard(count);
    } else {
        pipe.body.commit(count);
        pipe.body.append(b"\r\n");
    }
}
