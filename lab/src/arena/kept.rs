//! How the types of others are kept in `arena.json`.

use serde::{Deserialize, Deserializer};

/// A number; one that is none, such as the quotient of two zeros, is kept as null.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// A scenario, as its file.
pub(super) mod text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::scenario::Scenario;

    pub(in super::super) fn serialize<S: Serializer>(
        scenario: &Scenario,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(scenario)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Scenario, D::Error> {
        let text = String::deserialize(from)?;
        Scenario::parse("its scenario", &text, None).map_err(de::Error::custom)
    }
}

/// A histogram, as its values in one text: `1250 1251x3` is 1250 once and 1251 three times.
pub(super) mod histogram {
    use std::fmt::Write;

    use hdrhistogram::Histogram;
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Digits to which a value is exact.
    const DIGITS: u8 = 4;

    pub(in super::super) fn serialize<S: Serializer>(
        histogram: &Histogram<u64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        for recorded in histogram.iter_recorded() {
            let space = if text.is_empty() { "" } else { " " };
            let (value, count) = (recorded.value_iterated_to(), recorded.count_at_value());
            // Writing to a String can't fail.
            let _ = match count {
                1 => write!(text, "{space}{value}"),
                _ => write!(text, "{space}{value}x{count}"),
            };
        }
        to.serialize_str(&text)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Histogram<u64>, D::Error> {
        let text = String::deserialize(from)?;
        let mut histogram = Histogram::new(DIGITS).map_err(de::Error::custom)?;
        for word in text.split_whitespace() {
            let (value, count) = word.split_once('x').unwrap_or((word, "1"));
            let parse = |text: &str| text.parse().map_err(de::Error::custom);
            histogram.record_n(parse(value)?, parse(count)?).map_err(de::Error::custom)?;
        }
        Ok(histogram)
    }
}
