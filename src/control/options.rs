//! Parses a value that is followed by options, as in `URL key=value word`.

use crate::usage::or_nearest;

/// See the module.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Options<'a> {
    /// The value.
    pub(super) subject: &'a str,
    /// The options: each key occurs once. One that is a word has no value.
    pub(super) pairs: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Options<'a> {
    /// Parses a text whose options have `keys` and a value, or are one of these `words`.
    pub(super) fn read(text: &'a str, keys: &[&str], words: &[&str]) -> Result<Self, String> {
        let mut parts = text.split_whitespace();
        let subject = parts.next().unwrap_or_default();
        let mut pairs: Vec<(&str, Option<&str>)> = Vec::new();
        for part in parts {
            let (key, value) = match part.split_once('=') {
                Some((key, _)) if words.contains(&key) => {
                    return Err(format!("`{key}` has no value"));
                }
                Some((key, value)) => (key, Some(value)),
                None if words.contains(&part) => (part, None),
                None => return Err(no_pair(part, words)),
            };
            if value.is_some() && !keys.contains(&key) {
                return Err(unknown(key, &[keys, words].concat()));
            }
            if pairs.iter().any(|(other, _)| *other == key) {
                return Err(format!("`{key}` is given twice"));
            }
            pairs.push((key, value));
        }
        Ok(Self { subject, pairs })
    }
}

fn no_pair(part: &str, words: &[&str]) -> String {
    or_nearest(&format!("`{part}` is not key=value"), part, words.iter().copied())
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

    const KEYS: [&str; 2] = ["weight", "max-in-flight"];
    const WORDS: [&str; 1] = ["backup"];

    #[test]
    fn options_are_pairs_and_words_behind_the_subject() {
        let [weight, limit] = [("weight", Some("3")), ("max-in-flight", Some("b=c"))];
        for (text, subject, pairs) in [
            ("a", "a", &[][..]),
            (" a  weight=3 max-in-flight=b=c ", "a", &[weight, limit]),
            ("a backup weight=3", "a", &[("backup", None), weight]),
            ("weight=3", "weight=3", &[]),
            ("", "", &[]),
        ] {
            let options = Options { subject, pairs: pairs.to_vec() };
            assert_eq!(Options::read(text, &KEYS, &WORDS), Ok(options), "{text}");
        }
    }

    #[test]
    fn what_is_no_option_is_refused_with_the_one_that_was_meant() {
        for (text, reason) in [
            ("a 3", "`3` is not key=value"),
            ("a bakcup", "`bakcup` is not key=value; did you mean backup?"),
            ("a wieght=3", "options are weight, max-in-flight, backup; did you mean weight?"),
            ("a size=1", "`size` is not an option; the options are weight, max-in-flight, backup"),
            ("a backup=1", "`backup` has no value"),
            ("a weight=1 weight=2", "`weight` is given twice"),
            ("a backup backup", "`backup` is given twice"),
        ] {
            let refusal = Options::read(text, &KEYS, &WORDS).expect_err(text);
            assert!(refusal.ends_with(reason), "{text}: {refusal}");
        }
        assert!(Options::read("a b=1", &[], &[]).expect_err("none").contains("there are none"));
    }
}
