//! The newest lines of the decision log, and the answer to `/explain` from them: the choices that
//! were recorded for one request.

use std::collections::VecDeque;
use std::mem;

use jiff::Timestamp;
use serde::Serialize;

use crate::decision::{self, Logged};

/// What is kept takes so much memory.
const BYTES_MAX: usize = 16 << 20;

/// A request has few attempts.
const CHOICES_MAX: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    lines: VecDeque<Line>,
    bytes: usize,
}

/// A line of the file, and the request that it tells of.
#[derive(Debug)]
struct Line {
    request: Box<str>,
    text: Box<[u8]>,
}

/// The answer to `/explain`.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    choices: Vec<Choice>,
}

#[derive(Debug, Serialize)]
struct Choice {
    /// The choice in a sentence.
    told: String,
    #[serde(flatten)]
    logged: Logged<'static>,
}

impl Recorded {
    /// Keeps a line in the place of the oldest ones.
    pub(super) fn add(&mut self, request: &str, text: &[u8]) {
        let line = Line { request: request.into(), text: text.into() };
        self.bytes += line.bytes();
        self.lines.push_back(line);
        while self.bytes > BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }

    /// What is known of the request with this name.
    pub(super) fn of(&self, request: &str) -> Explained {
        let lines = self.lines.iter().filter(|line| *line.request == *request).take(CHOICES_MAX);
        let told = |line: &Line| {
            let logged = serde_json::from_slice::<Logged<'static>>(&line.text).ok()?;
            let at = logged.time.parse::<Timestamp>().ok();
            Some(Choice { told: decision::tell(&logged.decision, at), logged })
        };
        let mut choices: Vec<_> = lines.filter_map(told).collect();
        choices.sort_by(|one, other| one.logged.time.cmp(&other.logged.time));
        Explained { choices }
    }
}

impl Line {
    fn bytes(&self) -> usize {
        mem::size_of::<Self>() + self.request.len() + self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::choice;
    use super::*;

    const NAME: &str = "2026-11-28T14:03:17.000001Z/0/127.0.0.1:50412";

    fn line(time: &str, request: &str, chosen: &str) -> Vec<u8> {
        let mut line = choice(time, chosen, &[("http://a", "up"), ("http://b", "up")]);
        line["request"] = request.into();
        line.to_string().into_bytes()
    }

    #[test]
    fn the_choices_of_a_request_are_told_in_the_order_of_time() {
        let mut recorded = Recorded::default();
        recorded.add(NAME, &line("2026-11-28T14:03:19Z", NAME, "http://b"));
        recorded.add(NAME, &line("2026-11-28T14:03:18Z", NAME, "http://a"));
        recorded.add(&NAME[1..], &line("2026-11-28T14:03:17Z", &NAME[1..], "http://b"));
        let told = serde_json::to_value(recorded.of(NAME)).unwrap();
        let chosen: Vec<_> =
            told["choices"].as_array().unwrap().iter().map(|it| it["chosen"].clone()).collect();
        assert_eq!(chosen, ["http://a", "http://b"]);
        let sentence = told["choices"][0]["told"].as_str().unwrap();
        assert!(sentence.starts_with("http://a, because"), "{sentence}");
        assert_eq!(told["choices"][0]["candidates"][0]["score"], 12.0);
        assert!(recorded.of("another").choices.is_empty());
    }

    #[test]
    fn the_oldest_are_forgotten_so_that_the_memory_is_bounded() {
        let mut recorded = Recorded::default();
        let long = vec![b' '; 1 << 20];
        for at in 0..40 {
            recorded.add(&at.to_string(), &long);
        }
        assert!(recorded.bytes <= BYTES_MAX, "{}", recorded.bytes);
        assert_eq!((recorded.lines.len(), &*recorded.lines[0].request), (15, "25"));
        recorded.add("more than all", &vec![b' '; 2 * BYTES_MAX]);
        assert_eq!((recorded.lines.len(), recorded.bytes), (0, 0));
    }
}
