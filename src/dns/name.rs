//! A domain name, in the form that messages have.

use std::fmt;

/// A name's bytes in a message at most (RFC 1035 §2.3.4).
const MAX_BYTES: usize = 255;

const MAX_LABEL: usize = 63;

/// A name without compression: labels, each behind its length, and an empty one. Upper case is the
/// same as lower case, so there is only the latter.
#[derive(Clone, Eq, PartialEq, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The name of this text, whether or not it ends with a dot; `None` if a label is empty or too
    /// long, or all of them are.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            let length = u8::try_from(label.len()).ok()?;
            if label.is_empty() || label.len() > MAX_LABEL {
                return None;
            }
            wire.push(length);
            wire.extend(label.as_bytes());
        }
        wire.push(0);
        Self::of_wire(wire)
    }

    /// This name below a domain.
    #[must_use]
    pub fn below(&self, domain: &Self) -> Option<Self> {
        let labels = self.0.len() - 1;
        Self::of_wire([&self.0[..labels], &domain.0].concat())
    }

    /// Takes labels over that end with the empty one, unless they are too many.
    pub(super) fn of_wire(mut wire: Vec<u8>) -> Option<Self> {
        // The length of a label is no letter, because it is smaller than all of them.
        wire.make_ascii_lowercase();
        (wire.len() <= MAX_BYTES).then(|| Self(wire.into()))
    }

    /// As it stands in a message.
    pub(super) fn wire(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = &self.0[..];
        let mut between = "";
        while let Some((length, more)) = rest.split_first()
            && let Some((label, behind)) = more.split_at_checked(usize::from(*length))
            && !label.is_empty()
        {
            write!(f, "{between}{}", label.escape_ascii())?;
            (rest, between) = (behind, ".");
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect(text)
    }

    #[test]
    fn a_name_is_its_labels_in_any_case_with_or_without_the_last_dot() {
        assert_eq!(name("Web.Example").wire(), b"\x03web\x07example\x00");
        assert_eq!(name("web.example."), name("WEB.example"));
        assert_eq!(name("_a.my_service").to_string(), "_a.my_service");
        assert_eq!(name("web").below(&name("prod.example")), Some(name("web.prod.example")));
    }

    #[test]
    fn what_no_message_can_carry_is_no_name() {
        let long = "x".repeat(MAX_LABEL);
        assert!(Name::new(&long).is_some());
        for text in ["", ".", "a..b", ".a", "a..", &(long.clone() + "x")] {
            assert_eq!(Name::new(text), None, "{text}");
        }
        let most = [&long[..], &long, &long, &long[..61]].join(".");
        assert_eq!(name(&most).wire().len(), MAX_BYTES);
        assert_eq!(Name::new(&(most.clone() + "x")), None);
        assert_eq!(name("a").below(&name(&most)), None);
    }
}
