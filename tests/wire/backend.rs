//! A backend that keeps every byte it receives and answers by a script.
//!
//! It reads requests with the strict parser, for a backend that understands them otherwise than
//! the proxy is what smuggling lives on.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use socket2::{Domain, SockRef, Socket, Type};

use crate::script::Step;
use crate::strict::requests;
use crate::support::clock::pause;
use crate::wire::{self, Pace};

const DEFAULT_REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The answer to an invalid request, which no script foresees.
const INVALID: &[u8] = b"HTTP/1.1 400 Invalid\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What is done with a connection that was accepted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Door {
    #[default]
    Open,
    Close,
    Reset,
}

/// A connection in the present case.
struct Connection {
    id: u64,
    /// `None` once it was left to its thread to end it.
    stream: Option<Arc<TcpStream>>,
    received: Vec<u8>,
    /// Requests answered, and whether the one after them was told to continue.
    answered: usize,
    continued: bool,
}

#[derive(Default)]
struct State {
    replies: Vec<Vec<Step>>,
    pace: Pace,
    door: Door,
    /// Requests answered on all connections.
    served: usize,
    connections: Vec<Connection>,
    last_id: u64,
}

impl State {
    fn connection(&mut self, id: u64) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id == id)
    }
}

/// See the module's description.
pub struct Backend {
    address: SocketAddr,
    /// Keeps the port while nobody listens on it.
    _reservation: Socket,
    listener: Option<TcpListener>,
    state: Arc<Mutex<State>>,
}

impl Backend {
    /// At a port that the system chooses.
    pub fn open() -> Self {
        Self::open_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    pub fn open_at(address: SocketAddr) -> Self {
        let reservation = bound(address);
        let address = reservation.local_addr().unwrap().as_socket().unwrap();
        let state = Arc::default();
        let mut backend = Self { address, _reservation: reservation, listener: None, state };
        backend.listen();
        backend
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts a case. Connections that are open are part of it from now on, unless it is about how
    /// connections are made.
    pub fn begin(&mut self, replies: &[Vec<Step>], pace: Pace) {
        let opens_with = |step| replies.first().is_some_and(|reply| reply.contains(&step));
        let door = match () {
            () if opens_with(Step::AcceptClose) => Door::Close,
            () if opens_with(Step::AcceptReset) => Door::Reset,
            () => Door::Open,
        };
        if door != Door::Open || opens_with(Step::Refuse) {
            self.end();
        }
        let mut state = self.state.lock().unwrap();
        state.door = door;
        (state.replies, state.pace, state.served) = (replies.to_vec(), pace, 0);
        for connection in &mut state.connections {
            connection.received.clear();
            (connection.answered, connection.continued) = (0, false);
        }
        drop(state);
        if opens_with(Step::Refuse) {
            self.deafen();
        }
    }

    /// What was received in this case, by connection.
    pub fn received(&self) -> Vec<Vec<u8>> {
        let state = self.state.lock().unwrap();
        state.connections.iter().map(|connection| connection.received.clone()).collect()
    }

    /// Ends the case and all its connections.
    pub fn end(&mut self) {
        let mut state = self.state.lock().unwrap();
        state.door = Door::Open;
        for stream in state.connections.drain(..).filter_map(|connection| connection.stream) {
            // It may have ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        if self.listener.is_none() {
            self.listen();
        }
    }

    fn listen(&mut self) {
        const BACKLOG: i32 = 128;
        let socket = bound(self.address);
        socket.listen(BACKLOG).unwrap();
        let listener = TcpListener::from(socket);
        let (doorman, state) = (listener.try_clone().unwrap(), Arc::clone(&self.state));
        thread::spawn(move || {
            while let Ok((stream, _)) = doorman.accept() {
                admit(stream, &state);
            }
        });
        self.listener = Some(listener);
    }

    fn deafen(&mut self) {
        if let Some(listener) = self.listener.take() {
            SockRef::from(&listener).shutdown(Shutdown::Both).unwrap();
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.end();
        self.deafen();
    }
}

/// A socket with an address that other sockets of these tests may have as well.
fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

fn admit(stream: TcpStream, state: &Arc<Mutex<State>>) {
    let mut guard = state.lock().unwrap();
    match guard.door {
        Door::Close => return,
        Door::Reset => return wire::reset_on_drop(&stream),
        Door::Open => {}
    }
    stream.set_nodelay(true).unwrap();
    guard.last_id += 1;
    let (id, stream) = (guard.last_id, Arc::new(stream));
    guard.connections.push(Connection {
        id,
        stream: Some(Arc::clone(&stream)),
        received: Vec::new(),
        answered: 0,
        continued: false,
    });
    let server = Server { id, stream, state: Arc::clone(state) };
    thread::spawn(move || server.serve());
}

/// What to do next on a connection.
enum Turn {
    Read,
    Continue,
    Refuse,
    Reply(Vec<Step>),
    /// The case that the connection was part of is over.
    Leave,
}

/// The thread of one connection.
struct Server {
    id: u64,
    stream: Arc<TcpStream>,
    state: Arc<Mutex<State>>,
}

impl Server {
    fn serve(self) {
        // The proxy may end a connection whenever it likes; what counts is what was received.
        let _ = self.converse();
        if let Some(connection) = self.state.lock().unwrap().connection(self.id) {
            connection.stream = None;
        }
    }

    fn converse(&self) -> io::Result<()> {
        loop {
            let goes_on = match self.turn() {
                Turn::Read => !self.read()?.is_empty(),
                Turn::Continue => {
                    self.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                    true
                }
                Turn::Refuse => {
                    self.send(INVALID)?;
                    self.stream.shutdown(Shutdown::Write)?;
                    while !self.read()?.is_empty() {}
                    false
                }
                Turn::Reply(steps) => self.reply(&steps)?,
                Turn::Leave => false,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let pace = self.state.lock().unwrap().pace;
        wire::send(&self.stream, bytes, pace)
    }

    /// Reads once and keeps it; nothing is the end of the stream.
    fn read(&self) -> io::Result<Vec<u8>> {
        let mut block = [0; 16 * 1024];
        let count = self.stream.as_ref().read(&mut block)?;
        if let Some(connection) = self.state.lock().unwrap().connection(self.id) {
            connection.received.extend(&block[..count]);
        }
        Ok(block[..count].to_vec())
    }

    /// Finds the first request that was not answered, and what it calls for.
    fn turn(&self) -> Turn {
        let mut state = self.state.lock().unwrap();
        let served = state.served;
        let mut steps = state.replies.get(served).cloned().unwrap_or_default();
        let Some(connection) = state.connection(self.id) else { return Turn::Leave };
        let received = requests(&connection.received);
        let Some(request) = received.get(connection.answered) else { return Turn::Read };
        if !request.faults.is_empty() {
            return Turn::Refuse;
        }
        let is_eager = request.has_head && steps.first() == Some(&Step::OnHead);
        if !request.is_whole && !is_eager {
            let expects =
                request.values("expect").iter().any(|v| v.eq_ignore_ascii_case(b"100-continue"));
            if expects && !connection.continued {
                connection.continued = true;
                return Turn::Continue;
            }
            return Turn::Read;
        }
        if steps.iter().all(|step| *step == Step::OnHead) {
            let body = if request.method == b"HEAD" { 2 } else { 0 };
            steps.push(Step::Send(DEFAULT_REPLY[..DEFAULT_REPLY.len() - body].to_vec()));
        }
        connection.answered += 1;
        connection.continued = false;
        state.served += 1;
        Turn::Reply(steps)
    }

    /// Plays a reply; whether the connection goes on.
    fn reply(&self, steps: &[Step]) -> io::Result<bool> {
        for step in steps {
            match step {
                Step::Send(bytes) => self.send(bytes)?,
                Step::Pause(duration) => pause(*duration),
                Step::Drip(bytes, interval) => wire::drip(&self.stream, bytes, *interval)?,
                Step::Finish => self.stream.shutdown(Shutdown::Write)?,
                Step::Close => {
                    self.stream.shutdown(Shutdown::Both)?;
                    return Ok(false);
                }
                Step::Reset => {
                    wire::reset_on_drop(&self.stream);
                    return Ok(false);
                }
                Step::Echo => loop {
                    let block = self.read()?;
                    if block.is_empty() {
                        return Ok(false);
                    }
                    self.stream.as_ref().write_all(&block)?;
                },
                Step::OnHead | Step::Hold => {}
                other => panic!("no backend can {other:?}"),
            }
        }
        Ok(true)
    }
}
