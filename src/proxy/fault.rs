//! What went wrong with a request: which status the client gets, which side caused it, and its word
//! in the CSV.

use crate::http::{BodyError, FramingError, HeadError};

/// Why a request failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The request's head is invalid or not supported.
    RequestHead(HeadError),
    /// The request's body breaks its framing.
    RequestBody(FramingError),
    /// The request's trailers are not valid.
    RequestTrailers(HeadError),
    /// The request has passed through this process before.
    Loop,
    /// The request's body is larger than `--max-body-bytes`.
    RequestTooLarge,
    /// The head did not arrive within `--header-timeout`.
    HeaderTimeout,
    /// The body made no progress for `--body-timeout`.
    BodyTimeout,
    /// The client ended its stream in the middle of a request.
    RequestIncomplete,
    /// The client reset the connection, a write to it failed, or it ended its stream while it
    /// waited.
    ClientGone,
    /// The client read nothing for `--body-timeout`.
    ClientStalled,
    /// Every backend refused the connection.
    ConnectRefused,
    /// The process may not connect to the backend.
    ConnectDenied,
    /// No connection was established within `--connect-timeout`.
    ConnectTimeout,
    /// This host has no route to the backend.
    ConnectUnreachable,
    /// Every backend that takes requests has as many as its `max-in-flight` allows.
    BackendsFull,
    /// The same, and as many requests wait as `--queue` allows.
    QueueFull,
    /// The request waited for `--queue-timeout`, and all were at their limits all the time.
    QueueTimeout,
    /// This proxy ran out of descriptors, ports or memory for a connection.
    ResourceExhausted,
    /// The upstream read no more of the request, or sent no complete head, for
    /// `--response-timeout`.
    ResponseTimeout,
    /// The upstream sent nothing of the response's body for `--stream-timeout`.
    StreamTimeout,
    /// No byte passed through a tunnel for `--tunnel-timeout`.
    TunnelTimeout,
    /// The upstream closed or reset the connection before a whole response head.
    UpstreamClosed,
    /// The upstream read nothing of a tunnel for `--tunnel-timeout`.
    UpstreamStalled,
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
    /// The backend was removed and `--backend-drain-timeout` expired.
    BackendRemoved,
    /// The proxy found itself in a state that it can't be in.
    Internal,
}

impl Fault {
    /// What is wrong with a request's body.
    #[must_use]
    pub fn of_request(error: BodyError) -> Self {
        match error {
            BodyError::Framing(error) => Self::RequestBody(error),
            BodyError::Trailers(error) => Self::RequestTrailers(error),
        }
    }

    /// What is wrong with a response's body.
    #[must_use]
    pub fn of_response(error: BodyError) -> Self {
        match error {
            BodyError::Framing(error) => Self::ResponseBody(error),
            BodyError::Trailers(error) => Self::ResponseTrailers(error),
        }
    }

    /// The status for the client, if nothing was sent to it yet; 499 only appears in the log.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::RequestHead(error) | Self::RequestTrailers(error) => error.status(),
            Self::RequestBody(error) => error.status(),
            Self::RequestIncomplete => 400,
            Self::RequestTooLarge => 413,
            Self::HeaderTimeout | Self::BodyTimeout => 408,
            Self::ClientGone | Self::ClientStalled => 499,
            Self::ConnectRefused
            | Self::ConnectDenied
            | Self::ConnectTimeout
            | Self::ConnectUnreachable
            | Self::BackendsFull
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::ResourceExhausted
            | Self::Stopped
            | Self::BackendRemoved => 503,
            Self::ResponseTimeout
            | Self::StreamTimeout
            | Self::TunnelTimeout
            | Self::UpstreamStalled => 504,
            Self::Loop => 508,
            Self::Internal => 500,
            Self::UpstreamClosed
            | Self::EarlyUpgrade
            | Self::ResponseHead(_)
            | Self::ResponseBody(_)
            | Self::ResponseTrailers(_)
            | Self::TooManyInterim
            | Self::ResponseTruncated => 502,
        }
    }

    /// After how many seconds the client may try again, if that is known.
    #[must_use]
    pub fn retry_after(self) -> Option<u32> {
        let is_busy = matches!(self, Self::BackendsFull | Self::QueueFull | Self::QueueTimeout);
        is_busy.then_some(1)
    }

    /// Whether the backend is at fault, so that this counts as a failure sample.
    #[must_use]
    pub fn blames_upstream(self) -> bool {
        matches!(self.status(), 502 | 504) && self != Self::TunnelTimeout
    }

    /// The CSV's word for it, `snake_case` and stable.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::RequestHead(error) => error.label(),
            Self::RequestBody(error) => error.label(),
            Self::RequestTrailers(error) => error.trailer_label(),
            Self::Loop => "loop",
            Self::RequestTooLarge => "request_too_large",
            Self::HeaderTimeout => "header_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::RequestIncomplete => "request_incomplete",
            Self::ClientGone => "client_gone",
            Self::ClientStalled => "client_stalled",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectDenied => "connect_denied",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectUnreachable => "connect_unreachable",
            Self::BackendsFull => "backends_full",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::ResourceExhausted => "resource_exhausted",
            Self::ResponseTimeout => "response_timeout",
            Self::StreamTimeout => "stream_timeout",
            Self::TunnelTimeout => "tunnel_timeout",
            Self::UpstreamClosed => "upstream_closed",
            Self::UpstreamStalled => "upstream_stalled",
            Self::EarlyUpgrade => "early_upgrade",
            Self::ResponseHead(error) => error.response_label(),
            Self::ResponseBody(error) => error.response_label(),
            Self::ResponseTrailers(error) => error.response_trailer_label(),
            Self::TooManyInterim => "too_many_interim",
            Self::ResponseTruncated => "response_truncated",
            Self::Stopped => "stopped",
            Self::BackendRemoved => "backend_removed",
            Self::Internal => "internal",
        }
    }

    /// One clause for the client, without addresses or internals.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::RequestHead(error) | Self::RequestTrailers(error) => error.explanation(),
            Self::RequestBody(error) => error.explanation(),
            Self::Loop => "the request has passed through this proxy before",
            Self::RequestTooLarge => "the request body is above --max-body-bytes",
            Self::HeaderTimeout => "the request head took too long",
            Self::BodyTimeout => "the request body made no progress",
            Self::RequestIncomplete => "the request ended before it was complete",
            Self::ClientGone | Self::ClientStalled => "the client left",
            Self::ConnectRefused => "no backend reachable (connection refused)",
            Self::ConnectDenied => "no backend reachable (permission denied)",
            Self::ConnectTimeout => "no backend reachable (connecting timed out)",
            Self::ConnectUnreachable => "no backend reachable (no route)",
            Self::BackendsFull => "all backends are at their limits",
            Self::QueueFull => "all backends are at their limits, and too many requests wait",
            Self::QueueTimeout => "all backends were at their limits for too long",
            Self::ResourceExhausted => "the proxy has no resources for another connection",
            Self::ResponseTimeout => "the backend did not answer in time",
            Self::StreamTimeout => "the backend's answer made no progress",
            Self::TunnelTimeout => "nothing moved in the tunnel",
            Self::UpstreamStalled => "the backend reads no more",
            Self::UpstreamClosed => "the backend closed the connection without an answer",
            Self::EarlyUpgrade => "the backend switched protocols before it had the whole request",
            Self::ResponseHead(error) | Self::ResponseTrailers(error) => {
                error.response_explanation()
            }
            Self::ResponseBody(error) => error.response_explanation(),
            Self::TooManyInterim => "the backend sent more interim responses than are passed on",
            Self::ResponseTruncated => "the backend's answer ended early",
            Self::Stopped => "the proxy is stopping",
            Self::BackendRemoved => "the backend was removed before it had answered",
            Self::Internal => "the proxy has made a mistake, please report it",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::proxy::metrics::FAULT_LABELS_MAX;

    const HEADS: [HeadError; 25] = [
        HeadError::BareLineFeed,
        HeadError::BareCarriageReturn,
        HeadError::UriTooLong,
        HeadError::HeadTooLarge,
        HeadError::TooManyHeaders,
        HeadError::BadRequestLine,
        HeadError::BadTarget,
        HeadError::BadVersion,
        HeadError::TooManyEmptyLines,
        HeadError::UnsupportedVersion,
        HeadError::MethodNotAllowed,
        HeadError::BadField,
        HeadError::FoldedField,
        HeadError::MissingHost,
        HeadError::DuplicateHost,
        HeadError::BadHost,
        HeadError::LengthAndCoding,
        HeadError::BadLength,
        HeadError::DuplicateLength,
        HeadError::CodingInHttp10,
        HeadError::BadCoding,
        HeadError::UnknownCoding,
        HeadError::BadMaxForwards,
        HeadError::BadStatusLine,
        HeadError::UnaskedUpgrade,
    ];

    const BODIES: [FramingError; 8] = [
        FramingError::BadChunkSize,
        FramingError::ChunkTooLarge,
        FramingError::BadChunkExtension,
        FramingError::ChunkLineTooLong,
        FramingError::ChunkOverhead,
        FramingError::BadChunkEnd,
        FramingError::BadTrailer,
        FramingError::TrailerTooLarge,
    ];

    /// The labels in this file, read from its source so that none is forgotten.
    fn own_labels() -> impl Iterator<Item = &'static str> {
        let (_, behind) = include_str!("fault.rs").split_once("pub fn label(").expect("labels");
        let body = behind.split("pub fn ").next().unwrap_or_default();
        body.split('"').skip(1).step_by(2)
    }

    /// The labels of what is wrong with a message.
    fn labels_of_messages() -> impl Iterator<Item = &'static str> {
        let (_, behind) = include_str!("../http/error.rs").split_once("\nimpl ").expect("labels");
        behind.split("facts!(").skip(1).filter_map(|facts| facts.split('"').nth(1))
    }

    #[test]
    fn each_cause_has_a_label_of_its_own() {
        let listed = HEADS.map(HeadError::label).into_iter().chain(BODIES.map(FramingError::label));
        assert_eq!(listed.collect::<BTreeSet<_>>(), labels_of_messages().collect());
        let heads = [
            HeadError::label,
            HeadError::trailer_label,
            HeadError::response_label,
            HeadError::response_trailer_label,
        ];
        let heads = heads.into_iter().flat_map(|label| HEADS.map(label));
        let bodies = [FramingError::label, FramingError::response_label];
        let bodies = bodies.into_iter().flat_map(|label| BODIES.map(label));
        let all: Vec<_> = own_labels().chain(heads).chain(bodies).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.len() <= FAULT_LABELS_MAX, "each can be counted: {}", all.len());
        assert!(own_labels().count() > 15, "{:?}", own_labels().collect::<Vec<_>>());
    }

    #[test]
    fn whose_fault_it_is_shows_in_the_label_and_decides_the_status() {
        for error in HEADS {
            let faults = [Fault::ResponseHead(error), Fault::ResponseTrailers(error)];
            for fault in faults {
                assert!(fault.label().starts_with("response_") && fault.status() == 502);
            }
        }
        for error in BODIES {
            assert!(Fault::ResponseBody(error).label().starts_with("response_"));
            assert_eq!(Fault::ResponseBody(error).status(), 502);
            let status = if error == FramingError::TrailerTooLarge { 431 } else { 400 };
            assert_eq!(Fault::RequestBody(error).status(), status);
        }
    }

    #[test]
    fn every_label_is_explained_in_the_table_with_its_status() {
        let page = include_str!("../../docs/reliability.md");
        let (_, page) = page.split_once("\n## Labels of faults\n").expect("the section");
        let page = page.split("\n## ").next().unwrap_or_default();
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
        let statuses: Vec<_> = rows.map(|cells| (cells[1].trim_matches('`'), cells[2])).collect();
        let mut told: Vec<_> = statuses.iter().map(|(label, _)| *label).collect();
        let mut known: Vec<_> = labels_of_messages().chain(own_labels()).collect();
        told.sort_unstable();
        known.sort_unstable();
        assert_eq!(told, known, "docs/reliability.md has each label once, and no other");
        let heads = HEADS.map(|error| (error.label(), error.status(), error.to_string()));
        let bodies = BODIES.map(|error| (error.label(), error.status(), error.to_string()));
        for (label, status, explanation) in heads.into_iter().chain(bodies) {
            let (_, told) = statuses.iter().find(|row| row.0 == label).expect("a row");
            // What only a response can have has no status there: it is a 502 like all of them.
            let told = if told.is_empty() { "502" } else { told };
            assert_eq!(told, status.to_string(), "{label}");
            assert!(!explanation.is_empty());
            assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || b"_10".contains(&byte)));
        }
    }
}
