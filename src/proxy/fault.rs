//! What went wrong with a request: which status the client gets, who is to blame, and what the CSV
//! calls it.

use crate::http::{FramingError, HeadError};

/// A cause that kept a request from ending well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The request's head is not one this proxy serves.
    RequestHead(HeadError),
    /// The request's body breaks its framing.
    RequestBody(FramingError),
    /// The request's trailers are not valid.
    RequestTrailers(HeadError),
    /// The request has been here before.
    Loop,
    /// The request's body is larger than `--max-body-bytes`.
    RequestTooLarge,
    /// The head did not arrive within `--header-timeout`.
    HeaderTimeout,
    /// The body made no progress for `--body-timeout`.
    BodyTimeout,
    /// The client ended its stream in the middle of a request.
    RequestIncomplete,
    /// The client reset the connection, or a write to it failed.
    ClientGone,
    /// The client read nothing for `--body-timeout`.
    ClientStalled,
    /// Every backend refused the connection.
    ConnectRefused,
    /// No connection came about within `--connect-timeout`.
    ConnectTimeout,
    /// This host has no route to the backend.
    ConnectUnreachable,
    /// This proxy ran out of descriptors, ports or memory for a connection.
    OwnResources,
    /// The upstream took no more of the request, or sent no whole head, for `--response-timeout`.
    ResponseTimeout,
    /// The upstream sent nothing of the response's body for `--stream-timeout`.
    StreamTimeout,
    /// Nothing moved in a tunnel for `--tunnel-timeout`.
    TunnelTimeout,
    /// The upstream closed or reset the connection before a whole response head.
    UpstreamClosed,
    /// The upstream switched protocols before it had the whole request.
    EarlyUpgrade,
    /// The response's head is not valid.
    ResponseHead(HeadError),
    /// The response's body breaks its framing.
    ResponseBody(FramingError),
    /// The response's trailers are not valid.
    ResponseTrailers(HeadError),
    /// The upstream sent interim responses without end.
    TooManyInterim,
    /// The upstream ended in the middle of the response's body.
    ResponseTruncated,
    /// The proxy was stopped and `--drain-timeout` ran out.
    Stopped,
}

impl Fault {
    /// The status for the client, if nothing was sent to it yet; 499 is only for the log.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::RequestHead(error) | Self::RequestTrailers(error) => error.status(),
            Self::RequestBody(_) | Self::RequestIncomplete => 400,
            Self::RequestTooLarge => 413,
            Self::HeaderTimeout | Self::BodyTimeout => 408,
            Self::ClientGone | Self::ClientStalled => 499,
            Self::ConnectRefused
            | Self::ConnectTimeout
            | Self::ConnectUnreachable
            | Self::OwnResources
            | Self::Stopped => 503,
            Self::ResponseTimeout | Self::StreamTimeout | Self::TunnelTimeout => 504,
            Self::Loop => 508,
            Self::UpstreamClosed
            | Self::EarlyUpgrade
            | Self::ResponseHead(_)
            | Self::ResponseBody(_)
            | Self::ResponseTrailers(_)
            | Self::TooManyInterim
            | Self::ResponseTruncated => 502,
        }
    }

    /// Whether the backend did wrong, so that it earns the failure sample.
    #[must_use]
    pub fn blames_upstream(self) -> bool {
        matches!(self.status(), 502 | 504) && self != Self::TunnelTimeout
    }

    /// The CSV's word for it, `snake_case` and stable.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::RequestHead(error) => error.label(),
            Self::RequestBody(_) => "bad_request_body",
            Self::RequestTrailers(_) => "bad_request_trailers",
            Self::Loop => "loop",
            Self::RequestTooLarge => "request_too_large",
            Self::HeaderTimeout => "header_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::RequestIncomplete => "request_incomplete",
            Self::ClientGone => "client_gone",
            Self::ClientStalled => "client_stalled",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectUnreachable => "connect_unreachable",
            Self::OwnResources => "own_resources",
            Self::ResponseTimeout => "response_timeout",
            Self::StreamTimeout => "stream_timeout",
            Self::TunnelTimeout => "tunnel_timeout",
            Self::UpstreamClosed => "upstream_closed",
            Self::EarlyUpgrade => "early_upgrade",
            Self::ResponseHead(_) => "bad_response_head",
            Self::ResponseBody(_) => "bad_response_body",
            Self::ResponseTrailers(_) => "bad_response_trailers",
            Self::TooManyInterim => "too_many_interim",
            Self::ResponseTruncated => "response_truncated",
            Self::Stopped => "stopped",
        }
    }

    /// One clause for the client's eyes. It names no address and no internals.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::RequestHead(error) | Self::RequestTrailers(error) => error.explanation(),
            Self::RequestBody(error) => error.explanation(),
            Self::Loop => "the request has passed through this proxy before",
            Self::RequestTooLarge => "the request body is larger than this proxy accepts",
            Self::HeaderTimeout => "the request head took too long",
            Self::BodyTimeout => "the request body made no progress",
            Self::RequestIncomplete => "the request ended before it was complete",
            Self::ClientGone | Self::ClientStalled => "the client left",
            Self::ConnectRefused => "no backend reachable (connection refused)",
            Self::ConnectTimeout => "no backend reachable (connecting timed out)",
            Self::ConnectUnreachable => "no backend reachable (no route)",
            Self::OwnResources => "the proxy has no resources for another connection",
            Self::ResponseTimeout => "the backend did not answer in time",
            Self::StreamTimeout => "the backend's answer made no progress",
            Self::TunnelTimeout => "nothing moved in the tunnel",
            Self::UpstreamClosed => "the backend closed the connection without an answer",
            Self::EarlyUpgrade
            | Self::ResponseHead(_)
            | Self::ResponseBody(_)
            | Self::ResponseTrailers(_)
            | Self::TooManyInterim => "the backend sent an invalid answer",
            Self::ResponseTruncated => "the backend's answer ended early",
            Self::Stopped => "the proxy is stopping",
        }
    }
}
