//! One client's connection: moves bytes between its socket and its conversation.

use std::io;

use tidegate::reactor::{Received, Stream};

use super::conversation::{Conversation, Ending};
use super::request::Asked;
use crate::fleet;

/// System calls made for one client before the next client is served.
const STEPS_PER_TURN: usize = 16;

#[derive(Debug)]
pub(super) struct Client {
    /// The index of the backend that it is connected to.
    pub(super) backend: usize,
    pub(super) stream: Stream,
    pub(super) conversation: Conversation,
    pub(super) stage: Stage,
    /// The seed that its last request named.
    pub(super) seed: Option<u64>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its next request.
    Open,
    /// The backend, which has this request.
    Working(fleet::Key),
    /// The client's end of the connection, after ours.
    Lingering,
}

/// The result of serving one client for a while.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// There is nothing to do before the next event or timer.
    Waits,
    /// A request is complete.
    Asked(Asked),
    /// There is more to do now.
    Unfinished,
    /// The connection is to be closed.
    Over,
}

impl Client {
    pub(super) fn new(backend: usize, stream: Stream) -> Self {
        Self { backend, stream, conversation: Conversation::new(), stage: Stage::Open, seed: None }
    }

    /// Does what can be done now, one system call per step. What is read is in `buffer` meanwhile.
    pub(super) fn advance(&mut self, buffer: &mut [u8]) -> io::Result<Turn> {
        if self.stream.failed() {
            return Ok(Turn::Over);
        }
        for _ in 0..STEPS_PER_TURN {
            // Answers to a pipeline that can be given at once are sent together.
            if let Some(asked) = self.conversation.asked().filter(|_| self.stage == Stage::Open) {
                return Ok(Turn::Asked(asked));
            }
            let pending = self.conversation.pending();
            let is_pending = pending.iter().any(|part| !part.is_empty());
            if is_pending && self.stream.can_write() {
                if let Some(count) = self.stream.write(pending)? {
                    self.conversation.sent(count);
                }
            } else if let Some(ending) = self.conversation.ending().filter(|_| !is_pending) {
                if self.close(ending, buffer)? {
                    return Ok(Turn::Over);
                }
                if !self.stream.can_read() {
                    return Ok(Turn::Waits);
                }
            } else if self.conversation.wants_bytes() && self.stream.can_read() {
                match self.stream.read(buffer)? {
                    Received::Bytes(count) => self.conversation.receive(&buffer[..count]),
                    Received::Nothing => {}
                    Received::End => self.conversation.end(),
                }
            } else {
                return Ok(Turn::Waits);
            }
        }
        Ok(Turn::Unfinished)
    }

    /// Closes a connection that is over; whether that is done. A lingering one drops what the
    /// client still sends, until the client closes or time is up.
    fn close(&mut self, ending: Ending, buffer: &mut [u8]) -> io::Result<bool> {
        if ending == Ending::Plain {
            return Ok(true);
        }
        if self.stage != Stage::Lingering {
            self.stage = Stage::Lingering;
            self.stream.finish()?;
        }
        Ok(self.stream.can_read() && self.stream.read(buffer)? == Received::End)
    }
}
