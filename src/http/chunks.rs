//! Walks a chunked body (RFC 9112 §7.1) one part at a time, so that the caller keeps or drops each
//! part in place, and a body of any size passes through a buffer of any size.
//!
//! It never looks ahead: what a byte is depends only on itself and the bytes before it. So the same
//! bytes are kept, however the stream is cut.

use super::error::FramingError;
use super::framing::LONGEST_BODY;

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Chunk sizes and the line ends around them: kept if the body stays chunked.
    Framing,
    /// The body itself: always kept.
    Data,
    /// Chunk extensions and the space before them: always dropped.
    Discard,
    /// A piece of the trailer section, which ends in an empty line: collected for
    /// [`rewrite_trailers`](super::rewrite_trailers).
    Trailer,
    /// No bytes: the body is complete, and what follows belongs to the next message.
    End,
}

/// Longest line of chunk size and extension, in bytes, without its end.
const LONGEST_LINE: u32 = 4096;

/// By how many bytes framing may exceed what its data justifies. Each chunk justifies 16 bytes plus
/// twice its size, which allows streams of one byte per chunk but no attack by extensions.
const LARGEST_EXCESS: u64 = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit of a chunk size.
    SizeStart,
    /// After a digit.
    Size,
    /// After blanks that follow the size: an extension has to come.
    Padding,
    /// After the semicolon that starts the extensions.
    Extension,
    /// After the carriage return of a size line.
    SizeFeed,
    /// `left` bytes of data are to come, at least one.
    Data,
    /// After the data of a chunk.
    DataReturn,
    DataFeed,
    /// After the line of the last chunk: either an empty line or trailers.
    LastLine,
    LastFeed,
    /// In a trailer line.
    Trailer,
    TrailerFeed,
    /// Before a trailer line that is not the first.
    TrailerStart,
    TrailerLastFeed,
    Done,
}

/// The scanner of one chunked body.
#[derive(Debug, Clone)]
pub struct Chunks {
    state: State,
    /// The size read so far, then the bytes of data left in the chunk.
    left: u64,
    /// Length of the size line so far.
    line: u32,
    excess: u64,
    /// Bytes that the trailer section may still take.
    trailer_left: usize,
}

impl Chunks {
    /// Starts at the first byte of a body whose trailer section may have `trailer_limit` bytes.
    #[must_use]
    pub fn new(trailer_limit: usize) -> Chunks {
        Chunks { state: State::SizeStart, left: 0, line: 0, excess: 0, trailer_left: trailer_limit }
    }

    /// Returns how many of the next `bytes` are one part, and which. Parts are as long as `bytes`
    /// allow. Without bytes, before the end, it returns an empty [`Part::Framing`]: more are
    /// needed.
    ///
    /// # Errors
    /// Whatever the grammar does not allow, and sizes, lines or sections above their limits. The
    /// scanner can't be used afterwards.
    pub fn next(&mut self, bytes: &[u8]) -> Result<(usize, Part), FramingError> {
        if self.state == State::Done {
            return Ok((0, Part::End));
        }
        let framing = self.framing(bytes)?;
        if framing > 0 || bytes.is_empty() {
            return Ok((framing, Part::Framing));
        }
        match self.state {
            State::Data => Ok((self.data(bytes), Part::Data)),
            State::Size | State::Padding | State::Extension => {
                Ok((self.extension(bytes)?, Part::Discard))
            }
            _ => Ok((self.trailer(bytes)?, Part::Trailer)),
        }
    }

    /// Takes the bytes that are framing.
    fn framing(&mut self, bytes: &[u8]) -> Result<usize, FramingError> {
        let mut taken = 0;
        for byte in bytes {
            self.state = match (self.state, *byte) {
                (State::SizeStart | State::Size, digit) if digit.is_ascii_hexdigit() => {
                    self.size_digit(digit)?;
                    State::Size
                }
                (State::Size, b' ' | b'\t' | b';') => break,
                (State::Size | State::Extension, b'\r') => State::SizeFeed,
                (State::SizeFeed, b'\n') => self.end_size_line()?,
                (State::DataReturn, b'\r') => State::DataFeed,
                (State::DataFeed, b'\n') => State::SizeStart,
                (State::LastLine, b'\r') => State::LastFeed,
                (State::LastFeed, b'\n') => State::Done,
                (State::SizeStart | State::Size | State::SizeFeed, _) | (State::Padding, b'\r') => {
                    return Err(FramingError::BadChunkSize);
                }
                (State::DataReturn | State::DataFeed | State::LastFeed, _) => {
                    return Err(FramingError::BadChunkEnd);
                }
                _ => break,
            };
            taken += 1;
        }
        Ok(taken)
    }

    fn size_digit(&mut self, digit: u8) -> Result<(), FramingError> {
        let value = u64::from(match digit {
            b'0'..=b'9' => digit - b'0',
            _ => (digit | 0x20) - b'a' + 10,
        });
        if self.left > (LONGEST_BODY - value) >> 4 {
            return Err(FramingError::ChunkTooLarge);
        }
        self.left = self.left << 4 | value;
        self.lengthen_line(1)
    }

    fn lengthen_line(&mut self, bytes: usize) -> Result<(), FramingError> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.line = self.line.saturating_add(bytes);
        if self.line > LONGEST_LINE { Err(FramingError::ChunkLineTooLong) } else { Ok(()) }
    }

    fn end_size_line(&mut self) -> Result<State, FramingError> {
        let two_line_ends = 4;
        let justified = self.left.saturating_mul(2).saturating_add(16);
        self.excess += u64::from(self.line) + two_line_ends;
        self.excess = self.excess.saturating_sub(justified);
        self.line = 0;
        if self.excess > LARGEST_EXCESS {
            return Err(FramingError::ChunkOverhead);
        }
        Ok(if self.left == 0 { State::LastLine } else { State::Data })
    }

    fn data(&mut self, bytes: &[u8]) -> usize {
        let taken = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.left -= taken as u64;
        if self.left == 0 {
            self.state = State::DataReturn;
        }
        taken
    }

    /// Takes what is between the size and the end of its line: blanks, then a semicolon, then any
    /// text. Extensions are not interpreted; they must only contain nothing like a line end.
    fn extension(&mut self, bytes: &[u8]) -> Result<usize, FramingError> {
        let text = &bytes[..memchr::memchr(b'\r', bytes).unwrap_or(bytes.len())];
        for byte in text {
            self.state = match (self.state, *byte) {
                (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => State::Extension,
                (State::Extension, _) => return Err(FramingError::BadChunkExtension),
                (_, b';') => State::Extension,
                (_, b' ' | b'\t') => State::Padding,
                (_, _) => return Err(FramingError::BadChunkSize),
            };
        }
        self.lengthen_line(text.len())?;
        Ok(text.len())
    }

    /// Takes the trailer section up to its empty line. Its fields are parsed when it is complete;
    /// here only its line ends are checked.
    fn trailer(&mut self, bytes: &[u8]) -> Result<usize, FramingError> {
        for (index, byte) in bytes.iter().enumerate() {
            if self.trailer_left == 0 {
                return Err(FramingError::TrailerTooLarge);
            }
            self.trailer_left -= 1;
            self.state = match (self.state, *byte) {
                (State::TrailerStart, b'\r') => State::TrailerLastFeed,
                (State::Trailer, b'\r') => State::TrailerFeed,
                (State::TrailerFeed, b'\n') => State::TrailerStart,
                (State::TrailerLastFeed, b'\n') => {
                    self.state = State::Done;
                    return Ok(index + 1);
                }
                (State::TrailerFeed | State::TrailerLastFeed, _) | (_, b'\n') => {
                    return Err(FramingError::BadTrailer);
                }
                _ => State::Trailer,
            };
        }
        Ok(bytes.len())
    }
}

#[cfg(test)]
mod tests;
