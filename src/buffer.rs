//! One direction's bytes: a fixed block that is filled at its end, worked on in place and sent
//! from its front.
//!
//! Bodies are forwarded without being copied. Received bytes land behind `end`; the codec walks
//! over the raw ones and either keeps each run (it joins what is ready to send) or drops it (a
//! chunk extension). It knows nothing of HTTP, and an idle connection holds no block at all:
//! blocks come from a [`FreeList`] and return to it as soon as they are empty.

/// Bytes of one block. A head of the largest size the flags allow fits.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// Room at the end of a block that [`Buffer::space`] never hands out, kept for [`Buffer::append`].
const TAIL_ROOM_BYTES: usize = 2;

/// Blocks kept for reuse; more than this go back to the allocator.
const KEPT_BLOCKS: usize = 256;

/// Empty blocks that wait to be used again, so that a busy worker allocates nothing.
#[derive(Debug, Default)]
pub struct FreeList {
    blocks: Vec<Box<[u8]>>,
}

impl FreeList {
    fn take(&mut self) -> Box<[u8]> {
        let fresh = || vec![0; BLOCK_BYTES + TAIL_ROOM_BYTES].into_boxed_slice();
        self.blocks.pop().unwrap_or_else(fresh)
    }

    fn give(&mut self, block: Box<[u8]>) {
        if self.blocks.len() < KEPT_BLOCKS {
            self.blocks.push(block);
        }
    }
}

/// A block with its cursors: `start <= ready <= raw <= end`.
///
/// `start..ready` is ready to send, `raw..end` is received and not yet looked at, and what lies
/// between them was dropped.
#[derive(Debug, Default)]
pub struct Buffer {
    block: Option<Box<[u8]>>,
    start: usize,
    ready: usize,
    raw: usize,
    end: usize,
}

impl Buffer {
    /// Where the next bytes may be received; empty while the block is full, which is backpressure.
    pub fn space(&mut self, free: &mut FreeList) -> &mut [u8] {
        if self.start == self.ready && self.raw == self.end {
            (self.start, self.ready, self.raw, self.end) = (0, 0, 0, 0);
        } else if self.end > BLOCK_BYTES * 3 / 4 {
            self.compact();
        }
        let block = self.block.get_or_insert_with(|| free.take());
        &mut block[self.end.min(BLOCK_BYTES)..BLOCK_BYTES]
    }

    /// Whether [`Buffer::space`] is not empty.
    #[must_use]
    pub fn has_space(&self) -> bool {
        self.end < BLOCK_BYTES || self.is_empty() || self.can_compact()
    }

    /// Whether moving the bytes to the front wins enough.
    fn can_compact(&self) -> bool {
        let dead = self.start + (self.raw - self.ready);
        let stuck = self.end >= BLOCK_BYTES && self.start == self.ready;
        dead >= BLOCK_BYTES / 4 || stuck && dead > 0
    }

    /// Moves the bytes to the front where that wins much, or where the raw ones have no other way
    /// to grow.
    fn compact(&mut self) {
        if !self.can_compact() {
            return;
        }
        let Some(block) = self.block.as_mut() else { return };
        block.copy_within(self.start..self.ready, 0);
        let ready = self.ready - self.start;
        block.copy_within(self.raw..self.end, ready);
        self.end = ready + (self.end - self.raw);
        (self.start, self.ready, self.raw) = (0, ready, ready);
    }

    /// `count` bytes were received into [`Buffer::space`].
    pub fn filled(&mut self, count: usize) {
        self.end += count;
        debug_assert!(self.end <= BLOCK_BYTES);
    }

    /// What was received and not yet looked at.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.block.as_ref().map_or(&[], |block| &block[self.raw..self.end])
    }

    /// How much that is.
    #[must_use]
    pub fn raw_len(&self) -> usize {
        self.end - self.raw
    }

    /// Whether anything is ready to be sent.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.start != self.ready
    }

    /// What is ready to be sent.
    #[must_use]
    pub fn ready(&self) -> &[u8] {
        self.block.as_ref().map_or(&[], |block| &block[self.start..self.ready])
    }

    /// The next `count` raw bytes are ready to be sent, as they are.
    pub fn commit(&mut self, count: usize) {
        debug_assert!(self.raw + count <= self.end);
        if self.start == self.ready {
            (self.start, self.ready) = (self.raw, self.raw);
        }
        if self.ready != self.raw
            && let Some(block) = self.block.as_mut()
        {
            block.copy_within(self.raw..self.raw + count, self.ready);
        }
        self.ready += count;
        self.raw += count;
    }

    /// The next `count` raw bytes are of no further use.
    pub fn discard(&mut self, count: usize) {
        self.raw += count;
        debug_assert!(self.raw <= self.end);
    }

    /// Forgets everything that was received and not yet looked at.
    pub fn discard_all(&mut self) {
        self.raw = self.end;
    }

    /// Puts up to two bytes behind the ready ones. There must be no raw bytes in between.
    pub fn append(&mut self, bytes: &[u8]) {
        debug_assert!(self.raw == self.end && bytes.len() <= TAIL_ROOM_BYTES);
        if let Some(block) = self.block.as_mut() {
            block[self.ready..self.ready + bytes.len()].copy_from_slice(bytes);
            self.ready += bytes.len();
            (self.raw, self.end) = (self.ready, self.ready);
        }
    }

    /// The first `count` ready bytes were sent.
    pub fn sent(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.ready);
    }

    /// Whether it holds neither ready nor raw bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.ready && self.raw == self.end
    }

    /// Bytes of memory in use; a block counts whole, however little is in it.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        if self.block.is_some() { BLOCK_BYTES } else { 0 }
    }

    /// What must hold of it.
    ///
    /// # Panics
    /// If it does not.
    pub fn check(&self) {
        let order = [self.start, self.ready, self.raw, self.end];
        assert!(order.is_sorted(), "cursors out of order: {order:?}");
        let limit = if self.block.is_some() { BLOCK_BYTES + TAIL_ROOM_BYTES } else { 0 };
        assert!(self.end <= limit, "more than there is room for: {order:?}");
    }

    /// Gives the block back if nothing is in it.
    pub fn release_block(&mut self, free: &mut FreeList) {
        if self.is_empty()
            && let Some(block) = self.block.take()
        {
            free.give(block);
            (self.start, self.ready, self.raw, self.end) = (0, 0, 0, 0);
        }
    }

    /// Forgets all bytes; the block is kept until [`Buffer::release_block`].
    pub fn clear(&mut self) {
        (self.start, self.ready, self.raw, self.end) = (0, 0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(buffer: &mut Buffer, free: &mut FreeList, bytes: &[u8]) -> usize {
        let space = buffer.space(free);
        let count = space.len().min(bytes.len());
        space[..count].copy_from_slice(&bytes[..count]);
        buffer.filled(count);
        count
    }

    #[test]
    fn keeps_some_runs_and_drops_others_in_order() {
        let (mut buffer, mut free) = (Buffer::default(), FreeList::default());
        receive(&mut buffer, &mut free, b"5;ext\r\nhello");
        buffer.commit(1);
        buffer.discard(4);
        buffer.commit(7);
        assert_eq!(buffer.ready(), b"5\r\nhello");
        assert_eq!(buffer.raw(), b"");
        buffer.append(b"\r\n");
        buffer.sent(3);
        assert_eq!(buffer.ready(), b"hello\r\n");
    }

    #[test]
    fn a_run_that_starts_behind_an_empty_front_is_not_moved() {
        let (mut buffer, mut free) = (Buffer::default(), FreeList::default());
        receive(&mut buffer, &mut free, b"headbody");
        buffer.discard(4);
        buffer.commit(4);
        assert_eq!((buffer.start, buffer.ready()), (4, &b"body"[..]));
    }

    #[test]
    fn a_full_block_is_backpressure_until_its_front_is_sent() {
        let (mut buffer, mut free) = (Buffer::default(), FreeList::default());
        let bytes: Vec<u8> = (0..=255).cycle().take(BLOCK_BYTES + 1).collect();
        assert_eq!(receive(&mut buffer, &mut free, &bytes), BLOCK_BYTES);
        buffer.commit(BLOCK_BYTES);
        assert!(buffer.space(&mut free).is_empty());
        buffer.sent(BLOCK_BYTES / 2);
        assert_eq!(buffer.space(&mut free).len(), BLOCK_BYTES / 2);
        assert_eq!(buffer.ready(), &bytes[BLOCK_BYTES / 2..BLOCK_BYTES]);
    }

    #[test]
    fn raw_bytes_at_the_end_of_a_block_can_still_grow() {
        let (mut buffer, mut free) = (Buffer::default(), FreeList::default());
        receive(&mut buffer, &mut free, &vec![b'x'; BLOCK_BYTES]);
        buffer.discard(10);
        assert_eq!(buffer.space(&mut free).len(), 10);
        assert_eq!(buffer.raw().len(), BLOCK_BYTES - 10);
    }

    #[test]
    fn append_fits_behind_a_full_block() {
        let (mut buffer, mut free) = (Buffer::default(), FreeList::default());
        receive(&mut buffer, &mut free, &vec![b'x'; BLOCK_BYTES]);
        buffer.commit(BLOCK_BYTES);
        buffer.append(b"\r\n");
        assert!(buffer.ready().ends_with(b"x\r\n"));
        assert!(buffer.space(&mut free).is_empty());
    }

    #[test]
    fn an_empty_buffer_gives_its_block_back_and_a_used_one_does_not() {
        let (mut buffer, mut free) = (Buffer::default(), FreeList::default());
        receive(&mut buffer, &mut free, b"ab");
        buffer.release_block(&mut free);
        assert_eq!(buffer.held_bytes(), BLOCK_BYTES);
        buffer.commit(1);
        buffer.sent(1);
        buffer.discard(1);
        buffer.release_block(&mut free);
        assert_eq!(buffer.held_bytes(), 0);
        assert_eq!(free.blocks.len(), 1);
    }
}
