//! A body on its way: follows the framing it came in, and says how its bytes leave, framed for the
//! other side.
//!
//! A body of known length passes untouched. A chunked one passes chunk by chunk without its
//! extensions, or loses its framing for a peer that speaks HTTP/1.0. One that ends with the
//! connection gets chunks for a peer that speaks HTTP/1.1, so that its end can be told from a cut.
//!
//! It reads bytes and keeps none but trailers. The caller has the bytes and does with them what
//! each [`BodyStep`] says.

use super::chunks::{Chunks, Part};
use super::error::{FramingError, HeadError};
use super::framing::Framing;
use super::headers::Headers;
use super::rewrite_response::BodyOut;
use super::trailers::rewrite_trailers;

/// What follows the data of each chunk, and its size.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The last chunk, without trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// How a body arrives, how far it has come, and how it leaves.
#[derive(Debug)]
pub enum BodyCodec {
    /// So many bytes are still to come; they leave as they are.
    Length {
        /// At least one, unless the body is empty.
        left: u64,
    },
    /// In chunks.
    Chunked {
        /// What walks over them.
        chunks: Chunks,
        /// How the data leaves.
        leaves: Leaves,
        /// Bytes of the body proper so far.
        data_bytes: u64,
        /// The trailer section so far.
        trailers: Vec<u8>,
    },
    /// Until the sender closes.
    UntilClose {
        /// How the data leaves.
        leaves: Leaves,
    },
}

/// How the data of a body leaves that is not delimited by its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// As it is; the end of the connection delimits it.
    Bare,
    /// In chunks.
    Chunked,
}

/// What becomes of the bytes that were received next.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyStep {
    /// So many of them leave as they are.
    Commit(usize),
    /// So many of them are of no further use.
    Discard(usize),
    /// So many of them leave as one chunk: see [`begin_chunk`] and [`CHUNK_END`].
    Chunk(usize),
    /// Nothing before more of them come.
    More,
    /// They belong to another message: this body is whole. These trailers leave behind it.
    End(Vec<u8>),
}

/// Why a body can't go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// Its framing is broken.
    Framing(FramingError),
    /// Its trailers are.
    Trailers(HeadError),
}

impl From<FramingError> for BodyError {
    fn from(error: FramingError) -> Self {
        Self::Framing(error)
    }
}

/// What trailers are judged by.
#[derive(Debug)]
pub struct TrailerRules<'a> {
    /// Scratch for parsing them.
    pub headers: &'a mut Headers,
    /// The field names that the message's `Connection` field lists.
    pub named: &'a [u8],
}

impl BodyCodec {
    /// Takes a body from one framing to another, with at most `trailer_limit` bytes of trailers;
    /// none if there is no body.
    #[must_use]
    pub fn new(framing: Framing, out: BodyOut, trailer_limit: usize) -> Option<BodyCodec> {
        let leaves = if out == BodyOut::Chunked { Leaves::Chunked } else { Leaves::Bare };
        match framing {
            Framing::None => None,
            Framing::Length(left) => Some(BodyCodec::Length { left }),
            Framing::Chunked => {
                let (chunks, trailers) = (Chunks::new(trailer_limit), Vec::new());
                Some(BodyCodec::Chunked { chunks, leaves, data_bytes: 0, trailers })
            }
            Framing::UntilClose => Some(BodyCodec::UntilClose { leaves }),
        }
    }

    /// Bytes of the body proper that came in chunks.
    #[must_use]
    pub fn chunked_data_bytes(&self) -> u64 {
        match self {
            BodyCodec::Chunked { data_bytes, .. } => *data_bytes,
            BodyCodec::Length { .. } | BodyCodec::UntilClose { .. } => 0,
        }
    }

    /// Whether chunks are made here, each of which must have left before the next is made.
    #[must_use]
    pub fn makes_chunks(&self) -> bool {
        matches!(self, BodyCodec::UntilClose { leaves: Leaves::Chunked })
    }

    /// Says what becomes of the bytes that `raw` begins with, which are those behind what it spoke
    /// of last.
    ///
    /// # Errors
    /// Broken framing, or trailers that are not valid. The codec is useless afterwards.
    pub fn next(
        &mut self,
        raw: &[u8],
        rules: &mut TrailerRules<'_>,
    ) -> Result<BodyStep, BodyError> {
        match self {
            BodyCodec::Length { left: 0 } => Ok(BodyStep::End(Vec::new())),
            BodyCodec::Length { left } => {
                let count = usize::try_from(*left).map_or(raw.len(), |left| left.min(raw.len()));
                *left -= count as u64;
                Ok(if count == 0 { BodyStep::More } else { BodyStep::Commit(count) })
            }
            BodyCodec::Chunked { chunks, leaves, data_bytes, trailers } => {
                let (count, part) = chunks.next(raw)?;
                match part {
                    Part::End => return Ok(BodyStep::End(clean(trailers, *leaves, rules)?)),
                    Part::Data => *data_bytes += count as u64,
                    Part::Trailer => trailers.extend_from_slice(&raw[..count]),
                    Part::Framing | Part::Discard => {}
                }
                Ok(match part {
                    _ if count == 0 => BodyStep::More,
                    Part::Data => BodyStep::Commit(count),
                    Part::Framing if *leaves == Leaves::Chunked => BodyStep::Commit(count),
                    _ => BodyStep::Discard(count),
                })
            }
            BodyCodec::UntilClose { .. } if raw.is_empty() => Ok(BodyStep::More),
            BodyCodec::UntilClose { leaves: Leaves::Bare } => Ok(BodyStep::Commit(raw.len())),
            BodyCodec::UntilClose { leaves: Leaves::Chunked } => Ok(BodyStep::Chunk(raw.len())),
        }
    }

    /// The sender ended its stream. If that is how this body ends, what leaves behind it.
    #[must_use]
    pub fn end_of_stream(&self) -> Option<&'static [u8]> {
        match self {
            BodyCodec::UntilClose { leaves: Leaves::Chunked } => Some(LAST_CHUNK),
            BodyCodec::UntilClose { leaves: Leaves::Bare } => Some(b""),
            BodyCodec::Length { .. } | BodyCodec::Chunked { .. } => None,
        }
    }
}

/// What may be passed on of trailers.
fn clean(
    trailers: &[u8],
    leaves: Leaves,
    rules: &mut TrailerRules<'_>,
) -> Result<Vec<u8>, BodyError> {
    let mut kept = Vec::new();
    if !trailers.is_empty() {
        rewrite_trailers(&mut kept, trailers, rules.headers, rules.named)
            .map_err(BodyError::Trailers)?;
    }
    if leaves == Leaves::Bare {
        kept.clear();
    }
    Ok(kept)
}

/// Writes what stands before the data of a chunk of `bytes` bytes.
pub fn begin_chunk(out: &mut Vec<u8>, bytes: usize) {
    let digits = bytes.checked_ilog(16).unwrap_or(0) + 1;
    out.extend((0..digits).rev().map(|place| b"0123456789abcdef"[bytes >> (4 * place) & 15]));
    out.extend_from_slice(CHUNK_END);
}
