//! How long the end of the writer thread is awaited.

/// How often in a row a log may be found to have taken nothing.
const STALLS_MAX: u32 = 1;

/// The same while another process writes the log: longer than one takes by default that is ending.
const AWAITED_STALLS_MAX: u32 = 10;

/// Looks at the thread now and then, and gives up when there is no progress.
#[derive(Debug)]
pub(super) struct Patience {
    /// Rows that were written, and whether another process writes a log, at the last look.
    seen: (u64, bool),
    stalls: u32,
}

impl Patience {
    pub(super) fn new(written: u64, is_awaited: bool) -> Self {
        Self { seen: (written, is_awaited), stalls: 0 }
    }

    /// Whether it is of no use to wait any longer. The end of another process is progress: what was
    /// kept until then is about to be written.
    pub(super) fn ends(&mut self, written: u64, is_awaited: bool) -> bool {
        let now = (written, is_awaited);
        self.stalls = if self.seen == now { self.stalls + 1 } else { 0 };
        self.seen = now;
        self.stalls >= if is_awaited { AWAITED_STALLS_MAX } else { STALLS_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many looks it gives up.
    fn looks(mut seen: impl FnMut(u32) -> (u64, bool)) -> Option<u32> {
        let (written, is_awaited) = seen(0);
        let mut patience = Patience::new(written, is_awaited);
        (1..100).find(|look| {
            let (written, is_awaited) = seen(*look);
            patience.ends(written, is_awaited)
        })
    }

    #[test]
    fn a_log_that_takes_nothing_is_given_up_at_once_and_another_process_after_ten_looks() {
        assert_eq!(looks(|_| (5, false)), Some(1));
        assert_eq!(looks(|_| (5, true)), Some(10));
    }

    #[test]
    fn a_log_that_takes_something_is_waited_for_as_long_as_it_does() {
        assert_eq!(looks(|look| (u64::from(look), false)), None);
        assert_eq!(looks(|look| (u64::from(look.min(7)), false)), Some(8));
    }

    #[test]
    fn what_was_kept_has_its_time_when_the_other_process_has_ended() {
        assert_eq!(looks(|look| (0, look < 9)), Some(10), "not at the look that sees its end");
        assert_eq!(looks(|look| (u64::from(look.saturating_sub(9)), look < 9)), None);
    }
}
