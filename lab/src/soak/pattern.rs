//! The bytes of bodies: each follows from the request's token, the direction and the byte's place.
//!
//! So no body is kept at either end, and a byte that is lost, doubled, moved or of another request
//! is found.

/// A request's token: no two requests of a soak have the same.
pub(super) type Token = u64;

/// Whose body it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Direction {
    /// The body of a request.
    Up,
    /// The body of its response.
    Down,
}

/// One body's bytes, and how far they are used up.
#[derive(Debug)]
pub(super) struct Pattern {
    seed: u64,
    at: u64,
    /// The eight bytes around `at`.
    word: [u8; 8],
}

impl Pattern {
    pub(super) fn new(token: Token, direction: Direction) -> Self {
        let seed = mix(token ^ if direction == Direction::Up { 0 } else { 1 << 63 });
        Self { seed, at: 0, word: mix(seed).to_le_bytes() }
    }

    /// How many bytes are used up.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Writes the next bytes.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.next();
        }
    }

    /// Whether `bytes` are the next ones; if not, `at` is after the first that differs.
    pub(super) fn matches(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| *byte == self.next())
    }

    fn next(&mut self) -> u8 {
        let place = (self.at % 8) as usize;
        if place == 0 {
            self.word = mix(self.seed.wrapping_add(self.at / 8)).to_le_bytes();
        }
        self.at += 1;
        self.word[place]
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014): similar numbers become unlike ones.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(token: Token, direction: Direction) -> Vec<u8> {
        let mut bytes = vec![0; 1000];
        Pattern::new(token, direction).fill(&mut bytes);
        bytes
    }

    #[test]
    fn bytes_are_the_same_in_any_pieces() {
        let whole = bytes(7, Direction::Down);
        let mut pattern = Pattern::new(7, Direction::Down);
        assert!(whole.chunks(13).all(|piece| pattern.matches(piece)));
        assert_eq!(pattern.at(), 1000);
    }

    #[test]
    fn a_byte_that_is_lost_doubled_or_anothers_shows() {
        let whole = bytes(7, Direction::Down);
        for (wrong, first) in [
            (whole[1..].to_vec(), 1),
            ([&whole[..500], &whole[501..]].concat(), 501),
            ([&whole[..500], &whole[499..]].concat(), 501),
            (bytes(8, Direction::Down), 1),
            (bytes(7, Direction::Up), 1),
        ] {
            let mut pattern = Pattern::new(7, Direction::Down);
            assert!(!pattern.matches(&wrong));
            assert_eq!(pattern.at(), first);
        }
    }
}
