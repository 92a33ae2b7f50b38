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
    /// What may be told of these lines, and how many were left out before.
    pub(super) fn take(&mut self, mut lines: Vec<String>, now: Instant) -> Vec<String> {
        if lines.is_empty() {
            return lines;
        }
        let is_over = |began| now.saturating_duration_since(began) >= SPAN;
        let mut left_out = 0;
        if self.began.is_none_or(is_over) {
            left_out = self.lines.saturating_sub(MOST);
            *self = Self { began: Some(now), lines: 0 };
        }
        let told = MOST.saturating_sub(self.lines);
        self.lines += lines.len();
        lines.truncate(told);
        if left_out > 0 {
            lines.push(format!("{left_out} lines like it before were left out"));
        }
        lines
    }
}
