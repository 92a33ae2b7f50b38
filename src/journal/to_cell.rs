//! How a fact is written into its cell. What is missing, and what is empty, is an empty cell.

use std::time::Duration;

use super::batch::Cells;
use super::escape::{escape, is_plain};
use crate::endpoint::{Client, UNIX};

/// A value that is written into a cell.
pub(super) trait ToCell {
    fn to_cell(self, cells: &mut Cells<'_>);
}

/// Longer words are cut.
const WORD_BYTES_MAX: usize = 256;

/// A word that is the same in many rows, escaped once.
#[derive(Debug)]
pub(super) struct Escaped(Vec<u8>);

impl Escaped {
    /// Of a word, which is no longer than some bytes.
    pub(super) fn new(word: &str) -> Self {
        let text = &word.as_bytes()[..word.len().min(WORD_BYTES_MAX)];
        Self(if is_plain(text) { text.to_vec() } else { escape(text) })
    }
}

impl<T: ToCell> ToCell for Option<T> {
    fn to_cell(self, cells: &mut Cells<'_>) {
        match self {
            Some(value) => value.to_cell(cells),
            None => cells.nothing(),
        }
    }
}

impl ToCell for &Escaped {
    fn to_cell(self, cells: &mut Cells<'_>) {
        cells.escaped(&self.0);
    }
}

impl ToCell for &[u8] {
    fn to_cell(self, cells: &mut Cells<'_>) {
        cells.text(self);
    }
}

impl ToCell for &str {
    fn to_cell(self, cells: &mut Cells<'_>) {
        cells.text(self.as_bytes());
    }
}

/// A time in microseconds since 1970.
impl ToCell for i64 {
    fn to_cell(self, cells: &mut Cells<'_>) {
        cells.time(self);
    }
}

impl ToCell for Duration {
    fn to_cell(self, cells: &mut Cells<'_>) {
        cells.millis(self);
    }
}

impl ToCell for u64 {
    fn to_cell(self, cells: &mut Cells<'_>) {
        cells.number(self);
    }
}

impl ToCell for u32 {
    fn to_cell(self, cells: &mut Cells<'_>) {
        cells.number(self.into());
    }
}

impl ToCell for u16 {
    fn to_cell(self, cells: &mut Cells<'_>) {
        cells.number(self.into());
    }
}

impl ToCell for usize {
    fn to_cell(self, cells: &mut Cells<'_>) {
        cells.number(self as u64);
    }
}

impl ToCell for Client {
    fn to_cell(self, cells: &mut Cells<'_>) {
        match self {
            Self::Ip(address) => cells.address(address),
            Self::Unix => cells.escaped(UNIX.as_bytes()),
        }
    }
}
