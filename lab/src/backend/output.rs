//! The bytes that a connection has still to send.

use std::ops::Range;

use super::answers::filling;

/// Rendered bytes, then perhaps a range of the pattern that fills large bodies.
#[derive(Debug, Default)]
pub(super) struct Output {
    rendered: Vec<u8>,
    /// How much of `rendered` has been sent.
    sent: usize,
    filling: Range<u64>,
}

/// Answers to pipelined requests are collected up to about this many bytes.
const ENOUGH_BYTES: usize = 32 * 1024;

impl Output {
    /// Whether nothing may be added before more has been sent: the filling comes last, and a client
    /// that does not read its answers gets no more of them.
    pub(super) fn is_full(&self) -> bool {
        !self.filling.is_empty() || self.rendered.len() >= ENOUGH_BYTES
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.rendered.extend_from_slice(bytes);
    }

    /// Adds `range` of the pattern after what has been pushed.
    pub(super) fn fill(&mut self, range: Range<u64>) {
        self.filling = range;
    }

    pub(super) fn pending(&self) -> [&[u8]; 2] {
        [&self.rendered[self.sent..], filling(self.filling.clone())]
    }

    pub(super) fn sent(&mut self, count: usize) {
        let rendered = count.min(self.rendered.len() - self.sent);
        self.sent += rendered;
        self.filling.start += (count - rendered) as u64;
        if self.sent == self.rendered.len() {
            self.rendered.clear();
            self.sent = 0;
        }
    }
}
