//! Says that rows are being lost: plainly, but at most once a minute.

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::time::{Duration, Instant};

use super::error::JournalError;

/// A full disk fails every batch; its owner needs to hear of it only so often.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Counts lost rows and tells of them on `out`, normally standard error.
#[derive(Debug)]
pub(super) struct LossReporter<W> {
    out: W,
    log: String,
    lost: u64,
    said_at: Option<Instant>,
    /// The last thing said was that the log cannot be written.
    failing: bool,
}

impl<W: Write> LossReporter<W> {
    /// Speaks of the log by the name `log`.
    pub(super) fn new(out: W, log: String) -> Self {
        Self { out, log, lost: 0, said_at: None, failing: false }
    }

    /// All rows lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// The log did not take `rows` rows.
    pub(super) fn failed(&mut self, rows: u64, error: &io::Error, now: Instant) {
        self.lost += rows;
        if self.is_time_to_speak(now) {
            self.failing = true;
            self.say(&format!("cannot be written: {error}"));
        }
    }

    /// The rings had no room for `rows` rows.
    pub(super) fn overrun(&mut self, rows: u64, now: Instant) {
        self.lost += rows;
        if self.is_time_to_speak(now) {
            self.say(&"is not written fast enough");
        }
    }

    /// A batch was written whole: worth a word only if the last one was that it could not be.
    pub(super) fn written(&mut self) {
        if mem::take(&mut self.failing) {
            self.say(&"can be written again");
        }
    }

    /// A new file was asked for and there is none.
    pub(super) fn not_reopened(&mut self, error: &JournalError) {
        self.say(&format!("stays in the old file: {error}"));
    }

    fn is_time_to_speak(&mut self, now: Instant) -> bool {
        let is_time = self.said_at.is_none_or(|at| now.saturating_duration_since(at) >= SAID_EVERY);
        if is_time {
            self.said_at = Some(now);
        }
        is_time
    }

    /// Says something of the log, which is a sentence with its name.
    pub(super) fn say(&mut self, what: &dyn fmt::Display) {
        let Self { out, log, lost, .. } = self;
        // Nobody is left to tell if even this cannot be written.
        let line = format!("tidegate: the log `{log}` {what} (rows lost so far: {lost})\n");
        let _ = out.write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(losses: &mut LossReporter<Vec<u8>>) -> String {
        String::from_utf8(mem::take(&mut losses.out)).expect("text")
    }

    fn disk_full() -> io::Error {
        io::Error::from_raw_os_error(28)
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn says_it_once_a_minute_with_name_reason_and_number() {
        let start = Instant::now();
        let mut losses = LossReporter::new(Vec::new(), "logs/x.csv".to_owned());
        losses.failed(3, &disk_full(), start);
        let first = said(&mut losses);
        for part in ["`logs/x.csv`", "No space left", "rows lost so far: 3)"] {
            assert!(first.contains(part), "{first}");
        }
        assert_eq!(first.matches('\n').count(), 1, "one line");

        losses.failed(4, &disk_full(), start + Duration::from_secs(59));
        losses.overrun(5, start + Duration::from_secs(59));
        assert_eq!(said(&mut losses), "");

        losses.overrun(1, start + Duration::from_secs(60));
        let second = said(&mut losses);
        assert!(
            second.contains("fast enough") && second.contains("rows lost so far: 13)"),
            "{second}"
        );
        assert_eq!(losses.lost(), 13);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn says_once_that_it_works_again_and_only_after_saying_that_it_did_not() {
        let start = Instant::now();
        let mut losses = LossReporter::new(Vec::new(), "x.csv".to_owned());
        losses.written();
        assert_eq!(said(&mut losses), "");

        losses.failed(1, &disk_full(), start);
        said(&mut losses);
        losses.written();
        assert!(said(&mut losses).contains("written again (rows lost so far: 1)"));
        losses.written();
        assert_eq!(said(&mut losses), "");

        losses.failed(1, &disk_full(), start + Duration::from_secs(1));
        losses.written();
        assert_eq!(said(&mut losses), "", "a disk that flaps is not worth two lines a batch");

        losses.overrun(1, start + Duration::from_secs(61));
        said(&mut losses);
        losses.written();
        assert_eq!(said(&mut losses), "", "a slow disk never stopped working");
    }
}
