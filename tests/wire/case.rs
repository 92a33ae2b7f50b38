//! One case as written in a file of JSON Lines: what is sent, what the backend answers, and which
//! outcomes are allowed.
//!
//! | field | meaning |
//! |---|---|
//! | `id`, `group`, `ref`, `note` | what it is about, and its source |
//! | `level` | `must`, `should`, or `policy` where the RFCs leave the choice |
//! | `gate` | whether failing it is a vulnerability or loses data |
//! | `request`, `backend` | scripts, see `script`; without `backend` it answers 200 |
//! | `methods` | of the requests, if there are more than the one that `request` starts with |
//! | `wait_ms` | how long the client waits for what must happen, at least |
//! | `at_once` | whether it holds only if the backend's bytes are sent at once |
//! | `expect` | see [`Expect`] |

use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::script::{Step, bytes_sent, latin1, steps};

/// How long a client waits for an expected response after the last one.
const SHORTEST_WAIT: Duration = Duration::from_secs(4);

pub struct Case {
    pub id: String,
    pub group: String,
    pub is_gate: bool,
    pub reference: String,
    pub note: String,
    pub request: Vec<Step>,
    /// The reply to each request; further requests get the default reply.
    pub replies: Vec<Vec<Step>>,
    pub methods: Vec<Vec<u8>>,
    pub is_http10: bool,
    pub wait: Duration,
    pub at_once: bool,
    pub expect: Expect,
}

/// A status that is allowed. In the files 0 stands for a connection that ends without a response,
/// and -1 for silence.
pub type Statuses = Vec<i64>;

/// What is allowed. A field that is missing allows everything.
#[derive(Default)]
pub struct Expect {
    /// `status`: of the first final response.
    pub status: Statuses,
    /// `statuses`: of each final response.
    pub statuses: Vec<Statuses>,
    /// `forwarded`: whether a complete head reached the backend; `"any"` allows both.
    pub forwarded: Option<bool>,
    /// `closes`: whether the proxy ended the client's connection; `null` allows both.
    pub closes: Option<bool>,
    /// `must_contain_upstream`, `must_not_contain_upstream`: in all that the backend received, if
    /// it received anything.
    pub upstream_has: Vec<Pattern>,
    pub upstream_lacks: Vec<Pattern>,
    /// `upstream_complete`: how many complete and valid requests reached the backend.
    pub upstream_complete: Vec<u64>,
    /// `upstream_body`: of the first of them.
    pub upstream_body: Option<Vec<u8>>,
    /// `max_upstream`: at most how many requests reached the backend, even in part; by default as
    /// many as the case has.
    pub max_upstream: u64,
    /// `connections`: how many of the backend's connections carried requests.
    pub connections: Vec<u64>,
    /// `client_complete`: whether the first final response must be complete, or must not look so.
    pub client_complete: Option<bool>,
    /// `client_body`: of the first final response, if that is a 2xx.
    pub client_body: Option<Vec<u8>>,
    /// `client_contains`, `client_not_contains`: in all that the client received.
    pub client_has: Vec<Pattern>,
    pub client_lacks: Vec<Pattern>,
    /// `interim`, `not_interim`: statuses of interim responses that the client must, and must not,
    /// receive.
    pub interim: Statuses,
    pub not_interim: Statuses,
}

/// Text to look for, ignoring case; after `cs:`, case-sensitive; after `re:`, a regular expression
/// that ignores case and whose dot matches any byte.
pub struct Pattern {
    pub text: String,
    regex: Regex,
}

impl Pattern {
    fn new(text: &str) -> Self {
        let (expression, ignores_case) = match text.split_once(':') {
            Some(("re", expression)) => (expression.to_owned(), true),
            Some(("cs", exact)) => (regex::escape(exact), false),
            _ => (regex::escape(text), true),
        };
        // Without Unicode, a pattern matches bytes.
        let bytes: String = expression.chars().map(as_byte).collect();
        let mut builder = RegexBuilder::new(&bytes);
        builder.unicode(false).dot_matches_new_line(true).case_insensitive(ignores_case);
        Self { text: text.to_owned(), regex: builder.build().expect("a regular expression") }
    }

    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.regex.is_match(bytes)
    }
}

fn as_byte(c: char) -> String {
    if c.is_ascii() { c.to_string() } else { format!("\\x{:02X}", u32::from(c)) }
}

/// The cases of a file.
pub fn cases(text: &str) -> Vec<Case> {
    text.lines().filter(|line| !line.is_empty()).map(case).collect()
}

fn case(line: &str) -> Case {
    let mut fields =
        Fields::new(serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    let request = steps(&fields.text("request").expect("a request"));
    let first = bytes_sent(&request);
    let first = first.trim_ascii_start();
    let method = first.split(|byte| *byte == b' ').next().unwrap_or_default();
    let methods = match fields.texts("methods") {
        list if list.is_empty() => vec![method.to_vec()],
        list => list.iter().map(|method| latin1(method)).collect(),
    };
    let replies = fields.text("backend");
    let expect = Fields::new(fields.take("expect").expect("an expectation"));
    let case = Case {
        id: fields.text("id").expect("an id"),
        group: fields.text("group").expect("a group"),
        is_gate: fields.flag("gate").expect("a gate or none"),
        reference: fields.text("ref").expect("a reference"),
        note: fields.text("note").unwrap_or_default(),
        replies: replies.map_or_else(Vec::new, |text| text.split("{{next}}").map(steps).collect()),
        is_http10: first.split(|byte| *byte == b'\n').next().is_some_and(ends_in_http10),
        wait: fields.count("wait_ms").map_or(SHORTEST_WAIT, Duration::from_millis),
        at_once: fields.flag("at_once").unwrap_or_default(),
        expect: expectation(expect, methods.len() as u64),
        request,
        methods,
    };
    let level = fields.text("level").expect("a level");
    assert!(["must", "should", "policy"].contains(&level.as_str()), "{}: {level}", case.id);
    fields.finish(&case.id);
    case
}

fn ends_in_http10(line: &[u8]) -> bool {
    line.trim_ascii_end().ends_with(b" HTTP/1.0")
}

fn expectation(mut fields: Fields, requests: u64) -> Expect {
    let expect = Expect {
        status: fields.numbers("status"),
        statuses: fields.lists("statuses"),
        forwarded: fields.flag("forwarded"),
        closes: fields.flag("closes"),
        upstream_has: fields.patterns("must_contain_upstream"),
        upstream_lacks: fields.patterns("must_not_contain_upstream"),
        upstream_complete: fields.counts("upstream_complete"),
        upstream_body: fields.text("upstream_body").map(|text| latin1(&text)),
        max_upstream: fields.count("max_upstream").unwrap_or(requests),
        connections: fields.counts("connections"),
        client_complete: fields.flag("client_complete"),
        client_body: fields.text("client_body").map(|text| latin1(&text)),
        client_has: fields.patterns("client_contains"),
        client_lacks: fields.patterns("client_not_contains"),
        interim: fields.numbers("interim"),
        not_interim: fields.numbers("not_interim"),
    };
    assert!(!expect.status.is_empty() || !expect.statuses.is_empty(), "no status is expected");
    fields.finish("expect");
    expect
}

/// The fields of an object. Each is taken once, so that a misspelt one remains and is an error.
struct Fields(Map<String, Value>);

impl Fields {
    fn new(value: Value) -> Self {
        match value {
            Value::Object(map) => Self(map),
            other => panic!("an object, not {other}"),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.take(name).map(|value| value.as_str().expect(name).to_owned())
    }

    fn count(&mut self, name: &str) -> Option<u64> {
        self.take(name).map(|value| value.as_u64().expect(name))
    }

    /// `null` and `"any"` expect nothing.
    fn flag(&mut self, name: &str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            Value::Null => None,
            Value::String(any) if any == "any" => None,
            other => panic!("{name}: {other}"),
        }
    }

    fn list(&mut self, name: &str) -> Vec<Value> {
        self.take(name).map_or_else(Vec::new, |value| value.as_array().expect(name).clone())
    }

    fn texts(&mut self, name: &str) -> Vec<String> {
        self.list(name).iter().map(|value| value.as_str().expect(name).to_owned()).collect()
    }

    fn counts(&mut self, name: &str) -> Vec<u64> {
        self.list(name).iter().map(|value| value.as_u64().expect(name)).collect()
    }

    fn numbers(&mut self, name: &str) -> Vec<i64> {
        numbers(&self.list(name))
    }

    fn lists(&mut self, name: &str) -> Vec<Statuses> {
        self.list(name).iter().map(|value| numbers(value.as_array().expect(name))).collect()
    }

    fn patterns(&mut self, name: &str) -> Vec<Pattern> {
        self.texts(name).iter().map(|text| Pattern::new(text)).collect()
    }

    fn finish(self, what: &str) {
        assert!(self.0.is_empty(), "{what}: what is {:?}?", self.0.keys().collect::<Vec<_>>());
    }
}

fn numbers(values: &[Value]) -> Vec<i64> {
    values.iter().map(|value| value.as_i64().expect("a number")).collect()
}

#[test]
fn a_pattern_matches_bytes_and_ignores_case_by_default() {
    let is_in = |pattern: &str, bytes: &[u8]| Pattern::new(pattern).is_in(bytes);
    assert!(is_in("x-a: b.", b"\r\nX-A: B.\r\n"));
    assert!(!is_in("x-a: b.", b"x-a: bc"));
    assert!(!is_in("cs:x-a", b"X-A"));
    assert!(is_in("caf\u{e9}", b"caf\xe9"));
    assert!(!is_in("caf\u{e9}", "caf\u{e9}".as_bytes()));
    assert!(is_in("re:^a.*\r\nb", b"a\xff\nx\r\nB"));
    assert!(!is_in("re:^b", b"a\nb"));
}

#[test]
#[should_panic(expected = "stattus")]
fn a_misspelt_expectation_is_an_error() {
    let line = r#"{"id":"x","group":"g","level":"must","gate":true,"ref":"r","request":"",
        "expect":{"status":[200],"stattus":[200]}}"#;
    case(&line.replace('\n', ""));
}
