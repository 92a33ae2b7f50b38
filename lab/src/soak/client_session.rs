//! One client's connection: sends requests, and reads and checks the responses.
//!
//! Errors of writing are ignored here, because reading finds them: a proxy that refuses an upload
//! answers before it closes, and what counts is what the client receives.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use fastrand::Rng;
use socket2::SockRef;
use strict::{Body, Head, Messages, NoMore};

use super::clock::{Clock, pause};
use super::judge::{Claim, Seen};
use super::kind::Kind;
use super::pattern::{Direction, Pattern, Token};
use super::request::{Expected, Request, Upload, malformed};
use super::request_spec::{Behaviour, Delimiter, RequestSpec};

/// Longer than any timeout of the proxies, and than all attempts of a request together.
const PATIENCE: Duration = Duration::from_secs(45);

/// Bytes of a body that are written at once, and that a slow client reads between two pauses.
const PIECE_BYTES: usize = 16 * 1024;

/// How long a slow client pauses between two pieces.
const SLOW_PAUSE: Duration = Duration::from_millis(4);

/// A slow client sends a head in pieces of this size at most, and a body in so many at most.
const SLOW_HEAD_BYTES: usize = 24;
const SLOW_BODY_PIECES: u64 = 12;

/// What is wrong with a response that more bytes follow.
const SURPLUS: &str = "was answered with more than one response";

/// How much of a request is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Extent {
    Whole,
    /// The head and about a half of the body.
    Half,
}

/// A connection to a proxy.
pub(super) struct ClientSession<'a> {
    messages: Messages<TcpStream>,
    proxy: usize,
    clock: Clock,
    rng: &'a mut Rng,
    claims: &'a mut Vec<Claim>,
}

impl<'a> ClientSession<'a> {
    /// # Errors
    /// There is no connection.
    pub(super) fn open(
        (proxy, address): (usize, SocketAddr),
        clock: Clock,
        rng: &'a mut Rng,
        claims: &'a mut Vec<Claim>,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { messages: Messages::new(stream), proxy, clock, rng, claims })
    }

    /// Does what `kind` says, with a token for each request.
    pub(super) fn run(mut self, kind: Kind, mut tokens: impl Iterator<Item = Token>) {
        match kind {
            Kind::Pipelined => self.pipeline(tokens),
            Kind::Malformed => tokens.next().map_or((), |token| self.refused(token)),
            Kind::LeftInRequest => tokens.next().map_or((), |token| self.leave_request(token)),
            _ => {
                for token in tokens {
                    let request = Request::random(kind, token, self.rng);
                    if !self.exchange(&request) {
                        return;
                    }
                }
            }
        }
    }

    /// Sends one request and reads its response; whether another may follow.
    fn exchange(&mut self, request: &Request) -> bool {
        let from = self.clock.elapsed();
        let is_half = matches!(request.kind, Kind::Incomplete | Kind::Early);
        let extent = if is_half { Extent::Half } else { Extent::Whole };
        let sent = self.send(request, extent);
        if matches!(request.kind, Kind::HalfClosed | Kind::Incomplete) {
            // It fails only if the connection has ended already.
            let _ = self.messages.stream().shutdown(Shutdown::Write);
        }
        let (mut seen, is_kept) = self.receive(request);
        let is_answered = matches!(seen, Seen::Response(_));
        if is_answered && request.kind == Kind::Close && (is_kept || !self.messages.is_over()) {
            seen = Seen::Wrong("asked for the connection's end, and it did not end".to_owned());
        } else if is_answered && !self.messages.is_drained() {
            seen = Seen::Wrong(SURPLUS.to_owned());
        }
        let is_left = matches!(seen, Seen::Left { .. });
        self.claim(request, seen, from);
        if is_left {
            self.reset();
        }
        is_kept && sent.is_ok() && extent == Extent::Whole
    }

    fn claim(&mut self, request: &Request, seen: Seen, from: Duration) {
        self.claims.push(Claim {
            token: request.token(),
            proxy: self.proxy,
            kind: request.kind,
            can_be_resent: request.can_be_resent(),
            expected: request.expected,
            seen,
            from,
            to: self.clock.elapsed(),
        });
    }

    /// Has the connection end by a reset.
    fn reset(&mut self) {
        // If that fails the connection is closed without a reset, which tests as much.
        let _ = SockRef::from(self.messages.stream()).set_linger(Some(Duration::ZERO));
    }

    /// Sends some requests at once, then reads their responses.
    fn pipeline(&mut self, tokens: impl Iterator<Item = Token>) {
        let requests: Vec<Request> =
            tokens.map(|token| Request::random(Kind::Pipelined, token, self.rng)).collect();
        let mut bytes = Vec::new();
        for request in &requests {
            bytes.extend_from_slice(request.head().as_bytes());
            // Writing to a vector cannot fail.
            let _ = write_body(&mut bytes, request, Extent::Whole, self.rng);
        }
        let from = self.clock.elapsed();
        let _ = self.messages.stream().write_all(&bytes);
        let mut goes_on = true;
        for (index, request) in requests.iter().enumerate() {
            let mut seen = Seen::Ignored;
            if goes_on {
                (seen, goes_on) = self.receive(request);
                let is_last = !goes_on || index + 1 == requests.len();
                if is_last && matches!(seen, Seen::Response(_)) && !self.messages.is_drained() {
                    seen = Seen::Wrong(SURPLUS.to_owned());
                }
            }
            self.claim(request, seen, from);
        }
    }

    /// Sends a request that must be refused.
    fn refused(&mut self, token: Token) {
        let (behaviour, delimiter) = (Behaviour::Plain, Delimiter::Length);
        let spec = RequestSpec { token, behaviour, delimiter, down_bytes: 0 };
        let (bytes, status) = malformed(spec, self.rng);
        let (kind, upload) = (Kind::Malformed, Upload::None);
        let expected = Expected::Response(status);
        let request = Request { kind, method: "GET", spec, upload, expected };
        let from = self.clock.elapsed();
        let _ = self.messages.stream().write_all(&bytes);
        let (mut seen, _) = self.receive(&request);
        if seen == Seen::Response(status) && !self.messages.is_over() {
            seen = Seen::Wrong("was refused, and its connection went on".to_owned());
        }
        self.claim(&request, seen, from);
    }

    /// Closes or resets the connection before the request is whole.
    fn leave_request(&mut self, token: Token) {
        let request = Request::random(Kind::LeftInRequest, token, self.rng);
        let from = self.clock.elapsed();
        let _ = self.send(&request, Extent::Half);
        // The proxy has read the head if it asked for the body, or if no reset can overtake it.
        let was_continued = request.awaits_continue()
            && self.messages.head().is_ok_and(|head| status(&head) == 100);
        let is_reset = self.rng.bool();
        if is_reset {
            self.reset();
        }
        self.claim(&request, Seen::Left { was_read: was_continued || !is_reset }, from);
    }

    /// Sends a request, or half of it; a body that waits for 100 Continue is sent later.
    fn send(&mut self, request: &Request, extent: Extent) -> io::Result<()> {
        let mut stream = self.messages.stream();
        let mut head = request.head().into_bytes();
        if request.kind == Kind::Slow {
            for piece in head.chunks(1 + self.rng.usize(..SLOW_HEAD_BYTES)) {
                stream.write_all(piece)?;
                pause(SLOW_PAUSE);
            }
            head.clear();
        }
        if request.awaits_continue() {
            return stream.write_all(&head);
        }
        // Most clients send a small body in one piece with its head.
        let is_small = request.upload.bytes() <= PIECE_BYTES as u64;
        if is_small && extent == Extent::Whole && request.kind != Kind::Slow {
            write_body(&mut head, request, extent, self.rng)?;
            return stream.write_all(&head);
        }
        stream.write_all(&head)?;
        write_body(&mut stream, request, extent, self.rng)
    }

    /// Reads and checks a response: what was seen, and whether another may follow.
    fn receive(&mut self, request: &Request) -> (Seen, bool) {
        let head = loop {
            match self.messages.head() {
                Ok(head) if status(&head) == 100 && request.kind == Kind::Continue => {
                    let mut stream = self.messages.stream();
                    let _ = write_body(&mut stream, request, Extent::Whole, self.rng);
                }
                Ok(head) => break head,
                Err(why) => return (seen_instead(why), false),
            }
        };
        let seen = self.read_body(request, &head).unwrap_or_else(seen_instead);
        let is_kept = matches!(seen, Seen::Response(_)) && !head.has_token("Connection", "close");
        (seen, is_kept)
    }

    fn read_body(&mut self, request: &Request, head: &Head) -> Result<Seen, NoMore> {
        let mut body = Body::of_response(head, request.method)?;
        let is_backends = match is_backends(request, head) {
            Ok(is_backends) => is_backends,
            Err(why) => return Ok(Seen::Wrong(why)),
        };
        let down_bytes = request.spec.down_bytes;
        let leaves_after = match request.kind {
            Kind::LeftInResponse => self.rng.u64(..down_bytes),
            _ => u64::MAX,
        };
        let mut pattern = Pattern::new(request.token(), Direction::Down);
        while let Some(piece) = self.messages.piece(&mut body)? {
            if is_backends && !pattern.matches(piece) {
                return Ok(Seen::Wrong(format!("byte {} of its response is wrong", pattern.at())));
            }
            let pieces = piece.len().div_ceil(PIECE_BYTES);
            if pattern.at() > leaves_after {
                return Ok(Seen::Left { was_read: true });
            }
            if request.kind == Kind::Slow {
                pause(SLOW_PAUSE * u32::try_from(pieces).unwrap_or(1));
            }
        }
        if is_backends && request.method != "HEAD" && pattern.at() != down_bytes {
            let (count, spec) = (pattern.at(), request.spec);
            return Ok(Seen::Wrong(format!("got {count} bytes as a whole response to {spec}")));
        }
        Ok(Seen::Response(status(head)))
    }
}

/// The status of a response; 0 if it has none, which [`Body::of_response`] does not accept.
fn status(head: &Head) -> u16 {
    head.status_line().map_or(0, |(_, status)| status)
}

/// Whether a response comes from a backend, and then to this request; else it is the proxy's own.
fn is_backends(request: &Request, head: &Head) -> Result<bool, String> {
    let status = status(head);
    let Some(token) = head.field("X-Token") else {
        // The proxy itself sends nothing but refusals.
        let is_refusal = [400, 405, 414, 431, 501, 502, 503, 504, 505].contains(&status);
        return if is_refusal { Ok(false) } else { Err(format!("got a {status} without a token")) };
    };
    if token != request.token().to_string() {
        return Err(format!("got the response to request {token}"));
    }
    let is_early = request.spec.behaviour == Behaviour::Early;
    let sent = if is_early { 0 } else { request.upload.bytes() };
    let received = head.field("X-Received").unwrap_or_default();
    if received != sent.to_string() {
        return Err(format!("had {sent} bytes, of which the backend received {received:?}"));
    }
    if status != request.spec.status() {
        return Err(format!("was answered {status}"));
    }
    Ok(true)
}

/// What a client has seen that got no response, or a part of one.
fn seen_instead(why: NoMore) -> Seen {
    match why {
        NoMore::Over | NoMore::Torn => Seen::Broken,
        NoMore::Silent => Seen::Wrong(format!("has no response after {PATIENCE:?}")),
        NoMore::Invalid(why) => Seen::Wrong(format!("was answered with {why}")),
    }
}

/// Writes a request's body, or half of it, framed as it says.
fn write_body(
    to: &mut impl Write,
    request: &Request,
    extent: Extent,
    rng: &mut Rng,
) -> io::Result<()> {
    let whole = request.upload.bytes();
    let mut left = if extent == Extent::Half { whole / 2 } else { whole };
    let mut pattern = Pattern::new(request.token(), Direction::Up);
    let is_slow = request.kind == Kind::Slow;
    let slowly = usize::try_from(whole / SLOW_BODY_PIECES + 1).unwrap_or(PIECE_BYTES);
    let most = if is_slow { PIECE_BYTES.min(slowly) } else { PIECE_BYTES };
    let mut piece = vec![0; most];
    while left > 0 {
        let is_chunked = matches!(request.upload, Upload::Chunks(_));
        let length = if is_chunked { 1 + rng.usize(..most) } else { most };
        // It is at most the piece's length.
        let length = usize::try_from(left).map_or(length, |left| left.min(length));
        left -= length as u64;
        pattern.fill(&mut piece[..length]);
        if is_chunked {
            let line = format!("{length:x}\r\n");
            to.write_all(&[line.as_bytes(), &piece[..length], b"\r\n"].concat())?;
        } else {
            to.write_all(&piece[..length])?;
        }
        if is_slow {
            pause(SLOW_PAUSE);
        }
    }
    if matches!(request.upload, Upload::Chunks(_)) && extent == Extent::Whole {
        to.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}
