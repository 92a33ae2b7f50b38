//! A part of a head as two offsets: four bytes, no lifetime, valid as long as the bytes don't move.

/// Where a part of a head is, in bytes from the head's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// The span `start..end` of a head no longer than [`LONGEST_HEAD`](super::LONGEST_HEAD).
    #[expect(clippy::cast_possible_truncation, reason = "heads end within 65,535 bytes")]
    pub(super) fn new(start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end <= super::LONGEST_HEAD);
        Span { start: start as u16, end: end as u16 }
    }

    /// The span of `part`, which must be a slice of `head`.
    pub(super) fn within(head: &[u8], part: &[u8]) -> Span {
        let start = part.as_ptr().addr() - head.as_ptr().addr();
        Span::new(start, start + part.len())
    }

    /// The bytes of the span, in the head that it was made for.
    #[must_use]
    pub fn of(self, head: &[u8]) -> &[u8] {
        &head[usize::from(self.start)..usize::from(self.end)]
    }

    /// Whether the span holds no byte.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Offset of the first byte.
    pub(super) fn start(self) -> usize {
        usize::from(self.start)
    }

    /// Offset of the byte after the last.
    pub(super) fn end(self) -> usize {
        usize::from(self.end)
    }
}
