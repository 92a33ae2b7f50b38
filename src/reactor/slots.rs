//! A table whose keys go stale, so that an event can outlive what it was meant for.
//!
//! One batch of events may close a connection, open another in its slot, and then hold a second
//! event for the first. The generation in each [`Key`] tells the two apart; looking up a stale key
//! finds nothing. The table does not know what it holds, nor which keys the poller was given.

use mio::Token;
use slab::Slab;

/// Names one thing the event loop knows: its table, its index in it, and its generation.
///
/// It is packed into 64 bits (tag 8, generation 24, index 32) because that is what the kernel hands
/// back with an event, and because links between connections are then cheap to copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

const _: () = assert!(usize::BITS == 64, "a mio::Token must hold a whole key");

const INDEX_BITS: u32 = 32;
const GENERATION_BITS: u32 = 24;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

impl Key {
    /// A key for something outside every [`Slots`] that lives as long as the loop, such as a
    /// listener. The tag must differ from the tags of all tables.
    #[must_use]
    pub const fn fixed(tag: u8, index: u32) -> Self {
        Self::pack(tag, 0, index)
    }

    /// The kind of thing the key names, as given to [`Slots::new`] or [`Key::fixed`].
    #[must_use]
    pub const fn tag(self) -> u8 {
        (self.0 >> (INDEX_BITS + GENERATION_BITS)) as u8
    }

    /// The index in its table; unique among the things of one tag that exist at one time.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    /// How often, modulo 2^24, its table had been filled before this key was made.
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.0 >> INDEX_BITS) as u32 & GENERATION_MASK
    }

    /// The key as a number, for what must not know of keys.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The key that this number was made of.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    const fn pack(tag: u8, generation: u32, index: u32) -> Self {
        let generation = (generation & GENERATION_MASK) as u64;
        Self(
            (tag as u64) << (INDEX_BITS + GENERATION_BITS)
                | generation << INDEX_BITS
                | index as u64,
        )
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}:{}.{})", self.tag(), self.index(), self.generation())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits, as asserted above")]
impl From<Key> for Token {
    fn from(key: Key) -> Self {
        Self(key.0 as usize)
    }
}

impl From<Token> for Key {
    fn from(token: Token) -> Self {
        Self(token.0 as u64)
    }
}

/// A table of `T` with generational keys.
#[derive(Debug)]
pub struct Slots<T> {
    slab: Slab<(Key, T)>,
    tag: u8,
    /// Counts insertions over the whole table. A stale key could only be mistaken for a fresh one
    /// after exactly a multiple of 2^24 insertions with the last of them at the same index.
    generation: u32,
}

impl<T> Slots<T> {
    /// An empty table whose keys carry `tag`.
    #[must_use]
    pub const fn new(tag: u8) -> Self {
        Self { slab: Slab::new(), tag, generation: 0 }
    }

    /// As [`Slots::try_insert_with`], where making can't fail.
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        let Ok(key) = self.try_insert_with(|key| Ok::<T, std::convert::Infallible>(make(key)));
        key
    }

    /// Puts what `make` returns into a free slot, which stays free if that fails; `make` learns the
    /// key, to register with it.
    ///
    /// # Errors
    /// Whatever `make` returns.
    pub fn try_insert_with<E>(&mut self, make: impl FnOnce(Key) -> Result<T, E>) -> Result<Key, E> {
        let vacant = self.slab.vacant_entry();
        #[expect(clippy::cast_possible_truncation, reason = "2^32 slots outgrow every machine")]
        let key = Key::pack(self.tag, self.generation, vacant.key() as u32);
        vacant.insert((key, make(key)?));
        self.generation = self.generation.wrapping_add(1);
        Ok(key)
    }

    /// The value under `key`, or `None` if that has been removed.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        let (owner, value) = self.slab.get(key.index() as usize)?;
        (*owner == key).then_some(value)
    }

    /// The value under `key`, or `None` if that has been removed.
    #[must_use]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let (owner, value) = self.slab.get_mut(key.index() as usize)?;
        (*owner == key).then_some(value)
    }

    /// Removes the value under `key` and frees the slot.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        self.slab.try_remove(key.index() as usize).map(|(_, value)| value)
    }

    /// The key that the slot of `key` has now, whether or not that is `key`.
    #[must_use]
    pub fn occupant(&self, key: Key) -> Option<Key> {
        self.slab.get(key.index() as usize).map(|(owner, _)| *owner)
    }

    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// The keys of all values, by index.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.slab.iter().map(|(_, (key, _))| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_still_finds_the_key_that_has_its_index_now() {
        let mut slots = Slots::new(1);
        let first = slots.insert_with(|_| 'a');
        slots.remove(first);
        assert_eq!(slots.occupant(first), None);
        let second = slots.insert_with(|_| 'b');
        assert_eq!(slots.occupant(first), Some(second));
    }

    #[test]
    fn a_key_survives_the_trip_through_a_token() {
        for (tag, generation, index) in
            [(0, 0, 0), (1, 2, 3), (255, GENERATION_MASK, u32::MAX), (7, 1 << 23, 1 << 31)]
        {
            let key = Key::pack(tag, generation, index);
            let back = Key::from(Token::from(key));
            assert_eq!(back, key);
            assert_eq!((back.tag(), back.generation(), back.index()), (tag, generation, index));
        }
    }

    #[test]
    fn a_stale_key_finds_nothing_though_its_slot_is_taken_again() {
        let mut slots = Slots::new(4);
        let first = slots.insert_with(|_| "first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert_with(|_| "second");
        assert_eq!(first.index(), second.index(), "the slot is reused");
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
    }

    #[test]
    fn a_key_of_another_table_finds_nothing() {
        let mut clients = Slots::new(1);
        let mut upstreams = Slots::new(2);
        let client = clients.insert_with(|_| ());
        let upstream = upstreams.insert_with(|_| ());
        assert_eq!((client.tag(), upstream.tag()), (1, 2));
        assert_eq!(clients.get(upstream), None);
        assert_eq!(clients.get(client), Some(&()));
    }

    #[test]
    fn generations_wrap_within_their_bits() {
        let mut slots = Slots::new(9);
        slots.generation = u32::MAX - 1;
        let mut seen = Vec::new();
        for round in 0..4 {
            let key = slots.insert_with(|_| round);
            assert_eq!((key.tag(), key.index()), (9, 0), "a wrap must not spill into the tag");
            assert!(seen.iter().all(|stale| slots.get(*stale).is_none()));
            assert_eq!(slots.remove(key), Some(round));
            seen.push(key);
        }
        let generations: Vec<u32> = seen.iter().map(|key| key.generation()).collect();
        assert_eq!(generations, [GENERATION_MASK - 1, GENERATION_MASK, 0, 1]);
    }

    #[test]
    fn a_failed_insertion_leaves_the_slot_free() {
        let mut slots: Slots<u8> = Slots::new(0);
        assert_eq!(slots.try_insert_with(|_| Err("no")), Err("no"));
        assert!(slots.is_empty());
        let key = slots.insert_with(|_| 5);
        assert_eq!((key.index(), slots.len()), (0, 1));
    }

    #[test]
    fn keys_names_the_living() {
        let mut slots = Slots::new(3);
        let keys: Vec<Key> = (0..5).map(|n| slots.insert_with(|_| n)).collect();
        slots.remove(keys[1]);
        slots.remove(keys[3]);
        assert_eq!(slots.keys().collect::<Vec<_>>(), [keys[0], keys[2], keys[4]]);
        assert_eq!(slots.len(), 3);
    }
}
