//! The head of a message that is read as it arrives.

use std::ops::Range;

use super::{Faults, Framing, field, has_bare_feed, has_bare_return, is_token, line, shown};

/// The version in a start line. A proxy sends its own, which is 1.1; its clients may send another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    fn of(word: &str) -> Option<Self> {
        match word {
            "HTTP/1.0" => Some(Self::Http10),
            "HTTP/1.1" => Some(Self::Http11),
            _ => None,
        }
    }
}

/// A start line and field lines without a fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    text: String,
    start_line: usize,
    /// Where each field line is, and how long its name is.
    fields: Vec<(Range<usize>, usize)>,
}

impl Head {
    /// Reads the head that `bytes` begin with, and tells its length; `None` if it goes on.
    ///
    /// # Errors
    /// There is a fault in it.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let end = end(bytes);
        let head = &bytes[..end.unwrap_or(bytes.len())];
        let is_binary = |byte: &u8| byte.is_ascii_control() && !b"\t\r\n".contains(byte);
        if has_bare_feed(head) || has_bare_return(head) || head.iter().any(is_binary) {
            return Err(format!("bare CR, bare LF or a control character in {}", shown(head)));
        }
        let Some(end) = end else { return Ok(None) };
        // What is no UTF-8 is beyond ASCII, and so is what takes its place.
        let text = String::from_utf8_lossy(head).into_owned();
        let mut lines = text.lines();
        let start_line = lines.next().unwrap_or_default().len();
        let (mut fields, mut faults, mut at) = (Vec::new(), Faults::new(), start_line + 2);
        for line in lines.take_while(|line| !line.is_empty()) {
            if let Some((name, _)) = field(line.as_bytes(), &mut faults) {
                fields.push((at..at + line.len(), name.len()));
            }
            at += line.len() + 2;
        }
        match faults.pop() {
            None => Ok(Some((Self { text, start_line, fields }, end))),
            Some(fault) => Err(fault),
        }
    }

    /// All of it, its empty line included.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The start line.
    #[must_use]
    pub fn start_line(&self) -> &str {
        &self.text[..self.start_line]
    }

    /// The method, the target and the version of a request.
    ///
    /// # Errors
    /// There is a fault in its start line.
    pub fn request_line(&self) -> Result<(&str, &str, Version), String> {
        let line = self.start_line();
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next().and_then(Version::of), words.next()) {
            (Some(method), Some(target), Some(version), None)
                if is_token(method.as_bytes()) && !target.is_empty() =>
            {
                Ok((method, target, version))
            }
            _ => Err(format!("request line {}", shown(line.as_bytes()))),
        }
    }

    /// The version and the status of a response. Many servers leave out the blank before a reason
    /// that is empty.
    ///
    /// # Errors
    /// There is a fault in its start line.
    pub fn status_line(&self) -> Result<(Version, u16), String> {
        let line = self.start_line();
        let mut words = line.splitn(3, ' ');
        let (version, digits) = (words.next().and_then(Version::of), words.next());
        let status =
            digits.filter(|digits| digits.len() == 3).and_then(|digits| digits.parse().ok());
        match (version, status) {
            (Some(version), Some(status @ 100..)) => Ok((version, status)),
            _ => Err(format!("status line {}", shown(line.as_bytes()))),
        }
    }

    /// The values of all fields of that name, in order.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter_map(move |(line, length)| {
            let (other, value) = self.text[line.clone()].split_at(*length);
            other.eq_ignore_ascii_case(name).then(|| value[1..].trim_matches([' ', '\t']))
        })
    }

    /// The value of the field of that name; a field that comes twice has none.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether `token` is an element of the list that the fields of that name are.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let mut elements = self.values(name).flat_map(|value| value.split(','));
        elements.any(|element| element.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
    }

    /// How the body is delimited.
    pub(super) fn framing(&self) -> Result<Framing, String> {
        let values = |name| self.values(name).map(str::as_bytes).collect::<Vec<_>>();
        let mut faults = Faults::new();
        let framing =
            Framing::read(&values("content-length"), &values("transfer-encoding"), &mut faults);
        faults.pop().map_or(Ok(framing), Err)
    }
}

/// Where the head ends that `bytes` begin with.
fn end(bytes: &[u8]) -> Option<usize> {
    let (mut text, mut next) = line(bytes, 0)?;
    while !text.is_empty() {
        (text, next) = line(bytes, next)?;
    }
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Head {
        let (head, length) = Head::read(text.as_bytes()).expect("no fault").expect("a whole head");
        assert_eq!(length, text.len());
        for end in 0..length {
            assert_eq!(Head::read(&text.as_bytes()[..end]), Ok(None), "{end}");
        }
        head
    }

    #[test]
    fn a_field_is_found_in_any_case_and_only_if_it_comes_once() {
        let head = read("GET /x HTTP/1.1\r\nhost: \ta \r\nX: 1,\tb\r\nx: 2\r\n\r\n");
        assert_eq!((head.field("Host"), head.field("X"), head.field("Y")), (Some("a"), None, None));
        assert_eq!(head.values("x").collect::<Vec<_>>(), ["1,\tb", "2"]);
        assert!(head.has_token("X", "B") && head.has_token("x", "2") && !head.has_token("X", "1,"));
    }

    #[test]
    fn start_lines_are_read_as_their_versions_have_them() {
        let request = |line: &str| {
            let head = read(&format!("{line}\r\nHost: a\r\n\r\n"));
            head.request_line().is_ok()
        };
        assert!(request("GET /x HTTP/1.1") && request("OPTIONS * HTTP/1.0"));
        for line in
            ["GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "G(T / HTTP/1.1", "GET / HTTP/2"]
        {
            assert!(!request(line), "{line}");
        }
        let status = |line: &str| read(&format!("{line}\r\n\r\n")).status_line().ok();
        for (line, version) in [
            ("HTTP/1.1 204 No Content", Version::Http11),
            ("HTTP/1.1 204 ", Version::Http11),
            ("HTTP/1.0 204", Version::Http10),
        ] {
            assert_eq!(status(line), Some((version, 204)), "{line}");
        }
        for line in ["HTTP/1.1 +20 OK", "HTTP/1.1 99 OK", "HTTP/1.1  200", "HTTP/2 200", "SSH-2.0"]
        {
            assert_eq!(status(line), None, "{line}");
        }
    }

    #[test]
    fn a_fault_is_seen_as_soon_as_it_is_there() {
        for bytes in ["\0", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: a\rb", "\u{1}"] {
            assert!(Head::read(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
        for line in ["NoColon", " X: a", "X : a", "X(: a", ": a", "X: \u{7f}"] {
            let text = format!("GET / HTTP/1.1\r\n{line}\r\n\r\n");
            assert!(Head::read(text.as_bytes()).is_err(), "{line}");
        }
        let text = b"GET /\xff HTTP/1.1\r\nX: \xe9\r\n\r\n";
        let (head, length) = Head::read(text).expect("no fault").expect("a head");
        assert_eq!((head.field("X"), length), (Some("\u{fffd}"), text.len()));
    }
}
