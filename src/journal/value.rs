//! What a field says: a whole number, a span of milliseconds, a time.
//!
//! Nearly all fields have the form that we write, or the one that most tools do; these are read
//! digit by digit, which is quick and exact. The rest is left to parsers that know every form.

use std::str::FromStr;
use std::time::Duration;

use jiff::{Timestamp, civil, tz};

/// A number without sign and fraction.
pub(super) fn whole<T: TryFrom<u64>>(field: &[u8]) -> Option<T> {
    let number = digits(field).or_else(|| parse(field))?;
    T::try_from(number).ok()
}

/// Milliseconds in decimal, down to nanoseconds.
pub(super) fn millis(field: &[u8]) -> Option<Duration> {
    plain_millis(field).map(Duration::from_nanos).or_else(|| {
        let millis: f64 = parse(field)?;
        Duration::try_from_secs_f64(millis / 1000.0).ok()
    })
}

/// A time of RFC 3339, in microseconds since 1970; without an offset it is UTC.
pub(super) fn timestamp_us(field: &[u8]) -> Option<i64> {
    let time = plain_timestamp(field).or_else(|| {
        let zoned = parse::<Timestamp>(field);
        zoned.or_else(|| tz::Offset::UTC.to_timestamp(parse::<civil::DateTime>(field)?).ok())
    });
    time.map(Timestamp::as_microsecond)
}

/// What has another form than the usual one, maybe with spaces around it.
pub(super) fn parse<T: FromStr>(field: &[u8]) -> Option<T> {
    str::from_utf8(field).ok()?.trim().parse().ok()
}

/// The number that digits, at least one, make.
fn digits(text: &[u8]) -> Option<u64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let (first, rest) = text.split_first()?;
    rest.iter().try_fold(digit(*first)?, |number: u64, byte| {
        number.checked_mul(10)?.checked_add(digit(*byte)?)
    })
}

/// The number that a fraction's digits make if it is written with `places` of them.
fn fraction(text: &[u8], places: usize) -> Option<u64> {
    let missing = u32::try_from(places.checked_sub(text.len())?).ok()?;
    Some(digits(text)? * 10_u64.pow(missing))
}

/// Nanoseconds: digits, or digits with at most six more behind a point.
fn plain_millis(field: &[u8]) -> Option<u64> {
    let (millis, nanos) = match memchr::memchr(b'.', field) {
        Some(point) => (&field[..point], fraction(&field[point + 1..], 6)?),
        None => (field, 0),
    };
    digits(millis)?.checked_mul(1_000_000)?.checked_add(nanos)
}

/// `2026-11-23T10:11:12`, or with a space in the middle, then maybe a fraction, then maybe a `Z`.
fn plain_timestamp(field: &[u8]) -> Option<Timestamp> {
    let (fixed, rest) = field.split_at_checked(19)?;
    let marks = [fixed[4], fixed[7], fixed[13], fixed[16]];
    let is_plain = marks == *b"--::" && matches!(fixed[10], b'T' | b' ');
    let fixed = is_plain.then_some(fixed)?;
    let two = |at: usize| i8::try_from(digits(&fixed[at..at + 2])?).ok();
    let year = i16::try_from(digits(&fixed[..4])?).ok()?;
    let rest = rest.strip_suffix(b"Z").unwrap_or(rest);
    let nanos = match rest.strip_prefix(b".") {
        Some(decimals) => i32::try_from(fraction(decimals, 9)?).ok()?,
        None => rest.is_empty().then_some(0)?,
    };
    let time = civil::DateTime::new(year, two(5)?, two(8)?, two(11)?, two(14)?, two(17)?, nanos);
    tz::Offset::UTC.to_timestamp(time.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_whole_and_fit_their_type() {
        assert_eq!(whole::<u16>(b"200"), Some(200));
        assert_eq!(whole::<u64>(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(whole::<u16>(b" +7 "), Some(7), "other forms of a number");
        for bad in ["", "65536", "-1", "1.0", "x", "18446744073709551616", "\u{661}"] {
            assert_eq!(whole::<u16>(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn milliseconds_are_exact_to_the_nanosecond() {
        for (text, nanos) in [
            ("0", 0),
            ("250", 250_000_000),
            ("0.001", 1_000),
            ("12.345", 12_345_000),
            ("12.3", 12_300_000),
            ("0.000001", 1),
            ("86400000.000", 86_400_000_000_000),
            (" 1.5 ", 1_500_000),
            ("5.", 5_000_000),
            (".5", 500_000),
            ("1e3", 1_000_000_000),
            ("0.12345678", 123_457),
        ] {
            let expected = Some(Duration::from_nanos(nanos));
            assert_eq!(millis(text.as_bytes()), expected, "{text}");
        }
        for bad in ["", ".", "-1", "NaN", "inf", "1e400", "1,5", "1.2.3", "5 ms", "1._"] {
            assert_eq!(millis(bad.as_bytes()), None, "{bad}");
        }
        let long = millis(b"18446744073709551.615").map(|spent| spent.as_secs());
        assert_eq!(long, Some(18_446_744_073_709), "what nanoseconds have no room for");
    }

    #[test]
    fn times_have_any_offset_or_none() {
        /// 2026-11-23T10:11:12Z.
        const SECOND_US: i64 = 1_795_428_672_000_000;
        for (text, us) in [
            ("2026-11-23T10:11:12Z", 0),
            ("2026-11-23T10:11:12", 0),
            ("2026-11-23 10:11:12", 0),
            ("2026-11-23T10:11:12.000345Z", 345),
            ("2026-11-23 10:11:12.5", 500_000),
            ("2026-11-23T10:11:12.123456789Z", 123_456),
            ("2026-11-23T12:11:12.000001+02:00", 1),
            (" 2026-11-23T10:11:12Z ", 0),
        ] {
            assert_eq!(timestamp_us(text.as_bytes()), Some(SECOND_US + us), "{text}");
        }
        for bad in [
            "",
            "yesterday",
            "2026-11-23",
            "2026-02-30T10:11:12Z",
            "2026-11-23T24:11:12Z",
            "2026-11-23T10:11:12.Z",
            "2026-11-23T10:11:12ZZ",
            "2026-11-23T10:11:12.1x",
        ] {
            let read = timestamp_us(bad.as_bytes());
            // A date alone is a time to a parser that knows every form: its midnight.
            assert_eq!(read.is_some(), bad == "2026-11-23", "{bad}: {read:?}");
        }
    }

    /// Some time of year 5 to some time of year 9987.
    const YEARS_US: std::ops::Range<i64> = -62_000_000_000_000_000..253_000_000_000_000_000;

    proptest! {
        #[test]
        fn the_quick_way_and_the_long_one_agree(us in YEARS_US) {
            let time = Timestamp::from_microsecond(us).expect("in range");
            prop_assert_eq!(plain_timestamp(time.to_string().as_bytes()), Some(time));
            prop_assert_eq!(timestamp_us(time.to_string().as_bytes()), Some(us));
        }
    }
}
