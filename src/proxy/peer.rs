//! The client of a connection, as it stands in rows and in `X-Forwarded-For`.

use std::io::Write;

use crate::endpoint::Client;

/// A client, and its IP address as text. The text is made once per connection, without an
/// allocation, because each request needs it.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    client: Client,
    text: [u8; Self::LONGEST],
    length: u8,
}

impl Peer {
    /// An IPv6 address with an IPv4 one in its end.
    const LONGEST: usize = 45;

    /// The peer of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let mut text = [0; Self::LONGEST];
        let mut rest = &mut text[..];
        if let Client::Ip(address) = client {
            // No address is longer than the array.
            let _ = write!(rest, "{}", address.ip());
        }
        let left = rest.len();
        Self { client, text, length: u8::try_from(Self::LONGEST - left).unwrap_or(0) }
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client
    }

    /// Its IP address as text; `None` for one that has none.
    #[must_use]
    pub fn ip_text(&self) -> Option<&[u8]> {
        let text = self.text.get(..usize::from(self.length))?;
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_of_by_its_ip_address_if_it_has_one() {
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        for text in ["127.0.0.1", "::1", "255.255.255.255", longest] {
            let address = (text.parse::<std::net::IpAddr>().expect("an address"), 80).into();
            assert_eq!(Peer::new(Client::Ip(address)).ip_text(), Some(text.as_bytes()));
        }
        assert_eq!(Peer::new(Client::Unix).ip_text(), None);
    }
}
