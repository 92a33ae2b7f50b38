//! The parts of a request that decide how it is answered.

use std::time::Duration;

use strict::{Body, Head, Version};
use tidegate::time::parse_duration;

/// A head longer than this is refused.
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// A head with more fields than this is refused.
const MOST_FIELDS: usize = 100;

/// A request whose head has been parsed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) asked: Asked,
    pub(super) expects_continue: bool,
    pub(super) body: Body,
    pub(super) head_bytes: usize,
}

/// What its answer depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) persistence: Persistence,
    pub(super) query: Query,
}

/// What a request says of itself, as in `/small?seed=123&cost=4`. Other keys mean nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Query {
    /// The seed of its service time.
    pub(super) seed: Option<u64>,
    /// A multiple of the service time.
    pub(super) cost: Option<f64>,
    /// It is a long poll, which is answered after this time.
    pub(super) wait: Option<Duration>,
}

/// The highest cost of a request.
const MOST_COST: f64 = 1e6;

impl Query {
    /// `None` if a value is none of its key.
    fn parse(target: &str) -> Option<Self> {
        let mut query = Self::default();
        let Some((_, pairs)) = target.split_once('?') else { return Some(query) };
        for (key, value) in pairs.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "seed" => query.seed = Some(value.parse().ok()?),
                "cost" => {
                    let cost = value.parse().ok().filter(|cost| *cost > 0.0 && *cost <= MOST_COST);
                    query.cost = Some(cost?);
                }
                "wait" => query.wait = Some(parse_duration(value).ok()?),
                _ => {}
            }
        }
        Some(query)
    }
}

/// The kinds of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any other, whatever its method.
    Ordinary,
    /// HEAD, which is answered without the body.
    Head,
    /// `OPTIONS *`, which RFC 9110 §9.3.7 calls a "ping": answered without a delay.
    Ping,
}

/// What becomes of the connection after the answer (RFC 9112 §9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    /// It persists, as HTTP/1.1 assumes.
    Assumed,
    /// It persists, as an HTTP/1.0 client asked for; the answer must say so.
    Agreed,
    /// It is closed.
    Closing,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no valid HTTP/1 request.
    Malformed,
    /// Its query has a value that means nothing.
    WrongQuery,
    /// Its head exceeds the limits.
    TooLarge,
}

impl From<String> for Refusal {
    fn from(_: String) -> Self {
        Self::Malformed
    }
}

impl Request {
    /// Parses the head that `bytes` begin with; `None` if it is incomplete.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Refusal> {
        let (head, head_bytes) = match Head::read(bytes)? {
            Some((head, length)) if length <= MOST_HEAD_BYTES => (head, length),
            None if bytes.len() < MOST_HEAD_BYTES => return Ok(None),
            _ => return Err(Refusal::TooLarge),
        };
        if head.text().lines().count() > 1 + MOST_FIELDS + 1 {
            return Err(Refusal::TooLarge);
        }
        let (method, target, version) = head.request_line()?;
        let is_newest = version == Version::Http11;
        let kind = match (method, target) {
            ("HEAD", _) => Kind::Head,
            ("OPTIONS", "*") => Kind::Ping,
            _ => Kind::Ordinary,
        };
        let body = Body::of_request(&head)?;
        let is_chunked = matches!(body, Body::Chunked(_));
        if (is_newest && head.values("host").count() != 1) || (!is_newest && is_chunked) {
            return Err(Refusal::Malformed);
        }
        let query = Query::parse(target).ok_or(Refusal::WrongQuery)?;
        Ok(Some(Self {
            asked: Asked { kind, persistence: persistence(&head, is_newest), query },
            expects_continue: is_newest && head.has_token("expect", "100-continue"),
            body,
            head_bytes,
        }))
    }
}

fn persistence(head: &Head, is_newest: bool) -> Persistence {
    if head.has_token("connection", "close") {
        Persistence::Closing
    } else if is_newest {
        Persistence::Assumed
    } else if head.has_token("connection", "keep-alive") {
        Persistence::Agreed
    } else {
        Persistence::Closing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strict::chunked::Decoder;

    fn parse(head: &str) -> Result<Option<Request>, Refusal> {
        Request::parse(head.as_bytes())
    }

    fn parsed(lines: &str) -> Request {
        let head = format!("{}\r\n\r\n", lines.replace('\n', "\r\n"));
        let request = parse(&head).unwrap().expect("a whole head");
        assert_eq!(request.head_bytes, head.len());
        for end in 0..head.len() {
            assert_eq!(parse(&head[..end]), Ok(None), "{:?}", &head[..end]);
        }
        request
    }

    #[test]
    fn kinds_are_distinguished() {
        for (line, kind) in [
            ("GET / HTTP/1.1", Kind::Ordinary),
            ("POST /* HTTP/1.1", Kind::Ordinary),
            ("HEAD / HTTP/1.1", Kind::Head),
            ("OPTIONS * HTTP/1.1", Kind::Ping),
            ("OPTIONS / HTTP/1.1", Kind::Ordinary),
        ] {
            assert_eq!(parsed(&format!("{line}\nHost: a")).asked.kind, kind, "{line}");
        }
    }

    #[test]
    fn a_query_says_what_a_request_costs() {
        let (none, ms) = (Query::default(), Duration::from_millis);
        for (target, query) in [
            ("/", none),
            ("/?", none),
            ("/a?b=c&seeds=1&cost", none),
            ("/?seed=18446744073709551615", Query { seed: Some(u64::MAX), ..none }),
            ("/x?cost=0.5&a&wait=30ms", Query { cost: Some(0.5), wait: Some(ms(30)), ..none }),
        ] {
            let asked = parsed(&format!("GET {target} HTTP/1.1\nHost: a")).asked;
            assert_eq!(asked.query, query, "{target}");
        }
        for query in ["seed=-1", "seed=", "cost=0", "cost=-1", "cost=NaN", "cost=2e6", "wait=30"] {
            let head = format!("GET /?{query} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(parse(&head), Err(Refusal::WrongQuery), "{query}");
        }
    }

    #[test]
    fn persistence_follows_version_and_connection() {
        for (head, persistence) in [
            ("GET / HTTP/1.1\nHost: a", Persistence::Assumed),
            ("GET / HTTP/1.1\nHost: a\nConnection: keep-alive", Persistence::Assumed),
            ("GET / HTTP/1.1\nHost: a\nConnection: x, Close", Persistence::Closing),
            ("GET / HTTP/1.1\nHost: a\nConnection: x\nConnection: close", Persistence::Closing),
            ("GET / HTTP/1.1\nHost: a\nConnection: closed", Persistence::Assumed),
            ("GET / HTTP/1.0", Persistence::Closing),
            ("GET / HTTP/1.0\nConnection: Keep-Alive", Persistence::Agreed),
            ("GET / HTTP/1.0\nConnection: keep-alive, close", Persistence::Closing),
        ] {
            assert_eq!(parsed(head).asked.persistence, persistence, "{head}");
        }
    }

    #[test]
    fn bodies_are_framed() {
        for (field, body) in [
            ("Accept: */*", Body::Length(0)),
            ("Content-Length: 0", Body::Length(0)),
            ("content-length: 12", Body::Length(12)),
            ("Transfer-Encoding: Chunked", Body::Chunked(Decoder::default())),
        ] {
            assert_eq!(parsed(&format!("PUT / HTTP/1.1\nHost: a\n{field}")).body, body, "{field}");
        }
    }

    #[test]
    fn continue_is_expected_by_the_newest_version_only() {
        let head = "POST / HTTP/1.1\nHost: a\nContent-Length: 1\nExpect: 100-Continue";
        assert!(parsed(head).expects_continue);
        assert!(!parsed(&head.replace("1.1", "1.0")).expects_continue);
        assert!(!parsed(&head.replace("100-Continue", "200-ok")).expects_continue);
    }

    #[test]
    fn nonsense_is_refused() {
        for head in [
            "\0\0\0\0",
            "nonsense\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\
             \r\n",
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert_eq!(parse(head), Err(Refusal::Malformed), "{head}");
        }
    }

    #[test]
    fn limits_hold_to_the_byte() {
        let sized = |bytes: usize| {
            let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
            frame.replace("X: ", &format!("X: {}", "x".repeat(bytes - frame.len())))
        };
        assert!(matches!(parse(&sized(MOST_HEAD_BYTES)), Ok(Some(_))));
        assert_eq!(parse(&sized(MOST_HEAD_BYTES + 1)), Err(Refusal::TooLarge));
        let long = sized(2 * MOST_HEAD_BYTES);
        assert_eq!(parse(&long[..MOST_HEAD_BYTES - 1]), Ok(None));
        assert_eq!(parse(&long[..MOST_HEAD_BYTES]), Err(Refusal::TooLarge));
        let fields = |count| "GET / HTTP/1.1\r\nHost: a\r\n".to_owned() + &"X: y\r\n".repeat(count);
        assert!(matches!(parse(&(fields(99) + "\r\n")), Ok(Some(_))));
        assert_eq!(parse(&(fields(100) + "\r\n")), Err(Refusal::TooLarge));
    }
}
