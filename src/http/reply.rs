//! The proxy's own answers, where there is no backend's answer to forward: plain, short, and
//! without information about the backends.

use super::wire::{self, CRLF};

/// The supported methods, as `Allow` lists them.
pub const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// What differs between replies.
#[derive(Debug, Clone, Copy)]
pub struct ReplyOptions<'a> {
    /// Whether the connection ends after the reply.
    pub close: bool,
    /// The date now, as an IMF-fixdate.
    pub date: &'a [u8],
    /// Whether the request was a `HEAD`, so that the body is described but not sent.
    pub head_only: bool,
    /// Whether `Allow` is sent, which a 405 must have and an answer to `OPTIONS` should.
    pub allow: bool,
    /// After how many seconds the client may try again, if that is known.
    pub retry_after: Option<u32>,
}

/// Appends a complete response whose body is `503 Service Unavailable: explanation`. The status
/// must be a final one that may have a body.
pub fn reply(out: &mut Vec<u8>, status: u16, explanation: &str, options: &ReplyOptions<'_>) {
    debug_assert!(status >= 200 && status != 204 && status != 304);
    let mut digits = itoa::Buffer::new();
    let status_text = digits.format(status);
    let reason = reason_phrase(status);
    let body = [status_text, " ", reason, ": ", explanation, "\n"];
    let body_bytes: usize = body.iter().map(|part| part.len()).sum();

    for part in ["HTTP/1.1 ", status_text, " ", reason, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    wire::field(out, "Content-Type: ", b"text/plain; charset=utf-8");
    wire::number(out, "Content-Length: ", body_bytes as u64);
    wire::field(out, "Date: ", options.date);
    if options.allow {
        wire::field(out, "Allow: ", ALLOW.as_bytes());
    }
    if let Some(seconds) = options.retry_after {
        wire::number(out, "Retry-After: ", seconds.into());
    }
    if options.close {
        wire::field(out, "Connection: ", b"close");
    }
    out.extend_from_slice(CRLF);
    if !options.head_only {
        for part in body {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// The reason phrase registered for a status (RFC 9110 §15, RFC 5842, RFC 6585, RFC 8297), or none.
#[must_use]
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}
