//! A request head that is being received: parsed once when it is complete, and refused as soon as
//! no further bytes could make it valid.
//!
//! A client that speaks another protocol (TLS, SSH, HTTP/0.9) would otherwise wait for an answer
//! until a timeout. The error is always that of the first fault in the bytes, so that it does not
//! depend on how they were cut.

use super::error::HeadError;
use super::head::HeadSearch;
use super::headers::{Headers, judge_line};
use super::list::is_token;
use super::request::{RequestHead, RequestLine, parse_request};

/// Empty lines that may precede a request. Some old clients send one (RFC 9112 §2.2); many keep a
/// connection busy without a request.
pub const MAX_EMPTY_LINES: usize = 64;

/// One request head, as far as it was received. No byte is checked twice.
#[derive(Debug, Clone)]
pub struct ArrivingHead {
    search: HeadSearch,
    empty_lines: usize,
    /// Where the first line begins that was not checked yet.
    judged: usize,
    /// How many bytes of the method were checked.
    of_method: usize,
    /// Field lines checked.
    fields: usize,
    /// Bytes up to the end of what it was refused for.
    refused: Option<usize>,
}

impl Default for ArrivingHead {
    fn default() -> Self {
        let search = HeadSearch::request();
        Self { search, empty_lines: 0, judged: 0, of_method: 0, fields: 0, refused: None }
    }
}

impl ArrivingHead {
    /// The length of the empty lines that `bytes` begin with. They are no part of a request; the
    /// caller drops them before [`ArrivingHead::parse`].
    ///
    /// # Errors
    /// [`HeadError::TooManyEmptyLines`] for more than [`MAX_EMPTY_LINES`] in all.
    pub fn skip_empty_lines(&mut self, bytes: &[u8]) -> Result<usize, HeadError> {
        let lines = bytes.chunks_exact(2).take_while(|line| *line == b"\r\n").count();
        self.empty_lines += lines;
        if self.empty_lines > MAX_EMPTY_LINES {
            self.refused = Some(0);
            return Err(HeadError::TooManyEmptyLines);
        }
        Ok(2 * lines)
    }

    /// Whether a request begins with `bytes`; the first half of an empty line does not tell.
    #[must_use]
    pub fn is_begun(bytes: &[u8]) -> bool {
        !matches!(bytes, [] | [b'\r'])
    }

    /// Whether nothing was received yet, not even an empty line.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.empty_lines == 0
    }

    /// Parses the head that `bytes` begin with, if it is complete, and returns where it ends. It
    /// may be at most `limit` bytes long.
    ///
    /// # Errors
    /// Those of [`HeadSearch::find`] and of [`parse_request`], as soon as they are certain.
    pub fn parse(
        &mut self,
        bytes: &[u8],
        limit: usize,
        headers: &mut Headers,
    ) -> Result<Option<(usize, RequestHead)>, HeadError> {
        match self.search.find(bytes, limit) {
            Ok(Some(found)) => match parse_request(&bytes[..found.end], headers) {
                Ok(request) => Ok(Some((found.end, request))),
                Err(error) => {
                    let lines = found.end - b"\r\n".len();
                    Err(self.refuse(&bytes[..lines], lines, found.end, error, headers))
                }
            },
            Ok(None) => self.judge(bytes, self.search.line(), headers).map(|()| None),
            Err(error) => {
                let (end, lines) = (self.search.searched(), self.search.line());
                let is_too_long = matches!(error, HeadError::UriTooLong | HeadError::HeadTooLarge);
                let before = if is_too_long { end } else { end - 1 };
                Err(self.refuse(&bytes[..before], lines, end, error, headers))
            }
        }
    }

    /// The part of `bytes` that belongs to this head; of a refused one, up to the fault.
    #[must_use]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.refused.and_then(|end| bytes.get(..end)).unwrap_or(bytes)
    }

    /// Refuses it for `error`, which is certain at the byte before `end`, unless there is another
    /// fault before that.
    fn refuse(
        &mut self,
        before: &[u8],
        lines_end: usize,
        end: usize,
        error: HeadError,
        headers: &Headers,
    ) -> HeadError {
        if let Err(earlier) = self.judge(before, lines_end, headers) {
            return earlier;
        }
        self.refused = Some(end);
        error
    }

    /// Checks what was not checked yet: the method, and complete lines up to `lines_end`.
    fn judge(
        &mut self,
        bytes: &[u8],
        lines_end: usize,
        headers: &Headers,
    ) -> Result<(), HeadError> {
        self.judge_method(bytes)?;
        while self.judged < lines_end {
            let rest = &bytes[self.judged..lines_end];
            let Some(feed) = memchr::memchr(b'\n', rest) else { break };
            let verdict = if self.judged == 0 {
                RequestLine::parse(rest).map(drop)
            } else {
                self.fields += 1;
                judge_line(&rest[..=feed]).and_then(|()| {
                    let is_one_more = self.fields > headers.limit();
                    if is_one_more { Err(HeadError::TooManyHeaders) } else { Ok(()) }
                })
            };
            self.judged += feed + 1;
            if verdict.is_err() {
                self.refused = Some(self.judged);
                return verdict;
            }
        }
        Ok(())
    }

    /// The first word shows that a client speaks no HTTP, long before the end of a line.
    fn judge_method(&mut self, bytes: &[u8]) -> Result<(), HeadError> {
        while let Some(byte) = bytes.get(self.of_method)
            && !(*byte == b' ' && self.of_method > 0)
        {
            self.of_method += 1;
            if !is_token(&[*byte]) {
                self.refused = Some(self.of_method);
                return Err(HeadError::BadRequestLine);
            }
        }
        Ok(())
    }
}
