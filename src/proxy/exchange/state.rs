//! The states of an exchange: one half-duplex machine per side, and what they share.
//!
//! The states carry their codecs, so there is no body without its framing and no head without its
//! search.

use std::time::Instant;

use super::action::CloseMode;
use super::timing::Timing;
use crate::balance::Lease;
use crate::http::{ArrivingHead, BodyCodec, Framing, HeadSearch, Method, Version};

/// The client's half.
#[derive(Debug)]
pub(super) enum Request {
    Head(ArrivingHead),
    Body(BodyCodec),
    /// Seen whole. Nothing more is read before the response is done.
    Done,
    /// Nothing more is wanted: what still comes is dropped, up to a limit. The time counts once the
    /// response has ended.
    Linger {
        left_bytes: usize,
        until: Instant,
    },
    /// Upgraded: bytes pass as they are.
    Tunnel,
    /// The client ended its half of the tunnel; what it sent is still on its way.
    TunnelEnding,
}

/// The upstream's half.
#[derive(Debug)]
pub(super) enum Response {
    /// There is no request yet.
    Idle,
    /// A connection is being made.
    AwaitUpstream,
    Head {
        search: HeadSearch,
        interim: u32,
    },
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
    Ended(Option<CloseMode>),
}

/// What of the request's head is needed after it is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestContext {
    pub(super) method: Method,
    pub(super) version: Version,
    /// What delimits its body.
    pub(super) framing: Framing,
    /// Whether the client's connection serves another request after this one.
    pub(super) keep_alive: bool,
    /// Whether the client takes the end of the connection for the end of the response.
    pub(super) until_close: bool,
    /// Whether the client may be waiting for the backend's 100 (Continue) before it sends the body.
    pub(super) continue_due: bool,
    /// Whom the upstream connection may serve.
    pub(super) serves: Serves,
}

impl RequestContext {
    pub(super) const NONE: Self = Self {
        method: Method::Get,
        version: Version::Http11,
        framing: Framing::None,
        keep_alive: false,
        until_close: false,
        continue_due: false,
        serves: Serves::Anyone,
    };
}

/// Whom an upstream connection may serve.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Serves {
    Anyone,
    /// It is authenticated as this client.
    Client,
}

/// One try at one backend.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) lease: Lease,
    pub(super) link: Link,
    pub(super) timing: Timing,
}

/// The upstream connection as the exchange sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Link {
    Connecting,
    /// `reused` came from the pool, so it may turn out to be stale.
    Open {
        reused: bool,
    },
    /// Takes no more bytes, but may still have an answer.
    WriteClosed {
        reused: bool,
    },
}

impl Link {
    /// Whether the connection had served another request before.
    pub(super) fn is_reused(self) -> bool {
        matches!(self, Self::Open { reused: true } | Self::WriteClosed { reused: true })
    }
}
