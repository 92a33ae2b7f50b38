//! Answers, and their bytes.

use std::time::SystemTime;

use serde_json::{Value as Json, json};

use crate::http::reason_phrase;

/// What a request is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    content_type: &'static str,
    /// The methods that the path has, if the request had another one.
    allow: Option<String>,
    body: String,
}

impl Answer {
    pub(super) fn json(status: u16, value: &Json) -> Self {
        Self::of(status, "application/json", format!("{value:#}\n"))
    }

    /// A refusal, or a failure.
    pub(super) fn error(status: u16, why: &str) -> Self {
        Self::json(status, &json!({ "error": why }))
    }

    pub(super) fn of(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, allow: None, body }
    }

    pub(super) fn allowing(self, methods: String) -> Self {
        Self { allow: Some(methods), ..self }
    }

    /// Becomes bytes behind those of `message`. A body for `HEAD` is described and not sent.
    pub(super) fn follow(self, message: &mut Vec<u8>, head_only: bool, close: bool) {
        let Self { status, content_type, allow, body } = self;
        let date = httpdate::fmt_http_date(SystemTime::now());
        let mut lines = vec![
            format!("HTTP/1.1 {status} {}", reason_phrase(status)),
            format!("Date: {date}"),
            format!("Content-Type: {content_type}"),
            format!("Content-Length: {}", body.len()),
            "Cache-Control: no-store".to_owned(),
            "X-Content-Type-Options: nosniff".to_owned(),
        ];
        lines.extend(allow.as_ref().map(|methods| format!("Allow: {methods}")));
        lines.extend(close.then(|| "Connection: close".to_owned()));
        message.extend_from_slice((lines.join("\r\n") + "\r\n\r\n").as_bytes());
        if !head_only {
            // A body of megabytes is moved where it is, because a copy in new memory takes longer.
            let mut bytes = body.into_bytes();
            bytes.splice(..0, message.drain(..));
            *message = bytes;
        }
    }
}
