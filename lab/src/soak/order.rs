//! What a client wants of the backend, as a path: the backend has no script but what it is asked.

use std::fmt;
use std::str::FromStr;

use super::pattern::Token;

/// What every path begins with.
const ROOT: &str = "/soak/";

/// How the end of an answer's body is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Delimiter {
    Length,
    Chunks,
    /// The end of the connection.
    Close,
}

/// How the backend behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    Plain,
    /// It closes the connection after its answer, and says so.
    Closing,
    /// It sends its answer in pieces, with pauses.
    Dripping,
    /// It ends in the middle of the answer's body.
    Cut,
    /// It closes the connection instead of answering.
    Mute,
    /// It answers 413 before it reads the request's body, and then closes.
    Early,
}

/// One request as its path tells it: `/soak/TOKEN/MANNER/DELIMITER/BYTES`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Order {
    pub(super) token: Token,
    pub(super) manner: Manner,
    pub(super) delimiter: Delimiter,
    /// Length of the answer's body.
    pub(super) down_bytes: u64,
}

impl Order {
    /// The answer's status if all goes well.
    pub(super) fn status(self) -> u16 {
        if self.manner == Manner::Early { 413 } else { 200 }
    }
}

const MANNERS: [(Manner, &str); 6] = [
    (Manner::Plain, "plain"),
    (Manner::Closing, "closing"),
    (Manner::Dripping, "dripping"),
    (Manner::Cut, "cut"),
    (Manner::Mute, "mute"),
    (Manner::Early, "early"),
];

const DELIMITERS: [(Delimiter, &str); 3] =
    [(Delimiter::Length, "length"), (Delimiter::Chunks, "chunks"), (Delimiter::Close, "close")];

fn name<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    names.iter().find(|(named, _)| named == value).map_or("", |(_, name)| name)
}

fn named<T: Copy>(names: &[(T, &str)], word: &str) -> Option<T> {
    names.iter().find(|(_, name)| *name == word).map(|(value, _)| *value)
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, manner, delimiter, down_bytes } = self;
        let (manner, delimiter) = (name(&MANNERS, manner), name(&DELIMITERS, delimiter));
        write!(f, "{ROOT}{token}/{manner}/{delimiter}/{down_bytes}")
    }
}

/// A path that orders nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NoOrder;

impl FromStr for Order {
    type Err = NoOrder;

    fn from_str(path: &str) -> Result<Self, NoOrder> {
        let words: Vec<&str> = path.strip_prefix(ROOT).ok_or(NoOrder)?.split('/').collect();
        let [token, manner, delimiter, down_bytes] = words[..] else { return Err(NoOrder) };
        Ok(Self {
            token: token.parse().map_err(|_| NoOrder)?,
            manner: named(&MANNERS, manner).ok_or(NoOrder)?,
            delimiter: named(&DELIMITERS, delimiter).ok_or(NoOrder)?,
            down_bytes: down_bytes.parse().map_err(|_| NoOrder)?,
        })
    }
}

/// The token in a path, whatever comes behind it.
pub(super) fn token_of(path: &[u8]) -> Option<Token> {
    let rest = path.strip_prefix(ROOT.as_bytes())?;
    let digits = rest.split(|byte| *byte == b'/').next()?;
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_was_written() {
        for (manner, _) in MANNERS {
            for (delimiter, _) in DELIMITERS {
                let order = Order { token: 17, manner, delimiter, down_bytes: 4096 };
                assert_eq!(order.to_string().parse(), Ok(order));
                assert_eq!(token_of(order.to_string().as_bytes()), Some(17));
            }
        }
    }

    #[test]
    fn other_paths_order_nothing() {
        for path in ["/", "/soak/1", "/soak/x/plain/length/0", "/soak/1/plain/length/0/", "/soak/"]
        {
            assert_eq!(path.parse::<Order>(), Err(NoOrder), "{path}");
        }
        assert_eq!(token_of(b"/soak/1"), Some(1));
        assert_eq!(token_of(b"/"), None);
        assert_eq!(token_of(b"/soak/1x/plain"), None);
    }
}
