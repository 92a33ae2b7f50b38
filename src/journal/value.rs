//! Parses numbers: whole numbers, milliseconds.
//!
//! Nearly all fields have the form that we or most tools write. These are read digit by digit,
//! which is fast and exact; other forms are left to general parsers.

use std::str::FromStr;
use std::time::Duration;

/// Below this, a double represents every whole number exactly.
const EXACT_BELOW: f64 = (1_u64 << 53) as f64;

/// What tools write for a missing value.
const MISSING: [&[u8]; 8] = [b"-", b"na", b"n/a", b"nan", b"nat", b"nil", b"none", b"null"];

/// Whether a field stands for a missing value.
pub(super) fn is_missing(field: &[u8]) -> bool {
    field.is_empty()
        || field.len() <= 4
            && (field == b"<NA>" || MISSING.iter().any(|word| field.eq_ignore_ascii_case(word)))
}

/// A whole number that is not negative; `200.0` is one, too.
pub(super) fn whole<T: TryFrom<u64>>(field: &[u8]) -> Option<T> {
    let any = || number(field).filter(|it| it.fract() == 0.0 && (0.0..EXACT_BELOW).contains(it));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    let number = digits(field).or_else(|| any().map(|number| number as u64))?;
    T::try_from(number).ok()
}

/// A status code, maybe with a reason phrase: `200 OK`.
pub(super) fn status(field: &[u8]) -> Option<u16> {
    let code = memchr::memchr(b' ', field).map_or(field, |end| &field[..end]);
    whole(code).filter(|code| (100..=999).contains(code))
}

/// Milliseconds in decimal, down to nanoseconds.
pub(super) fn millis(field: &[u8]) -> Option<Duration> {
    plain_millis(field).map(Duration::from_nanos).or_else(|| {
        let millis = number(field)?;
        Duration::try_from_secs_f64(millis / 1000.0).ok()
    })
}

/// A number with a decimal point or comma. If there are both, the last is the decimal sign and the
/// others separate groups of digits.
fn number(field: &[u8]) -> Option<f64> {
    let text = str::from_utf8(field).ok()?.trim();
    let Some(comma) = text.rfind(',') else { return text.parse().ok() };
    let plain = match text.rfind('.') {
        Some(point) if point > comma => text.replace(',', ""),
        Some(_) => text.replace('.', "").replace(',', "."),
        None => text.replace(',', "."),
    };
    plain.parse().ok()
}

/// A value in any form that its type parses, maybe with spaces around it.
pub(super) fn parse<T: FromStr>(field: &[u8]) -> Option<T> {
    str::from_utf8(field).ok()?.trim().parse().ok()
}

/// The number that one or more digits make.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let (first, rest) = text.split_first()?;
    rest.iter().try_fold(digit(*first)?, |number: u64, byte| {
        number.checked_mul(10)?.checked_add(digit(*byte)?)
    })
}

/// The number that a fraction's digits make if it is written with `places` of them.
pub(super) fn fraction(text: &[u8], places: usize) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_and_fit_their_type() {
        assert_eq!(whole::<u16>(b"200"), Some(200));
        assert_eq!(whole::<u64>(b"18446744073709551615"), Some(u64::MAX));
        for text in ["503", "503.0", "503,0", " +503 ", "5.03e2"] {
            assert_eq!(whole::<u16>(text.as_bytes()), Some(503), "{text}");
        }
        for bad in ["", "65536", "-1", "1.5", "x", "NaN", "inf", "18446744073709551616", "\u{661}"]
        {
            assert_eq!(whole::<u16>(bad.as_bytes()), None, "{bad}");
            assert_eq!(whole::<u64>(bad.as_bytes()).filter(|it| *it != 65_536), None, "{bad}");
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
            ("1,5", 1_500_000),
            ("1.234,5", 1_234_500_000),
            ("1,234.5", 1_234_500_000),
        ] {
            let expected = Some(Duration::from_nanos(nanos));
            assert_eq!(millis(text.as_bytes()), expected, "{text}");
        }
        for bad in ["", ".", "-1", "NaN", "inf", "1e400", "1,2,3", "1.2.3", "5 ms", "1._", "None"] {
            assert_eq!(millis(bad.as_bytes()), None, "{bad}");
        }
        let long = millis(b"18446744073709551.615").map(|spent| spent.as_secs());
        assert_eq!(long, Some(18_446_744_073_709), "what nanoseconds have no room for");
    }

    #[test]
    fn words_for_nothing_are_known() {
        for word in ["", "-", "NaN", "nan", "None", "NULL", "N/A", "NA", "<NA>", "NaT", "nil"] {
            assert!(is_missing(word.as_bytes()), "{word}");
        }
        for word in ["0", "a", "sma", "http://b:1", "reset"] {
            assert!(!is_missing(word.as_bytes()), "{word}");
        }
    }
}
