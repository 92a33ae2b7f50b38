//! Which cores the proxy, the load and the backends run on.

/// The cores of each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The cores of the proxy that is measured, one per worker.
    pub proxy: Vec<usize>,
    /// The cores of the load and the backends.
    pub load: Vec<usize>,
}

impl Place {
    /// A proxy with so many workers gets the last cores, and the load the others. If none would be
    /// left, both get all.
    pub(crate) fn new(allowed: &[usize], workers: usize) -> Self {
        let (load, proxy) = allowed.split_at(allowed.len().saturating_sub(workers));
        let load = if load.is_empty() { allowed } else { load };
        Self { proxy: proxy.to_vec(), load: load.to_vec() }
    }

    /// Whether the proxy shares its cores with the load.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.proxy.iter().any(|core| self.load.contains(core))
    }

    /// How many backends the load needs: one for every two of its cores.
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
