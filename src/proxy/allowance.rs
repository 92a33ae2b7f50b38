//! How many lines may be told of one thing, because others choose how often there is something to
//! tell: a name server, for one.

use std::time::{Duration, Instant};

/// Lines in each span of time.
const MOST: usize = 10;
const SPAN: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// When the span began.
    began: Option<Instant>,
    /// Lines in it, those that were left out included.
    lines: usize,
}

impl Allowance {
    /// What may be told of these lines, and how many were left out before. To be called now and
    /// then without lines, so that those that were left out are told of.
    pub(super) fn take(&mut self, mut lines: Vec<String>, now: Instant) -> (Vec<String>, usize) {
        let is_over = |began| now.saturating_duration_since(began) >= SPAN;
        let mut left_out = 0;
        if self.began.is_some_and(is_over) {
            left_out = self.lines.saturating_sub(MOST);
            *self = Self::default();
        }
        if !lines.is_empty() {
            self.began.get_or_insert(now);
        }
        let told = MOST.saturating_sub(self.lines);
        self.lines += lines.len();
        lines.truncate(told);
        (lines, left_out)
    }
}
