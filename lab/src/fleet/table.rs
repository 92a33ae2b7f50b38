//! Things by key.

/// The name of a thing. It finds nothing once that is gone.
#[derive(Copy, Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    index: usize,
    generation: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Table<T> {
    slots: Vec<(u64, Option<T>)>,
    free: Vec<usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl Key {
    /// Of all things that there are at one time, only one has this number.
    pub(crate) fn number(self) -> u64 {
        self.index as u64
    }
}

impl<T> Table<T> {
    /// The key of the thing that has this number now.
    pub(crate) fn key_of(&self, number: u64) -> Option<Key> {
        let index = usize::try_from(number).ok()?;
        let (generation, thing) = self.slots.get(index)?;
        thing.as_ref().map(|_| Key { index, generation: *generation })
    }

    pub(crate) fn insert(&mut self, thing: T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() - 1
        });
        let slot = &mut self.slots[index];
        slot.1 = Some(thing);
        Key { index, generation: slot.0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn get(&mut self, key: Key) -> Option<&mut T> {
        let (generation, thing) = &mut self.slots[key.index];
        if *generation == key.generation { thing.as_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let (generation, thing) = &mut self.slots[key.index];
        if *generation != key.generation {
            return None;
        }
        *generation += 1;
        self.free.push(key.index);
        thing.take()
    }

    /// In the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(index, (generation, thing))| {
            Some((Key { index, generation: *generation }, thing.as_ref()?))
        })
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.slots.into_iter().filter_map(|(_, thing)| thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_thing_until_that_is_gone_and_never_another() {
        let mut table = Table::default();
        let [first, second] = [0, 1].map(|thing| table.insert(thing));
        assert_eq!(table.iter().collect::<Vec<_>>(), [(first, &0), (second, &1)]);
        assert_eq!(table.remove(first), Some(0));
        let third = table.insert(2);
        assert!(table.get(first).is_none() && table.remove(first).is_none());
        assert_eq!(table.get(third), Some(&mut 2));
        assert_eq!(table.iter().map(|(key, _)| key).collect::<Vec<_>>(), [third, second]);
        assert_eq!((table.len(), table.into_values().collect::<Vec<_>>()), (2, vec![2, 1]));
    }
}
