//! What happens to a backend, and when.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use tidegate::time::{format_duration, parse_duration};

/// A time, maybe one that comes again and again. Written as `10s..20s every 30s`; without its end,
/// as in `10s..`, it lasts.
#[derive(Copy, Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct Window {
    /// When it first begins.
    pub from: Duration,
    /// When it first ends.
    pub to: Option<Duration>,
    /// After what time it begins again.
    pub every: Option<Duration>,
}

impl Window {
    /// What is accepted.
    pub const GRAMMAR: &str = "10s..20s, 10s.. or 10s..20s every 30s";

    /// Whether it is now.
    #[must_use]
    pub fn contains(&self, now: Duration) -> bool {
        self.since(now).is_some_and(|since| self.length().is_none_or(|length| since < length))
    }

    /// When it begins or ends next, after `now`.
    #[must_use]
    pub fn next_change(&self, now: Duration) -> Option<Duration> {
        let Some(since) = self.since(now) else { return Some(self.from) };
        let length = self.length()?;
        if since < length {
            return Some(now + length.saturating_sub(since));
        }
        Some(now + self.every?.saturating_sub(since))
    }

    /// When it ends, if it is now.
    #[must_use]
    pub fn end(&self, now: Duration) -> Option<Duration> {
        if self.contains(now) { self.next_change(now) } else { None }
    }

    fn length(&self) -> Option<Duration> {
        self.to.map(|to| to.saturating_sub(self.from))
    }

    /// The time since it began last; `None` before its beginning.
    fn since(&self, now: Duration) -> Option<Duration> {
        let since = now.checked_sub(self.from)?;
        let Some(every) = self.every else { return Some(since) };
        let nanos = since.as_nanos() % every.as_nanos();
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is no time; write {}", Self::GRAMMAR);
        let (window, every) = match text.split_once(" every ") {
            Some((window, every)) => (window, Some(parse_duration(every.trim())?)),
            None => (text, None),
        };
        let (from, to) = window.split_once("..").ok_or_else(refuse)?;
        let from = parse_duration(from.trim())?;
        let to = match to.trim() {
            "" => None,
            to => Some(parse_duration(to)?),
        };
        match (to, every) {
            (Some(to), _) if to <= from => Err(format!("`{text}` ends before it begins")),
            (None, Some(_)) => Err(format!("`{text}` begins again but never ends")),
            (Some(to), Some(every)) if every < to.saturating_sub(from) => {
                Err(format!("`{text}` begins again before it ends"))
            }
            _ => Ok(Self { from, to, every }),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.to.map(format_duration).unwrap_or_default();
        write!(f, "{}..{to}", format_duration(self.from))?;
        self.every.map_or(Ok(()), |every| write!(f, " every {}", format_duration(every)))
    }
}

/// What a backend does during a phase.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Conduct {
    /// Requests that it begins to work on take so many times as long.
    Slow(f64),
    /// It stands still, with all that it has.
    Pause,
    /// It answers new requests with this status after this time, without taking a slot.
    Fail(u16, Duration),
    /// Its port is closed. What it has it finishes.
    Refuse,
    /// It takes new requests, and never answers them.
    Hang,
    /// All that it has is reset at the beginning; then its port is closed.
    Restart,
    /// It is no member of the fleet: it joins at the end, and leaves at the beginning.
    Absent,
}

/// A time and what a backend does then. Written as `10s..20s every 30s slow 10`.
#[derive(Copy, Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "String")]
pub struct Phase {
    /// When.
    pub window: Window,
    /// What.
    pub conduct: Conduct,
}

impl Phase {
    /// What is accepted.
    pub const GRAMMAR: &str = "a time (10s..20s every 30s) and one of: slow 10, pause, \
        fail 503 after 1ms, refuse, hang, restart, absent";

    /// The slowest that is accepted.
    const MOST: f64 = 1e6;
}

impl TryFrom<String> for Phase {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is no phase; write {}", Self::GRAMMAR);
        let words: Vec<&str> = text.split_whitespace().collect();
        let length = if words.get(1) == Some(&"every") { 3 } else { 1 };
        let (window, conduct) = words.split_at_checked(length).ok_or_else(refuse)?;
        let conduct = match conduct {
            ["slow", factor] => {
                let factor = factor.parse().ok().filter(|it| *it > 0.0 && *it <= Self::MOST);
                Conduct::Slow(factor.ok_or_else(refuse)?)
            }
            ["fail", status, "after", time] => {
                let status = status.parse().ok().filter(|it| (400..600).contains(it));
                Conduct::Fail(status.ok_or_else(refuse)?, parse_duration(time)?)
            }
            ["pause"] => Conduct::Pause,
            ["refuse"] => Conduct::Refuse,
            ["hang"] => Conduct::Hang,
            ["restart"] => Conduct::Restart,
            ["absent"] => Conduct::Absent,
            _ => return Err(refuse()),
        };
        let window: Window = window.join(" ").parse()?;
        if conduct == Conduct::Pause && window.to.is_none() {
            return Err(format!(
                "`{text}`: a pause has an end; a backend that hangs may have none"
            ));
        }
        Ok(Self { window, conduct })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.window)?;
        match self.conduct {
            Conduct::Slow(factor) => write!(f, "slow {factor}"),
            Conduct::Fail(status, after) => {
                write!(f, "fail {status} after {}", format_duration(after))
            }
            Conduct::Pause => f.write_str("pause"),
            Conduct::Refuse => f.write_str("refuse"),
            Conduct::Hang => f.write_str("hang"),
            Conduct::Restart => f.write_str("restart"),
            Conduct::Absent => f.write_str("absent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_phase_is_written_as_it_is_read() {
        for text in [
            "10s..20s every 30s slow 10",
            "0s..200ms every 2s pause",
            "3s..6s fail 503 after 1ms",
            "0s.. hang",
            "1s..2s refuse",
            "1s..2s restart",
            "0s..10s every 30s absent",
        ] {
            assert_eq!(text.parse::<Phase>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_phase_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "slow 10, pause"),
            ("slow 10", "slow 10, pause"),
            ("1s..2s", "slow 10, pause"),
            ("1s..2s quick", "slow 10, pause"),
            ("1s..2s slow", "slow 10, pause"),
            ("1s..2s slow 0", "slow 10, pause"),
            ("1s..2s fail 200 after 1ms", "fail 503 after 1ms"),
            ("2s..1s slow 2", "ends before it begins"),
            ("1s..3s every 1s slow 2", "begins again before it ends"),
            ("1s.. every 5s slow 2", "never ends"),
            ("1s.. pause", "a pause has an end"),
            ("1..2s pause", "`1` is not a duration"),
        ] {
            let refusal = text.parse::<Phase>().expect_err(text);
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }

    #[test]
    fn a_window_is_known_at_every_moment() {
        let window: Window = "10s..20s every 30s".parse().expect("a window");
        let is = |second| window.contains(s(second));
        assert_eq!(
            [0, 9, 10, 19, 20, 39, 40, 49, 50].map(is),
            [false, false, true, true, false, false, true, true, false]
        );
        let next = |second| window.next_change(s(second)).map(|at| at.as_secs());
        assert_eq!([0, 9, 10, 19, 20, 40, 50].map(next), [10, 10, 20, 20, 40, 50, 70].map(Some));
        assert_eq!(window.end(s(41)), Some(s(50)));
        assert_eq!(window.end(s(51)), None);
    }

    #[test]
    fn a_window_without_an_end_lasts_and_one_without_a_period_comes_once() {
        let open: Window = "10s..".parse().expect("a window");
        assert!(open.contains(s(10)) && open.contains(s(100_000)) && !open.contains(s(9)));
        assert_eq!(open.next_change(s(10)), None);
        let once: Window = "10s..20s".parse().expect("a window");
        assert_eq!((once.contains(s(50)), once.next_change(s(20))), (false, None));
    }
}
