//! Durations in the form `500ms`, `2s`, `1m`.

use std::time::Duration;

/// Parses a duration written as a whole or decimal number and a unit: `us`, `ms`, `s`, `m` or `h`.
///
/// # Errors
/// A message that names what was given and what is accepted.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is not a duration; write a number and ms, s, m or h (500ms)");
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(refuse)?;
    let (number, unit) = text.split_at(unit_at);
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = number.parse().ok().filter(|_| plain).ok_or_else(refuse)?;
    let seconds_per_unit = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(refuse()),
    };
    Duration::try_from_secs_f64(number * seconds_per_unit)
        .ok()
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| format!("`{text}` is too long; the longest duration is 24h"))
}

/// No timeout of a proxy has to be longer, and sums with instants don't overflow.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Formats a duration as [`parse_duration`] parses it, in the largest unit that divides it.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0 => "0s".to_owned(),
        m if m % 3_600_000_000 == 0 => format!("{}h", m / 3_600_000_000),
        m if m % 60_000_000 == 0 => format!("{}m", m / 60_000_000),
        m if m % 1_000_000 == 0 => format!("{}s", m / 1_000_000),
        m if m % 1_000 == 0 => format!("{}ms", m / 1_000),
        m => format!("{m}us"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        for (text, millis) in [("500ms", 500), ("2s", 2_000), ("1m", 60_000), ("1h", 3_600_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn refuses_what_is_no_duration_and_says_what_is() {
        for text in ["", "5", "s", "-1s", "1 s", "1d", "5sec", "..s", "1e3s", "+1s", "infs", "NaNs"]
        {
            let refusal = parse_duration(text).expect_err(text);
            assert!(refusal.contains(&format!("`{text}`")) && refusal.contains("500ms"));
        }
        assert!(parse_duration("25h").expect_err("too long").contains("24h"));
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["0s", "250us", "500ms", "1500ms", "2s", "1m", "90s", "24h"] {
            assert_eq!(format_duration(parse_duration(text).expect(text)), text);
        }
    }
}
