//! The format of a log, detected from its beginning: what separates its fields, whether and where
//! it has a header, the index of each column, whether dates begin with the day.
//!
//! Our own logs have one format; those of spreadsheets, data frames and other proxies have others.
//! A log is recognised by the names in its header, whatever their form. What can't be read is
//! refused with what was expected and what was found.

use super::columns::{COLUMNS, CONTRACT_COLUMNS};
use super::layout::Layout;
use super::line::{Line, Splitter};
use super::timestamp::has_day_first;

/// What may separate fields, in the order in which it is tried.
const SEPARATORS: [u8; 4] = *b",;\t|";

/// Some tools write this before the header.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// How much of what was found a refusal shows.
const CHARS_SHOWN: usize = 200;

/// See the module.
#[derive(Debug)]
pub(super) struct Dialect {
    pub(super) separator: u8,
    pub(super) layout: Layout,
    /// Where the first row begins, in bytes.
    pub(super) rows_begin: usize,
}

/// Why a file can't be read as a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotALog {
    /// It has two bytes per character.
    #[error("it is UTF-16 text; save it as UTF-8")]
    Utf16,
    /// It has no line feeds.
    #[error("its lines end in CR alone; have them end in LF, or in CR and LF")]
    CarriageReturns,
    /// It does not have the columns of a log.
    #[error(
        "expected the columns {}, by name in a header or in this order without one; \
         its first line is `{found}`",
        contract().join(", ")
    )]
    Columns {
        /// Its first line, or the beginning of that.
        found: String,
    },
}

/// The names of the columns that every log has.
fn contract() -> [&'static str; CONTRACT_COLUMNS] {
    std::array::from_fn(|index| COLUMNS[index].name)
}

impl Dialect {
    /// Detects it from the beginning of a file; `None` if more of the file is needed.
    ///
    /// # Errors
    /// When the file can't be read as a log.
    pub(super) fn of(start: &[u8]) -> Result<Option<Self>, NotALog> {
        if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [_, 0, _, 0, ..] | [0, _, 0, _, ..] = start {
            return Err(NotALog::Utf16);
        }
        let mut separators = SEPARATORS.to_vec();
        let mut at = if start.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        while let Some(length) = memchr::memchr(b'\n', &start[at..]) {
            let line = &start[at..=at + length];
            let next = at + length + 1;
            if let Some(separator) = named_separator(line) {
                separators = vec![separator];
            } else if let Some((separator, layout)) = first(&separators, line, Layout::find) {
                let layout = layout.days_first(any_day_first(separator, &layout, &start[next..]));
                return Ok(Some(Self { separator, layout, rows_begin: next }));
            } else if let Some((separator, layout)) = first(&separators, line, Layout::of_row) {
                let layout = layout.days_first(any_day_first(separator, &layout, &start[at..]));
                return Ok(Some(Self { separator, layout, rows_begin: at }));
            } else if !is_passed_over(line) {
                return Err(NotALog::found(line));
            }
            at = next;
        }
        match memchr::memchr(b'\r', &start[at..]) {
            Some(end) if at + end + 1 < start.len() => Err(NotALog::CarriageReturns),
            _ => Ok(None),
        }
    }
}

impl NotALog {
    /// The refusal of a file that begins with `line`.
    pub(super) fn found(line: &[u8]) -> Self {
        let line = String::from_utf8_lossy(line.trim_ascii());
        let shown = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
        Self::Columns { found: line.chars().take(CHARS_SHOWN).map(shown).collect() }
    }
}

/// Blank lines and comments are neither rows nor broken lines.
pub(super) fn is_passed_over(line: &[u8]) -> bool {
    matches!(line.trim_ascii(), [] | [b'#', ..])
}

/// The separator in a line such as `sep=;`, which spreadsheets read.
fn named_separator(line: &[u8]) -> Option<u8> {
    let line = line.strip_prefix(b"\"").unwrap_or(line);
    let (name, separator) = line.split_at_checked(4)?;
    let rest = separator.get(1..)?.trim_ascii();
    let is_named = name.eq_ignore_ascii_case(b"sep=") && matches!(rest, [] | b"\"");
    is_named.then_some(separator[0]).filter(|separator| SEPARATORS.contains(separator))
}

/// The layout that `find` gets from `line` with the first separator that works.
fn first(
    separators: &[u8],
    line: &[u8],
    find: impl Fn(&Line<'_>) -> Option<Layout>,
) -> Option<(u8, Layout)> {
    separators.iter().find_map(|&separator| {
        let mut splitter = Splitter::new(separator);
        Some((separator, find(&splitter.split(line).ok()?)?))
    })
}

/// Whether one of `rows` has a date that can't be one with the month first.
fn any_day_first(separator: u8, layout: &Layout, rows: &[u8]) -> bool {
    let mut splitter = Splitter::new(separator);
    rows.split_inclusive(|byte| *byte == b'\n').any(|line| {
        let line = splitter.split(line).ok();
        line.and_then(|line| layout.timestamp(&line)).is_some_and(has_day_first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";

    /// The separator, and where rows begin.
    fn found(start: &str) -> Option<(char, usize)> {
        let dialect = Dialect::of(start.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        dialect.map(|dialect| (char::from(dialect.separator), dialect.rows_begin))
    }

    fn refusal(start: impl AsRef<[u8]>) -> NotALog {
        Dialect::of(start.as_ref()).expect_err("no log")
    }

    #[test]
    fn the_header_tells_the_separator() {
        for separator in [",", ";", "\t", "|"] {
            let header = HEADER.replace(',', separator);
            assert_eq!(found(&header), Some((separator.parse().unwrap(), header.len())));
        }
    }

    #[test]
    fn a_header_is_known_by_its_names_however_they_are_written() {
        for header in [
            "Timestamp,BACKEND_URL,Latency ms,Status-Code,routing_mode\r\n",
            "timestamp, backend_url, latency_ms, status_code, routing_mode\n",
            "\"timestamp\",\"backend_url\",\"latency_ms\",\"status_code\",\"routing_mode\"\n",
            ",timestamp,backend_url,latency_ms,status_code,routing_mode\n",
            "#,timestamp,backend_url,latency_ms,status_code,routing_mode\n",
            "# timestamp,backend_url,latency_ms,status_code,routing_mode\n",
            "routing_mode,x,status_code,backend_url,latency_ms,y,timestamp\n",
        ] {
            assert_eq!(found(header), Some((',', header.len())), "{header}");
        }
    }

    #[test]
    fn what_stands_above_the_header_is_passed_over() {
        for above in ["\n\r\n", "# a, comment\n", "\u{feff}", "\u{feff}# x\n \n", "SEP=,\r\n"] {
            let start = above.to_owned() + HEADER;
            assert_eq!(found(&start), Some((',', start.len())), "{above:?}");
        }
        let start = "\"sep=;\"\n".to_owned() + &HEADER.replace(',', ";");
        assert_eq!(found(&start), Some((';', start.len())));
        assert_eq!(refusal("sep=;\n".to_owned() + HEADER), NotALog::found(HEADER.as_bytes()));
    }

    #[test]
    fn without_a_header_a_first_row_tells_that_it_is_one() {
        for row in [
            "2026-11-23 10:11:12,http://b:1,12,200,x\n",
            "2026-11-23 10:11:12;http://b:1;12,5;200;x\n",
            "1795428672,http://b:1,NaN,503,x\n",
            "1795428672,b,12,None,x,and,more\n",
        ] {
            assert_eq!(found(row).map(|it| it.1), Some(0), "{row}");
        }
        for row in ["2026-11-23 10:11:12,b,x,y,z\n", "1795428672,b,12,200\n", "0,x,b,12,200,x\n"] {
            assert_eq!(refusal(row), NotALog::found(row.as_bytes()));
        }
    }

    #[test]
    fn more_is_needed_until_a_line_tells() {
        for start in ["", "# a comment\n", "\n\n", "sep=;\r\n", HEADER.trim_end(), "timest\r"] {
            assert_eq!(found(start), None, "{start:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_expected_and_found() {
        let said = refusal("a,b\n1,2\n").to_string();
        assert!(said.starts_with("expected the columns timestamp, backend_url, latency_ms, "));
        assert!(said.ends_with("its first line is `a,b`"), "{said}");
        let utf16: Vec<u8> = HEADER.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(refusal(&utf16), NotALog::Utf16);
        assert_eq!(refusal([&[0xff, 0xfe], &*utf16].concat()), NotALog::Utf16);
        let returns = HEADER.replace('\n', "\r").repeat(2);
        assert_eq!(refusal(returns), NotALog::CarriageReturns);
    }

    proptest! {
        #[test]
        fn nothing_panics(start in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Dialect::of(&start);
        }

        #[test]
        fn what_resembles_a_log_does_not_panic_either(
            start in "(\u{feff}|sep=;\n|#|\n|[ -~]{0,9}){0,3}timestamp[,;\t|]\
                      [0-9,;:/. \"\n-]{0,80}",
        ) {
            let _ = Dialect::of(start.as_bytes());
        }
    }

    #[test]
    fn one_date_tells_the_order_of_all() {
        let header = HEADER.to_owned();
        let days_first = |rows: &str| {
            let dialect = Dialect::of((header.clone() + rows).as_bytes()).unwrap().unwrap();
            dialect.layout == dialect.layout.days_first(true)
        };
        assert!(!days_first("05/08/2025 12:00,b,1,200,x\n"));
        assert!(days_first("05/08/2025 12:00,b,1,200,x\n25/08/2025 12:00,b,1,200,x\n"));
    }
}
