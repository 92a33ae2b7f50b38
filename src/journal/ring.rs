//! A queue from one worker to the writer thread: entries of one size, and the texts of each.
//!
//! It consists of two rings, so that an entry is a plain typed value while its texts take only the
//! bytes they have. An entry is pushed with all of its texts or not at all, and is visible only
//! after its texts. Neither end ever waits, and neither knows what an entry means.

use rtrb::RingBuffer;

use super::columns::TEXTS;

/// A worker's end.
#[derive(Debug)]
pub(super) struct Producer<T> {
    entries: rtrb::Producer<Slot<T>>,
    texts: rtrb::Producer<u8>,
}

/// The writer thread's end.
#[derive(Debug)]
pub(super) struct Consumer<T> {
    entries: rtrb::Consumer<Slot<T>>,
    texts: rtrb::Consumer<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Slot<T> {
    entry: T,
    text_bytes: [usize; TEXTS],
}

/// How much fits into a ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) entries: usize,
    /// For the texts of all entries together.
    pub(super) text_bytes: usize,
}

/// Makes the two ends of a ring.
pub(super) fn ring<T: Copy>(capacity: Capacity) -> (Producer<T>, Consumer<T>) {
    let (entries_in, entries_out) = RingBuffer::new(capacity.entries);
    let (texts_in, texts_out) = RingBuffer::new(capacity.text_bytes);
    let producer = Producer { entries: entries_in, texts: texts_in };
    (producer, Consumer { entries: entries_out, texts: texts_out })
}

impl<T: Copy> Producer<T> {
    /// Pushes an entry and its texts; `false` if not all of it fits.
    #[must_use]
    pub(super) fn push(&mut self, entry: T, texts: [&[u8]; TEXTS]) -> bool {
        let text_bytes = texts.map(<[u8]>::len);
        if self.entries.is_full() {
            return false;
        }
        let Ok(mut chunk) = self.texts.write_chunk(text_bytes.iter().sum()) else { return false };
        let (mut front, mut back) = chunk.as_mut_slices();
        for text in &texts {
            if text.is_empty() {
                continue;
            }
            let (one, two) = text.split_at(text.len().min(front.len()));
            front = put(one, front);
            if !two.is_empty() {
                back = put(two, back);
            }
        }
        chunk.commit_all();
        // It was not full a moment ago, and the consumer only removes entries.
        self.entries.push(Slot { entry, text_bytes }).is_ok()
    }

    /// Whether half of either ring is taken, so that what matters less should be left out.
    pub(super) fn is_half_full(&self) -> bool {
        !has_free(&self.entries, self.entries.buffer().capacity() / 2)
            || !has_free(&self.texts, self.texts.buffer().capacity() / 2)
    }
}

/// Copies a text to the beginning of `space`, and returns the rest of that.
fn put<'s>(text: &[u8], space: &'s mut [u8]) -> &'s mut [u8] {
    let (place, rest) = space.split_at_mut(text.len());
    place.copy_from_slice(text);
    rest
}

/// Reads the consumer's cache line only if the free slots known so far are too few.
fn has_free<T>(ring: &rtrb::Producer<T>, count: usize) -> bool {
    ring.cached_slots() >= count || ring.slots() >= count
}

impl<T: Copy> Consumer<T> {
    /// How many entries can be taken now; more may have been pushed by then.
    pub(super) fn len(&self) -> usize {
        self.entries.slots()
    }

    /// Calls `look` with the oldest entry and its texts in their place, and removes them. Texts
    /// that are split at the end of the ring are joined in `scratch`.
    pub(super) fn take<R>(
        &mut self,
        scratch: &mut Vec<u8>,
        look: impl FnOnce(&T, [&[u8]; TEXTS]) -> R,
    ) -> Option<R> {
        let Slot { entry, text_bytes } = self.entries.peek().ok()?;
        let chunk = self.texts.read_chunk(text_bytes.iter().sum()).ok()?;
        let mut rest = match chunk.as_slices() {
            (whole, []) => whole,
            (one, two) => {
                scratch.clear();
                scratch.extend_from_slice(one);
                scratch.extend_from_slice(two);
                &scratch[..]
            }
        };
        let texts = text_bytes.map(|bytes| {
            let (text, behind) = rest.split_at(bytes);
            rest = behind;
            text
        });
        let seen = look(entry, texts);
        chunk.commit_all();
        let _taken = self.entries.pop();
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The oldest entry with its texts put together.
    fn pop<T: Copy>(consumer: &mut Consumer<T>) -> Option<(T, [Vec<u8>; TEXTS])> {
        consumer.take(&mut Vec::new(), |entry, texts| (*entry, texts.map(<[u8]>::to_vec)))
    }

    #[test]
    fn entries_come_out_whole_and_in_order_across_every_wrap() {
        let (mut producer, mut consumer) = ring::<usize>(Capacity { entries: 3, text_bytes: 12 });
        for turn in 0..200 {
            let first = vec![b'a'; turn % 5];
            let second = vec![b'b'; turn % 7];
            assert!(producer.push(turn, [&first, &second, b"c", b""]));
            assert_eq!(consumer.len(), 1);
            assert_eq!(
                pop(&mut consumer),
                Some((turn, [first, second, b"c".to_vec(), Vec::new()]))
            );
        }
        assert_eq!(pop(&mut consumer), None);
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let (mut producer, mut consumer) = ring::<u8>(Capacity { entries: 2, text_bytes: 4 });
        assert!(producer.push(1, [b"ab", b"c", b"", b""]));
        assert!(!producer.push(2, [b"d", b"", b"e", b""]), "two bytes of text where one fits");
        assert!(producer.push(3, [b"", b"", b"f", b""]));
        assert!(!producer.push(4, [b"", b"", b"", b""]), "a third entry does not fit");
        assert_eq!(pop(&mut consumer), Some((1, [&b"ab"[..], b"c", b"", b""].map(<[u8]>::to_vec))));
        assert_eq!(pop(&mut consumer), Some((3, [&b""[..], b"", b"f", b""].map(<[u8]>::to_vec))));
        assert_eq!(pop(&mut consumer), None);
    }

    #[test]
    fn half_full_by_entries_or_by_text() {
        let (mut producer, mut consumer) = ring::<u8>(Capacity { entries: 4, text_bytes: 8 });
        assert!(!producer.is_half_full());
        assert!(producer.push(1, [b"12345", b"", b"", b""]));
        assert!(producer.is_half_full(), "three bytes left of eight");
        assert!(pop(&mut consumer).is_some());
        assert!(!producer.is_half_full());
        for entry in 0..3 {
            assert!(producer.push(entry, [b"", b"", b"", b""]));
        }
        assert!(producer.is_half_full(), "one entry left of four");
    }
}
