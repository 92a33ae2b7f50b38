//! Choices in a decision log.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use tidegate::decision::Logged;

use super::{ExplainError, TOLD_MAX, io_error};

/// So many choices are read of one request, and of all together in proportion.
const CHOICES_MAX: usize = 8 * TOLD_MAX;

/// What stands before the name of a request.
const MARK: &str = "\"request\":\"";

/// The choices of the requests that are wanted, in their order. What is no choice is passed over,
/// as a line is that was not written to its end.
pub(super) fn find(
    path: &Path,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Logged<'static>>, ExplainError> {
    let mut file = BufReader::new(File::open(path).map_err(io_error(path))?);
    let (mut found, mut line) = (Vec::new(), Vec::new());
    while found.len() < CHOICES_MAX {
        line.clear();
        if file.read_until(b'\n', &mut line).map_err(io_error(path))? == 0 {
            break;
        }
        // A name has no character that is escaped, so most lines need not be parsed.
        let text = String::from_utf8_lossy(&line);
        let name = text.split_once(MARK).and_then(|(_, rest)| Some(rest.split_once('"')?.0));
        if name.is_some_and(&is_wanted) {
            found.extend(serde_json::from_str::<Logged<'static>>(&text));
        }
    }
    found.sort_by(|one, other| one.time.cmp(&other.time));
    Ok(found)
}
