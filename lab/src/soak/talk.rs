//! One client's connection: sends requests, reads answers, and plays its part.
//!
//! Errors of writing are left to be found by reading: a proxy that refuses an upload answers before
//! it closes, and what counts is what the client sees.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use fastrand::Rng;
use socket2::SockRef;

use super::clock::{Clock, pause};
use super::judge::{Claim, Seen};
use super::kind::Kind;
use super::message::{Body, Head, Messages, NoMore};
use super::order::{Delimiter, Manner, Order};
use super::pattern::{Pattern, Token, Way};
use super::request::{Request, Upload, Wish, malformed};

/// Longer than any timeout of the proxies, and than anything they try one after the other.
const PATIENCE: Duration = Duration::from_secs(45);

/// Bytes of a body that are written, and read, at once.
const PIECE_BYTES: usize = 16 * 1024;

/// The pause between two drips.
const DRIP_PAUSE: Duration = Duration::from_millis(4);

/// Drips of a head are this long at most, and a body has at most so many.
const HEAD_DRIP_BYTES: usize = 24;
const BODY_DRIPS: u64 = 12;

/// What is wrong with an answer that has more behind it.
const SURPLUS: &str = "was answered with more than one answer";

/// How much of a request is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Extent {
    Whole,
    /// The head and about a half of the body.
    Half,
}

/// A connection to a proxy.
pub(super) struct Talk<'a> {
    messages: Messages<TcpStream>,
    proxy: usize,
    clock: Clock,
    rng: &'a mut Rng,
    claims: &'a mut Vec<Claim>,
}

impl<'a> Talk<'a> {
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

    /// Plays `kind`, with a token for each request.
    pub(super) fn play(mut self, kind: Kind, mut tokens: impl Iterator<Item = Token>) {
        match kind {
            Kind::Pipelined => self.pipeline(tokens),
            Kind::Malformed => tokens.next().map_or((), |token| self.refused(token)),
            Kind::LeftInRequest => tokens.next().map_or((), |token| self.leave_request(token)),
            _ => {
                for token in tokens {
                    let request = Request::random(kind, token, self.rng);
                    if !self.ask(&request) {
                        return;
                    }
                }
            }
        }
    }

    /// Sends one request and reads its answer; whether another may follow.
    fn ask(&mut self, request: &Request) -> bool {
        let from = self.clock.elapsed();
        let is_half = matches!(request.kind, Kind::Incomplete | Kind::Early);
        let extent = if is_half { Extent::Half } else { Extent::Whole };
        let sent = self.send(request, extent);
        if matches!(request.kind, Kind::HalfClosed | Kind::Incomplete) {
            // If it is gone already, there is nothing left to end.
            let _ = self.messages.stream().shutdown(Shutdown::Write);
        }
        let (mut seen, keeps) = self.receive(request);
        let is_answered = matches!(seen, Seen::Answer(_));
        if is_answered && request.kind == Kind::Close && (keeps || !self.messages.is_over()) {
            seen = Seen::Wrong("is not the last on a connection that was to end".to_owned());
        } else if is_answered && !self.messages.is_drained() {
            seen = Seen::Wrong(SURPLUS.to_owned());
        }
        let is_left = matches!(seen, Seen::Left { .. });
        self.tell(request, seen, from);
        if is_left {
            self.reset();
        }
        keeps && sent.is_ok() && extent == Extent::Whole
    }

    fn tell(&mut self, request: &Request, seen: Seen, from: Duration) {
        self.claims.push(Claim {
            token: request.token(),
            proxy: self.proxy,
            kind: request.kind,
            can_be_resent: request.can_be_resent(),
            wish: request.wish,
            seen,
            from,
            to: self.clock.elapsed(),
        });
    }

    /// Has the connection end by a reset.
    fn reset(&mut self) {
        // If that fails the connection ends in order, which is as good a way to leave.
        let _ = SockRef::from(self.messages.stream()).set_linger(Some(Duration::ZERO));
    }

    /// Sends some requests at once, then reads their answers.
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
                if is_last && matches!(seen, Seen::Answer(_)) && !self.messages.is_drained() {
                    seen = Seen::Wrong(SURPLUS.to_owned());
                }
            }
            self.tell(request, seen, from);
        }
    }

    /// Sends what must be refused.
    fn refused(&mut self, token: Token) {
        let (manner, delimiter) = (Manner::Plain, Delimiter::Length);
        let order = Order { token, manner, delimiter, down_bytes: 0 };
        let (bytes, status) = malformed(order, self.rng);
        let (kind, upload) = (Kind::Malformed, Upload::None);
        let wish = Wish::Answer(status);
        let request = Request { kind, method: "GET", order, upload, wish };
        let from = self.clock.elapsed();
        let _ = self.messages.stream().write_all(&bytes);
        let (mut seen, _) = self.receive(&request);
        if seen == Seen::Answer(status) && !self.messages.is_over() {
            seen = Seen::Wrong("was refused, and its connection went on".to_owned());
        }
        self.tell(&request, seen, from);
    }

    /// Leaves before the request is whole, one way or the other.
    fn leave_request(&mut self, token: Token) {
        let request = Request::random(Kind::LeftInRequest, token, self.rng);
        let from = self.clock.elapsed();
        let _ = self.send(&request, Extent::Half);
        // Whoever was asked to go on was heard, and so is who leaves in order.
        let was_asked = request.awaits_continue()
            && self.messages.head().is_ok_and(|head| head.word(1) == "100");
        let resets = self.rng.bool();
        if resets {
            self.reset();
        }
        self.tell(&request, Seen::Left { noticed: was_asked || !resets }, from);
    }

    /// Sends a request, or half of it; a body that must be asked for comes later.
    fn send(&mut self, request: &Request, extent: Extent) -> io::Result<()> {
        let mut stream = self.messages.stream();
        let mut head = request.head().into_bytes();
        if request.kind == Kind::Slow {
            for piece in head.chunks(1 + self.rng.usize(..HEAD_DRIP_BYTES)) {
                stream.write_all(piece)?;
                pause(DRIP_PAUSE);
            }
            head.clear();
        }
        if request.awaits_continue() {
            return stream.write_all(&head);
        }
        // A small body goes out with its head, as most clients have it.
        let is_small = request.upload.bytes() <= PIECE_BYTES as u64;
        if is_small && extent == Extent::Whole && request.kind != Kind::Slow {
            write_body(&mut head, request, extent, self.rng)?;
            return stream.write_all(&head);
        }
        stream.write_all(&head)?;
        write_body(&mut stream, request, extent, self.rng)
    }

    /// Reads and checks an answer: what was seen, and whether another may come behind it.
    fn receive(&mut self, request: &Request) -> (Seen, bool) {
        let head = loop {
            match self.messages.head() {
                Ok(head) if head.word(1) == "100" && request.kind == Kind::Continue => {
                    let mut stream = self.messages.stream();
                    let _ = write_body(&mut stream, request, Extent::Whole, self.rng);
                }
                Ok(head) => break head,
                Err(why) => return (seen_nothing(why), false),
            }
        };
        match self.read_body(request, &head) {
            Ok(seen) => {
                let keeps = !head.closes() && matches!(seen, Seen::Answer(_));
                (seen, keeps)
            }
            Err(why) => (seen_nothing(why), false),
        }
    }

    fn read_body(&mut self, request: &Request, head: &Head) -> Result<Seen, NoMore> {
        let is_backends = match is_backends(request, head) {
            Ok(is_backends) => is_backends,
            Err(why) => return Ok(Seen::Wrong(why)),
        };
        let mut body = head.body(Body::UntilClose)?;
        if request.method == "HEAD" {
            body = Body::Over;
        }
        let down_bytes = request.order.down_bytes;
        let stays_for = match request.kind {
            Kind::LeftInResponse => self.rng.u64(..down_bytes),
            _ => u64::MAX,
        };
        let is_slow = request.kind == Kind::Slow;
        let mut pattern = Pattern::new(request.token(), Way::Down);
        while let Some(piece) = self.messages.piece(&mut body, PIECE_BYTES)? {
            if is_backends && !pattern.matches(piece) {
                return Ok(Seen::Wrong(format!("byte {} of its answer is wrong", pattern.at())));
            }
            if pattern.at() > stays_for {
                return Ok(Seen::Left { noticed: true });
            }
            if is_slow {
                pause(DRIP_PAUSE);
            }
        }
        if is_backends && request.method != "HEAD" && pattern.at() != down_bytes {
            let count = pattern.at();
            let order = request.order;
            return Ok(Seen::Wrong(format!("got {count} bytes as a whole answer to {order}")));
        }
        Ok(head.word(1).parse().map_or_else(|_| bad_status(head), Seen::Answer))
    }
}

fn bad_status(head: &Head) -> Seen {
    Seen::Wrong(format!("was answered {:?}", head.start_line()))
}

/// Whether an answer comes from a backend, and then is this request's; else it is the proxy's own.
fn is_backends(request: &Request, head: &Head) -> Result<bool, String> {
    let status = head.word(1);
    let Some(token) = head.field("X-Token") else {
        // The proxy by itself only ever refuses.
        let is_refusal = ["400", "405", "414", "431", "501", "502", "503", "504", "505"];
        if is_refusal.contains(&status) {
            return Ok(false);
        }
        return Err(format!("was answered {:?} without a token", head.start_line()));
    };
    if token != request.token().to_string() {
        return Err(format!("got the answer of request {token}"));
    }
    let wanted = if request.order.manner == Manner::Early { 0 } else { request.upload.bytes() };
    let received = head.field("X-Received").unwrap_or_default();
    if received != wanted.to_string() {
        return Err(format!("had {wanted} bytes, of which {received:?} arrived"));
    }
    if status != request.order.status().to_string() {
        return Err(format!("was answered {status}"));
    }
    Ok(true)
}

fn seen_nothing(why: NoMore) -> Seen {
    match why {
        NoMore::Over | NoMore::Torn => Seen::Broken,
        NoMore::Silent => Seen::Wrong(format!("has no answer after {PATIENCE:?}")),
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
    let mut pattern = Pattern::new(request.token(), Way::Up);
    let is_slow = request.kind == Kind::Slow;
    let drip = usize::try_from(whole / BODY_DRIPS + 1).unwrap_or(PIECE_BYTES);
    let most = if is_slow { PIECE_BYTES.min(drip) } else { PIECE_BYTES };
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
            pause(DRIP_PAUSE);
        }
    }
    if matches!(request.upload, Upload::Chunks(_)) && extent == Extent::Whole {
        to.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}
