//! What can be wrong with a head or with a body's framing: for each fault the status of the answer,
//! labels for the log, and explanations for people. A label's prefix says which side's fault it is.

/// The texts of a fault, by where it is found.
#[derive(Debug, Clone, Copy)]
struct Facts {
    /// Of the answer to a request with this fault.
    status: u16,
    label: &'static str,
    trailer_label: &'static str,
    response_label: &'static str,
    response_trailer_label: &'static str,
    /// Of a request.
    explanation: &'static str,
    response_explanation: &'static str,
}

/// A status, a label and an explanation; and another explanation for responses, if that needs one.
macro_rules! facts {
    ($status:literal, $label:literal, $explanation:literal) => {
        facts!(
            $status,
            $label,
            $explanation,
            concat!("the backend's answer was refused: ", $explanation)
        )
    };
    ($status:literal, $label:literal, $explanation:literal, $of_response:expr) => {
        Facts {
            status: $status,
            label: $label,
            trailer_label: concat!("trailer_", $label),
            response_label: concat!("response_", $label),
            response_trailer_label: concat!("response_trailer_", $label),
            explanation: $explanation,
            response_explanation: $of_response,
        }
    };
}

/// Why a head is refused. The connection that it came on can only be used for the reply.
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
    TooManyEmptyLines,
    BadTarget,
    BadVersion,
    UnsupportedVersion,
    MethodNotAllowed,
    BadField,
    FoldedField,
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
    /// Status of the answer to a *request* with this fault. A *response* with it is the backend's
    /// fault and always answered 502.
    #[must_use]
    pub fn status(self) -> u16 {
        self.facts().status
    }

    /// Stable `snake_case` word for the log, if a request has this fault.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.facts().label
    }

    /// The same for a response.
    #[must_use]
    pub fn response_label(self) -> &'static str {
        self.facts().response_label
    }

    /// The word for a request whose trailer section has this fault.
    #[must_use]
    pub fn trailer_label(self) -> &'static str {
        self.facts().trailer_label
    }

    /// The same for a response.
    #[must_use]
    pub fn response_trailer_label(self) -> &'static str {
        self.facts().response_trailer_label
    }

    /// One clause for people, if a request has this fault. It may name the flag of a limit, but no
    /// other internals.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        self.facts().explanation
    }

    /// The same for a response.
    #[must_use]
    pub fn response_explanation(self) -> &'static str {
        self.facts().response_explanation
    }

    fn facts(self) -> Facts {
        match self {
            Self::BareLineFeed => facts!(400, "bare_lf", "a line ends without CR LF"),
            Self::BareCarriageReturn => {
                facts!(400, "bare_cr", "there is a carriage return before the end of a line")
            }
            Self::UriTooLong => {
                facts!(414, "uri_too_long", "the request line is above --max-head-bytes")
            }
            Self::HeadTooLarge => facts!(
                431,
                "head_too_large",
                "the request head is above --max-head-bytes",
                "the response head is above --max-head-bytes"
            ),
            Self::TooManyHeaders => facts!(
                431,
                "too_many_headers",
                "the request has more fields than --max-headers",
                "the response has more fields than --max-headers"
            ),
            Self::BadRequestLine => {
                facts!(400, "bad_request_line", "the request line is malformed")
            }
            Self::BadTarget => facts!(400, "bad_target", "the request target is invalid"),
            Self::BadVersion => facts!(400, "bad_version", "the protocol version is malformed"),
            Self::TooManyEmptyLines => {
                facts!(400, "too_many_empty_lines", "too many empty lines precede the request")
            }
            Self::UnsupportedVersion => {
                facts!(505, "unsupported_version", "only HTTP/1 is supported")
            }
            Self::MethodNotAllowed => {
                facts!(405, "method_not_allowed", "the method is not supported")
            }
            Self::BadField => facts!(400, "bad_field", "a header field is malformed"),
            Self::FoldedField => {
                facts!(400, "obs_fold", "a header field is continued on the next line")
            }
            Self::MissingHost => facts!(400, "missing_host", "the Host field is missing"),
            Self::DuplicateHost => facts!(400, "duplicate_host", "there is more than one Host"),
            Self::BadHost => facts!(400, "bad_host", "the Host field is invalid"),
            Self::LengthAndCoding => facts!(
                400,
                "length_and_coding",
                "there are both Content-Length and Transfer-Encoding"
            ),
            Self::BadLength => facts!(400, "bad_length", "the Content-Length is invalid"),
            Self::DuplicateLength => {
                facts!(400, "duplicate_length", "there is more than one Content-Length")
            }
            Self::CodingInHttp10 => {
                facts!(400, "coding_in_http10", "HTTP/1.0 has no Transfer-Encoding")
            }
            Self::BadCoding => facts!(400, "bad_coding", "the Transfer-Encoding is invalid"),
            Self::UnknownCoding => {
                facts!(501, "unknown_coding", "no transfer coding but chunked is supported")
            }
            Self::BadMaxForwards => facts!(400, "bad_max_forwards", "the Max-Forwards is invalid"),
            Self::BadStatusLine => facts!(502, "bad_status_line", "the status line is malformed"),
            Self::UnaskedUpgrade => {
                facts!(502, "unasked_upgrade", "it switches to a protocol that was not offered")
            }
        }
    }
}

/// Why the framing of a body is broken. The end of the message is unknown then, so the connection
/// must be closed.
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
}

impl FramingError {
    /// Status of the answer to a *request* with this fault, if it was not answered already.
    #[must_use]
    pub fn status(self) -> u16 {
        self.facts().status
    }

    /// Stable `snake_case` word for the log, if a request has this fault.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.facts().label
    }

    /// The same for a response.
    #[must_use]
    pub fn response_label(self) -> &'static str {
        self.facts().response_label
    }

    /// One clause for people, if a request has this fault. It may name the flag of a limit, but no
    /// other internals.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        self.facts().explanation
    }

    /// The same for a response.
    #[must_use]
    pub fn response_explanation(self) -> &'static str {
        self.facts().response_explanation
    }

    fn facts(self) -> Facts {
        match self {
            FramingError::BadChunkSize => {
                facts!(400, "bad_chunk_size", "a chunk size is malformed")
            }
            FramingError::ChunkTooLarge => {
                facts!(400, "chunk_too_large", "a chunk size is too large")
            }
            FramingError::BadChunkExtension => {
                facts!(400, "bad_chunk_extension", "a chunk extension is malformed")
            }
            FramingError::ChunkLineTooLong => {
                facts!(400, "chunk_line_too_long", "a chunk size line is too long")
            }
            FramingError::ChunkOverhead => {
                facts!(400, "chunk_overhead", "the chunks have too little data for their framing")
            }
            FramingError::BadChunkEnd => {
                facts!(400, "bad_chunk_end", "a chunk does not end in CR LF")
            }
            FramingError::BadTrailer => {
                facts!(400, "bad_trailer", "the trailer section is malformed")
            }
            FramingError::TrailerTooLarge => facts!(
                431,
                "trailer_too_large",
                "the request's trailer section is above --max-head-bytes",
                "the response's trailer section is above --max-head-bytes"
            ),
        }
    }
}
