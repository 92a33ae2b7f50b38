//! The dashboard as a server: a thread that reads the log, and a thread for each answer.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::answer::{self, Wish};
use super::board::Board;
use super::reader;
use super::seats::Seats;
use super::source::Source;
use crate::health::reachable;

/// How many browsers get a stream; further ones are told to ask again and again.
pub const STREAMS_MAX: usize = 32;

/// How many answers are under way at once.
const ANSWERS_MAX: usize = 64;

/// How long a browser may leave what it was sent unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection can be left without a thread; see [`Dashboard::knock`].
const KNOCK_EVERY: Duration = Duration::from_millis(250);

/// How much of a log that is there is read: some minutes of a busy proxy, in a moment.
const BACKLOG_BYTES: u64 = 32 << 20;

/// What the dashboard shows and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// A log, or a folder of which the newest log is followed. It need not exist yet.
    pub log: PathBuf,
    /// Whether a log that is there is read whole, rather than its last 32 MiB.
    pub from_start: bool,
}

/// A dashboard that listens.
pub struct Dashboard {
    server: tiny_http::Server,
    address: SocketAddr,
    board: Arc<Board>,
    answers: Seats,
    streams: Seats,
}

impl Dashboard {
    /// Listens, and begins to read the log.
    ///
    /// # Errors
    /// When the address cannot be listened on, or there are no threads to be had.
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen)?;
        // Accepted connections inherit this. A timeout for reading would end those that are idle.
        SockRef::from(&listener).set_write_timeout(Some(WRITE_TIMEOUT))?;
        let address = listener.local_addr()?;
        let backlog_bytes = (!options.from_start).then_some(BACKLOG_BYTES);
        let source = Source::new(options.log, backlog_bytes);
        let board = Arc::new(Board::new(&source));
        let reading = Arc::clone(&board);
        let reader = thread::Builder::new().name("reader".to_owned());
        reader.spawn(move || reader::run(source, &reading))?;
        let server = tiny_http::Server::from_listener(listener, None).map_err(io::Error::other)?;
        let (answers, streams) = (Seats::new(ANSWERS_MAX), Seats::new(STREAMS_MAX));
        Ok(Self { server, address, board, answers, streams })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until connections can no longer be accepted, and tells why.
    #[must_use]
    pub fn run(self) -> io::Error {
        loop {
            match self.server.recv_timeout(KNOCK_EVERY) {
                Ok(Some(request)) => self.admit(request),
                Ok(None) => {}
                Err(error) => return error,
            }
            self.knock();
        }
    }

    /// Connects to ourselves and hangs up.
    ///
    /// `tiny_http` gives a connection to a thread that waits for one. If two come before that
    /// thread has woken, the second is left until any thread is done with another connection,
    /// which a browser keeps open for minutes. This one is done at once, and its thread takes the
    /// one that was left.
    fn knock(&self) {
        // If it fails, then for a reason that the next real connection meets as well.
        let _ = TcpStream::connect_timeout(&reachable(self.address), KNOCK_EVERY);
    }

    /// Answers on a thread of its own: a browser that does not read must not hold up the others.
    fn admit(&self, request: tiny_http::Request) {
        let wish = Wish::of(&request);
        let board = Arc::clone(&self.board);
        let thread = thread::Builder::new().name("answer".to_owned());
        // Without a thread the request is dropped, which answers it with 500.
        let _ = match wish {
            Wish::Stream(window) if answer::takes_streams(&request) => match self.streams.take() {
                Some(seat) => {
                    thread.spawn(move || answer::stream(request, window, &board, seat)).map(drop)
                }
                None => self.answer(thread, request, wish),
            },
            wish => self.answer(thread, request, wish),
        };
    }

    fn answer(
        &self,
        thread: thread::Builder,
        request: tiny_http::Request,
        wish: Wish,
    ) -> io::Result<()> {
        let Some(seat) = self.answers.take() else { return Ok(()) };
        let board = Arc::clone(&self.board);
        let answer = move || {
            // A browser that is gone needs no answer.
            let _ = answer::answer(request, &wish, &board);
            drop(seat);
        };
        thread.spawn(answer).map(drop)
    }
}
