//! The body of a message that is read as it arrives, and is not kept.

use super::chunked::{Decoder, Part};
use super::{Framing, Head, Length, fields};

/// What is still to come of a body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks, up to the last one and its trailers.
    Chunked(Decoder),
    /// All that comes before the connection ends.
    UntilClose,
}

impl Body {
    /// A body without a byte.
    pub const NONE: Self = Self::Length(0);

    /// The body of the request with this head (RFC 9112 §6.3).
    ///
    /// # Errors
    /// The head does not say where its body ends.
    pub fn of_request(head: &Head) -> Result<Self, String> {
        Self::framed(&head.framing()?, Self::NONE)
    }

    /// The body of the response with this head, to a request by `method`.
    ///
    /// # Errors
    /// As [`Body::of_request`], or the status is none.
    pub fn of_response(head: &Head, method: &str) -> Result<Self, String> {
        let ((_, status), framing) = (head.status_line()?, head.framing()?);
        if matches!(status, 100..200 | 204) && framing.is_given() {
            return Err(format!("a {status} with Content-Length or Transfer-Encoding"));
        }
        match status {
            100..200 | 204 | 304 => Ok(Self::NONE),
            _ if method == "HEAD" => Ok(Self::NONE),
            _ => Self::framed(&framing, Self::UntilClose),
        }
    }

    fn framed(framing: &Framing, otherwise: Self) -> Result<Self, String> {
        match (framing.length, framing.codings.as_slice()) {
            (Length::Absent, []) => Ok(otherwise),
            (Length::Is(length), []) => Ok(Self::Length(length)),
            (_, [coding]) if coding == b"chunked" => Ok(Self::Chunked(Decoder::default())),
            _ => Err("framed by another coding than chunked".to_owned()),
        }
    }

    /// Whether all of it has been read. Of one that ends with the connection that is never known.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Decoder::End))
    }

    /// Reads on in `bytes`: how many of them are used up, and the data among them. None are used up
    /// if more are needed, or if the body is over.
    ///
    /// # Errors
    /// There is a fault in the framing.
    pub fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, &'a [u8]), String> {
        match self {
            Self::Length(left) => {
                let count =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= count as u64;
                Ok((count, &bytes[..count]))
            }
            Self::Chunked(decoder) => {
                let (used, part) = decoder.read(bytes)?;
                match part {
                    Part::Data(data) => Ok((used, data)),
                    Part::Framing => Ok((used, &[])),
                    Part::Trailer(line) => {
                        let mut faults = Vec::new();
                        fields(&[line], &mut faults);
                        faults.pop().map_or(Ok((used, &[][..])), Err)
                    }
                }
            }
            Self::UntilClose => Ok((bytes.len(), bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked() -> Body {
        Body::Chunked(Decoder::default())
    }

    /// Reads `bytes` when those up to `cut` are there, and then when all are: how many belong to
    /// the body, and whether it is over.
    fn read(mut body: Body, bytes: &[u8], cut: usize) -> Result<(usize, bool), String> {
        let mut at = 0;
        for end in [cut, bytes.len()] {
            loop {
                let (used, data) = body.read(&bytes[at..end])?;
                assert!(data.is_empty() || data.len() == used);
                at += used;
                if used == 0 {
                    break;
                }
            }
        }
        Ok((at, body.is_over()))
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
                assert_eq!(read(body.clone(), &with_more, cut), Ok((bytes.len(), true)));
            }
            for end in 0..bytes.len() {
                let (used, is_over) = read(body.clone(), &bytes[..end], end / 2).expect("no fault");
                assert!(used <= end && !is_over);
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
                assert!(read(chunked(), bytes, cut).is_err(), "{bytes:?}");
            }
        }
        let largest = read(chunked(), b"ffffffffffffffff\r\nabc", 4);
        assert_eq!(largest, Ok((21, false)), "the largest size there is");
    }
}
