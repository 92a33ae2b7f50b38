//! Scripts: what both peers do, and the clock. Steps end at a tilde; the first letter of each says
//! what it is:
//!
//! | step | does |
//! |---|---|
//! | `cBYTES`, `uBYTES` | the client, or the backend in use, sends |
//! | `C`, `U` and `f`, `r`, `w` | its stream ends: in order, by a reset, or it takes no more |
//! | `k`, `l` and a number | so many bytes more are taken by the client, by the backend |
//! | `K`, `L` and a number | so many letters x are sent by the client, by the backend |
//! | `tNUMBER` | so many milliseconds pass |
//! | `x` | a timer fires before its time |
//! | `d` or `e`, and letters | what comes of connecting to each address of two of the backends |
//! | `p`, `q` | an idle connection waits in the pool of one of them |
//! | `bNUMBER` | at most so many bytes are taken at once |
//! | `D`, `S` | the proxy begins to stop; it has waited long enough |
//! | `h` | another attempt begins, if it may |
//! | `rNUMBER` | all backends but the first so many are removed, and have had their time |
//! | `aNUMBER` | this backend is limited to what it has, at least one, and gets another request |
//! | `g` | one of these ends |
//! | `nNUMBER` | of several backends in use, steps are of the one with this place from now on |

use rig::{Dial, ExchangeHarness, Peer, Socket};
use tidegate::balance::{Lease, Role};
use tidegate::proxy::exchange::{Exchange, StreamEnd};

/// Most bytes, or milliseconds, that a number stands for.
const LARGEST: usize = 200_000;

/// Most letters x that are sent, for they may be taken one by one.
const MOST_LETTERS: usize = 400_000;

/// Most steps that are played.
const MOST_STEPS: usize = 100;

/// Most addresses of a backend.
const MOST_ADDRESSES: usize = 4;

/// Plays a script, and says what the client sent.
pub(super) fn play(rig: &mut ExchangeHarness, script: &[u8]) -> Vec<u8> {
    let (sent, others) = (Vec::new(), Vec::new());
    let mut player = Player { rig, sent, letters_left: MOST_LETTERS, place: 0, others };
    for step in script.split(|byte| *byte == b'~').take(MOST_STEPS) {
        if let Some((kind, rest)) = step.split_first() {
            player.step(*kind, rest);
            player.rig.run();
        }
    }
    player.others.into_iter().for_each(|lease| player.rig.give_back(lease));
    player.sent
}

struct Player<'a> {
    rig: &'a mut ExchangeHarness,
    /// By the client.
    sent: Vec<u8>,
    letters_left: usize,
    /// The place of the backend whose steps are played.
    place: usize,
    /// Of requests of other clients.
    others: Vec<Lease>,
}

impl Player<'_> {
    fn step(&mut self, kind: u8, rest: &[u8]) {
        let rig = &mut *self.rig;
        match kind {
            b'c' => self.client_sends(rest),
            b'K' => {
                let letters = self.letters(rest);
                self.client_sends(&letters);
            }
            b'C' => ending(rest).into_iter().for_each(|how| rig.client_ends(how)),
            b'k' => rig.client.window = number(rest),
            b'D' => rig.draining = true,
            b'S' => rig.act(Exchange::stop),
            b'b' => rig.write_bytes = number(rest).max(1),
            b't' => rig.advance_ms(number(rest) as u64),
            b'x' => rig.act(Exchange::expired),
            b'd' | b'e' => rig.servers[usize::from(kind - b'd')].dials = dials(rest),
            b'p' | b'q' => rig.pool(usize::from(kind - b'p')),
            b'h' => drop(rig.hedge()),
            b'r' => {
                let removed: Vec<_> = rig.ids.iter().copied().skip(number(rest)).collect();
                rig.remove(&removed);
            }
            b'a' => self.other_asks(number(rest)),
            b'g' => self.others.pop().into_iter().for_each(|lease| rig.give_back(lease)),
            b'n' => self.place = number(rest),
            _ => self.backend_step(kind, rest),
        }
    }

    /// A backend that takes as many requests as it has from now on, and at least one, gets one.
    fn other_asks(&mut self, backend: usize) {
        let rig = &mut *self.rig;
        let Some(id) = rig.ids.get(backend).copied() else { return };
        let limit = rig.in_flight(backend).max(1);
        rig.set_role(backend, Role { max_in_flight: Some(limit), ..Role::default() });
        self.others.extend(rig.balancer.acquire_bound(id, rig.now).lease());
    }

    /// A step of a backend in use, if there is one.
    fn backend_step(&mut self, kind: u8, rest: &[u8]) {
        let links: Vec<usize> = self.rig.links.into_iter().flatten().collect();
        let Some(link) = links.get(self.place % links.len().max(1)).copied() else { return };
        match kind {
            b'u' => self.backend_sends(link, rest),
            b'L' => {
                let letters = self.letters(rest);
                self.backend_sends(link, &letters);
            }
            b'U' => {
                let ending = ending(rest).into_iter();
                ending.for_each(|how| self.rig.ends(Peer::Connection(link), how));
            }
            b'l' => self.rig.connections[link].socket.window = number(rest),
            _ => {}
        }
    }

    fn client_sends(&mut self, bytes: &[u8]) {
        if can_send(&self.rig.client) {
            self.sent.extend_from_slice(bytes);
            self.rig.arrive(Peer::Client, bytes);
        }
    }

    fn backend_sends(&mut self, link: usize, bytes: &[u8]) {
        if can_send(&self.rig.connections[link].socket) {
            self.rig.arrive(Peer::Connection(link), bytes);
        }
    }

    fn letters(&mut self, digits: &[u8]) -> Vec<u8> {
        let count = number(digits).min(self.letters_left);
        self.letters_left -= count;
        vec![b'x'; count]
    }
}

/// Nobody sends behind the end of a stream.
fn can_send(socket: &Socket) -> bool {
    socket.end.is_none() && !socket.ended
}

fn number(digits: &[u8]) -> usize {
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| (number * 10 + usize::from(digit - b'0')).min(LARGEST))
}

fn ending(letter: &[u8]) -> Option<StreamEnd> {
    match letter.first()? {
        b'f' => Some(StreamEnd::Finished),
        b'r' => Some(StreamEnd::Reset),
        b'w' => Some(StreamEnd::WriteFailed),
        _ => None,
    }
}

fn dials(letters: &[u8]) -> Vec<Dial> {
    let dial = |letter: &u8| match letter {
        b'h' => Dial::Hangs,
        b'r' => Dial::Refuses,
        b'n' => Dial::NoRoute,
        b'o' => Dial::NoResources,
        _ => Dial::Answers,
    };
    let first = letters.first().map_or(Dial::Answers, dial);
    std::iter::once(first)
        .chain(letters.iter().skip(1).take(MOST_ADDRESSES - 1).map(dial))
        .collect()
}
