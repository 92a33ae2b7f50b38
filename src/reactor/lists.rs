//! Lists of keys in order, from which any key can be taken at once.
//!
//! What a loop keeps in order (who has work left, who is idle, what lies in a pool) is left from
//! the middle as often as from an end. A vector is searched for that, so that thousands that leave
//! together cost the square of their number. Here every operation is a few steps, for the links
//! lie in one table by the place of the key.

use super::Key;

/// No place of a table.
const NOWHERE: u32 = u32::MAX;

/// Lists that share one table: a key stands in one of them at most, and there once. All keys must
/// carry one tag.
#[derive(Debug)]
pub struct Lists {
    lists: Vec<List>,
    places: Vec<Place>,
}

#[derive(Clone, Debug)]
struct List {
    first: u32,
    last: u32,
    length: usize,
}

/// What stands in a list, by the index of its key.
#[derive(Clone, Debug)]
struct Place {
    key: Key,
    /// The list it stands in.
    list: u32,
    before: u32,
    behind: u32,
}

impl Lists {
    /// So many empty lists.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let empty = List { first: NOWHERE, last: NOWHERE, length: 0 };
        Self { lists: vec![empty; count], places: Vec::new() }
    }

    /// Puts `key` at the end of `list`, unless it stands there; it leaves any other list.
    pub fn push(&mut self, list: usize, key: Key) {
        let index = key.index() as usize;
        if index >= self.places.len() {
            let free = Place { key, list: NOWHERE, before: NOWHERE, behind: NOWHERE };
            self.places.resize(index + 1, free);
        }
        let place = &mut self.places[index];
        #[expect(clippy::cast_possible_truncation, reason = "there are fewer lists than places")]
        let number = list as u32;
        // A place has one occupant: whoever stands there under another key is no more.
        place.key = key;
        if place.list == number {
            return;
        }
        self.unlink(key.index());
        let List { last, length, .. } = &mut self.lists[list];
        *length += 1;
        let before = std::mem::replace(last, key.index());
        self.places[index] = Place { key, list: number, before, behind: NOWHERE };
        match self.places.get_mut(before as usize) {
            Some(place) => place.behind = key.index(),
            None => self.lists[list].first = key.index(),
        }
    }

    /// The key that has stood in `list` longest.
    #[must_use]
    pub fn first(&self, list: usize) -> Option<Key> {
        self.places.get(self.lists[list].first as usize).map(|place| place.key)
    }

    /// Takes out the key that has stood in `list` longest.
    pub fn pop_first(&mut self, list: usize) -> Option<Key> {
        let key = self.first(list)?;
        self.unlink(key.index());
        Some(key)
    }

    /// Takes out the key that was put into `list` last.
    pub fn pop_last(&mut self, list: usize) -> Option<Key> {
        let key = self.places.get(self.lists[list].last as usize)?.key;
        self.unlink(key.index());
        Some(key)
    }

    /// Takes `key` out of the list it stands in, if it does in any.
    pub fn remove(&mut self, key: Key) {
        if self.places.get(key.index() as usize).is_some_and(|place| place.key == key) {
            self.unlink(key.index());
        }
    }

    /// How many keys stand in `list`.
    #[must_use]
    pub fn len(&self, list: usize) -> usize {
        self.lists[list].length
    }

    /// Whether no key stands in `list`.
    #[must_use]
    pub fn is_empty(&self, list: usize) -> bool {
        self.len(list) == 0
    }

    fn unlink(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        let Some(list) = self.lists.get_mut(place.list as usize) else { return };
        list.length -= 1;
        place.list = NOWHERE;
        let (before, behind) = (place.before, place.behind);
        match self.places.get_mut(before as usize) {
            Some(place) => place.behind = behind,
            None => list.first = behind,
        }
        match self.places.get_mut(behind as usize) {
            Some(place) => place.before = before,
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
