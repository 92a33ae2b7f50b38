//! The delays of a backend's answers, which are repeated.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tidegate::time::parse_duration;

/// The delays of successive requests; after the last the first is used again. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile(Vec<Duration>);

/// More would be a typing error; each entry costs a rendered reply.
const MOST_DELAYS: usize = 10_000;

impl Profile {
    /// The default profile of a server with this name: A is mostly fast with some slow answers in a
    /// row, B and C are constant; all other names have that of A. Case does not matter.
    #[must_use]
    pub fn of_server(id: &str) -> Self {
        let millis: &[u64] = match id {
            "B" | "b" => &[200],
            "C" | "c" => &[250],
            _ => &[10, 15, 20, 400, 400, 400, 10, 15, 20],
        };
        Self(millis.iter().copied().map(Duration::from_millis).collect())
    }

    /// The delays, in order.
    #[must_use]
    pub fn delays(&self) -> &[Duration] {
        &self.0
    }
}

/// Parses `10,15,400x3`: milliseconds, with decimals if need be, each repeated as often as its `x`
/// says.
impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut delays = Vec::new();
        for entry in text.split(',').map(str::trim) {
            let (millis, times) = entry.split_once('x').unwrap_or((entry, "1"));
            let delay = parse_duration(&format!("{millis}ms")).map_err(|_| {
                format!("`{entry}` is not a delay; write milliseconds, as in 10,2.5,400x3")
            })?;
            let times = times.parse().ok().filter(|times| (1..=MOST_DELAYS).contains(times));
            let Some(times) = times.filter(|times| delays.len() + times <= MOST_DELAYS) else {
                return Err(format!("`{entry}`: a profile has 1 to {MOST_DELAYS} delays"));
            };
            delays.resize(delays.len() + times, delay);
        }
        Ok(Self(delays))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, delay) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", Millis(*delay))?;
        }
        Ok(())
    }
}

/// Shows a duration in milliseconds with at most three decimals.
pub(super) struct Millis(pub(super) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros % 1000 {
            0 => write!(f, "{}", micros / 1000),
            rest => {
                let decimals = format!("{rest:03}");
                write!(f, "{}.{}", micros / 1000, decimals.trim_end_matches('0'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_name_decides_and_case_does_not() {
        let a = "10,15,20,400,400,400,10,15,20";
        for (id, profile) in
            [("A", a), ("a", a), ("B", "200"), ("b", "200"), ("C", "250"), ("c", "250")]
        {
            assert_eq!(Profile::of_server(id).to_string(), profile, "{id}");
        }
        for other in ["D", "", "BB", "web-1"] {
            assert_eq!(Profile::of_server(other).to_string(), a, "{other}");
        }
    }

    #[test]
    fn repetitions_and_decimals_are_read() {
        for (text, shown) in [
            ("0", "0"),
            ("10,15,20,400x3", "10,15,20,400,400,400"),
            ("2.5, 0.125x2", "2.5,0.125,0.125"),
            ("100.0", "100"),
        ] {
            assert_eq!(text.parse::<Profile>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_delay_is_named() {
        for text in ["", "fast", "-1", "10,,20", "10ms", "5x", "5x0", "x3", "5x-1", "5x10001"] {
            let refusal = text.parse::<Profile>().expect_err(text);
            let entry = if text.contains(",,") { "" } else { text };
            assert!(refusal.contains(&format!("`{entry}`")), "{text}: {refusal}");
        }
        assert!("1x6000,2x6000".parse::<Profile>().is_err(), "too many in all");
    }
}
