//! Request methods, as far as a proxy has to distinguish them (RFC 9110 §9).

/// A request method. Methods are case-sensitive: `get` is an unknown one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// `TRACE`, refused here: it would echo fields that this proxy and others add.
    Trace,
    /// `CONNECT`, refused here: a gateway opens no tunnels to hosts that a client names.
    Connect,
    /// `PATCH`
    Patch,
    /// Any other token; forwarded unchanged.
    Other,
}

impl Method {
    /// Classifies a method by its name.
    #[must_use]
    pub fn classify(name: &[u8]) -> Method {
        match name {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            b"PATCH" => Method::Patch,
            _ => Method::Other,
        }
    }

    /// Whether sending the request twice has the same effect as sending it once (RFC 9110 §9.2.2).
    /// Unknown methods are not idempotent.
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        match self {
            Method::Get
            | Method::Head
            | Method::Put
            | Method::Delete
            | Method::Options
            | Method::Trace => true,
            Method::Post | Method::Connect | Method::Patch | Method::Other => false,
        }
    }
}
