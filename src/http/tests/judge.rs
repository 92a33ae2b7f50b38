//! A second opinion: a small strict parser of whole messages, written from the grammar alone and
//! sharing no code with what it judges.

/// A message that is valid to the last byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) start: [String; 3],
    /// Names in lower case.
    pub(super) fields: Fields,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Fields,
    /// Bytes the message takes.
    pub(super) end: usize,
}

impl Message {
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }
}

type Verdict<T> = Result<T, String>;
type Fields = Vec<(String, String)>;

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// Takes a line up to CR LF; no CR or LF stands elsewhere.
fn line<'a>(bytes: &'a [u8], at: &mut usize) -> Verdict<&'a [u8]> {
    let rest = &bytes[*at..];
    let length = rest.windows(2).position(|pair| pair == b"\r\n").ok_or("line without end")?;
    let line = &rest[..length];
    if line.iter().any(|byte| b"\r\n\0".contains(byte)) {
        return Err(format!("stray byte in {}", line.escape_ascii()));
    }
    *at += length + 2;
    Ok(line)
}

fn fields(bytes: &[u8], at: &mut usize) -> Verdict<Fields> {
    let mut fields = Vec::new();
    loop {
        let line = line(bytes, at)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let colon = line.iter().position(|b| *b == b':').ok_or("field without colon")?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let is_plain = |b: &u8| *b == b'\t' || (*b >= b' ' && *b != 0x7f);
        if !is_token(name) || !value.iter().all(is_plain) {
            return Err(format!("bad field {}", line.escape_ascii()));
        }
        let value = text(value);
        let value = value.trim_matches([' ', '\t']).to_owned();
        fields.push((text(name).to_ascii_lowercase(), value));
    }
}

/// Takes a chunked body and its trailers.
pub(super) fn chunked(bytes: &[u8], at: &mut usize) -> Verdict<(Vec<u8>, Fields)> {
    let mut body = Vec::new();
    loop {
        let line = line(bytes, at)?;
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let extension = text(&line[digits..]);
        let extension = extension.trim_start_matches([' ', '\t']);
        if !(extension.is_empty() || extension.starts_with(';')) {
            return Err(format!("bad chunk line {}", line.escape_ascii()));
        }
        let size = usize::from_str_radix(&text(&line[..digits]), 16).map_err(|e| e.to_string())?;
        if size == 0 {
            return Ok((body, fields(bytes, at)?));
        }
        let rest = &bytes[*at..];
        if rest.get(size..size + 2) != Some(b"\r\n") {
            return Err("chunk data without end".to_owned());
        }
        body.extend_from_slice(&rest[..size]);
        *at += size + 2;
    }
}

/// The codings and lengths a head gives: at most one of them, once.
fn framing(fields: &[(String, String)]) -> Verdict<(bool, Option<usize>)> {
    let all = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    };
    match (all("transfer-encoding").as_slice(), all("content-length").as_slice()) {
        ([], []) => Ok((false, None)),
        ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Ok((true, None)),
        ([], [length]) if length.bytes().all(|b| b.is_ascii_digit()) => {
            Ok((false, Some(length.parse().map_err(|_| "bad length")?)))
        }
        other => Err(format!("bad framing {other:?}")),
    }
}

/// Judges one request at the start of `bytes`.
pub(super) fn request(bytes: &[u8]) -> Verdict<Message> {
    let mut at = 0;
    let start = line(bytes, &mut at)?;
    let parts: Vec<&[u8]> = start.split(|b| *b == b' ').collect();
    let &[method, target, version] = parts.as_slice() else {
        return Err(format!("bad request line {}", start.escape_ascii()));
    };
    let is_target = |b: &u8| *b > b' ' && *b != 0x7f;
    if !is_token(method) || target.is_empty() || !target.iter().all(is_target) {
        return Err(format!("bad request line {}", start.escape_ascii()));
    }
    let fields = fields(bytes, &mut at)?;
    let hosts = fields.iter().filter(|(name, _)| name == "host").count();
    let (is_chunked, length) = framing(&fields)?;
    match version {
        b"HTTP/1.1" if hosts == 1 => {}
        b"HTTP/1.0" if hosts <= 1 && !is_chunked => {}
        _ => return Err(format!("{hosts} hosts in {}", version.escape_ascii())),
    }
    let (body, trailers) = if is_chunked {
        chunked(bytes, &mut at)?
    } else {
        let length = length.unwrap_or(0);
        let body = bytes.get(at..at + length).ok_or("short body")?.to_vec();
        at += length;
        (body, Vec::new())
    };
    let start = [text(method), text(target), text(version)];
    Ok(Message { start, fields, body, trailers, end: at })
}

/// Judges one response to `method`, whose end is that of `bytes` if nothing else is its end.
pub(super) fn response(bytes: &[u8], method: &str) -> Verdict<Message> {
    let mut at = 0;
    let start = line(bytes, &mut at)?;
    let bad = || format!("bad status line {}", start.escape_ascii());
    let (version, rest) = start.split_at_checked(9).ok_or_else(bad)?;
    let (status, reason) = rest.split_at_checked(4).ok_or_else(bad)?;
    if version != b"HTTP/1.1 " || status[3] != b' ' || !(b'1'..=b'9').contains(&status[0]) {
        return Err(bad());
    }
    let status: u16 = text(&status[..3]).parse().map_err(|_| bad())?;
    let fields = fields(bytes, &mut at)?;
    let (is_chunked, length) = framing(&fields)?;
    let has_framing = is_chunked || length.is_some();
    if (status < 200 || status == 204) && has_framing {
        return Err(format!("{status} with framing"));
    }
    let (body, trailers) = if status < 200 || status == 204 || status == 304 || method == "HEAD" {
        (Vec::new(), Vec::new())
    } else if is_chunked {
        chunked(bytes, &mut at)?
    } else {
        let rest = &bytes[at..];
        let body = rest.get(..length.unwrap_or(rest.len())).ok_or("short body")?;
        at += body.len();
        (body.to_vec(), Vec::new())
    };
    let start = ["HTTP/1.1".to_owned(), status.to_string(), text(reason)];
    Ok(Message { start, fields, body, trailers, end: at })
}

#[test]
fn the_judge_accepts_what_is_valid_and_nothing_else() {
    let ok = |bytes: &str| request(bytes.as_bytes()).is_ok();
    assert!(ok("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(ok(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\nz\r\n0\r\n\r\n"
    ));
    for bytes in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nzz\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    ] {
        assert!(!ok(bytes), "{bytes:?}");
    }
    let ok = |bytes: &str| response(bytes.as_bytes(), "GET").is_ok();
    assert!(ok("HTTP/1.1 200 \r\n\r\nto the end"));
    for bytes in ["HTTP/1.1 200\r\n\r\n", "HTTP/1.1 204 \r\nContent-Length: 0\r\n\r\n", "\r\n"] {
        assert!(!ok(bytes), "{bytes:?}");
    }
}
