//! Every case, then a bounded number of inputs made of them.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};

use properties::{cases, chunks, exchange, framing, request_head, response_head};

/// Inputs made for each target, unless `PROPERTY_INPUTS` says otherwise.
const INPUTS: u64 = 20_000;

/// Longest input made, in bytes.
const LONGEST: usize = 4096;

/// Changes made to a case at most.
const MOST_CHANGES: u64 = 8;

/// What messages are made of, to be put anywhere.
const WORDS: [&str; 59] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "\"",
    "0",
    "5",
    "a",
    "ff",
    "%",
    "/",
    "?",
    "\r\n\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "Host: a\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Connection: upgrade\r\n",
    "Upgrade: websocket\r\n",
    "Expect: 100-continue\r\n",
    "Max-Forwards: 1\r\n",
    "X-T: v\r\n",
    "Trailer: X-T\r\n",
    "TE: trailers\r\n",
    "Via: 1.1 x\r\n",
    "chunked",
    "close",
    "HTTP/1.1",
    "HTTP/1.0",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "http://b",
    "\u{e9}",
    "~c",
    "~u",
    "~Cf",
    "~Cr",
    "~Cw",
    "~Uf",
    "~Ur",
    "~Uw",
    "~k9",
    "~l9",
    "~b1",
    "~t9000",
    "~t80000",
    "~dr",
    "~p",
    "~S",
    "~h",
    "~n1",
    "~n0",
];

/// `SplitMix64` (Steele, Lea and Flood, 2014): what a seed makes is always the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or(0)
    }

    /// A place in `bytes`, also the one behind the last.
    fn place(&mut self, bytes: &[u8]) -> usize {
        self.below(bytes.len() + 1)
    }
}

/// One change of the kind that turns a message into one that is understood otherwise.
fn change(input: &mut Vec<u8>, random: &mut Random, cases: &[Vec<u8>]) {
    let (at, other) = (random.place(input), random.place(input));
    let (from, to) = (at.min(other), at.max(other));
    match random.next() % 8 {
        0 if from < to => input[from] = random.next().to_le_bytes()[0],
        1 if from < to => input[from] ^= 1 << random.below(8),
        2 => drop(input.drain(from..to.min(from + 8))),
        3 => drop(input.drain(from..to)),
        4 => {
            let copy = input[from..to].to_vec();
            input.splice(at..at, copy);
        }
        5 => {
            let case = &cases[random.below(cases.len())];
            let (start, end) = (random.place(case), random.place(case));
            let piece = case[start.min(end)..start.max(end)].to_vec();
            input.splice(from..to, piece);
        }
        _ => {
            let word = WORDS[random.below(WORDS.len())].bytes();
            input.splice(at..at, word);
        }
    }
    input.truncate(LONGEST);
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn hold(name: &str, check: fn(&[u8])) {
    let cases = cases::of(name);
    let seed = number("PROPERTY_SEED").unwrap_or_else(|| RandomState::new().hash_one(name));
    let mut random = Random(seed);
    let holds = |input: &[u8]| {
        let result = catch_unwind(AssertUnwindSafe(|| check(input)));
        assert!(result.is_ok(), "{name}, PROPERTY_SEED={seed}:\n{}", input.escape_ascii());
    };
    for case in &cases {
        holds(case);
    }
    for _ in 0..number("PROPERTY_INPUTS").unwrap_or(INPUTS) {
        let mut input = cases[random.below(cases.len())].clone();
        for _ in 0..=random.next() % MOST_CHANGES {
            change(&mut input, &mut random, &cases);
        }
        holds(&input);
    }
}

#[test]
fn a_chunked_body_means_what_the_grammar_says() {
    hold("chunks", chunks::check);
}

#[test]
fn a_connection_is_safe_whatever_its_peers_do() {
    hold("exchange", exchange::check);
}

#[test]
fn a_body_is_framed_as_the_rfc_says() {
    hold("framing", framing::check);
}

#[test]
fn a_request_head_goes_on_valid_and_with_all_it_said() {
    hold("request_head", request_head::check);
}

#[test]
fn a_response_head_goes_on_valid_and_with_all_it_said() {
    hold("response_head", response_head::check);
}
