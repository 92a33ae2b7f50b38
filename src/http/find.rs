//! Finds a byte that is near: the end of a line, or a space in it.
//!
//! To call a vectorised search costs more than most lines of a head are long. So the first bytes
//! are looked at here, eight at a time, and only what is far is left to that search.

/// Words of eight bytes that are looked at here.
const NEAR_WORDS: usize = 5;

/// A byte in each byte of a word.
const EACH: u64 = u64::MAX / 0xff;

/// Where `byte` occurs first.
#[inline]
pub(super) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    let pattern = u64::from(byte) * EACH;
    for (index, word) in words.iter().take(NEAR_WORDS).enumerate() {
        let differs = u64::from_le_bytes(*word) ^ pattern;
        // The lowest of these bits is that of the first byte that is zero.
        let hits = differs.wrapping_sub(EACH) & !differs & (EACH << 7);
        if hits != 0 {
            return Some(index * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    if words.len() > NEAR_WORDS {
        let near = NEAR_WORDS * 8;
        return memchr::memchr(byte, &bytes[near..]).map(|at| near + at);
    }
    rest.iter().position(|other| *other == byte).map(|at| words.len() * 8 + at)
}

#[cfg(test)]
mod tests {
    use super::find;
    use proptest::prelude::*;

    /// Bytes of which a carry could make one another.
    fn of_few(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0, 9, 10, 11, 138, 255]), count)
    }

    proptest! {
        #[test]
        fn it_is_the_first_one_wherever_that_is(bytes in of_few(0..99), byte in of_few(1..2)) {
            let first = bytes.iter().position(|other| *other == byte[0]);
            prop_assert_eq!(find(byte[0], &bytes), first);
        }

        #[test]
        fn it_is_found_in_a_line_of_any_length(length in 0..99_usize) {
            let line = [vec![b'x'; length], b"\n\n".to_vec()].concat();
            prop_assert_eq!(find(b'\n', &line), Some(length));
        }
    }
}
