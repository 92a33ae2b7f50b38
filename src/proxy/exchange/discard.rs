//! The answer to an attempt that was cancelled: it is read and dropped, so that the connection can
//! be used again.

use std::time::Duration;

use super::response::{MAX_INTERIM, longest_idle};
use crate::buffer::{Buffer, FreeList};
use crate::http::{
    Asked, BodyCodec, BodyOut, BodyStep, HeadSearch, Headers, Method, TrailerRules, Version,
    parse_response,
};
use crate::proxy::settings::Settings;

/// Most bytes of an answer that are dropped. To connect anew costs less than to read more.
pub const DISCARD_BYTES: usize = 64 * 1024;

/// How long its end is waited for.
pub const DISCARD_TIME: Duration = Duration::from_secs(1);

/// An answer that is dropped.
#[derive(Debug)]
pub struct Discard {
    method: Method,
    part: Part,
    buffer: Buffer,
    left_bytes: usize,
}

#[derive(Debug)]
enum Part {
    /// Its head is awaited, behind so many interim ones.
    Head { search: HeadSearch, interim: u32 },
    /// Its body, behind which the connection may rest for so long.
    Body { codec: BodyCodec, idle: Duration },
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Discarded {
    /// More is to come.
    More,
    /// All of it; the connection may rest for so long.
    Whole {
        /// Not zero.
        idle: Duration,
    },
    /// The connection can't be used again, or not soon enough.
    Unusable,
}

impl Discard {
    /// Of the answer to a request by this method, of which nothing has come.
    #[must_use]
    pub fn new(method: Method) -> Self {
        let part = Part::Head { search: HeadSearch::response(), interim: 0 };
        Self { method, part, buffer: Buffer::default(), left_bytes: DISCARD_BYTES }
    }

    /// Where bytes may be received; never empty.
    pub fn space(&mut self, free: &mut FreeList) -> &mut [u8] {
        self.buffer.space(free)
    }

    /// So many bytes were received into [`Discard::space`].
    pub fn received(
        &mut self,
        count: usize,
        settings: &Settings,
        headers: &mut Headers,
    ) -> Discarded {
        self.buffer.filled(count);
        let Some(left_bytes) = self.left_bytes.checked_sub(count) else {
            return Discarded::Unusable;
        };
        self.left_bytes = left_bytes;
        self.advance(settings, headers).unwrap_or(Discarded::Unusable)
    }

    /// Gives back its block, if that holds nothing or it is over.
    pub fn release_block(&mut self, is_over: bool, free: &mut FreeList) {
        if is_over {
            self.buffer.clear();
        }
        self.buffer.release_block(free);
    }

    /// Drops what it can; none if the connection can't be used again.
    fn advance(&mut self, settings: &Settings, headers: &mut Headers) -> Option<Discarded> {
        while let Part::Head { search, interim } = &mut self.part {
            let raw = self.buffer.raw();
            let Some(found) = search.find(raw, settings.limits.head_bytes).ok()? else {
                return Some(Discarded::More);
            };
            let asked = Asked { method: self.method, protocols: b"" };
            let response = parse_response(&raw[..found.end], headers, asked).ok()?;
            if response.status == 101 || *interim >= MAX_INTERIM {
                return None;
            }
            self.part = if response.status < 200 {
                Part::Head { search: HeadSearch::response(), interim: *interim + 1 }
            } else {
                let idle = longest_idle(response.idle_seconds, settings.timeouts.upstream_idle);
                let body = BodyOut::new(response.framing, Version::Http11);
                let is_usable = response.keep_alive && !idle.is_zero();
                if !is_usable || body == BodyOut::UntilClose {
                    return None;
                }
                let limit = settings.limits.head_bytes;
                let Some(codec) = BodyCodec::new(response.framing, body, limit) else {
                    self.buffer.discard(found.end);
                    return self.end(idle);
                };
                Part::Body { codec, idle }
            };
            self.buffer.discard(found.end);
        }
        let Part::Body { codec, idle } = &mut self.part else { return None };
        let idle = *idle;
        loop {
            let mut rules = TrailerRules { headers, named: b"" };
            match codec.next(self.buffer.raw(), &mut rules).ok()? {
                BodyStep::Commit(count) | BodyStep::Discard(count) | BodyStep::Chunk(count) => {
                    self.buffer.discard(count);
                }
                BodyStep::More => return Some(Discarded::More),
                BodyStep::End(_) => return self.end(idle),
            }
        }
    }

    /// Bytes behind the end belong to nobody, so nothing else may come over that connection.
    fn end(&self, idle: Duration) -> Option<Discarded> {
        (self.buffer.raw_len() == 0).then_some(Discarded::Whole { idle })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::BLOCK_BYTES;

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

    /// What comes of these bytes, in pieces of so many; nothing may come behind the end.
    fn discarded(method: Method, bytes: &[u8], piece: usize) -> Discarded {
        let (settings, mut free) = (Settings::default(), FreeList::default());
        let mut headers = Headers::new(settings.limits.headers);
        let mut discard = Discard::new(method);
        let mut rest = bytes;
        let mut progress = Discarded::More;
        while progress == Discarded::More && !rest.is_empty() {
            let space = discard.space(&mut free);
            assert!(!space.is_empty());
            let count = piece.min(rest.len()).min(space.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            progress = discard.received(count, &settings, &mut headers);
            discard.release_block(progress != Discarded::More, &mut free);
            assert!(progress == Discarded::More || discard.buffer.held_bytes() == 0);
        }
        assert!(rest.is_empty() || progress == Discarded::Unusable, "{progress:?}");
        progress
    }

    /// The same in all pieces.
    fn all(method: Method, answer: &str) -> Discarded {
        let whole = discarded(method, answer.as_bytes(), usize::MAX);
        for piece in [1, 2, 7, 64] {
            assert_eq!(discarded(method, answer.as_bytes(), piece), whole, "{piece}: {answer}");
        }
        whole
    }

    #[test]
    fn an_answer_that_ends_leaves_a_connection_that_may_rest() {
        let idle = Settings::default().timeouts.upstream_idle;
        let early = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(3) + OK;
        for answer in [
            OK,
            &early,
            "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
        ] {
            assert_eq!(all(Method::Get, answer), Discarded::Whole { idle }, "{answer}");
            let cut = &answer[..answer.len() - 1];
            assert_eq!(all(Method::Get, cut), Discarded::More, "{cut}");
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(all(Method::Head, head), Discarded::Whole { idle });
        let announced = "HTTP/1.1 204 No\r\nKeep-Alive: timeout=5\r\n\r\n";
        let idle = Duration::from_millis(4500);
        assert_eq!(all(Method::Get, announced), Discarded::Whole { idle });
    }

    #[test]
    fn what_leaves_no_usable_connection_is_read_no_further() {
        let surplus = OK.to_owned() + "x";
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
            "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n",
            "junk\r\n\r\n",
            &"HTTP/1.1 102 Processing\r\n\r\n".repeat(101),
        ] {
            assert_eq!(all(Method::Get, answer), Discarded::Unusable, "{answer}");
        }
        assert_eq!(discarded(Method::Get, surplus.as_bytes(), usize::MAX), Discarded::Unusable);
    }

    #[test]
    fn no_more_than_a_block_is_read() {
        let answer = |length: usize| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length:06}\r\n\r\n");
            head.into_bytes().into_iter().chain(vec![b'x'; length]).collect::<Vec<_>>()
        };
        let most = DISCARD_BYTES - (answer(0).len());
        for piece in [1000, BLOCK_BYTES] {
            let whole = discarded(Method::Get, &answer(most), piece);
            assert!(matches!(whole, Discarded::Whole { .. }), "{whole:?}");
            assert_eq!(discarded(Method::Get, &answer(most + 1), piece), Discarded::Unusable);
        }
    }
}
