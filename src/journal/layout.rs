//! Where each column stands in a log, and how its dates are written: found by the names in the
//! header, or by a first row that has the columns in our order.

use super::columns::{COLUMNS, CONTRACT_COLUMNS, Row};
use super::from_cell::Cell;
use super::line::Line;

/// Logs of ours without a header are known from so many columns on: the first version had them.
const OWN_COLUMNS_MIN: usize = 16;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The index of each column's field.
    places: [Option<usize>; COLUMNS.len()],
    days_first: bool,
}

impl Layout {
    /// Reads a header; `None` if it has not all columns of the contract, in whatever order.
    #[must_use]
    pub(super) fn find(header: &Line<'_>) -> Option<Self> {
        let place = |name| header.iter().position(|field| is_name(field, name));
        let places = COLUMNS.map(|column| place(column.name));
        let has_contract = places[..CONTRACT_COLUMNS].iter().all(Option::is_some);
        has_contract.then_some(Self { places, days_first: false })
    }

    /// Takes `row`, above which there is no header, for the first of a log whose columns are in
    /// our order: all of them, or those of the contract. `None` if it can't be one.
    #[must_use]
    pub(super) fn of_row(row: &Line<'_>) -> Option<Self> {
        let count = row.iter().count();
        let is_ours = (OWN_COLUMNS_MIN..=COLUMNS.len()).contains(&count);
        let mut place = 0..if is_ours { count } else { CONTRACT_COLUMNS };
        let layout = Self { places: COLUMNS.map(|_| place.next()), days_first: false };
        let parsed = Row::parse(&layout, *row).ok().filter(|_| count >= CONTRACT_COLUMNS)?;
        (is_ours || parsed.status.is_some() || parsed.latency.is_some()).then_some(layout)
    }

    /// Whether `05/08/2025` is a day in August.
    #[must_use]
    pub(super) fn has_days_first(&self) -> bool {
        self.days_first
    }

    /// The same layout, with dates in this order.
    #[must_use]
    pub(super) fn days_first(self, is_so: bool) -> Self {
        Self { days_first: is_so, ..self }
    }

    /// The field with the time.
    #[must_use]
    pub(super) fn timestamp<'a>(&self, line: &Line<'a>) -> Option<&'a [u8]> {
        line.get(self.places[0]?)
    }

    /// The cells of a line in the order of [`COLUMNS`].
    pub(super) fn cells<'l, 'a>(&'l self, line: Line<'a>) -> LineCells<'l, 'a> {
        LineCells { layout: self, line, column: 0 }
    }
}

/// Whether a header's field names a column, as people and programs write it: `Status Code`.
fn is_name(field: &[u8], name: &str) -> bool {
    // A header that is a comment begins with its sign.
    let field = field.strip_prefix(b"#").unwrap_or(field).trim_ascii();
    let same = |(byte, expected): (&u8, u8)| match byte {
        b' ' | b'-' => expected == b'_',
        _ => byte.to_ascii_lowercase() == expected,
    };
    field.len() == name.len() && field.iter().zip(name.bytes()).all(same)
}

/// Walks over the cells of a line.
#[derive(Debug)]
pub(super) struct LineCells<'l, 'a> {
    layout: &'l Layout,
    line: Line<'a>,
    column: usize,
}

impl<'a> LineCells<'_, 'a> {
    /// The cell of the next column, of which there must be one.
    pub(super) fn next(&mut self) -> Cell<'a> {
        let Layout { places, days_first } = *self.layout;
        let (place, column) = (places[self.column], COLUMNS[self.column].name);
        self.column += 1;
        Cell { column, field: place.and_then(|place| self.line.get(place)), days_first }
    }
}
