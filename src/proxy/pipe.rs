//! One direction of an exchange: the rewritten head, the body behind it, and what follows the body.
//!
//! It knows in which order bytes leave, and which of them could be sent once more. It does not know
//! what they mean: that is the business of `http`, whose codecs say what becomes of received bytes.

use crate::buffer::Buffer;
use crate::http::{BodyCodec, BodyError, BodyStep, CHUNK_END, TrailerRules, begin_chunk};

/// A body of up to this many bytes joins the head, so that both leave in one `write`. Beyond it
/// `writev` is cheaper than the copy.
const COALESCE_BYTES: usize = 4096;

/// How far a receiver has come in what a pipe keeps for it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Cursor {
    /// Bytes of the head that were sent.
    of_head: usize,
}

/// Bytes on their way from one side to the other, sent in the order head, body, tail. The head is
/// kept after it was sent, so it can be sent again, and to several receivers at once; the body goes
/// as it is sent.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    head: Vec<u8>,
    /// The body's bytes, worked on in place.
    pub(super) body: Buffer,
    tail: Vec<u8>,
    /// Bytes sent that are no longer here.
    gone: u64,
}

impl Pipe {
    /// The head, to be written to. Whatever is put there leaves before the body.
    pub(super) fn head(&mut self) -> &mut Vec<u8> {
        &mut self.head
    }

    /// The head to write to, beside the received bytes it is made from.
    pub(super) fn head_and_raw(&mut self) -> (&mut Vec<u8>, &[u8]) {
        (&mut self.head, self.body.raw())
    }

    /// Puts bytes behind everything that is ready.
    pub(super) fn push_behind(&mut self, bytes: &[u8]) {
        if !self.body.has_ready() && self.tail.is_empty() {
            self.head.extend_from_slice(bytes);
        } else {
            self.tail.extend_from_slice(bytes);
        }
    }

    /// Does with the received bytes what `codec` says; true when the body has been seen whole.
    /// Bytes behind its end stay raw.
    pub(super) fn advance(
        &mut self,
        codec: &mut BodyCodec,
        rules: &mut TrailerRules<'_>,
    ) -> Result<bool, BodyError> {
        loop {
            match codec.next(self.body.raw(), rules)? {
                BodyStep::Commit(count) => self.body.commit(count),
                BodyStep::Discard(count) => self.body.discard(count),
                BodyStep::Chunk(count) => self.chunk(count),
                BodyStep::More => return Ok(false),
                BodyStep::End(trailers) => {
                    self.push_behind(&trailers);
                    return Ok(true);
                }
            }
        }
    }

    /// Makes one chunk of the next `count` raw bytes, which are all there are.
    fn chunk(&mut self, count: usize) {
        begin_chunk(&mut self.head, count);
        if count <= COALESCE_BYTES {
            self.head.extend_from_slice(&self.body.raw()[..count]);
            self.head.extend_from_slice(CHUNK_END);
            self.body.discard(count);
        } else {
            self.body.commit(count);
            self.body.append(CHUNK_END);
        }
    }

    /// Lets a small ready body join the head, or a larger one when `replay` asks for all of it, so
    /// that the whole message can be sent again.
    pub(super) fn coalesce(&mut self, replay: bool) {
        let ready = self.body.ready();
        if !ready.is_empty() && (replay || ready.len() <= COALESCE_BYTES) && self.tail.is_empty() {
            self.head.extend_from_slice(ready);
            let count = ready.len();
            self.body.sent(count);
        }
    }

    /// What should be sent next to a receiver, as at most two runs.
    pub(super) fn pending(&self, to: Cursor) -> [&[u8]; 2] {
        [&self.head[to.of_head..], self.body.ready()]
    }

    /// How much of the head is still to be sent to a receiver.
    pub(super) fn pending_head(&self, to: Cursor) -> usize {
        self.head.len() - to.of_head
    }

    /// Whether what is pending is all there is, with nothing to follow it.
    pub(super) fn is_all_pending(&self) -> bool {
        self.tail.is_empty()
    }

    /// Whether there is nothing to send to a receiver.
    pub(super) fn is_drained(&self, to: Cursor) -> bool {
        to.of_head == self.head.len() && !self.body.has_ready()
    }

    /// The first `count` pending bytes were sent to a receiver.
    pub(super) fn sent(&mut self, to: &mut Cursor, count: usize) {
        let of_head = count.min(self.head.len() - to.of_head);
        to.of_head += of_head;
        self.body.sent(count - of_head);
        self.gone += (count - of_head) as u64;
        if self.is_drained(*to) && !self.tail.is_empty() {
            self.free_sent(to);
            self.head.append(&mut self.tail);
        }
    }

    /// Whether not one byte of what was put here was sent to a receiver yet.
    pub(super) fn is_untouched(&self, by: Cursor) -> bool {
        by.of_head == 0 && self.gone == 0
    }

    /// Whether all that was sent is still here, so that it can be sent again.
    pub(super) fn can_rewind(&self) -> bool {
        self.gone == 0
    }

    /// Whether all there is is kept, so that several receivers can have it at once.
    pub(super) fn is_kept(&self) -> bool {
        self.gone == 0 && !self.body.has_ready() && self.tail.is_empty()
    }

    /// Frees the part of the head that was sent to the only receiver, which can't be sent again
    /// then.
    pub(super) fn free_sent(&mut self, to: &mut Cursor) {
        self.head.drain(..to.of_head);
        self.gone += to.of_head as u64;
        to.of_head = 0;
    }

    /// Forgets that anything was sent; what is pending, and raw bytes, stay.
    pub(super) fn forget_sent(&mut self, to: &mut Cursor) {
        self.free_sent(to);
        self.gone = 0;
    }

    /// Forgets all that was ready to be sent; raw bytes stay. Receivers begin at the first byte
    /// again.
    pub(super) fn discard_ready(&mut self) {
        self.head.clear();
        self.tail.clear();
        self.gone = 0;
        let ready = self.body.ready().len();
        self.body.sent(ready);
    }

    /// Forgets everything, and gives back memory that only an unusual message needed.
    pub(super) fn clear(&mut self) {
        self.discard_ready();
        self.head.shrink_to(COALESCE_BYTES);
        self.tail.shrink_to(COALESCE_BYTES);
        self.body.clear();
    }

    /// Bytes of memory in use; the body's block counts whole.
    pub(super) fn held_bytes(&self) -> usize {
        self.head.len() + self.tail.len() + self.body.held_bytes()
    }

    /// What must hold of it and of each of its receivers.
    pub(super) fn check(&self, receivers: impl Iterator<Item = Cursor>) {
        self.body.check();
        let mut count = 0;
        for receiver in receivers {
            assert!(receiver.of_head <= self.head.len(), "more is sent than there was");
            count += 1;
        }
        assert!(count < 2 || self.is_kept(), "several receivers of what is not kept");
        assert!(self.tail.is_empty() || !self.body.ready().is_empty(), "a tail that leads");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::FreeList;

    fn pipe(head: &[u8], body: &[u8]) -> Pipe {
        let mut pipe = Pipe::default();
        pipe.head().extend_from_slice(head);
        pipe.body.space(&mut FreeList::default())[..body.len()].copy_from_slice(body);
        pipe.body.filled(body.len());
        pipe.body.commit(body.len());
        pipe
    }

    /// Sends everything in steps of `step` bytes.
    fn send(pipe: &mut Pipe, to: &mut Cursor, step: usize) -> Vec<u8> {
        let mut sent = Vec::new();
        while !pipe.is_drained(*to) {
            let pending = pipe.pending(*to).concat();
            let count = pending.len().min(step);
            sent.extend_from_slice(&pending[..count]);
            pipe.sent(to, count);
            pipe.check([*to].into_iter());
        }
        sent
    }

    #[test]
    fn head_body_and_tail_leave_in_order_however_they_are_cut() {
        for step in 1..20 {
            let mut pipe = pipe(b"head", b"body");
            assert!(pipe.is_all_pending());
            pipe.push_behind(b"tail");
            assert!(!pipe.is_all_pending());
            assert_eq!(send(&mut pipe, &mut Cursor::default(), step), b"headbodytail");
        }
    }

    #[test]
    fn a_small_body_joins_the_head_and_can_be_sent_again() {
        let mut pipe = pipe(b"head", b"body");
        pipe.coalesce(false);
        let mut to = Cursor::default();
        assert_eq!(pipe.pending(to), [&b"headbody"[..], b""]);
        assert_eq!(send(&mut pipe, &mut to, 3), b"headbody");
        assert!(pipe.can_rewind());
        assert_eq!(send(&mut pipe, &mut Cursor::default(), 100), b"headbody");
    }

    #[test]
    fn several_receivers_have_all_that_is_kept_each_at_its_own_pace() {
        let mut pipe = pipe(b"head", b"body");
        assert!(!pipe.is_kept());
        pipe.coalesce(true);
        assert!(pipe.is_kept());
        let (mut first, mut second) = (Cursor::default(), Cursor::default());
        pipe.sent(&mut first, 6);
        assert_eq!(pipe.pending(second)[0], b"headbody");
        pipe.sent(&mut second, 8);
        pipe.check([first, second].into_iter());
        assert!(pipe.is_drained(second) && !pipe.is_drained(first) && pipe.is_kept());
        assert_eq!(pipe.pending(first)[0], b"dy");
    }

    #[test]
    fn a_large_body_joins_the_head_only_to_be_replayed() {
        let body = [b'x'; COALESCE_BYTES + 1];
        let mut streamed = pipe(b"head", &body);
        streamed.coalesce(false);
        assert_eq!(streamed.pending(Cursor::default())[0], b"head");
        send(&mut streamed, &mut Cursor::default(), 1000);
        assert!(!streamed.can_rewind());
        let mut replayed = pipe(b"head", &body);
        replayed.coalesce(true);
        send(&mut replayed, &mut Cursor::default(), 1000);
        assert!(replayed.can_rewind());
    }

    #[test]
    fn forgetting_what_was_sent_keeps_what_was_not() {
        let (mut pipe, mut to) = (pipe(b"head", b""), Cursor::default());
        pipe.sent(&mut to, 3);
        assert!(!pipe.is_untouched(to));
        pipe.forget_sent(&mut to);
        assert!(pipe.is_untouched(to));
        assert_eq!(send(&mut pipe, &mut to, 10), b"d");
    }
}
