//! What the arena and the process with its backends say to each other: a line of JSON each with
//! the addresses and, at the end, the counts; and in the other direction `begin NANOS SEED`.

use std::io;
use std::time::{Duration, SystemTime};

use serde::Serialize;

/// The subcommand of `tidegate-lab` that is the process with the backends.
pub const SUBCOMMAND: &str = "backends";

/// A value as a line.
///
/// # Errors
/// It has no JSON.
pub fn line(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

/// The line that sets time zero, and the seed of speeds that drift.
#[must_use]
pub fn begin(at: SystemTime, seed: u64) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("begin {} {seed}\n", since.as_nanos())
}

/// What [`begin`] has written.
#[must_use]
pub fn parse_begin(line: &str) -> Option<(SystemTime, u64)> {
    let (nanos, seed) = line.trim_end().strip_prefix("begin ")?.split_once(' ')?;
    let since = Duration::from_nanos(nanos.parse().ok()?);
    Some((SystemTime::UNIX_EPOCH.checked_add(since)?, seed.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_read_as_it_is_written() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        assert_eq!(parse_begin(&begin(at, u64::MAX)), Some((at, u64::MAX)));
        for other in ["", "begin", "begin 1", "begin x 1", "begin 1 x", "begin -1 1", "end 1 1"] {
            assert_eq!(parse_begin(other), None, "{other}");
        }
    }
}
