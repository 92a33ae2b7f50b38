//! The statuses that an active check takes for a pass.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Statuses that a final response may have (RFC 9110 §15).
const FINAL: RangeInclusive<u16> = 200..=599;

/// A set of statuses: `200`, `200-399` or `200,204,300-399`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

/// A text that is no set of statuses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("give a status from 200 to 599, a range such as 200-399, or several such as 200,300-399")]
pub struct InvalidStatuses;

impl Statuses {
    /// Whether this status is in the set.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Default for Statuses {
    /// All but errors.
    fn default() -> Self {
        Self(vec![200..=399])
    }
}

impl FromStr for Statuses {
    type Err = InvalidStatuses;

    fn from_str(text: &str) -> Result<Self, InvalidStatuses> {
        text.split(',').map(|part| range(part.trim())).collect::<Result<_, _>>().map(Self)
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, InvalidStatuses> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|status| is_plain && FINAL.contains(status)).ok_or(InvalidStatuses)
    };
    let range = status(first)?..=status(last)?;
    if range.is_empty() { Err(InvalidStatuses) } else { Ok(range) }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "," })?;
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{first}")?,
                (first, last) => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_it_is_read() {
        for (text, shown, inside, outside) in [
            ("200", "200", &[200][..], &[199, 201, 100, 999][..]),
            ("200-399", "200-399", &[200, 301, 399], &[199, 400]),
            ("200, 204 ,300-399", "200,204,300-399", &[200, 204, 304], &[201, 203, 299, 400]),
            ("404-404", "404", &[404], &[200]),
        ] {
            let set: Statuses = text.parse().expect(text);
            assert_eq!(set.to_string(), shown);
            assert!(inside.iter().all(|status| set.contains(*status)), "{text}");
            assert!(!outside.iter().any(|status| set.contains(*status)), "{text}");
        }
        assert_eq!("200-399".parse(), Ok(Statuses::default()));
    }

    #[test]
    fn what_no_final_response_can_have_is_refused() {
        for text in
            ["", "2xx", "20", "101", "600", "+200", "399-200", "200-", "-", "200,", "200-300-400"]
        {
            assert_eq!(text.parse::<Statuses>(), Err(InvalidStatuses), "{text}");
        }
    }
}
