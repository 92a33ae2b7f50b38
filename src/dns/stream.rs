//! Messages over a stream: each has its length in front (RFC 1035 §4.2.2).

/// A message with its length. One that is too long for it is cut, and so no valid one.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), message].concat()
}

/// A message that comes in parts.
#[derive(Debug, Default)]
pub struct Framed(Vec<u8>);

impl Framed {
    /// Takes what came; gives the message once it is whole. What follows it is dropped, because one
    /// question has one answer.
    pub fn receive(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        self.0.extend(bytes);
        let (length, rest) = self.0.split_first_chunk()?;
        rest.get(..usize::from(u16::from_be_bytes(*length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_once_all_of_it_came_however_it_is_cut() {
        let sent = framed(b"message");
        assert_eq!(sent, b"\x00\x07message");
        for cut in 0..sent.len() {
            let mut framed = Framed::default();
            assert_eq!(framed.receive(&sent[..cut]), None, "{cut}");
            assert_eq!(framed.receive(&sent[cut..]), Some(&b"message"[..]), "{cut}");
        }
        let mut framed = Framed::default();
        let came = sent.iter().filter(|byte| framed.receive(&[**byte]).is_some()).count();
        assert_eq!(came, 1);
        assert_eq!(Framed::default().receive(b"\x00\x01ab"), Some(&b"a"[..]));
        assert_eq!(Framed::default().receive(b"\x00\x00"), Some(&b""[..]));
    }
}
