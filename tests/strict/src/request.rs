//! Requests, as a backend receives them one after the other on a connection.

use super::{
    Faults, Field, Framing, Length, chunked, fields, has_bare_feed, head, is_token, shown, values,
};

/// One request, or a part of one.
#[derive(Debug, Default)]
pub struct Request {
    /// The method as written.
    pub method: Vec<u8>,
    /// The target as written.
    pub target: Vec<u8>,
    /// The version as written.
    pub version: Vec<u8>,
    /// The lines of its head.
    pub fields: Vec<Field>,
    /// The lines after its last chunk.
    pub trailers: Vec<Field>,
    /// Its body so far, without chunks.
    pub body: Vec<u8>,
    /// Whether the head is complete.
    pub has_head: bool,
    /// Whether it is complete.
    pub is_whole: bool,
    /// What is wrong with it.
    pub faults: Faults,
}

impl Request {
    /// The values of all its fields of that name, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        values(&self.fields, name)
    }

    /// `method SP request-target SP HTTP-version`. A proxy sends its own version, here 1.1
    /// (RFC 9112 §2.3).
    fn read_line(&mut self, line: &[u8]) {
        let parts: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let is_visible = |byte: &u8| matches!(byte, 0x21..=0x7e | 0x80..);
        let [method, target, version] = parts.as_slice() else {
            self.faults.push(format!("request line {}", shown(line)));
            return;
        };
        let is_target = !target.is_empty() && target.iter().all(is_visible);
        if !is_token(method) || !is_target || *version != b"HTTP/1.1" {
            self.faults.push(format!("request line {}", shown(line)));
        }
        (self.method, self.target) = (method.to_vec(), target.to_vec());
        self.version = version.to_vec();
    }

    /// Parses the body that starts at `at`; returns where it ends, if that is known.
    fn read_body(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        let framing = Framing::of(&self.fields, &mut self.faults);
        if framing.ends_in_chunked() {
            let read = chunked::read(bytes, at, &mut self.faults);
            (self.body, self.trailers) = (read.body, read.trailers);
            return read.end;
        }
        if !framing.codings.is_empty() {
            self.faults.push("Transfer-Encoding does not end in chunked".to_owned());
            return None;
        }
        let length = match framing.length {
            Length::Absent => 0,
            Length::Invalid => return None,
            Length::Is(length) => usize::try_from(length).unwrap_or(usize::MAX),
        };
        let rest = &bytes[at..];
        self.body = rest[..length.min(rest.len())].to_vec();
        (self.body.len() == length).then_some(at + length)
    }
}

/// All requests in `bytes`; the last may be incomplete.
#[must_use]
pub fn requests(bytes: &[u8]) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut next = Some(0);
    while let Some(at) = next.filter(|at| *at < bytes.len()) {
        let (one, end) = request(bytes, at);
        requests.push(one);
        next = end;
    }
    requests
}

/// The request that starts at `at`, and where the next one starts if that is known.
#[must_use]
pub fn request(bytes: &[u8], at: usize) -> (Request, Option<usize>) {
    let mut request = Request::default();
    let next = read(&mut request, bytes, at);
    request.is_whole = next.is_some();
    (request, next)
}

fn read(request: &mut Request, bytes: &[u8], at: usize) -> Option<usize> {
    let Some((lines, body)) = head(bytes, at, &mut request.faults) else {
        if has_bare_feed(&bytes[at..]) {
            request.faults.push("bare LF in a head".to_owned());
        }
        return None;
    };
    request.has_head = true;
    request.read_line(lines[0]);
    request.fields = fields(&lines[1..], &mut request.faults);
    let hosts = request.values("host").len();
    if hosts != 1 {
        request.faults.push(format!("{hosts} Host lines"));
    }
    request.read_body(bytes, body)
}
