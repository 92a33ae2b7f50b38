//! A fixed course of events, played with the same bytes cut in every way. Whatever the cuts, both
//! peers get the same bytes and the log the same rows.

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Sends(Peer, Vec<u8>),
    Ends(Peer, StreamEnd),
    Hedge,
}

/// How bytes come and go.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// All at once.
    Whole,
    /// In pieces of so many bytes.
    Pieces(usize),
    /// The first so many bytes of each step, then the others.
    CutAt(usize),
    /// As fast as they can be read, while the peers take so many at a time.
    Reluctant(usize),
    /// In pieces of so many bytes, and only so many are taken between them.
    Both(usize, usize),
}

/// What both peers and the log got.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub client: String,
    /// By connection, in the order they were made.
    pub upstreams: Vec<String>,
    pub rows: Vec<Row>,
    pub over: Option<CloseMode>,
    /// Whether the proxy ended its stream towards the client.
    pub finished: bool,
}

impl Outcome {
    #[track_caller]
    pub fn row(&self) -> &Row {
        let [row] = self.rows.as_slice() else { panic!("one row, not {:?}", self.rows) };
        row
    }
}

/// See the module's description.
#[derive(Clone)]
pub struct Scene {
    steps: Vec<Step>,
    backends: usize,
    set: fn(&mut ExchangeHarness),
    /// Whether chunks made by the proxy may differ in size.
    loose_chunks: bool,
}

impl Scene {
    pub fn new() -> Self {
        Self { steps: Vec::new(), backends: 1, set: |_| {}, loose_chunks: false }
    }

    pub fn backends(mut self, backends: usize) -> Self {
        self.backends = backends;
        self
    }

    /// Something to be done with the rig first.
    pub fn set(mut self, set: fn(&mut ExchangeHarness)) -> Self {
        self.set = set;
        self
    }

    pub fn loose_chunks(mut self) -> Self {
        self.loose_chunks = true;
        self
    }

    pub fn client(self, bytes: impl AsRef<[u8]>) -> Self {
        self.sends(Peer::Client, bytes)
    }

    pub fn upstream(self, bytes: impl AsRef<[u8]>) -> Self {
        self.sends(Peer::Upstream, bytes)
    }

    pub fn sends(self, from: Peer, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Sends(from, bytes.as_ref().to_vec()))
    }

    pub fn client_ends(self, how: StreamEnd) -> Self {
        self.ends(Peer::Client, how)
    }

    pub fn upstream_ends(self, how: StreamEnd) -> Self {
        self.ends(Peer::Upstream, how)
    }

    pub fn ends(self, peer: Peer, how: StreamEnd) -> Self {
        self.step(Step::Ends(peer, how))
    }

    /// Another attempt begins.
    pub fn hedge(self) -> Self {
        self.step(Step::Hedge)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Plays it in every manner; what came of it is always the same.
    #[track_caller]
    pub fn play(&self) -> Outcome {
        self.play_comparing(Self::comparable)
    }

    /// As [`Scene::play`], where it depends on the cuts how much had come and gone by the time the
    /// connection had to end. What the client gets never does, nor what the rows make of it.
    #[track_caller]
    pub fn play_to_the_end(&self) -> Outcome {
        self.play_comparing(|scene, outcome| {
            let mut outcome = scene.comparable(outcome);
            outcome.upstreams.clear();
            outcome.finished = false;
            for row in &mut outcome.rows {
                let Row { status, method, path, fault, .. } = row.clone();
                *row = Row { status, method, path, fault, ..Row::default() };
            }
            outcome
        })
    }

    #[track_caller]
    fn play_comparing(&self, comparable: fn(&Self, &Outcome) -> Outcome) -> Outcome {
        let whole = self.play_in(Manner::Whole);
        let longest = self.steps.iter().map(|step| match step {
            Step::Sends(_, bytes) => bytes.len(),
            Step::Ends(..) | Step::Hedge => 0,
        });
        let cuts = (1..longest.max().unwrap_or(0)).map(Manner::CutAt);
        let pieces = [1, 2, 3, 7].into_iter().map(Manner::Pieces);
        let reluctant = [1, 2, 5, 64].into_iter().map(Manner::Reluctant);
        let both = [(1, 1), (3, 2), (16, 1), (1, 16)].map(|(i, o)| Manner::Both(i, o));
        for manner in cuts.chain(pieces).chain(reluctant).chain(both) {
            let outcome = self.play_in(manner);
            assert_eq!(comparable(self, &outcome), comparable(self, &whole), "{manner:?}");
        }
        whole
    }

    fn comparable(&self, outcome: &Outcome) -> Outcome {
        let mut outcome = outcome.clone();
        if self.loose_chunks {
            outcome.client = read::without_chunks(&outcome.client);
            for row in &mut outcome.rows {
                row.response_bytes = 0;
            }
        }
        outcome
    }

    fn play_in(&self, manner: Manner) -> Outcome {
        let mut rig = ExchangeHarness::with(self.backends, Policy::RoundRobin);
        if self.steps.iter().any(|step| matches!(step, Step::Hedge)) {
            rig.allow_hedges(1);
        }
        (self.set)(&mut rig);
        if let Manner::Reluctant(bytes) | Manner::Both(_, bytes) = manner {
            rig.write_bytes = bytes;
        }
        for step in &self.steps {
            match step {
                Step::Sends(from, bytes) => feed(&mut rig, *from, bytes, manner),
                Step::Ends(peer, how) => rig.ends(*peer, *how),
                Step::Hedge => assert!(rig.hedge(), "no attempt was begun"),
            }
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        Outcome {
            client: text(&rig.client.received),
            upstreams: rig.connections.iter().map(|c| text(&c.socket.received)).collect(),
            rows: rig.rows(),
            over: rig.ending(),
            finished: rig.client.finished,
        }
    }
}

fn feed(rig: &mut ExchangeHarness, from: Peer, bytes: &[u8], manner: Manner) {
    let pieces: Vec<&[u8]> = match manner {
        Manner::Pieces(size) | Manner::Both(size, _) => bytes.chunks(size).collect(),
        Manner::CutAt(at) if at < bytes.len() => vec![&bytes[..at], &bytes[at..]],
        Manner::Whole | Manner::Reluctant(_) | Manner::CutAt(_) => vec![bytes],
    };
    for piece in pieces {
        let is_gone = match from {
            Peer::Client => false,
            Peer::Upstream => rig.attached().is_none(),
            Peer::Connection(index) => rig.connections[index].is_over(),
        };
        if is_gone {
            break; // It was hung up on already.
        }
        rig.arrive(from, piece);
        match manner {
            Manner::Both(..) => drop(rig.round()),
            _ => rig.run(),
        }
    }
    rig.run();
}
