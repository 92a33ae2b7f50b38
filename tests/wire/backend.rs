//! A backend that keeps every byte it receives and answers by a script.
//!
//! It parses requests with the strict parser, because smuggling needs a backend that interprets
//! them differently from the proxy.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use socket2::{Domain, SockRef, Socket, Type};

use crate::conversation::{CONTINUE, Conversation, INVALID, Listening, Turn};
use crate::script::Step;
use crate::wire::{self, Pace};
use support::clock::pause;

/// A connection of the current case.
struct Connection {
    id: u64,
    /// `None` once its thread has ended it.
    stream: Option<Arc<TcpStream>>,
    received: Vec<u8>,
    conversation: Conversation,
}

#[derive(Default)]
struct State {
    replies: Vec<Vec<Step>>,
    pace: Pace,
    listening: Listening,
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
    /// Keeps the port while there is no listener.
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

    /// Starts a case. Open connections belong to it from now on, unless it is about how connections
    /// are made.
    pub fn begin(&mut self, replies: &[Vec<Step>], pace: Pace) {
        let listening = Listening::of(replies);
        if listening != Listening::Accepts {
            self.end();
        }
        let mut state = self.state.lock().unwrap();
        state.listening = listening;
        (state.replies, state.pace, state.served) = (replies.to_vec(), pace, 0);
        for connection in &mut state.connections {
            connection.received.clear();
            connection.conversation = Conversation::default();
        }
        drop(state);
        if listening == Listening::Refuses {
            self.stop_listening();
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
        state.listening = Listening::Accepts;
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
        let (acceptor, state) = (listener.try_clone().unwrap(), Arc::clone(&self.state));
        thread::spawn(move || {
            while let Ok((stream, _)) = acceptor.accept() {
                admit(stream, &state);
            }
        });
        self.listener = Some(listener);
    }

    fn stop_listening(&mut self) {
        if let Some(listener) = self.listener.take() {
            SockRef::from(&listener).shutdown(Shutdown::Both).unwrap();
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.end();
        self.stop_listening();
    }
}

/// A socket whose address other sockets of these tests may share.
fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

fn admit(stream: TcpStream, state: &Arc<Mutex<State>>) {
    let mut guard = state.lock().unwrap();
    match guard.listening {
        Listening::Closes => return,
        Listening::Resets => return wire::reset_on_drop(&stream),
        Listening::Accepts | Listening::Refuses => {}
    }
    stream.set_nodelay(true).unwrap();
    guard.last_id += 1;
    let (id, stream) = (guard.last_id, Arc::new(stream));
    guard.connections.push(Connection {
        id,
        stream: Some(Arc::clone(&stream)),
        received: Vec::new(),
        conversation: Conversation::default(),
    });
    let server = Server { id, stream, state: Arc::clone(state) };
    thread::spawn(move || server.serve());
}

/// The thread of one connection.
struct Server {
    id: u64,
    stream: Arc<TcpStream>,
    state: Arc<Mutex<State>>,
}

impl Server {
    fn serve(self) {
        // The proxy may end a connection at any time; only what was received counts.
        let _ = self.converse();
        if let Some(connection) = self.state.lock().unwrap().connection(self.id) {
            connection.stream = None;
        }
    }

    fn converse(&self) -> io::Result<()> {
        loop {
            // The case of this connection may be over.
            let Some(turn) = self.turn() else { return Ok(()) };
            let goes_on = match turn {
                Turn::Read => !self.read()?.is_empty(),
                Turn::Continue => {
                    self.send(CONTINUE)?;
                    true
                }
                Turn::Refuse => {
                    self.send(INVALID)?;
                    self.stream.shutdown(Shutdown::Write)?;
                    while !self.read()?.is_empty() {}
                    false
                }
                Turn::Reply(steps) => self.reply(&steps)?,
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

    /// Reads once and keeps the bytes; none is the end of the stream.
    fn read(&self) -> io::Result<Vec<u8>> {
        let mut block = [0; 16 * 1024];
        let count = self.stream.as_ref().read(&mut block)?;
        if let Some(connection) = self.state.lock().unwrap().connection(self.id) {
            connection.received.extend(&block[..count]);
        }
        Ok(block[..count].to_vec())
    }

    fn turn(&self) -> Option<Turn> {
        let mut guard = self.state.lock().unwrap();
        let State { replies, served, connections, .. } = &mut *guard;
        let connection = connections.iter_mut().find(|connection| connection.id == self.id)?;
        Some(connection.conversation.turn(&connection.received, replies, served))
    }

    /// Plays a reply; returns whether the connection continues.
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
                other => panic!("a backend can't do {other:?}"),
            }
        }
        Ok(true)
    }
}
