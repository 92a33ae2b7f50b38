//! Numbers for people.

/// A whole number with its thousands separated.
#[must_use]
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits and more.
#[must_use]
pub(crate) fn figure(ms: f64) -> String {
    match ms {
        ms if ms >= 1000.0 => thousands(ms),
        ms if ms >= 100.0 => format!("{ms:.0}"),
        ms if ms >= 10.0 => format!("{ms:.1}"),
        ms => format!("{ms:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_more() {
        for (number, text) in [(0.0, "0.00"), (9.876, "9.88"), (98.76, "98.8"), (1234.5, "1,234")] {
            assert_eq!(figure(number), text);
        }
    }

    #[test]
    fn thousands_are_separated() {
        for (number, text) in [
            (0.0, "0"),
            (999.4, "999"),
            (1000.0, "1,000"),
            (123_456.0, "123,456"),
            (1e6, "1,000,000"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }
}
