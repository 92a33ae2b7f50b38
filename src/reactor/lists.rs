//! Lists of keys in order, from which any key can be taken at once.
//!
//! Keys leave what a loop keeps in order (clients with work left, idle clients, pooled connections)
//! from the middle as often as from an end. A vector would be searched for each, so that thousands
//! that leave together cost the square of their number. Here every operation takes a few steps,
//! because the links are in one table, by the index of the key.

use super::Key;

/// No index of a table.
const NONE: u32 = u32::MAX;

/// Lists that share one table: a key is in one of them at most, and there once. All keys must have
/// the same tag.
#[derive(Debug)]
pub struct Lists {
    lists: Vec<List>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct List {
    first: u32,
    last: u32,
    length: usize,
}

/// An entry of a list, by the index of its key.
#[derive(Clone, Debug)]
struct Entry {
    key: Key,
    /// The list it is in.
    list: u32,
    before: u32,
    behind: u32,
}

impl Lists {
    /// So many empty lists.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let empty = List { first: NONE, last: NONE, length: 0 };
        Self { lists: vec![empty; count], entries: Vec::new() }
    }

    /// Puts `key` at the end of `list`, unless it is in it; it leaves any other list.
    pub fn push(&mut self, list: usize, key: Key) {
        let index = key.index() as usize;
        if index >= self.entries.len() {
            let free = Entry { key, list: NONE, before: NONE, behind: NONE };
            self.entries.resize(index + 1, free);
        }
        let entry = &mut self.entries[index];
        #[expect(clippy::cast_possible_truncation, reason = "there are fewer lists than entries")]
        let number = list as u32;
        // An index has one owner: an entry under another key is stale.
        entry.key = key;
        if entry.list == number {
            return;
        }
        self.unlink(key.index());
        let List { last, length, .. } = &mut self.lists[list];
        *length += 1;
        let before = std::mem::replace(last, key.index());
        self.entries[index] = Entry { key, list: number, before, behind: NONE };
        match self.entries.get_mut(before as usize) {
            Some(entry) => entry.behind = key.index(),
            None => self.lists[list].first = key.index(),
        }
    }

    /// The key that has been in `list` longest.
    #[must_use]
    pub fn first(&self, list: usize) -> Option<Key> {
        self.entries.get(self.lists[list].first as usize).map(|entry| entry.key)
    }

    /// Takes out the key that has been in `list` longest.
    pub fn pop_first(&mut self, list: usize) -> Option<Key> {
        let key = self.first(list)?;
        self.unlink(key.index());
        Some(key)
    }

    /// Takes out the key that was put into `list` last.
    pub fn pop_last(&mut self, list: usize) -> Option<Key> {
        let key = self.entries.get(self.lists[list].last as usize)?.key;
        self.unlink(key.index());
        Some(key)
    }

    /// Takes `key` out of the list it is in, if it is in any.
    pub fn remove(&mut self, key: Key) {
        if self.entries.get(key.index() as usize).is_some_and(|entry| entry.key == key) {
            self.unlink(key.index());
        }
    }

    /// The list that `key` is in.
    #[must_use]
    pub fn list_of(&self, key: Key) -> Option<usize> {
        let entry = self.entries.get(key.index() as usize)?;
        (entry.key == key && entry.list != NONE).then_some(entry.list as usize)
    }

    /// The number of keys in `list`.
    #[must_use]
    pub fn len(&self, list: usize) -> usize {
        self.lists[list].length
    }

    /// Whether there is no key in `list`.
    #[must_use]
    pub fn is_empty(&self, list: usize) -> bool {
        self.len(list) == 0
    }

    fn unlink(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        let Some(list) = self.lists.get_mut(entry.list as usize) else { return };
        list.length -= 1;
        entry.list = NONE;
        let (before, behind) = (entry.before, entry.behind);
        match self.entries.get_mut(before as usize) {
            Some(entry) => entry.behind = behind,
            None => list.first = behind,
        }
        match self.entries.get_mut(behind as usize) {
            Some(entry) => entry.before = before,
            None => list.last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Slots;
    use super::*;
    use proptest::prelude::*;

    fn keys(count: usize) -> Vec<Key> {
        let mut slots = Slots::new(1);
        (0..count).map(|_| slots.insert_with(|_| ())).collect()
    }

    fn all(lists: &mut Lists, list: usize) -> Vec<Key> {
        std::iter::from_fn(|| lists.pop_first(list)).collect()
    }

    #[test]
    fn a_key_stands_in_a_list_once_and_keeps_its_turn() {
        let (keys, mut lists) = (keys(3), Lists::new(1));
        for at in [0, 1, 0, 2, 1, 0] {
            lists.push(0, keys[at]);
        }
        assert_eq!((lists.len(0), lists.first(0)), (3, Some(keys[0])));
        assert_eq!(all(&mut lists, 0), keys);
        assert!(lists.is_empty(0));
        lists.push(0, keys[0]);
        assert_eq!(all(&mut lists, 0), [keys[0]], "once taken it may come again");
    }

    #[test]
    fn the_next_occupant_of_a_place_is_not_taken_for_the_last() {
        let (mut slots, mut lists) = (Slots::new(1), Lists::new(2));
        let old = slots.insert_with(|_| ());
        lists.push(0, old);
        slots.remove(old);
        let new = slots.insert_with(|_| ());
        assert_eq!(old.index(), new.index());
        lists.push(0, new);
        lists.remove(old);
        assert_eq!(all(&mut lists, 0), [new]);
        lists.push(0, old);
        lists.push(1, new);
        assert_eq!((all(&mut lists, 0), all(&mut lists, 1)), (vec![], vec![new]));
    }

    #[test]
    fn half_a_million_leave_from_the_middle_as_fast_as_from_the_end() {
        // What is searched for takes hours here.
        let (keys, mut lists) = (keys(500_000), Lists::new(1));
        for key in &keys {
            lists.push(0, *key);
        }
        for key in keys.iter().skip(1).step_by(2).chain(keys.iter().step_by(2)) {
            lists.remove(*key);
        }
        assert!(lists.is_empty(0) && lists.first(0).is_none());
    }

    fn take_out(model: &mut [Vec<Key>; 3], key: Key) {
        for keys in model {
            keys.retain(|other| *other != key);
        }
    }

    proptest! {
        /// Whatever is put in and taken out, the lists are what vectors would be.
        #[test]
        fn lists_are_what_vectors_would_be(
            steps in proptest::collection::vec((0usize..4, 0usize..3, 0usize..8), 0..200)
        ) {
            let (keys, mut lists) = (keys(8), Lists::new(3));
            let mut model: [Vec<Key>; 3] = Default::default();
            for (what, list, at) in steps {
                let key = keys[at];
                match what {
                    0 => {
                        lists.push(list, key);
                        if !model[list].contains(&key) {
                            take_out(&mut model, key);
                            model[list].push(key);
                        }
                    }
                    1 => {
                        lists.remove(key);
                        take_out(&mut model, key);
                    }
                    2 => prop_assert_eq!(lists.pop_last(list), model[list].pop()),
                    _ => {
                        let first = (!model[list].is_empty()).then(|| model[list].remove(0));
                        prop_assert_eq!(lists.pop_first(list), first);
                    }
                }
                for (list, keys) in model.iter().enumerate() {
                    prop_assert_eq!(lists.len(list), keys.len());
                    prop_assert_eq!(lists.first(list), keys.first().copied());
                }
            }
            for (list, keys) in model.iter().enumerate() {
                prop_assert_eq!(&all(&mut lists, list), keys);
            }
        }
    }
}
