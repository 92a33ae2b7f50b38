//! The progress of a long task: a bar on a terminal, else lines of plain text.
//!
//! Both go to standard error, so that standard output has the results alone.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressStyle};

use crate::say;

/// See the module.
pub(crate) struct Meter {
    bar: ProgressBar,
    unit: &'static str,
    /// A line is written every so many units.
    step: u64,
    /// The position of the next line.
    next: u64,
}

impl Meter {
    /// For a task of `total` units, with a bar in the format `template`.
    pub(crate) fn new(total: u64, unit: &'static str, step: u64, template: &str) -> Self {
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, unit, step: step.max(1), next: 0 }
    }

    /// For a task of so many seconds, with a line for every tenth.
    pub(crate) fn of_seconds(total: u64, tenth_of: u64) -> Self {
        const LONGEST_STEP: u64 = 60;
        let template = "{bar:30} {percent} % {eta} left  {msg}";
        Self::new(total, "s", (tenth_of / 10).min(LONGEST_STEP), template)
    }

    /// A part of the task begins, and has a line.
    pub(crate) fn begin(&mut self, position: u64, words: &str) {
        self.next = position;
        self.at(position, words);
    }

    /// Shows the position.
    pub(crate) fn at(&mut self, position: u64, words: &str) {
        if self.bar.is_hidden() {
            if let Some(line) = self.line(position, words) {
                // If the stream is closed, there is no other place for it.
                let _ = io::stderr().write_all(line.as_bytes());
            }
            return;
        }
        self.bar.set_message(words.to_owned());
        self.bar.set_position(position);
    }

    /// The line, if one is due.
    fn line(&mut self, position: u64, words: &str) -> Option<String> {
        let total = self.bar.length().unwrap_or(position);
        if position < self.next {
            return None;
        }
        self.next = position - position % self.step + self.step;
        Some(format!("{position} of {total} {}: {words}\n", self.unit))
    }

    /// Prints a result while the progress is shown.
    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(meter: &mut Meter, positions: impl Iterator<Item = u64>) -> Vec<u64> {
        positions.filter(|position| meter.line(*position, "x").is_some()).collect()
    }

    #[test]
    fn a_line_is_written_at_the_start_and_every_step_whatever_is_skipped() {
        let mut meter = Meter::new(100, "turns", 10, "");
        assert_eq!(lines(&mut meter, 0..=25), [0, 10, 20]);
        assert_eq!(lines(&mut meter, [26, 26, 37, 38, 41].into_iter()), [37, 41]);
        assert_eq!(meter.line(50, "small"), Some("50 of 100 turns: small\n".to_owned()));
    }

    #[test]
    fn a_part_that_begins_has_a_line_of_its_own() {
        let mut meter = Meter::of_seconds(720, 120);
        assert_eq!(lines(&mut meter, 0..=40), [0, 12, 24, 36]);
        meter.begin(41, "next");
        assert_eq!(meter.next, 48);
        let mut short = Meter::of_seconds(6, 1);
        assert_eq!(lines(&mut short, [0, 0, 1, 1, 2].into_iter()), [0, 1, 2]);
    }
}
