//! Finds where a head ends before anything in it is parsed, so that parsing happens once, over
//! complete heads, however many reads they took.

use super::error::HeadError;
use super::find::find;

/// What every response begins with. A backend that speaks another protocol (TLS, SSH) may never
/// end a line, and closes or waits for more.
const RESPONSE_BEGINS: &[u8] = b"HTTP/";

/// Whether a response may begin with `bytes`, which may be only a few yet.
fn may_begin_response(bytes: &[u8]) -> bool {
    bytes.starts_with(RESPONSE_BEGINS) || RESPONSE_BEGINS.starts_with(bytes)
}

/// Where a complete head is in the bytes received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadEnd {
    /// Bytes before the head to be thrown away: empty lines (RFC 9112 §2.2).
    pub skip: usize,
    /// Offset of the byte after the empty line that ends the head, from the first byte received.
    /// The head is `bytes[skip..end]`.
    pub end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

/// The search for the end of one head. It remembers how far it got: no byte is looked at twice.
#[derive(Debug, Clone)]
pub struct HeadSearch {
    side: Side,
    /// First byte of the head, after the empty lines.
    start: usize,
    /// First byte of the line whose end was not found yet; `start <= line <= searched`.
    line: usize,
    searched: usize,
}

impl HeadSearch {
    /// Searches for a request head; empty lines before it are skipped.
    #[must_use]
    pub fn request() -> HeadSearch {
        HeadSearch { side: Side::Request, start: 0, line: 0, searched: 0 }
    }

    /// Searches for a response head, before which nothing is skipped.
    #[must_use]
    pub fn response() -> HeadSearch {
        HeadSearch { side: Side::Response, ..HeadSearch::request() }
    }

    /// Looks for the end of the head in all `bytes` received so far. It may be at most `limit`
    /// bytes long.
    ///
    /// # Errors
    /// - A line feed without a carriage return, or with two, as soon as it is found, because some
    ///   parsers take a line of only these bytes for empty.
    /// - No end within `limit`: [`HeadError::UriTooLong`] if not even the request line ended, else
    ///   [`HeadError::HeadTooLarge`].
    /// - A response that does not begin with `HTTP/`; this is checked first.
    pub fn find(&mut self, bytes: &[u8], limit: usize) -> Result<Option<HeadEnd>, HeadError> {
        let window = &bytes[..bytes.len().min(limit)];
        if self.side == Side::Response && !may_begin_response(window) {
            return Err(HeadError::BadStatusLine);
        }
        let mut from = self.searched.min(window.len());
        while let Some(feed) = find(b'\n', &window[from..]).map(|index| from + index) {
            from = feed + 1;
            self.searched = from;
            let line_is_empty = match &window[self.line..feed] {
                [b'\r'] => true,
                [.., b'\r', b'\r'] => return Err(HeadError::BareCarriageReturn),
                [.., b'\r'] => false,
                _ => return Err(HeadError::BareLineFeed),
            };
            let line_is_first = self.line == self.start;
            self.line = feed + 1;
            match (line_is_empty, line_is_first) {
                (true, false) => return Ok(Some(HeadEnd { skip: self.start, end: self.line })),
                (true, true) => self.start = self.line,
                (false, _) => {}
            }
        }
        self.searched = window.len();
        if bytes.len() < limit {
            return Ok(None);
        }
        let in_request_line = self.side == Side::Request && self.line == self.start;
        Err(if in_request_line { HeadError::UriTooLong } else { HeadError::HeadTooLarge })
    }

    /// Where the line begins whose end was not found yet.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// How far it got: after the byte at which an error was found, if there was one.
    pub(super) fn searched(&self) -> usize {
        self.searched
    }
}
