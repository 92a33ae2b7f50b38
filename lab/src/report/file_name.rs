//! Names of logs.

use std::ffi::OsStr;
use std::path::Path;

/// The ending of a log's name.
const ENDS: [&str; 4] = [".csv", ".csv.gz", ".tsv", ".tsv.gz"];

/// The ending by which a file may be a log.
pub(super) fn end(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    ENDS.into_iter().find(|end| name.ends_with(end))
}

/// A file's name without the ending of a log.
pub(super) fn stem(path: &Path) -> String {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let length = end(path).map(|end| name.len() - end.len());
    let other = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    length.and_then(|length| name.get(..length)).map_or_else(other, str::to_owned)
}
