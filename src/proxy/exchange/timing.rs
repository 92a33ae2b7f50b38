//! How long a backend took for an attempt, so that the client's time is not taken for its own.

use std::time::{Duration, Instant};

/// When the parts of one attempt happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// When it began, with the first of the backend's addresses.
    since: Instant,
    /// When its connection was there.
    connected: Instant,
    /// How long that took; none if it was there before.
    connect: Option<Duration>,
    /// When the last byte of the request was sent.
    sent: Option<Instant>,
    /// How long nothing but the client was waited for.
    client_took: Duration,
    answer: Option<Answer>,
}

/// The first byte of a response's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// When it came.
    pub(super) at: Instant,
    /// How long the backend took for it.
    pub(super) spent: Duration,
    /// The rest of the time since the attempt began.
    pub(super) excused: Duration,
}

impl Timing {
    pub(super) fn start(now: Instant) -> Self {
        let client_took = Duration::ZERO;
        Self { since: now, connected: now, connect: None, sent: None, client_took, answer: None }
    }

    /// How long ago it began.
    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// The connection is made. One from the pool was there from the start.
    pub(super) fn connected(&mut self, now: Instant) {
        self.connected = now;
        self.connect = Some(now.duration_since(self.since));
    }

    /// How long it took to connect, if that was necessary.
    pub(super) fn connect(&self) -> Option<Duration> {
        self.connect
    }

    /// The last byte of the request is sent.
    pub(super) fn request_sent(&mut self, now: Instant) {
        self.sent = Some(now);
    }

    /// Nothing but the client was waited for from `since` to `now`.
    pub(super) fn client_took(&mut self, since: Instant, now: Instant) {
        self.client_took += now.saturating_duration_since(since.max(self.since));
    }

    /// A response's head began: the first call counts. The backend took the time to connect, and
    /// that from the last byte of the request. If it answers before that byte, it took all but the
    /// time in which nothing but the client was waited for, since `client_awaited` once more.
    pub(super) fn answered(&mut self, client_awaited: Option<Instant>, now: Instant) -> Answer {
        if let Some(answer) = self.answer {
            return answer;
        }
        let elapsed = now.duration_since(self.since);
        let excused = match self.sent {
            // It was there whole, as nearly always.
            Some(sent) if sent == self.connected => Duration::ZERO,
            Some(sent) => sent.duration_since(self.connected),
            None => {
                let mut all = *self;
                if let Some(since) = client_awaited {
                    all.client_took(since, now);
                }
                all.client_took
            }
        };
        let spent = elapsed.saturating_sub(excused);
        *self.answer.insert(Answer { at: now, spent, excused })
    }

    /// The head was an interim one; another one is awaited.
    pub(super) fn was_interim(&mut self) {
        self.answer = None;
    }

    /// See [`Timing::answered`].
    pub(super) fn answer(&self) -> Option<Answer> {
        self.answer
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "no other source of a first instant")]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_request_sent_at_once_took_all_of_the_time() {
        let start = Instant::now();
        let mut timing = Timing::start(start);
        assert_eq!(timing.connect(), None);
        timing.connected(start + ms(3));
        assert_eq!(timing.connect(), Some(ms(3)));
        timing.request_sent(start + ms(3));
        let answer = timing.answered(None, start + ms(10));
        assert_eq!((answer.spent, answer.excused), (ms(10), ms(0)));
    }

    #[test]
    fn an_upload_is_no_time_of_the_backend_but_its_connection_is() {
        let start = Instant::now();
        let mut timing = Timing::start(start);
        timing.connected(start + ms(3));
        timing.client_took(start + ms(4), start + ms(1000));
        timing.request_sent(start + ms(2000));
        let answer = timing.answered(None, start + ms(2007));
        assert_eq!((answer.spent, answer.excused), (ms(10), ms(1997)));
    }

    #[test]
    fn an_answer_before_the_last_byte_took_all_but_the_waits_for_the_client() {
        let start = Instant::now();
        let mut timing = Timing::start(start);
        timing.client_took(start + ms(1), start + ms(51));
        let open = Some(start + ms(60));
        let answer = timing.answered(open, start + ms(100));
        assert_eq!((answer.spent, answer.excused), (ms(10), ms(90)));
        assert_eq!(timing.answered(None, start + ms(900)).at, start + ms(100), "the first counts");
        timing.was_interim();
        timing.client_took(start + ms(60), start + ms(120));
        assert_eq!(timing.answered(None, start + ms(130)).spent, ms(20));
    }

    #[test]
    fn a_wait_that_began_with_an_earlier_attempt_counts_from_this_one() {
        let start = Instant::now();
        let mut timing = Timing::start(start + ms(100));
        timing.client_took(start, start + ms(140));
        assert_eq!(timing.answered(None, start + ms(150)).spent, ms(10));
    }
}
