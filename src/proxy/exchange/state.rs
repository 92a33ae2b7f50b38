//! The states of an exchange: one half-duplex machine per side.
//!
//! The states carry their codecs, so there is no body without its framing and no head without its
//! search. What may be at the same time is this table, and nothing else. Attempts *race* until one
//! of them has the head of the final response; then it has *won*, and is the only one left.
//!
//! | response | request | attempts |
//! |---|---|---|
//! | `Idle` | `Head` | none |
//! | `Idle` | `Body`, `Done` | none |
//! | `Queued` | `Body`, `Done` | none |
//! | `Awaited` | `Body`, `Done` | racing |
//! | `Body`, `Done` | `Body`, `Done` | won |
//! | `Tunnel`, `TunnelEnding`, `Done` | `Tunnel`, `TunnelEnding`, `Closed` | won |
//! | `Done`, `Reply`, `Aborted`, `Reporting`, `Over` | `Done`, `Linger`, `Closed` | none |
//!
//! Row by row: a request is waited for; it is admitted, and a backend is chosen before the event is
//! over; or it waits, because all backends are at their limits; backends are asked; the response
//! passes, and the rest of the request; bytes pass as they are; what is pending leaves, then the
//! row is written, then the connection ends.
//!
//! Each half goes forward only, in the order in which its states are written below. But when all
//! attempts have failed, an `Awaited` response may be `Queued` again. And both halves begin again
//! together, for the next request: behind a row, when the request was `Done`.
//!
//! [`States`] alone makes transitions, and refuses what the table does not hold.

use std::mem::{forget, replace};
use std::time::Instant;

use super::action::CloseMode;
use super::attempt::Standing;
use super::queueing::Waiting;
use crate::http::{ArrivingHead, BodyCodec};

/// The client's half. Its tag is a byte of its own, because states are looked at far more often
/// than they change.
#[derive(Debug)]
#[repr(u8)]
pub(super) enum Request {
    Head(ArrivingHead),
    Body(BodyCodec),
    /// Seen whole. Nothing more is read before the response is done.
    Done,
    /// Upgraded: bytes pass as they are.
    Tunnel,
    /// The client ended its half of the tunnel; what it sent is still on its way.
    TunnelEnding,
    /// Nothing more is wanted: what still comes is dropped, up to a limit. The time counts once the
    /// response has ended.
    Linger {
        left_bytes: usize,
        until: Instant,
    },
    /// The client's stream has ended, and all of it is dealt with.
    Closed,
}

/// The upstream's half, likewise.
#[derive(Debug)]
#[repr(u8)]
pub(super) enum Response {
    /// There is no request yet.
    Idle,
    /// All backends that may have the request are at their limits.
    Queued(Waiting),
    /// Backends are asked; none has sent the head of a final response that is acceptable.
    Awaited,
    Body(BodyCodec),
    Tunnel,
    /// The upstream ended its half of the tunnel; what it sent is still on its way.
    TunnelEnding,
    /// Seen whole.
    Done,
    /// An answer of our own is on its way.
    Reply,
    /// Broken off: what is pending is sent, then the connection ends so that it shows.
    Aborted(CloseMode),
    /// The row is asked for; then the connection ends so at once, or else it serves on, or is read
    /// until the client has seen its end.
    Reporting(Option<CloseMode>),
    /// Nothing more is sent to the client. It is read until it ends its stream, or it is about to
    /// be closed.
    Over,
}

impl Request {
    fn place(&self) -> u8 {
        match self {
            Self::Head(_) => 0,
            Self::Body(_) => 1,
            Self::Done => 2,
            Self::Tunnel => 3,
            Self::TunnelEnding => 4,
            Self::Linger { .. } => 5,
            Self::Closed => 6,
        }
    }
}

impl Response {
    fn place(&self) -> u8 {
        match self {
            Self::Idle => 0,
            Self::Queued(_) => 1,
            Self::Awaited => 2,
            Self::Body(_) => 3,
            Self::Tunnel => 4,
            Self::TunnelEnding => 5,
            Self::Done => 6,
            Self::Reply => 7,
            Self::Aborted(CloseMode::Close) => 8,
            Self::Aborted(CloseMode::Reset) => 9,
            Self::Reporting(None) => 10,
            Self::Reporting(Some(_)) => 11,
            Self::Over => 12,
        }
    }
}

/// The places of the states in which the connection may go on with another request, and of those
/// in which that begins.
const WHOLE: (u8, u8) = (2, 10);
const FIRST: (u8, u8) = (0, 0);

/// The places of a response that is awaited in vain, and of one that is awaited again.
const FAILED: u8 = 2;
const QUEUED: u8 = 1;

/// The table: for each place of a response and each standing of the attempts, one bit for each
/// place of a request.
const TABLE: [[u8; 3]; 13] = {
    const HEAD: u8 = 1;
    const BODY: u8 = 1 << 1;
    const DONE: u8 = 1 << 2;
    const TUNNEL: u8 = 1 << 3 | 1 << 4;
    const LINGER: u8 = 1 << 5;
    const CLOSED: u8 = 1 << 6;
    const PASSING: u8 = BODY | DONE;
    const PIPED: u8 = TUNNEL | CLOSED;
    const OVER: u8 = DONE | LINGER | CLOSED;
    // No attempts, racing ones, one that has won.
    [
        [HEAD | PASSING, 0, 0],
        [PASSING, 0, 0],
        [0, PASSING, 0],
        [0, 0, PASSING],
        [0, 0, PIPED],
        [0, 0, PIPED],
        [OVER, 0, PASSING | PIPED],
        [OVER, 0, 0],
        [OVER, 0, 0],
        [OVER, 0, 0],
        [OVER, 0, 0],
        [OVER, 0, 0],
        [OVER, 0, 0],
    ]
};

/// Both halves. Whoever has it can read the states and work on what they carry; another state is
/// entered by the functions of that name alone.
#[derive(Debug)]
pub(super) struct States {
    request: Request,
    response: Response,
}

impl Default for States {
    /// A request is waited for.
    fn default() -> Self {
        Self { request: Request::Head(ArrivingHead::default()), response: Response::Idle }
    }
}

impl States {
    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    pub(super) fn response(&self) -> &Response {
        &self.response
    }

    /// Makes a transition of the request. The attempts are by now what they are to be in it. False
    /// if the table has no such transition; it is made all the same.
    #[must_use]
    #[inline]
    pub(super) fn enter_request(&mut self, request: Request, attempts: Standing) -> bool {
        let before = self.places();
        self.request = request;
        self.is_legal_after(before, attempts)
    }

    /// Likewise of the response.
    #[must_use]
    #[inline]
    pub(super) fn enter_response(&mut self, response: Response, attempts: Standing) -> bool {
        let before = self.places();
        self.replace_response(response);
        self.is_legal_after(before, attempts)
    }

    /// Likewise of both.
    #[must_use]
    #[inline]
    pub(super) fn enter(
        &mut self,
        (request, response): (Request, Response),
        attempts: Standing,
    ) -> bool {
        let before = self.places();
        self.request = request;
        self.replace_response(response);
        self.is_legal_after(before, attempts)
    }

    /// What the state before owned is given back: a body's codec at once, a place in the queue out
    /// of line, because few requests wait. Other states own nothing.
    #[inline]
    fn replace_response(&mut self, response: Response) {
        match replace(&mut self.response, response) {
            Response::Queued(waiting) => leave(waiting),
            Response::Body(codec) => drop(codec),
            idle @ (Response::Idle | Response::Awaited | Response::Done | Response::Reply) => {
                forget(idle);
            }
            tunnel @ (Response::Tunnel | Response::TunnelEnding) => forget(tunnel),
            end @ (Response::Aborted(_) | Response::Reporting(_) | Response::Over) => forget(end),
        }
    }

    fn places(&self) -> (u8, u8) {
        (self.request.place(), self.response.place())
    }

    /// Whether the table holds the states and these attempts, and the way there from `before`.
    fn is_legal_after(&self, before: (u8, u8), attempts: Standing) -> bool {
        let after = self.places();
        let is_forward = after.0 >= before.0 && after.1 >= before.1 && after != before;
        (is_forward || is_back(before, after)) && is_in_table(after, attempts)
    }

    /// What follows a bug: the connection is about to be cut.
    pub(super) fn cut(&mut self) {
        (self.request, self.response) = (Request::Closed, Response::Aborted(CloseMode::Reset));
    }

    /// Whether the table holds the states and these attempts.
    pub(super) fn is_in_table(&self, attempts: Standing) -> bool {
        is_in_table(self.places(), attempts)
    }

    /// The request's head, while that is waited for.
    pub(super) fn arriving_mut(&mut self) -> Option<&mut ArrivingHead> {
        match &mut self.request {
            Request::Head(arriving) => Some(arriving),
            _ => None,
        }
    }

    /// The request's body, while that is on its way.
    pub(super) fn request_body_mut(&mut self) -> Option<&mut BodyCodec> {
        match &mut self.request {
            Request::Body(codec) => Some(codec),
            _ => None,
        }
    }

    /// The response's body, while that is on its way.
    pub(super) fn response_body_mut(&mut self) -> Option<&mut BodyCodec> {
        match &mut self.response {
            Response::Body(codec) => Some(codec),
            _ => None,
        }
    }

    /// The place in the queue, while the request has one.
    pub(super) fn waiting_mut(&mut self) -> Option<&mut Waiting> {
        match &mut self.response {
            Response::Queued(waiting) => Some(waiting),
            _ => None,
        }
    }

    /// For how many bytes and how long the client is still read, if that is all that is left.
    pub(super) fn linger_mut(&mut self) -> Option<(&mut usize, &mut Instant)> {
        match &mut self.request {
            Request::Linger { left_bytes, until } => Some((left_bytes, until)),
            _ => None,
        }
    }

    /// How the connection ends behind the row, while that is asked for.
    pub(super) fn ending_mut(&mut self) -> Option<&mut Option<CloseMode>> {
        match &mut self.response {
            Response::Reporting(ending) => Some(ending),
            _ => None,
        }
    }

    /// Whether bytes pass as they are in at least one direction.
    pub(super) fn is_tunnel(&self) -> bool {
        matches!(self.request, Request::Tunnel | Request::TunnelEnding)
            || matches!(self.response, Response::Tunnel | Response::TunnelEnding)
    }
}

fn is_in_table((request, response): (u8, u8), attempts: Standing) -> bool {
    TABLE[usize::from(response)][attempts as usize] & 1 << request != 0
}

/// Whether it is one of the two ways back.
fn is_back(before: (u8, u8), after: (u8, u8)) -> bool {
    let is_another = before == WHOLE && after == FIRST;
    let is_again = before == (after.0, FAILED) && after.1 == QUEUED;
    is_another || is_again
}

/// Out of line, because few requests wait.
#[cold]
fn leave(waiting: Waiting) {
    drop(waiting);
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "no other source of an instant")]
mod tests {
    use super::*;
    use crate::http::{BodyOut, Framing};

    const REQUESTS: [&str; 7] =
        ["Head", "Body", "Done", "Tunnel", "TunnelEnding", "Linger", "Closed"];
    const RESPONSES: [&str; 11] = [
        "Idle",
        "Queued",
        "Awaited",
        "Body",
        "Tunnel",
        "TunnelEnding",
        "Done",
        "Reply",
        "Aborted",
        "Reporting",
        "Over",
    ];
    const STANDINGS: [(&str, Standing); 3] =
        [("none", Standing::None), ("racing", Standing::Racing), ("won", Standing::Won)];

    fn body() -> BodyCodec {
        BodyCodec::new(Framing::Length(1), BodyOut::Length(1), 0).expect("a body")
    }

    fn request(name: &str) -> Request {
        match name {
            "Head" => Request::Head(ArrivingHead::default()),
            "Body" => Request::Body(body()),
            "Done" => Request::Done,
            "Tunnel" => Request::Tunnel,
            "TunnelEnding" => Request::TunnelEnding,
            "Linger" => Request::Linger { left_bytes: 1, until: Instant::now() },
            _ => Request::Closed,
        }
    }

    fn response(name: &str) -> Response {
        match name {
            "Idle" => Response::Idle,
            "Queued" => Response::Queued(Waiting::alone()),
            "Awaited" => Response::Awaited,
            "Body" => Response::Body(body()),
            "Tunnel" => Response::Tunnel,
            "TunnelEnding" => Response::TunnelEnding,
            "Done" => Response::Done,
            "Reply" => Response::Reply,
            "Aborted" => Response::Aborted(CloseMode::Close),
            "Reporting" => Response::Reporting(None),
            _ => Response::Over,
        }
    }

    /// The rows of the table above, as lists of names.
    fn rows() -> Vec<[Vec<&'static str>; 3]> {
        let lines = include_str!("state.rs").lines();
        let rows = lines.filter_map(|line| line.strip_prefix("//! | `")?.strip_suffix(" |"));
        let cells = |row: &'static str| {
            row.split(" | ").map(|cell| cell.split(", ").map(|name| name.trim_matches('`')))
        };
        let rows = rows.map(|row| cells(row).map(Iterator::collect).collect::<Vec<_>>());
        rows.map(|row| row.try_into().expect("three cells")).collect()
    }

    #[test]
    fn what_is_legal_is_what_the_table_holds() {
        let rows = rows();
        let names = rows.iter().flatten().flatten();
        let known = |name: &&str| {
            REQUESTS.contains(name)
                || RESPONSES.contains(name)
                || STANDINGS.map(|s| s.0).contains(name)
        };
        assert!(rows.len() == 7 && names.clone().all(known), "{rows:?}");
        for (of_request, of_response) in
            REQUESTS.into_iter().flat_map(|request| RESPONSES.map(|response| (request, response)))
        {
            let states = States { request: request(of_request), response: response(of_response) };
            for (of_attempts, attempts) in STANDINGS {
                let is_told = rows.iter().any(|[responses, requests, standings]| {
                    responses.contains(&of_response)
                        && requests.contains(&of_request)
                        && standings.contains(&of_attempts)
                });
                assert_eq!(
                    states.is_in_table(attempts),
                    is_told,
                    "{of_response} with {of_request}, {of_attempts}"
                );
            }
        }
    }

    /// Whether there are attempts with which the transition can be made.
    fn can_enter(from: (&str, &str), enter: impl Fn(&mut States, Standing) -> bool) -> bool {
        STANDINGS.into_iter().any(|(_, attempts)| {
            let mut states = States { request: request(from.0), response: response(from.1) };
            enter(&mut states, attempts)
        })
    }

    /// Whether the table holds them with any attempts.
    fn can_be(of_request: &str, of_response: &str) -> bool {
        let states = States { request: request(of_request), response: response(of_response) };
        STANDINGS.into_iter().any(|(_, attempts)| states.is_in_table(attempts))
    }

    #[test]
    fn each_half_goes_forward_only() {
        for (before, from) in RESPONSES.into_iter().enumerate() {
            for (after, to) in RESPONSES.into_iter().enumerate() {
                let is_made = can_enter(("Done", from), |states, attempts| {
                    states.enter_response(response(to), attempts)
                });
                let is_on = after > before || (from, to) == ("Awaited", "Queued");
                assert_eq!(is_made, is_on && can_be("Done", to), "{from} to {to}");
            }
        }
        for (before, from) in REQUESTS.into_iter().enumerate() {
            for (after, to) in REQUESTS.into_iter().enumerate() {
                let is_made = can_enter((from, "Done"), |states, attempts| {
                    states.enter_request(request(to), attempts)
                });
                assert_eq!(is_made, after > before && can_be(to, "Done"), "{from} to {to}");
            }
        }
    }

    #[test]
    fn only_a_request_that_was_whole_is_followed_by_another() {
        let next = |states: &mut States| {
            let head = Request::Head(ArrivingHead::default());
            states.enter((head, Response::Idle), Standing::None)
        };
        let mut states = States { request: Request::Done, response: Response::Reporting(None) };
        assert!(next(&mut states));
        for (request, response) in [
            (request("Linger"), Response::Reporting(None)),
            (Request::Done, Response::Reporting(Some(CloseMode::Close))),
            (Request::Done, Response::Over),
            (Request::Closed, Response::Reporting(None)),
        ] {
            assert!(!next(&mut States { request, response }));
        }
    }

    #[test]
    fn what_is_cut_may_turn_from_a_close_to_a_reset_and_not_back() {
        let cut = |from, to| {
            let mut states = States { request: Request::Closed, response: Response::Aborted(from) };
            states.enter_response(Response::Aborted(to), Standing::None)
        };
        assert!(cut(CloseMode::Close, CloseMode::Reset));
        assert!(!cut(CloseMode::Reset, CloseMode::Close));
    }
}
