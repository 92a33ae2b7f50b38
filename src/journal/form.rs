//! The two forms of a log, and how a file is known to be one.

use super::columns::header;
use super::dialect::Dialect;

/// What is in a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// A row for each request, below a header.
    Rows,
    /// A JSON object for each choice that was recorded, one a line.
    Decisions,
}

/// What each line of decisions begins with.
pub(super) const DECISION_BEGINS: &str = "{\"time\":\"";

/// What is in a file that is to become a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    Nothing,
    OurHeader,
    OurRows,
    /// Rows without our header: of another version, another tool, or a file that was truncated.
    OtherRows,
    SomethingElse,
}

impl Form {
    /// The setting that names the file.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::Rows => "--log",
            Self::Decisions => "--decisions",
        }
    }

    /// What such a file begins with.
    pub(super) fn header(self) -> String {
        match self {
            Self::Rows => header(),
            Self::Decisions => String::new(),
        }
    }

    /// What a file is that begins so.
    pub(super) fn contents(self, start: &[u8]) -> Contents {
        if start.is_empty() {
            return Contents::Nothing;
        }
        match self {
            Self::Rows => of_rows(start),
            Self::Decisions => {
                let begin = DECISION_BEGINS.as_bytes();
                // A disk may have been full in the middle of the first one.
                let is_ours = start.starts_with(begin) || begin.starts_with(start);
                if is_ours { Contents::OurRows } else { Contents::SomethingElse }
            }
        }
    }
}

fn of_rows(start: &[u8]) -> Contents {
    let header = header();
    match start.strip_prefix(header.as_bytes()) {
        Some([]) => Contents::OurHeader,
        Some(_) => Contents::OurRows,
        // What readers recognise as a log, and what is left of one if the disk was full.
        None if header.as_bytes().starts_with(start)
            || matches!(Dialect::of(start), Ok(Some(_))) =>
        {
            Contents::OtherRows
        }
        None => Contents::SomethingElse,
    }
}
