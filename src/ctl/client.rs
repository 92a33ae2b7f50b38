//! Asks the admin API: one request over one connection.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::backend::List;
use super::error::CtlError;
use crate::endpoint::Endpoint;
use crate::health::{Patience, exchange, reachable};
use crate::http::{Asked, Framing, HeadSearch, Headers, LONGEST_HEAD, Method, parse_response};

/// What a thousand backends take is far less.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// For what the proxy answers at once.
const SOON: Duration = Duration::from_secs(5);

/// For a change, for which the proxy may have to wait for a name server.
const LATER: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: Endpoint,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Client {
    /// One that asks a proxy whose admin listens there.
    pub(super) fn new(listen: Endpoint) -> Self {
        let address = match listen {
            Endpoint::Tcp(address) => reachable(address).into(),
            unix @ Endpoint::Unix(_) => unix,
        };
        Self { address }
    }

    /// The backends.
    pub(super) fn list(&self) -> Result<List, CtlError> {
        self.parsed(&self.get("/backends")?)
    }

    /// An answer in the form that it should have.
    pub(super) fn parsed<T: DeserializeOwned>(&self, body: &str) -> Result<T, CtlError> {
        serde_json::from_str(body).map_err(|error| self.stranger(&error))
    }

    /// What is there.
    pub(super) fn get(&self, path: &str) -> Result<String, CtlError> {
        Self::done(self.ask("GET", path, None, "*/*")?)
    }

    /// Has something changed.
    pub(super) fn change(
        &self,
        method: &str,
        path: &str,
        body: Option<&Json>,
    ) -> Result<String, CtlError> {
        Self::done(self.ask(method, path, body, "*/*")?)
    }

    /// The body of an answer that is none of a refusal.
    pub(super) fn done(answer: Answer) -> Result<String, CtlError> {
        if answer.status == 200 {
            return Ok(answer.body);
        }
        let parsed: Option<Json> = serde_json::from_str(&answer.body).ok();
        let why = parsed.as_ref().and_then(|it| it["error"].as_str());
        Err(CtlError::Refused(why.unwrap_or(answer.body.trim_end()).to_owned()))
    }

    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Json>,
        accept: &str,
    ) -> Result<Answer, CtlError> {
        let body = body.map_or_else(String::new, ToString::to_string);
        let host = match &self.address {
            Endpoint::Tcp(address) => address.to_string(),
            Endpoint::Unix(_) => "localhost".to_owned(),
        };
        let length = body.len();
        let question = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let time = if method == "GET" { SOON } else { LATER };
        let patience = Patience { time, bytes: ANSWER_BYTES_MAX };
        let bytes = exchange(&self.address, question.as_bytes(), patience)
            .map_err(|cause| CtlError::Unreachable { address: self.address.clone(), cause })?;
        self.read(&bytes)
    }

    fn read(&self, bytes: &[u8]) -> Result<Answer, CtlError> {
        let mut headers = Headers::new(64);
        let mut search = HeadSearch::response();
        let found = search.find(bytes, LONGEST_HEAD).map_err(|error| self.stranger(&error))?;
        let end = found.ok_or_else(|| self.stranger(&"its answer breaks off"))?.end;
        let asked = Asked { method: Method::Get, protocols: b"" };
        let head = parse_response(&bytes[..end], &mut headers, asked);
        let head = head.map_err(|error| self.stranger(&error))?;
        let body = &bytes[end..];
        if head.framing != Framing::Length(body.len() as u64) {
            return Err(self.stranger(&"its answer breaks off"));
        }
        Ok(Answer { status: head.status, body: String::from_utf8_lossy(body).into_owned() })
    }

    fn stranger(&self, what: &dyn std::fmt::Display) -> CtlError {
        CtlError::Stranger { address: self.address.clone(), what: what.to_string() }
    }
}

/// A name as a part of a path.
pub(super) fn escaped(name: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(escape).collect()
}
