//! What of the request's head is needed after it is gone.

use crate::http::{Framing, Method, Version};

/// See the module's description.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestContext {
    pub(super) method: Method,
    pub(super) version: Version,
    /// What delimits its body.
    pub(super) framing: Framing,
    pub(super) persistence: Persistence,
    pub(super) expects: Expects,
    pub(super) serves: Serves,
}

impl RequestContext {
    pub(super) const NONE: Self = Self {
        method: Method::Get,
        version: Version::Http11,
        framing: Framing::None,
        persistence: Persistence::Close,
        expects: Expects::Nothing,
        serves: Serves::Anyone,
    };
}

impl RequestContext {
    /// Whether the client's connection serves another request.
    pub(super) fn keeps_alive(&self) -> bool {
        self.persistence == Persistence::KeepAlive
    }
}

/// What becomes of the client's connection behind the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Persistence {
    /// It serves another request.
    KeepAlive,
    /// It ends.
    Close,
    /// It ends, and the client takes that for the end of the response.
    UntilClose,
}

impl Persistence {
    /// The connection ends, however the response does.
    pub(super) fn close(&mut self) {
        if *self == Self::KeepAlive {
            *self = Self::Close;
        }
    }
}

/// What the client waits for before it sends its body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expects {
    Nothing,
    /// The backend's 100 (Continue), if it waits at all.
    Continue,
}

/// Whom the upstream connection may serve.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Serves {
    Anyone,
    /// It is authenticated as this client.
    Client,
}
