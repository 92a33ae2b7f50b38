//! Splits one line of a log into its fields.
//!
//! Each line is split by itself, so that a quote which is not closed breaks its own line and not
//! the rest of the log. Few lines have quotes. Those without are split at their separators; the
//! others go through a CSV parser. The separator is given; what the fields mean is not known here.

use super::error::RowError;

/// What is read at once; a line must be shorter.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// More fields than this make a line broken.
const FIELDS_MAX: usize = 256;

/// Why a line is not a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// A field does not fit its column.
    #[error(transparent)]
    Field(#[from] RowError),
    /// A quoted field does not end in its line.
    #[error("a quote is not closed")]
    Quote,
    /// There are more fields than in any log.
    #[error("more than {FIELDS_MAX} fields")]
    TooManyFields,
    /// It is longer than what is read at once.
    #[error("a line of {} KiB or more", BLOCK_BYTES / 1024)]
    TooLong,
}

/// One line as its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    text: &'a [u8],
    ends: &'a [usize],
    /// How many bytes are between two fields: a separator, or none if the parser removed it.
    gap: usize,
}

impl<'a> Line<'a> {
    /// The field at `index`, without its quotes.
    #[must_use]
    pub(super) fn get(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] + self.gap);
        Some(&self.text[start..end])
    }

    /// All fields in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.ends.len()).map_while(|index| self.get(index))
    }
}

/// Splits one line after another, in the memory of the one before.
#[derive(Debug)]
pub(super) struct Splitter {
    separator: u8,
    parser: csv_core::Reader,
    /// A line without the blanks between a separator and a quote.
    tightened: Vec<u8>,
    unquoted: Vec<u8>,
    ends: Box<[usize]>,
}

impl Splitter {
    /// For a log whose fields are separated by this byte.
    pub(super) fn new(separator: u8) -> Self {
        Self {
            separator,
            parser: csv_core::ReaderBuilder::new().delimiter(separator).build(),
            tightened: Vec::new(),
            unquoted: Vec::new(),
            ends: vec![0; FIELDS_MAX].into_boxed_slice(),
        }
    }

    /// The fields of `line`, whose only line feed is at its end.
    pub(super) fn split<'l>(&'l mut self, line: &'l [u8]) -> Result<Line<'l>, LineError> {
        if memchr::memchr(b'"', line).is_none() { self.cut(line) } else { self.unquote(line) }
    }

    fn cut<'l>(&'l mut self, line: &'l [u8]) -> Result<Line<'l>, LineError> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let mut count = 0;
        for end in memchr::memchr_iter(self.separator, text).chain([text.len()]) {
            *self.ends.get_mut(count).ok_or(LineError::TooManyFields)? = end;
            count += 1;
        }
        Ok(Line { text, ends: &self.ends[..count], gap: 1 })
    }

    fn unquote(&mut self, line: &[u8]) -> Result<Line<'_>, LineError> {
        use csv_core::ReadRecordResult::{End, InputEmpty, OutputEndsFull, OutputFull, Record};
        self.tighten(line);
        self.parser.reset();
        if self.unquoted.len() < line.len() {
            self.unquoted.resize(line.len(), 0);
        }
        let (result, _, _, count) =
            self.parser.read_record(&self.tightened, &mut self.unquoted, &mut self.ends);
        match result {
            Record => Ok(Line { text: &self.unquoted, ends: &self.ends[..count], gap: 0 }),
            InputEmpty | End => Err(LineError::Quote),
            OutputFull | OutputEndsFull => Err(LineError::TooManyFields),
        }
    }

    /// Copies a line without the blanks between a separator and a quote. A CSV parser would take a
    /// quote after a blank for text.
    fn tighten(&mut self, line: &[u8]) {
        let (mut is_quoted, mut begins) = (false, true);
        self.tightened.clear();
        for &byte in line {
            if begins && byte == b' ' {
                continue;
            }
            is_quoted ^= byte == b'"';
            begins = byte == self.separator && !is_quoted;
            self.tightened.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, LineError> {
        split_at(b',', line)
    }

    fn split_at(separator: u8, line: &[u8]) -> Result<Vec<Vec<u8>>, LineError> {
        let mut splitter = Splitter::new(separator);
        let fields = splitter.split(line)?;
        Ok(fields.iter().map(<[u8]>::to_vec).collect())
    }

    fn fields(line: &str) -> Vec<String> {
        let fields = split(line.as_bytes()).expect("fields").into_iter();
        fields.map(|field| String::from_utf8(field).expect("text")).collect()
    }

    #[test]
    fn a_line_is_cut_at_its_commas() {
        assert_eq!(fields("a,bc,,d\n"), ["a", "bc", "", "d"]);
        assert_eq!(fields("a,\r\n"), ["a", ""]);
        assert_eq!(fields("a"), ["a"]);
        assert_eq!(fields(",\n"), ["", ""]);
    }

    #[test]
    fn quoted_fields_hold_commas_and_quotes() {
        assert_eq!(fields("a,\"b,\"\"c\",,d\r\n"), ["a", "b,\"c", "", "d"]);
        assert_eq!(fields("\"\",\"x\"\n"), ["", "x"]);
    }

    #[test]
    fn any_byte_may_be_between_fields_and_blanks_before_a_quote() {
        for line in ["a;b,c;\n", "\"a\";\"b,c\";\n", "a; \"b,c\"; \"\"\n"] {
            let expected = ["a", "b,c", ""].map(|field| field.as_bytes().to_vec());
            assert_eq!(split_at(b';', line.as_bytes()).expect(line), expected, "{line}");
        }
        assert_eq!(fields("a, \"b, \"\" c\",  d\n"), ["a", "b, \" c", "d"]);
    }

    #[test]
    fn there_are_limits() {
        assert_eq!(split(b"a,\"b\n"), Err(LineError::Quote));
        let commas = ",".repeat(FIELDS_MAX - 1);
        assert_eq!(fields(&format!("{commas}\n")).len(), FIELDS_MAX);
        for many in [format!("{commas},\n"), format!("\"\"{commas},\n")] {
            assert_eq!(split(many.as_bytes()), Err(LineError::TooManyFields));
        }
    }

    proptest! {
        /// Whichever way a line goes, its fields are the same.
        #[test]
        fn quotes_change_nothing_but_the_way(
            fields in prop::collection::vec("[ -!#-+.-~]*", 2..20),
        ) {
            let plain = fields.join(",") + "\n";
            let quoted = format!("\"{}\"\n", fields.join("\",\""));
            prop_assert_eq!(split(plain.as_bytes()), split(quoted.as_bytes()));
        }
    }
}
