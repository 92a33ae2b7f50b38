//! HTTP/1.1 (RFC 9110, RFC 9112), parsed strictly: bytes in, verdicts out.
//!
//! The parsers before and behind a proxy may interpret a message differently. Whatever they could
//! disagree about is refused here, and whatever is forwarded is written anew in one canonical form.
//! The module exists so that these rules can be read and tested in one place, on byte strings,
//! without a connection.
//!
//! It knows no sockets, clocks, backends or buffers: the caller owns the bytes, passes the date,
//! and decides when to read and write.
//!
//! The steps of a message: [`HeadSearch`] finds where its head ends ([`ArrivingHead`] for a
//! request, which may be refused before that), [`parse_request`] or [`parse_response`] turns it
//! into spans and a [`Framing`], [`rewrite_request`] or [`rewrite_response`] writes the head for
//! the next hop, and a [`BodyCodec`] takes the body from one framing to the other: [`Chunks`] walks
//! a chunked one, and [`rewrite_trailers`] filters its trailers. What can't be forwarded is
//! answered with a [`reply`].

mod arriving;
mod body_codec;
mod chunks;
mod connection;
mod error;
mod find;
mod framing;
mod head;
mod headers;
mod host;
mod list;
mod method;
mod name;
mod reply;
mod request;
mod response;
mod rewrite_request;
mod rewrite_response;
mod span;
mod target;
mod trailers;
mod via;
mod wire;

pub use arriving::{ArrivingHead, MAX_EMPTY_LINES};
pub use body_codec::{
    BodyCodec, BodyError, BodyStep, CHUNK_END, Leaves, TrailerRules, begin_chunk,
};
pub use chunks::{Chunks, Part};
pub use connection::{authenticates_connection, connection_named, forwarded_for};
pub use error::{FramingError, HeadError};
pub use framing::Framing;
pub use head::{HeadEnd, HeadSearch};
pub use headers::{Field, Headers};
pub use method::Method;
pub use name::Name;
pub use reply::{ALLOW, ReplyOptions, reason_phrase, reply};
pub use request::{RequestHead, offered_protocols, parse_request};
pub use response::{Asked, ResponseHead, parse_response};
pub use rewrite_request::{RequestHop, rewrite_request};
pub use rewrite_response::{BodyOut, ResponseHop, rewrite_response};
pub use span::Span;
pub use target::Target;
pub use trailers::rewrite_trailers;
pub use via::has_passed;

/// The longest head, in bytes: a [`Span`] can point no further.
pub const LONGEST_HEAD: usize = u16::MAX as usize;

/// The supported versions (RFC 9112 §2.3); another major version is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0: no chunked coding, no interim responses, closed unless `keep-alive` is asked for.
    Http10,
    /// HTTP/1.1; any later minor version is treated as 1.1 (RFC 9110 §2.5).
    Http11,
}

impl Version {
    /// Parses `HTTP/1.` and a digit; an unsupported version and a malformed one are two errors.
    pub(self) fn parse(text: &[u8]) -> Result<Version, HeadError> {
        match text {
            b"HTTP/1.0" => Ok(Version::Http10),
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Ok(Version::Http11),
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                Err(HeadError::UnsupportedVersion)
            }
            _ => Err(HeadError::BadVersion),
        }
    }
}

#[cfg(test)]
mod tests;
