//! The kinds of traffic, and the share of each.

/// What a client does on one connection, or a backend with its requests.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    /// Some requests, one after the other.
    KeepAlive,
    /// One request that asks for the connection's end.
    Close,
    /// Some requests at once.
    Pipelined,
    /// Uploads in chunks.
    Chunked,
    /// Bodies of 256 KiB to 4 MiB, in either direction.
    Large,
    /// A head and bodies in small pieces with pauses, and a client that reads slowly.
    Slow,
    Head,
    /// An upload that waits for 100 Continue.
    Continue,
    /// A client that ends its stream after its request, and reads on.
    HalfClosed,
    /// A client that ends its stream within its request, and reads on.
    Incomplete,
    /// A client that closes before its request is whole.
    LeftInRequest,
    /// A client that closes before its response is whole.
    LeftInResponse,
    /// A request that is not valid.
    Malformed,
    /// A backend that closes in the middle of its response.
    CutShort,
    /// A backend that closes instead of answering.
    Unanswered,
    /// A backend that answers before it has read the request.
    Early,
}

impl Kind {
    /// All kinds, each with a name and its share of the sessions in percent.
    const ALL: [(Self, &'static str, u32); 16] = [
        (Self::KeepAlive, "keep-alive", 28),
        (Self::Close, "close", 14),
        (Self::Pipelined, "pipelined", 10),
        (Self::Chunked, "chunked", 8),
        (Self::Large, "large", 2),
        (Self::Slow, "slow", 5),
        (Self::Head, "head", 5),
        (Self::Continue, "continue", 4),
        (Self::HalfClosed, "half-closed", 3),
        (Self::Incomplete, "incomplete", 3),
        (Self::LeftInRequest, "left in request", 3),
        (Self::LeftInResponse, "left in response", 3),
        (Self::Malformed, "malformed", 7),
        (Self::CutShort, "cut short", 2),
        (Self::Unanswered, "unanswered", 1),
        (Self::Early, "early response", 2),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    pub(super) fn random(rng: &mut fastrand::Rng) -> Self {
        let total = Self::ALL.iter().map(|(.., share)| share).sum();
        let mut left = rng.u32(0..total);
        for (kind, _, share) in Self::ALL {
            match left.checked_sub(share) {
                Some(rest) => left = rest,
                None => return kind,
            }
        }
        Self::KeepAlive
    }

    /// How many requests a session of this kind has at most.
    pub(super) fn length(self, rng: &mut fastrand::Rng) -> u32 {
        match self {
            Self::KeepAlive => rng.u32(2..=20),
            Self::Pipelined => rng.u32(2..=8),
            Self::Chunked | Self::Head | Self::Continue => rng.u32(1..=4),
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_and_its_share() {
        let mut rng = fastrand::Rng::with_seed(1);
        let drawn: Vec<Kind> = (0..20_000).map(|_| Kind::random(&mut rng)).collect();
        assert_eq!(Kind::ALL.iter().map(|(.., share)| share).sum::<u32>(), 100);
        for (kind, name, share) in Kind::ALL {
            assert_eq!(kind.name(), name);
            let count = drawn.iter().filter(|other| **other == kind).count();
            let wanted = share as usize * 200;
            assert!((wanted / 2..wanted * 2).contains(&count), "{name}: {count} of {wanted}");
        }
    }
}
