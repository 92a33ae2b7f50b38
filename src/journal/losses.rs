//! Reports that rows are being lost, at most once a minute.

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::time::{Duration, Instant};

use super::error::JournalError;

/// A full disk fails every batch; one report in this time is enough.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Counts lost rows and reports them on `out`, normally the console.
#[derive(Debug)]
pub(super) struct LossReporter<W> {
    out: W,
    log: String,
    lost: u64,
    reported_at: Option<Instant>,
    /// The last report was that the log cannot be written.
    failing: bool,
}

impl<W: Write> LossReporter<W> {
    /// Reports call the log `log`.
    pub(super) fn new(out: W, log: String) -> Self {
        Self { out, log, lost: 0, reported_at: None, failing: false }
    }

    /// Reports call the log by another name from now on.
    pub(super) fn rename(&mut self, log: String) {
        self.log = log;
    }

    /// All rows lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// The log did not take `rows` rows.
    pub(super) fn failed(&mut self, rows: u64, error: &io::Error, now: Instant) {
        self.lost += rows;
        if self.is_due(now) {
            self.failing = true;
            self.say(&format!("cannot be written: {error}"));
        }
    }

    /// `rows` rows were dropped because a ring was full.
    pub(super) fn overrun(&mut self, rows: u64, now: Instant) {
        self.lost += rows;
        if self.is_due(now) {
            self.say(&"is not written fast enough");
        }
    }

    /// A batch was written whole, which is reported only if the last report was that one was not.
    pub(super) fn written(&mut self) {
        if mem::take(&mut self.failing) {
            self.say(&"can be written again");
        }
    }

    /// The log could not be reopened.
    pub(super) fn not_reopened(&mut self, error: &JournalError) {
        self.say(&format!("stays in the old file: {error}"));
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due =
            self.reported_at.is_none_or(|at| now.saturating_duration_since(at) >= REPORT_INTERVAL);
        if is_due {
            self.reported_at = Some(now);
        }
        is_due
    }

    /// Reports something of the log; `what` completes the sentence "the log `x` …".
    pub(super) fn say(&mut self, what: &dyn fmt::Display) {
        let Self { out, log, lost, .. } = self;
        // There is nowhere to report that even this cannot be written.
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
