//! A watch that stands still while its backend does.

use super::time::Time;

/// How long a backend has worked. A pause delays all that it has by its length, without an event
/// for each.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// The length of the pauses that are over.
    stood: Time,
    pause: Option<Pause>,
}

#[derive(Clone, Debug)]
struct Pause {
    since: Time,
    until: Time,
}

impl Watch {
    pub(super) fn read(&self, now: Time) -> Time {
        self.pause.as_ref().map_or(now, |pause| pause.since) - self.stood
    }

    /// When the watch will show `due`, as far as pauses are known.
    pub(super) fn at(&self, due: Time, now: Time) -> Time {
        let runs_from = self.pause.as_ref().map_or(now, |pause| pause.until.max(now));
        runs_from + due.saturating_sub(self.read(now))
    }

    pub(super) fn pause(&mut self, now: Time, until: Time) {
        self.pause.get_or_insert(Pause { since: now, until }).until = until;
    }

    pub(super) fn resume(&mut self, now: Time) {
        if let Some(pause) = self.pause.take() {
            self.stood += now - pause.since;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_still_in_a_pause_and_foresees_its_end() {
        let mut watch = Watch::default();
        assert_eq!((watch.read(10), watch.at(15, 10)), (10, 15));
        watch.pause(10, 30);
        assert_eq!([10, 20, 30].map(|now| watch.read(now)), [10, 10, 10]);
        assert_eq!(watch.at(15, 20), 35, "five after the pause");
        watch.pause(25, 40);
        assert_eq!(watch.at(15, 25), 45, "the pause was prolonged");
        watch.resume(40);
        assert_eq!((watch.read(41), watch.at(15, 41)), (11, 45));
        watch.resume(50);
        assert_eq!(watch.read(50), 20, "it runs already");
    }
}
