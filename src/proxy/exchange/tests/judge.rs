//! A second opinion: a small strict reader of message streams, written from the grammar alone and
//! sharing no code with what it judges. It tells a message that is not whole from a wrong one.

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) line: String,
    /// Names in lower case.
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<(String, String)>,
    /// Bytes it takes.
    pub(super) end: usize,
}

impl Message {
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    /// The `index`th word of the first line.
    pub(super) fn word(&self, index: usize) -> &str {
        self.line.split(' ').nth(index).unwrap_or("")
    }

    pub(super) fn status(&self) -> u16 {
        self.word(1).parse().expect("three digits")
    }
}

/// Why there is no whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// So far it is right, but more must follow.
    Unfinished,
    Wrong(String),
}

type Verdict<T> = Result<T, Flaw>;

fn wrong<T>(what: &str, bytes: &[u8]) -> Verdict<T> {
    Err(Flaw::Wrong(format!("{what}: {}", bytes.escape_ascii())))
}

/// Each byte as the character of its number.
pub(super) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn is_token(text: &[u8]) -> bool {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !text.is_empty() && text.iter().all(is_part)
}

/// Takes a line that ends in CR LF and has no control byte but tabs.
fn line<'a>(bytes: &'a [u8], at: &mut usize) -> Verdict<&'a [u8]> {
    let rest = &bytes[*at..];
    let end = rest.windows(2).position(|pair| pair == b"\r\n");
    let line = match end {
        Some(end) => &rest[..end],
        None => rest.strip_suffix(b"\r").unwrap_or(rest),
    };
    if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
        return wrong("stray byte", line);
    }
    *at += end.ok_or(Flaw::Unfinished)? + 2;
    Ok(line)
}

fn fields(bytes: &[u8], at: &mut usize) -> Verdict<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = line(bytes, at)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or(b""), parts.next());
        let Some(value) = value.filter(|_| is_token(name)) else { return wrong("field", line) };
        let value = text(value).trim_matches([' ', '\t']).to_owned();
        fields.push((text(name).to_ascii_lowercase(), value));
    }
}

fn take<'a>(bytes: &'a [u8], at: &mut usize, count: usize) -> Verdict<&'a [u8]> {
    let taken = bytes.get(*at..).and_then(|rest| rest.get(..count)).ok_or(Flaw::Unfinished)?;
    *at += count;
    Ok(taken)
}

/// Takes chunks without extensions, and what follows them.
fn chunks(bytes: &[u8], message: &mut Message) -> Verdict<()> {
    let at = &mut message.end;
    loop {
        let size = line(bytes, at)?;
        let Ok(count) = usize::from_str_radix(&text(size), 16) else {
            return wrong("chunk size", size);
        };
        if count == 0 {
            message.trailers = fields(bytes, at)?;
            return Ok(());
        }
        message.body.extend_from_slice(take(bytes, at, count)?);
        let end = take(bytes, at, 2)?;
        if end != b"\r\n" {
            return wrong("chunk end", end);
        }
    }
}

fn message(bytes: &[u8]) -> Verdict<Message> {
    let mut end = 0;
    let line = text(line(bytes, &mut end)?);
    let fields = fields(bytes, &mut end)?;
    Ok(Message { line, fields, body: Vec::new(), trailers: Vec::new(), end })
}

/// Takes the body that the fields announce; whether they announce one.
fn body(bytes: &[u8], message: &mut Message) -> Verdict<bool> {
    let (codings, lengths) = (message.all("transfer-encoding"), message.all("content-length"));
    match (codings.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(false),
        (["chunked"], []) => chunks(bytes, message).map(|()| true),
        ([], [digits]) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            let Ok(count) = digits.parse() else { return wrong("length", digits.as_bytes()) };
            message.body = take(bytes, &mut message.end, count)?.to_vec();
            Ok(true)
        }
        _ => wrong("framing", bytes),
    }
}

/// The request at the start of `bytes`, as a proxy must send it.
pub(super) fn request(bytes: &[u8]) -> Verdict<Message> {
    let mut message = message(bytes)?;
    let words: Vec<&str> = message.line.split(' ').collect();
    match words.as_slice() {
        [method, target, "HTTP/1.1"] if is_token(method.as_bytes()) && !target.is_empty() => {}
        _ => return wrong("request line", message.line.as_bytes()),
    }
    if message.all("host").len() != 1 {
        return wrong("Host", bytes);
    }
    body(bytes, &mut message)?;
    Ok(message)
}

/// All requests of a stream: the whole ones, and whether it ends in the middle of another.
pub(super) fn requests(mut bytes: &[u8]) -> Result<(Vec<Message>, bool), String> {
    let mut whole = Vec::new();
    while !bytes.is_empty() {
        match request(bytes) {
            Ok(message) => {
                bytes = &bytes[message.end..];
                whole.push(message);
            }
            Err(Flaw::Unfinished) => return Ok((whole, true)),
            Err(Flaw::Wrong(why)) => return Err(why),
        }
    }
    Ok((whole, false))
}

/// The response to `method` at the start of `bytes`. Without framing it takes all of them.
pub(super) fn response(bytes: &[u8], method: &str) -> Verdict<Message> {
    let mut message = message(bytes)?;
    let status = message.word(1);
    let is_valid = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit());
    if !message.line.starts_with("HTTP/1.1 ") || !is_valid {
        return wrong("status line", message.line.as_bytes());
    }
    let status = message.status();
    if status < 200 || status == 204 {
        let framed = !message.all("content-length").is_empty();
        if framed || !message.all("transfer-encoding").is_empty() {
            return wrong("framing of no body", bytes);
        }
    } else if status != 304 && method != "HEAD" && !body(bytes, &mut message)? {
        message.body = bytes[message.end..].to_vec();
        message.end = bytes.len();
    }
    Ok(message)
}

/// A response without its chunks, so that two can be compared that were cut differently. One that
/// is not whole loses only the chunks it has.
pub(super) fn without_chunks(bytes: &str) -> String {
    let Some(head) = bytes.find("\r\n\r\n").map(|at| at + 4) else { return bytes.to_owned() };
    let mut message = Message {
        line: String::new(),
        fields: Vec::new(),
        body: Vec::new(),
        trailers: Vec::new(),
        end: head,
    };
    let end = chunks(bytes.as_bytes(), &mut message);
    format!("{}{}{end:?}", &bytes[..head], text(&message.body))
}

#[test]
fn the_judge_tells_whole_from_unfinished_from_wrong() {
    let whole = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 3\r\nabc\r\n0\r\nT: 1\r\n\r\n";
    let message = request(whole.as_bytes()).expect("whole");
    assert_eq!((message.word(1), message.body.as_slice()), ("/a", &b"abc"[..]));
    assert_eq!((message.trailers.len(), message.end), (1, whole.len()));
    for end in 0..whole.len() {
        assert_eq!(request(&whole.as_bytes()[..end]), Err(Flaw::Unfinished), "{end}");
    }
    for bytes in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\n x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naa\r\n0\r\n\r\n",
    ] {
        assert!(matches!(request(bytes.as_bytes()), Err(Flaw::Wrong(_))), "{bytes:?}");
    }
    let bytes = b"HTTP/1.1 204 \r\nContent-Length: 0\r\n\r\n";
    assert!(matches!(response(bytes, "GET"), Err(Flaw::Wrong(_))));
    assert_eq!(response(b"HTTP/1.1 200 OK\r\n\r\nto the end", "GET").expect("whole").end, 29);
}
