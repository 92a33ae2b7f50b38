//! The progress of contenders that have their turns one after the other.

use crate::meter::Meter;

/// See the module.
#[derive(Default)]
pub(crate) struct Turns {
    meter: Option<Meter>,
    taken: u64,
}

impl Turns {
    /// There are so many.
    pub(crate) fn announced(&mut self, turns: u64) {
        /// How many lines the progress takes.
        const LINES: u64 = 50;
        let template = "{bar:30} {pos}/{len} {eta} {msg}";
        self.meter = Some(Meter::new(turns, "turns", turns / LINES, template));
    }

    /// One begins.
    pub(crate) fn begin(&mut self, words: &str) {
        self.taken += 1;
        self.again(words);
    }

    /// The last one is repeated.
    pub(crate) fn again(&mut self, words: &str) {
        if let Some(meter) = &mut self.meter {
            meter.at(self.taken, words);
        }
    }

    /// Prints a result meanwhile.
    pub(crate) fn say(&self, text: &str) {
        if let Some(meter) = &self.meter {
            meter.say(text);
        }
    }
}
