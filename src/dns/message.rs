//! Messages: the question for the addresses of a name, and what an answer says (RFC 1035 §4).
//!
//! Only what a stub resolver needs is read. Everything comes from the network, so a message that is
//! not what it says is no answer: it is as if it had not come.

use std::net::IpAddr;
use std::time::Duration;

use super::Name;

/// The port of name servers.
pub const PORT: u16 = 53;

/// How many names may stand between the one that was asked for and its addresses.
const MAX_ALIASES: usize = 16;

const HEADER: usize = 12;
const INTERNET: u16 = 1;
const CNAME: u16 = 5;
const IS_RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const IS_TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;
const RCODE: u16 = 0x000f;
const NO_SUCH_NAME: u16 = 3;

/// The kinds of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Whether an address is of this kind.
    #[must_use]
    pub fn has(self, address: &IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }

    /// The type of its records.
    fn kind(self) -> u16 {
        match self {
            Self::V4 => 1,
            Self::V6 => 28,
        }
    }

    /// The address in a record of its type.
    fn address(self, data: &[u8]) -> Option<IpAddr> {
        match self {
            Self::V4 => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
            Self::V6 => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        }
    }
}

/// What a server answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    /// At least one address, and how long they may be used without asking again.
    Addresses(Vec<IpAddr>, Duration),
    /// There is no such name, or it has no address of this kind.
    Absent,
    /// The answer is longer than a datagram.
    Truncated,
    /// The server could not or would not answer; its reason.
    Refused(Rcode),
}

/// Why a server did not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rcode(u16);

impl std::fmt::Display for Rcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            1 => f.write_str("FORMERR"),
            2 => f.write_str("SERVFAIL"),
            4 => f.write_str("NOTIMP"),
            5 => f.write_str("REFUSED"),
            other => write!(f, "error {other}"),
        }
    }
}

/// The question for the addresses of a name.
pub(super) fn query(id: u16, name: &Name, family: Family) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER + name.wire().len() + 4);
    for word in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    message.extend(name.wire());
    for word in [family.kind(), INTERNET] {
        message.extend(word.to_be_bytes());
    }
    message
}

/// What a message says that came for [`query`]; `None` if it is no answer to it.
pub(super) fn read(message: &[u8], id: u16, name: &Name, family: Family) -> Option<Reply> {
    let mut reader = Reader { message, at: 0 };
    let (its_id, flags) = (reader.u16()?, reader.u16()?);
    let (questions, answers) = (reader.u16()?, reader.u16()?);
    reader.skip(4)?;
    if its_id != id || flags & IS_RESPONSE == 0 || flags & OPCODE != 0 {
        return None;
    }
    let code = flags & RCODE;
    let is_refused = code != 0 && code != NO_SUCH_NAME;
    // A server that could not read the question does not repeat it.
    if questions == 0 && is_refused {
        return Some(Reply::Refused(Rcode(code)));
    }
    let asked = (reader.name()?, reader.u16()?, reader.u16()?);
    if questions != 1 || (&asked.0, asked.1, asked.2) != (name, family.kind(), INTERNET) {
        return None;
    }
    if is_refused {
        return Some(Reply::Refused(Rcode(code)));
    }
    if flags & IS_TRUNCATED != 0 {
        return Some(Reply::Truncated);
    }
    if code == NO_SUCH_NAME {
        return Some(Reply::Absent);
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        records.push(reader.record(family)?);
    }
    Some(follow(&records, name))
}

/// A record of an answer.
struct Record {
    owner: Name,
    ttl: Duration,
    data: Data,
}

enum Data {
    Address(IpAddr),
    Alias(Name),
    /// It leads to no address of the kind that was asked for.
    Other,
}

/// The addresses to which the records lead from a name.
fn follow(records: &[Record], name: &Name) -> Reply {
    let (mut name, mut ttl) = (name, Duration::MAX);
    for _ in 0..=MAX_ALIASES {
        let mut addresses = Vec::new();
        let mut alias = None;
        for record in records.iter().filter(|record| record.owner == *name) {
            match &record.data {
                Data::Address(address) => addresses.push((*address, record.ttl)),
                Data::Alias(target) => alias = Some((target, record.ttl)),
                Data::Other => {}
            }
        }
        if let Some(least) = addresses.iter().map(|(_, ttl)| *ttl).min() {
            let addresses = addresses.into_iter().map(|(address, _)| address).collect();
            return Reply::Addresses(addresses, ttl.min(least));
        }
        let Some((target, its_ttl)) = alias else { break };
        (name, ttl) = (target, ttl.min(its_ttl));
    }
    Reply::Absent
}

/// A place in a message.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(drop)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(u16::from_be_bytes(bytes))
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    /// A name, parts of which may stand further to the front of the message. Each part has to stand
    /// in front of the one that refers to it, so there are no circles.
    fn name(&mut self) -> Option<Name> {
        let mut wire = Vec::new();
        let mut behind = None;
        let (mut at, mut part) = (self.at, self.at);
        loop {
            let length = *self.message.get(at)?;
            match length >> 6 {
                0b00 => {
                    let next = at + 1 + usize::from(length);
                    wire.extend(self.message.get(at..next)?);
                    at = next;
                    if length == 0 {
                        break;
                    }
                }
                0b11 => {
                    let low = *self.message.get(at + 1)?;
                    behind.get_or_insert(at + 2);
                    at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    if at >= part {
                        return None;
                    }
                    part = at;
                }
                _ => return None,
            }
        }
        self.at = behind.unwrap_or(at);
        Name::of_wire(wire)
    }

    /// The next record.
    fn record(&mut self, family: Family) -> Option<Record> {
        let owner = self.name()?;
        let (kind, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let length = usize::from(self.u16()?);
        let data = match (class, kind) {
            (INTERNET, CNAME) => {
                let mut inside = Reader { message: self.message, at: self.at };
                Data::Alias(inside.name()?)
            }
            (INTERNET, kind) if kind == family.kind() => {
                let data = self.message.get(self.at..self.at + length)?;
                Data::Address(family.address(data)?)
            }
            _ => Data::Other,
        };
        self.skip(length)?;
        // A TTL has 31 bits (RFC 2181 §8).
        let seconds = if ttl >> 31 == 0 { ttl.into() } else { 0 };
        Some(Record { owner, ttl: Duration::from_secs(seconds), data })
    }
}

#[cfg(test)]
pub(super) mod tests;
