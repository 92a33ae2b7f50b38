//! Instants as wall-clock timestamps: RFC 3339, UTC, microseconds.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the wall clock is looked at, so that a clock set right shows in the log.
const ANCHOR_LIFE: Duration = Duration::from_secs(1);

const MICROS_PER_SECOND: u64 = 1_000_000;

/// Turns microseconds since the journal's start into text.
#[derive(Debug)]
pub(super) struct Stamps {
    start: Instant,
    anchored: Instant,
    /// Unix time of `start`, in microseconds, as the wall clock has it now.
    start_unix_micros: u64,
    /// The second last formatted, and its text.
    second: u64,
    text: String,
}

impl Stamps {
    /// For a journal that started at `start`.
    pub(super) fn new(start: Instant) -> Self {
        let mut stamps = Self {
            start,
            anchored: start,
            start_unix_micros: 0,
            second: u64::MAX,
            text: String::new(),
        };
        stamps.anchor(start, SystemTime::now());
        stamps
    }

    /// Looks at the wall clock again, if that is due.
    pub(super) fn refresh(&mut self, now: Instant) {
        if now.duration_since(self.anchored) >= ANCHOR_LIFE {
            self.anchor(now, SystemTime::now());
        }
    }

    fn anchor(&mut self, now: Instant, wall: SystemTime) {
        let unix = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = unix.saturating_sub(now.duration_since(self.start));
        self.start_unix_micros = u64::try_from(start.as_micros()).unwrap_or(0);
        self.anchored = now;
    }

    /// Appends the timestamp of `micros` after the start.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, micros: u64) {
        let unix = self.start_unix_micros.saturating_add(micros);
        let second = unix / MICROS_PER_SECOND;
        if second != self.second {
            let time =
                i64::try_from(second).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
            self.text = time.unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.").to_string();
            self.second = second;
        }
        out.extend_from_slice(self.text.as_bytes());
        put_digits(out, unix % MICROS_PER_SECOND, 6);
        out.push(b'Z');
    }
}

/// Appends `number` with leading zeros up to `width` digits, at most 6.
pub(super) fn put_digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 6];
    for digit in digits[..width].iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    out.extend_from_slice(&digits[..width]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(unix_micros: u64) -> String {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let mut stamps = Stamps::new(Instant::now());
        stamps.anchor(stamps.start, UNIX_EPOCH + Duration::from_micros(unix_micros));
        let mut out = Vec::new();
        stamps.put(&mut out, 0);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_timestamp_is_rfc_3339_in_utc_with_microseconds() {
        assert_eq!(stamped(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(stamped(1_795_428_672_000_042), "2026-11-23T10:11:12.000042Z");
        assert_eq!(stamped(951_782_400_999_999), "2000-02-29T00:00:00.999999Z");
    }

    #[test]
    fn a_wall_clock_set_right_moves_the_stamps_that_follow() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let mut stamps = Stamps::new(Instant::now());
        let later = stamps.start + Duration::from_secs(10);
        stamps.anchor(later, UNIX_EPOCH + Duration::from_secs(1_000_010));
        let mut out = Vec::new();
        stamps.put(&mut out, 10_500_000);
        assert_eq!(String::from_utf8(out).expect("UTF-8"), "1970-01-12T13:46:50.500000Z");
    }
}
