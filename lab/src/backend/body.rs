//! Finding the end of a request's body without keeping any of it.

/// The body breaks its framing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is still to come of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks, until the last one and its trailers.
    Chunked(Chunked),
}

/// The next byte that the chunked coding (RFC 9112 §7.1) expects. Sizes are those of the chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Chunked {
    /// The first digit of a size.
    #[default]
    Start,
    /// A further digit, an extension or the end of the line.
    Size(u64),
    /// More of an extension, which is ignored.
    Extension(u64),
    /// The LF that ends the line of the size.
    SizeEnd(u64),
    /// So many bytes of data.
    Data(u64),
    /// The CR after data.
    DataEnd,
    /// The LF after it.
    ChunkEnd,
    /// The first byte of a trailer line or of the empty line.
    TrailerStart,
    /// More of a trailer line, which is ignored.
    Trailer,
    /// The LF that ends a trailer line.
    TrailerEnd,
    /// The LF that ends the body.
    LastEnd,
    /// Nothing.
    Over,
}

impl Body {
    /// Takes the bytes at the start of `bytes` that belong to the body and returns how many.
    pub(super) fn consume(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self {
            Self::Length(left) => Ok(take(left, bytes)),
            Self::Chunked(chunked) => chunked.consume(bytes),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked::Over))
    }
}

impl Chunked {
    fn consume(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut used = 0;
        while let Some(byte) = bytes.get(used) {
            match self {
                Self::Over => break,
                Self::Data(left) => {
                    used += take(left, &bytes[used..]);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                }
                _ => {
                    *self = self.step(*byte)?;
                    used += 1;
                }
            }
        }
        Ok(used)
    }

    fn step(&self, byte: u8) -> Result<Self, Malformed> {
        Ok(match (self, byte) {
            (Self::Start, digit) => Self::Size(hex(digit)?),
            (Self::Size(size) | Self::Extension(size), b'\r') => Self::SizeEnd(*size),
            (Self::Size(size), b';') => Self::Extension(*size),
            (Self::Size(size), digit) => {
                Self::Size(size.checked_mul(16).ok_or(Malformed)? + hex(digit)?)
            }
            (Self::SizeEnd(0) | Self::TrailerEnd, b'\n') => Self::TrailerStart,
            (Self::SizeEnd(size), b'\n') => Self::Data(*size),
            (Self::DataEnd, b'\r') => Self::ChunkEnd,
            (Self::ChunkEnd, b'\n') => Self::Start,
            (Self::TrailerStart, b'\r') => Self::LastEnd,
            (Self::Trailer, b'\r') => Self::TrailerEnd,
            (Self::LastEnd, b'\n') => Self::Over,
            (Self::Extension(size), byte) if byte != b'\n' => Self::Extension(*size),
            (Self::TrailerStart | Self::Trailer, byte) if byte != b'\n' => Self::Trailer,
            _ => return Err(Malformed),
        })
    }
}

fn take(left: &mut u64, bytes: &[u8]) -> usize {
    let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= taken as u64;
    taken
}

fn hex(digit: u8) -> Result<u64, Malformed> {
    char::from(digit).to_digit(16).map(u64::from).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked() -> Body {
        Body::Chunked(Chunked::default())
    }

    /// Feeds `bytes` cut at `cut`; returns how many belonged to the body and whether it is over.
    fn feed(mut body: Body, bytes: &[u8], cut: usize) -> Result<(usize, bool), Malformed> {
        let (first, second) = bytes.split_at(cut);
        let mut used = body.consume(first)?;
        if used == first.len() {
            used += body.consume(second)?;
        }
        Ok((used, body.is_over()))
    }

    #[test]
    fn the_end_is_found_at_every_split_and_what_follows_is_left() {
        for (body, bytes) in [
            (Body::Length(0), &b""[..]),
            (Body::Length(5), b"12345"),
            (chunked(), b"0\r\n\r\n"),
            (chunked(), b"5\r\nhello\r\n00A\r\n0123456789\r\n000\r\n\r\n"),
            (chunked(), b"3;a=b;c=\"d\"\r\nabc\r\n0;x\r\nSum: 1\r\nMore: 2\r\n\r\n"),
            (chunked(), b"2\r\n\r\n\r\n0\r\n\r\n"),
        ] {
            let with_more = [bytes, b"GET / HTTP/1.1\r\n"].concat();
            for cut in 0..=with_more.len() {
                assert_eq!(feed(body.clone(), &with_more, cut), Ok((bytes.len(), true)));
            }
            for end in 0..bytes.len() {
                assert_eq!(feed(body.clone(), &bytes[..end], end / 2), Ok((end, false)));
            }
        }
    }

    #[test]
    fn broken_chunks_are_refused_at_every_split() {
        for bytes in [
            &b"\r\n"[..],
            b";x\r\n",
            b"g\r\n",
            b" 5\r\n",
            b"5 \r\n",
            b"0x5\r\n",
            b"-1\r\n",
            b"5\nhello",
            b"5;x\nhello",
            b"5\rhello",
            b"5\r\nhelloX",
            b"5\r\nhello\n",
            b"5\r\nhello\rX",
            b"10000000000000000\r\n",
            b"0\r\n\n",
            b"0\r\nSum: 1\n",
            b"0\r\nSum: 1\rX",
            b"0\r\n\rX",
        ] {
            for cut in 0..=bytes.len() {
                assert_eq!(feed(chunked(), bytes, cut), Err(Malformed), "{bytes:?}");
            }
        }
        let largest = feed(chunked(), b"ffffffffffffffff\r\nabc", 4);
        assert_eq!(largest, Ok((21, false)), "the largest size there is");
    }
}
