//! What is wrong in a file, shown with its line.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file that was read.
#[derive(Debug, Eq, PartialEq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A place in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spot {
    /// The file.
    pub source: Arc<Source>,
    /// The bytes of its text that are meant.
    pub at: Range<usize>,
}

/// What is wrong there. Displayed as `file:3:20: what is wrong`, and below it the line with the
/// place underlined.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// The place.
    pub spot: Spot,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spot: Spot { source, at }, what } = self;
        let Source { name, text: whole } = &**source;
        let (before, behind) = whole.split_at_checked(at.start).unwrap_or((whole, ""));
        let begin = before.rfind('\n').map_or(0, |end| end + 1);
        let text = whole[begin..].lines().next().unwrap_or_default();
        let number = before.matches('\n').count() + 1;
        let column = before[begin..].chars().count();
        writeln!(f, "{name}:{number}:{}: {what}", column + 1)?;
        // Tabs are as wide in the line below.
        let indent = text.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' });
        let indent: String = indent.collect();
        // What goes on in another line is underlined to the end of the first.
        let meant = behind.get(..at.len()).unwrap_or(behind).lines().next().unwrap_or_default();
        let gutter = " ".repeat(number.to_string().len());
        writeln!(f, "{gutter} |\n{number} | {text}")?;
        write!(f, "{gutter} | {indent}{}", "^".repeat(meant.chars().count().max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(whole: &str, at: Range<usize>) -> String {
        let source = Arc::new(Source { name: "a.toml".to_owned(), text: whole.to_owned() });
        Diagnostic { spot: Spot { source, at }, what: "no".to_owned() }.to_string()
    }

    #[test]
    fn the_place_is_given_by_line_and_column_and_underlined() {
        let whole = "a = 1\nbb = \"x\"\n";
        assert_eq!(shown(whole, 11..14), "a.toml:2:6: no\n  |\n2 | bb = \"x\"\n  |      ^^^");
        assert_eq!(shown(whole, 0..1), "a.toml:1:1: no\n  |\n1 | a = 1\n  | ^");
    }

    #[test]
    fn what_goes_on_in_other_lines_is_underlined_to_the_end_of_its_first() {
        let text = shown("a = [\n1,\n]\n", 4..10);
        assert!(text.ends_with("1 | a = [\n  |     ^"), "{text}");
    }

    #[test]
    fn a_place_behind_the_end_is_shown_at_the_end() {
        assert!(shown("a =", 3..3).ends_with("1 | a =\n  |    ^"), "{}", shown("a =", 3..3));
        assert!(shown("a\n", 2..9).ends_with("2 | \n  | ^"), "{}", shown("a\n", 2..9));
        assert!(shown("", 0..0).ends_with("1 | \n  | ^"));
    }

    #[test]
    fn columns_count_characters_and_tabs_keep_their_width() {
        let text = shown("\tä = é\n", 6..8);
        assert_eq!(text, "a.toml:1:6: no\n  |\n1 | \tä = é\n  | \t    ^");
    }
}
