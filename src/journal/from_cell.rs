//! How the value of a column is read from its cell. What is read may have been written by any tool,
//! so what can't be read is taken for missing.

use std::time::Duration;

use super::error::RowError;
use super::escape::unmarked;
use super::timestamp::timestamp_us;
use super::value::{is_missing, millis, parse, status, whole};
use crate::endpoint::Client;

/// A cell of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell<'a> {
    /// The name of its column.
    pub(super) column: &'static str,
    /// `None` where the log has no such column, or the line no such field.
    pub(super) field: Option<&'a [u8]>,
    /// Whether `05/08/2025` is a day in August.
    pub(super) days_first: bool,
}

/// A value that is read from a cell.
pub(super) trait FromCell<'a>: Sized {
    /// # Errors
    /// When there is no row without this value.
    fn from_cell(cell: Cell<'a>) -> Result<Self, RowError>;
}

impl<'a> Cell<'a> {
    fn trimmed(&self) -> Option<&'a [u8]> {
        self.field.map(<[u8]>::trim_ascii)
    }
}

/// A time in microseconds since 1970.
impl FromCell<'_> for Option<i64> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, RowError> {
        Ok(cell.field.and_then(|field| timestamp_us(field, cell.days_first)))
    }
}

/// A time without which there is no row.
impl FromCell<'_> for i64 {
    fn from_cell(cell: Cell<'_>) -> Result<Self, RowError> {
        Option::from_cell(cell)?.ok_or_else(|| RowError {
            column: cell.column,
            value: String::from_utf8_lossy(cell.field.unwrap_or_default()).into_owned(),
        })
    }
}

impl<'a> FromCell<'a> for Option<&'a str> {
    fn from_cell(cell: Cell<'a>) -> Result<Self, RowError> {
        let field = cell.trimmed().filter(|field| !is_missing(field)).map(unmarked);
        let text = field.and_then(|field| str::from_utf8(field).ok());
        Ok(text.filter(|text| !text.is_empty()))
    }
}

impl<'a> FromCell<'a> for &'a str {
    fn from_cell(cell: Cell<'a>) -> Result<Self, RowError> {
        Option::from_cell(cell).map(Option::unwrap_or_default)
    }
}

/// Bytes as they stand there: what a client sent may look like anything.
impl<'a> FromCell<'a> for Option<&'a [u8]> {
    fn from_cell(cell: Cell<'a>) -> Result<Self, RowError> {
        Ok(cell.field.map(unmarked).filter(|bytes| !bytes.is_empty()))
    }
}

impl FromCell<'_> for Option<Duration> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, RowError> {
        Ok(cell.trimmed().and_then(millis))
    }
}

/// A status code.
impl FromCell<'_> for Option<u16> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, RowError> {
        Ok(cell.trimmed().and_then(status))
    }
}

impl FromCell<'_> for Option<u32> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, RowError> {
        Ok(cell.trimmed().and_then(whole))
    }
}

impl FromCell<'_> for Option<u64> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, RowError> {
        Ok(cell.trimmed().and_then(whole))
    }
}

impl FromCell<'_> for Option<usize> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, RowError> {
        Ok(cell.trimmed().and_then(whole))
    }
}

impl FromCell<'_> for Option<Client> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, RowError> {
        Ok(cell.trimmed().and_then(parse))
    }
}
