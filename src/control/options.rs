//! Parses a value that is followed by options, as in `URL key=value key=value`.

use crate::usage::or_nearest;

/// See the module.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Options<'a> {
    /// The value.
    pub(super) subject: &'a str,
    /// The options: each key occurs once.
    pub(super) pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Options<'a> {
    /// Parses a text whose options have `known` keys.
    pub(super) fn read(text: &'a str, known: &[&str]) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let subject = words.next().unwrap_or_default();
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for word in words {
            let (key, value) =
                word.split_once('=').ok_or_else(|| format!("`{word}` is not key=value"))?;
            if !known.contains(&key) {
                return Err(unknown(key, known));
            }
            if pairs.iter().any(|(other, _)| *other == key) {
                return Err(format!("`{key}` is given twice"));
            }
            pairs.push((key, value));
        }
        Ok(Self { subject, pairs })
    }
}

fn unknown(key: &str, known: &[&str]) -> String {
    let refusal = match known {
        [] => format!("`{key}` is not an option; there are none here"),
        known => format!("`{key}` is not an option; the options are {}", known.join(", ")),
    };
    or_nearest(&refusal, key, known.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["weight", "max-in-flight"];

    #[test]
    fn options_are_pairs_behind_the_subject() {
        for (text, subject, pairs) in [
            ("a", "a", &[][..]),
            (" a  weight=3 max-in-flight=b=c ", "a", &[("weight", "3"), ("max-in-flight", "b=c")]),
            ("weight=3", "weight=3", &[]),
            ("", "", &[]),
        ] {
            let options = Options { subject, pairs: pairs.to_vec() };
            assert_eq!(Options::read(text, &KNOWN), Ok(options), "{text}");
        }
    }

    #[test]
    fn what_is_no_pair_of_a_known_key_is_refused_with_the_key_that_was_meant() {
        for (text, reason) in [
            ("a 3", "`3` is not key=value"),
            ("a wieght=3", "the options are weight, max-in-flight; did you mean weight?"),
            ("a backup=1", "`backup` is not an option; the options are weight, max-in-flight"),
            ("a weight=1 weight=2", "`weight` is given twice"),
        ] {
            let refusal = Options::read(text, &KNOWN).expect_err(text);
            assert!(refusal.ends_with(reason), "{text}: {refusal}");
        }
        assert!(Options::read("a b=1", &[]).expect_err("none").contains("there are none"));
    }
}
