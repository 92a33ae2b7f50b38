//! What can be wrong with a head or with a body's framing: for each fault the status that answers
//! it, a label for the log and a sentence for people.

/// Why a head is refused. The connection it came on is good for nothing more but the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.explanation())]
#[expect(missing_docs, reason = "`explanation` says it for each")]
pub enum HeadError {
    BareLineFeed,
    BareCarriageReturn,
    UriTooLong,
    HeadTooLarge,
    TooManyHeaders,
    BadRequestLine,
    BadTarget,
    BadVersion,
    UnsupportedVersion,
    MethodNotAllowed,
    BadField,
    MissingHost,
    DuplicateHost,
    BadHost,
    LengthAndCoding,
    BadLength,
    DuplicateLength,
    CodingInHttp10,
    BadCoding,
    UnknownCoding,
    BadMaxForwards,
    BadStatusLine,
    UnaskedUpgrade,
}

impl HeadError {
    /// Status that answers a *request* with this fault. A response with it is the backend's fault
    /// and answered 502 whatever is said here.
    #[must_use]
    pub fn status(self) -> u16 {
        self.facts().0
    }

    /// Stable `snake_case` word for the log.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.facts().1
    }

    /// One clause for people, naming nothing of ours.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (u16, &'static str, &'static str) {
        match self {
            HeadError::BareLineFeed => (400, "bare_lf", "a line ends without CR LF"),
            HeadError::BareCarriageReturn => {
                (400, "bare_cr", "a carriage return stands before the end of a line")
            }
            HeadError::UriTooLong => (414, "uri_too_long", "the request line is too long"),
            HeadError::HeadTooLarge => (431, "head_too_large", "the header section is too large"),
            HeadError::TooManyHeaders => (431, "too_many_headers", "too many header fields"),
            HeadError::BadRequestLine => (400, "bad_request_line", "the request line is malformed"),
            HeadError::BadTarget => (400, "bad_target", "the request target is invalid"),
            HeadError::BadVersion => (400, "bad_version", "the protocol version is malformed"),
            HeadError::UnsupportedVersion => {
                (505, "unsupported_version", "only HTTP/1 is spoken here")
            }
            HeadError::MethodNotAllowed => {
                (405, "method_not_allowed", "the method is not allowed here")
            }
            HeadError::BadField => (400, "bad_field", "a header field is malformed"),
            HeadError::MissingHost => (400, "missing_host", "the Host field is missing"),
            HeadError::DuplicateHost => (400, "duplicate_host", "there is more than one Host"),
            HeadError::BadHost => (400, "bad_host", "the Host field is invalid"),
            HeadError::LengthAndCoding => {
                (400, "length_and_coding", "both Content-Length and Transfer-Encoding are given")
            }
            HeadError::BadLength => (400, "bad_length", "the Content-Length is invalid"),
            HeadError::DuplicateLength => {
                (400, "duplicate_length", "there is more than one Content-Length")
            }
            HeadError::CodingInHttp10 => {
                (400, "coding_in_http10", "HTTP/1.0 knows no Transfer-Encoding")
            }
            HeadError::BadCoding => (400, "bad_coding", "the Transfer-Encoding is invalid"),
            HeadError::UnknownCoding => {
                (501, "unknown_coding", "only the transfer coding chunked is known here")
            }
            HeadError::BadMaxForwards => (400, "bad_max_forwards", "the Max-Forwards is invalid"),
            HeadError::BadStatusLine => (502, "bad_status_line", "the status line is malformed"),
            HeadError::UnaskedUpgrade => {
                (502, "unasked_upgrade", "the protocol was switched without being asked to")
            }
        }
    }
}

/// Why the framing of a body is broken. Where the message ends is then unknown, so the connection
/// it came on must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.explanation())]
#[expect(missing_docs, reason = "`explanation` says it for each")]
pub enum FramingError {
    BadChunkSize,
    ChunkTooLarge,
    BadChunkExtension,
    ChunkLineTooLong,
    ChunkOverhead,
    BadChunkEnd,
    BadTrailer,
    TrailerTooLarge,
    Truncated,
}

impl FramingError {
    /// Status that answers a *request* with this fault, if it was not answered already.
    #[must_use]
    pub fn status(self) -> u16 {
        self.facts().0
    }

    /// Stable `snake_case` word for the log.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.facts().1
    }

    /// One clause for people, naming nothing of ours.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (u16, &'static str, &'static str) {
        match self {
            FramingError::BadChunkSize => (400, "bad_chunk_size", "a chunk size is malformed"),
            FramingError::ChunkTooLarge => (400, "chunk_too_large", "a chunk size is too large"),
            FramingError::BadChunkExtension => {
                (400, "bad_chunk_extension", "a chunk extension is malformed")
            }
            FramingError::ChunkLineTooLong => {
                (400, "chunk_line_too_long", "a chunk size line is too long")
            }
            FramingError::ChunkOverhead => {
                (400, "chunk_overhead", "the chunks carry too little data for their framing")
            }
            FramingError::BadChunkEnd => (400, "bad_chunk_end", "a chunk does not end in CR LF"),
            FramingError::BadTrailer => (400, "bad_trailer", "the trailer section is malformed"),
            FramingError::TrailerTooLarge => {
                (431, "trailer_too_large", "the trailer section is too large")
            }
            FramingError::Truncated => (400, "truncated_body", "the body ends too early"),
        }
    }
}
