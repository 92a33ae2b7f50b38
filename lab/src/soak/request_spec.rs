//! What the backend is to do with a request. The request's path says it; there is no other script.

use std::fmt;
use std::str::FromStr;

use super::pattern::Token;

/// What every path begins with.
const ROOT: &str = "/soak/";

/// How the end of a response's body is marked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Delimiter {
    Length,
    Chunks,
    /// The end of the connection.
    Close,
}

/// What the backend does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Behaviour {
    /// It answers.
    Plain,
    /// It sends `Connection: close`, and closes the connection after its response.
    Closing,
    /// It sends its response in pieces, with pauses.
    Slow,
    /// It closes the connection in the middle of the response's body.
    Cut,
    /// It closes the connection instead of answering.
    Mute,
    /// It answers 413 before it reads the request's body, and then closes.
    Early,
}

/// What a path says: `/soak/TOKEN/BEHAVIOUR/DELIMITER/BYTES`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RequestSpec {
    pub(super) token: Token,
    pub(super) behaviour: Behaviour,
    pub(super) delimiter: Delimiter,
    /// Length of the response's body.
    pub(super) down_bytes: u64,
}

impl RequestSpec {
    /// The response's status if nothing goes wrong.
    pub(super) fn status(self) -> u16 {
        if self.behaviour == Behaviour::Early { 413 } else { 200 }
    }
}

const BEHAVIOURS: [(Behaviour, &str); 6] = [
    (Behaviour::Plain, "plain"),
    (Behaviour::Closing, "closing"),
    (Behaviour::Slow, "slow"),
    (Behaviour::Cut, "cut"),
    (Behaviour::Mute, "mute"),
    (Behaviour::Early, "early"),
];

const DELIMITERS: [(Delimiter, &str); 3] =
    [(Delimiter::Length, "length"), (Delimiter::Chunks, "chunks"), (Delimiter::Close, "close")];

fn name<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    names.iter().find(|(named, _)| named == value).map_or("", |(_, name)| name)
}

fn named<T: Copy>(names: &[(T, &str)], word: &str) -> Option<T> {
    names.iter().find(|(_, name)| *name == word).map(|(value, _)| *value)
}

impl fmt::Display for RequestSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, behaviour, delimiter, down_bytes } = self;
        let (behaviour, delimiter) = (name(&BEHAVIOURS, behaviour), name(&DELIMITERS, delimiter));
        write!(f, "{ROOT}{token}/{behaviour}/{delimiter}/{down_bytes}")
    }
}

/// A path that is none of a soak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NotASpec;

impl FromStr for RequestSpec {
    type Err = NotASpec;

    fn from_str(path: &str) -> Result<Self, NotASpec> {
        let words: Vec<&str> = path.strip_prefix(ROOT).ok_or(NotASpec)?.split('/').collect();
        let [token, behaviour, delimiter, down_bytes] = words[..] else { return Err(NotASpec) };
        Ok(Self {
            token: token.parse().map_err(|_| NotASpec)?,
            behaviour: named(&BEHAVIOURS, behaviour).ok_or(NotASpec)?,
            delimiter: named(&DELIMITERS, delimiter).ok_or(NotASpec)?,
            down_bytes: down_bytes.parse().map_err(|_| NotASpec)?,
        })
    }
}

/// The token in a path, whatever follows it.
pub(super) fn token_of(path: &[u8]) -> Option<Token> {
    let rest = path.strip_prefix(ROOT.as_bytes())?;
    let digits = rest.split(|byte| *byte == b'/').next()?;
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_read_as_it_was_written() {
        for (behaviour, _) in BEHAVIOURS {
            for (delimiter, _) in DELIMITERS {
                let spec = RequestSpec { token: 17, behaviour, delimiter, down_bytes: 4096 };
                assert_eq!(spec.to_string().parse(), Ok(spec));
                assert_eq!(token_of(spec.to_string().as_bytes()), Some(17));
            }
        }
    }

    #[test]
    fn other_paths_are_no_specs() {
        for path in ["/", "/soak/1", "/soak/x/plain/length/0", "/soak/1/plain/length/0/", "/soak/"]
        {
            assert_eq!(path.parse::<RequestSpec>(), Err(NotASpec), "{path}");
        }
        assert_eq!(token_of(b"/soak/1"), Some(1));
        assert_eq!(token_of(b"/"), None);
        assert_eq!(token_of(b"/soak/1x/plain"), None);
    }
}
