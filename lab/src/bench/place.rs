//! Which cores are whose: the proxy's are its own, where there are enough.

/// A division of the cores.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// Of the proxy under test, one per worker.
    pub proxy: Vec<usize>,
    /// Of the load and the backends.
    pub load: Vec<usize>,
}

impl Place {
    /// Gives a proxy with so many workers the last of the cores and the rest to the load; all of
    /// them where no core would be left.
    pub(super) fn new(allowed: &[usize], workers: usize) -> Self {
        let (load, proxy) = allowed.split_at(allowed.len().saturating_sub(workers));
        let load = if load.is_empty() { allowed } else { load };
        Self { proxy: proxy.to_vec(), load: load.to_vec() }
    }

    /// Whether the load disturbs the proxy.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.proxy.iter().any(|core| self.load.contains(core))
    }

    /// How many backends it takes to keep up with the load: one for every two cores.
    pub(super) fn backends(&self) -> usize {
        (self.load.len() / 2).clamp(1, 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_has_its_cores_to_itself_where_there_are_enough() {
        let place = Place::new(&[0, 1], 1);
        assert_eq!((place.proxy.as_slice(), place.load.as_slice()), (&[1][..], &[0][..]));
        assert!(!place.is_shared());
        let place = Place::new(&[0, 2, 5, 7], 2);
        assert_eq!((place.proxy.as_slice(), place.load.as_slice()), (&[5, 7][..], &[0, 2][..]));
    }

    #[test]
    fn where_there_are_too_few_the_load_shares_them_all() {
        for (allowed, workers) in [(&[3][..], 1), (&[0, 1][..], 2), (&[0, 1][..], 4)] {
            let place = Place::new(allowed, workers);
            assert_eq!((place.proxy.as_slice(), place.load.as_slice()), (allowed, allowed));
            assert!(place.is_shared());
        }
    }

    #[test]
    fn backends_grow_with_the_cores_of_the_load() {
        for (cores, backends) in [(1, 1), (2, 1), (4, 2), (6, 3), (64, 3)] {
            let place = Place { proxy: vec![], load: (0..cores).collect() };
            assert_eq!(place.backends(), backends, "{cores}");
        }
    }
}
