//! What the proxy listens on: for each address one socket per worker, or one that was passed to
//! this program and that all workers share.
//!
//! A new address is bound before anything of its plan takes effect, so that a plan with one that
//! can't be had changes nothing. The workers own the sockets; here is known only which ones there
//! are, so that those of a worker that failed are closed with it. A worker accepts all connections
//! that wait at a socket before it closes it; what it has accepted goes on.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::backends::Backends;
use super::mailbox::{Command, Mailboxes};
use super::settings::Listen;
use crate::endpoint::Endpoint;
use crate::reactor::descriptors::are_exhausted;
use crate::reactor::{Inherited, Listener, ListenerHandle};

/// How long workers are waited for that are to close sockets. None takes as long for a turn, even
/// on a machine that has twenty times more to do than it can.
const PATIENCE: Duration = Duration::from_secs(5);

/// An address that can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: {source}{}", advice(source, address))]
pub struct ListenError {
    /// The address as given.
    pub address: Endpoint,
    /// What the system said.
    pub source: io::Error,
}

fn advice(error: &io::Error, endpoint: &Endpoint) -> String {
    match (error.kind(), endpoint) {
        _ if are_exhausted(error) => "; file descriptors are used up, raise `ulimit -n`".to_owned(),
        (io::ErrorKind::AddrInUse, Endpoint::Tcp(address)) => {
            format!(
                "; is another proxy running there? Choose another port with --listen {}:PORT",
                address.ip()
            )
        }
        (io::ErrorKind::AddrInUse, Endpoint::Unix(_)) => {
            "; another program listens there: stop it, or choose another path".to_owned()
        }
        (io::ErrorKind::AlreadyExists, _) => "; remove it, or choose another path".to_owned(),
        (io::ErrorKind::PermissionDenied, Endpoint::Tcp(_)) => {
            "; ports below 1024 need a privilege, choose a higher one with --listen".to_owned()
        }
        (io::ErrorKind::PermissionDenied, Endpoint::Unix(_)) => {
            "; the proxy's user must be permitted to write to its folder, and to a socket that is \
             there already"
                .to_owned()
        }
        (io::ErrorKind::NotFound, _) => "; make its folder first".to_owned(),
        (io::ErrorKind::AddrNotAvailable, _) => {
            "; this host does not have that address, see --listen".to_owned()
        }
        _ => String::new(),
    }
}

/// Tells a listener from others, also from earlier ones at its address.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct ListenerId(u64);

/// A listener of one worker.
pub(super) type OwnListener = (ListenerId, Listener);

/// What a worker is to listen on from now on.
#[derive(Debug)]
pub(super) struct Listening {
    /// Its sockets that are new.
    pub(super) opened: Vec<OwnListener>,
    /// All that stay open.
    pub(super) all: Arc<[ListenerId]>,
    /// These are dropped when the worker has done this.
    pub(super) done: Vec<Sender<()>>,
}

impl Listening {
    /// The same, and what was to be done before and has not been begun: the sockets are kept,
    /// because clients may wait at them already.
    pub(super) fn after(mut self, earlier: Self) -> Self {
        self.opened.splice(..0, earlier.opened);
        self.done.extend(earlier.done);
        self
    }
}

/// What is known of an address that is listened on.
#[derive(Clone, Debug)]
struct Known {
    id: ListenerId,
    listen: Listen,
    /// The address, with the port that was chosen if 0 was asked for.
    endpoint: Endpoint,
    /// The first worker's socket; that of all workers over a Unix socket.
    handle: ListenerHandle,
}

impl Known {
    fn is_at_port(&self, port: u16) -> bool {
        matches!(self.endpoint, Endpoint::Tcp(address) if address.port() == port)
    }
}

/// All addresses that are listened on, in the order in which they are configured.
#[derive(Debug, Default)]
pub(super) struct ListenerTable {
    all: Vec<Known>,
    next: ListenerId,
    /// Sockets that are used where they have the address.
    inherited: Inherited,
}

/// What the proxy is to listen on, with new addresses bound already. If this is dropped, they are
/// closed, and nothing has changed.
#[derive(Debug)]
pub struct NewListeners {
    all: Vec<Known>,
    next: ListenerId,
    opened: Vec<(ListenerId, Vec<Listener>)>,
    closed: Vec<Known>,
    modes: Vec<NewMode>,
}

/// A new mode of a socket's file, which is taken back unless it is to stay.
#[derive(Debug)]
struct NewMode {
    listen: Listen,
    /// The file, and the mode before.
    before: Option<(ListenerHandle, u32)>,
}

impl Drop for NewMode {
    fn drop(&mut self) {
        if let Some((handle, mode)) = self.before.take() {
            // If the file is gone meanwhile, there is nothing to take back.
            let _ = handle.set_mode(mode);
        }
    }
}

/// How it changed what the proxy listens on.
#[derive(Debug)]
pub struct Relistened {
    /// The addresses that were opened.
    pub opened: Vec<Endpoint>,
    /// Those that are closed, or will be in a moment.
    pub closed: Vec<Endpoint>,
    /// Unix sockets whose files have another mode.
    pub adjusted: Vec<Listen>,
    done: Receiver<()>,
}

impl Relistened {
    /// Waits until the workers have closed their sockets. Until then a client may connect, and the
    /// address can't be bound again.
    pub fn wait(&self) {
        if !self.closed.is_empty() {
            // Nothing is sent; it ends with the last sender.
            let _ = self.done.recv_timeout(PATIENCE);
        }
    }
}

impl ListenerTable {
    /// None yet; these sockets will be used where they have the address.
    pub(super) fn new(inherited: Inherited) -> Self {
        Self { inherited, ..Self::default() }
    }

    /// Binds what is not listened on yet, for so many workers.
    ///
    /// # Errors
    /// The first address that can't be had.
    pub(super) fn bind(
        &self,
        listen: &[Listen],
        workers: usize,
    ) -> Result<NewListeners, ListenError> {
        let mut closed = self.all.clone();
        let mut kept: Vec<Option<Known>> =
            listen.iter().map(|new| take(&mut closed, |known| known.listen == *new)).collect();
        let mut modes = Vec::new();
        for (new, kept) in listen.iter().zip(&mut kept).filter(|(_, kept)| kept.is_none()) {
            let Some(known) = take(&mut closed, |known| known.listen.endpoint == new.endpoint)
            else {
                continue;
            };
            let before = Some((known.handle.clone(), known.listen.mode));
            *kept = Some(Known { listen: new.clone(), ..known });
            modes.push(NewMode { listen: new.clone(), before });
        }
        let (mut all, mut opened, mut next) = (Vec::new(), Vec::new(), self.next);
        for (new, kept) in listen.iter().zip(kept) {
            if let Some(known) = kept {
                all.push(known);
                continue;
            }
            let (known, sockets) = self.open(next, new, workers, &closed)?;
            all.push(known);
            opened.push((next, sockets));
            next = ListenerId(next.0 + 1);
        }
        for NewMode { listen, before } in &modes {
            let set = before.as_ref().map_or(Ok(()), |(handle, _)| handle.set_mode(listen.mode));
            set.map_err(|source| ListenError { address: listen.endpoint.clone(), source })?;
        }
        Ok(NewListeners { all, next, opened, closed, modes })
    }

    /// Binds an address. Its port may be that of a listener that is about to be closed, at an
    /// address that includes this one or is included in it.
    fn open(
        &self,
        id: ListenerId,
        listen: &Listen,
        workers: usize,
        closed: &[Known],
    ) -> Result<(Known, Vec<Listener>), ListenError> {
        let Listen { endpoint, mode } = listen;
        let is_own_port = |address: &std::net::SocketAddr| {
            closed.iter().any(|known| known.is_at_port(address.port()))
        };
        let failed = |source| ListenError { address: endpoint.clone(), source };
        let inherited = Listener::inherit_group(endpoint, workers, &self.inherited);
        let bound = match (inherited.map_err(failed)?, endpoint) {
            (Some(inherited), _) => Ok(inherited),
            (None, Endpoint::Tcp(address)) if is_own_port(address) => {
                Listener::bind_group_beside(*address, workers)
            }
            (None, _) => Listener::bind_group(endpoint, *mode, workers),
        };
        let sockets = bound.map_err(failed)?;
        let first = sockets.first().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let (endpoint, handle) = (first.endpoint().clone(), first.handle());
        Ok((Known { id, listen: listen.clone(), endpoint, handle }, sockets))
    }

    /// Listens on these; what is new for each worker.
    pub(super) fn take(&mut self, new: NewListeners, workers: usize) -> Vec<Vec<OwnListener>> {
        let NewListeners { all, next, opened, mut modes, .. } = new;
        (self.all, self.next) = (all, next);
        for mode in &mut modes {
            mode.before = None;
        }
        let mut own: Vec<Vec<OwnListener>> = (0..workers).map(|_| Vec::new()).collect();
        for (id, sockets) in opened {
            for (own, socket) in own.iter_mut().zip(sockets) {
                own.push((id, socket));
            }
        }
        own
    }

    /// The addresses, ports filled in where 0 was asked for.
    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        self.all.iter().map(|known| known.endpoint.clone()).collect()
    }
}

fn take(list: &mut Vec<Known>, is_wanted: impl Fn(&Known) -> bool) -> Option<Known> {
    list.iter().position(is_wanted).map(|place| list.remove(place))
}

impl Backends {
    /// Binds what this proxy is to listen on and does not yet.
    ///
    /// # Errors
    /// The first address that can't be had.
    pub fn bind(&self, listen: &[Listen]) -> Result<NewListeners, ListenError> {
        self.listeners.bind(listen, self.mailboxes.len())
    }

    /// Has the workers listen on these, and on nothing else.
    pub fn listen(&mut self, new: NewListeners) -> Relistened {
        let endpoint = |known: &Known| known.endpoint.clone();
        let of_new = |known: &&Known| new.opened.iter().any(|(id, _)| *id == known.id);
        let opened: Vec<Endpoint> = new.all.iter().filter(of_new).map(endpoint).collect();
        let closed: Vec<Endpoint> = new.closed.iter().map(endpoint).collect();
        let adjusted = new.modes.iter().map(|mode| mode.listen.clone()).collect();
        let (sender, done) = channel();
        let own = self.listeners.take(new, self.mailboxes.len());
        if !opened.is_empty() || !closed.is_empty() {
            let all: Arc<[ListenerId]> = self.listeners.all.iter().map(|known| known.id).collect();
            send(&self.mailboxes, own, &all, &sender);
        }
        Relistened { opened, closed, adjusted, done }
    }
}

fn send(
    mailboxes: &Mailboxes,
    own: Vec<Vec<OwnListener>>,
    all: &Arc<[ListenerId]>,
    done: &Sender<()>,
) {
    for (worker, opened) in own.into_iter().enumerate() {
        let listening = Listening { opened, all: Arc::clone(all), done: vec![done.clone()] };
        // One that has ended listens on nothing any more.
        let _ = mailboxes.send(worker, Command::Listen(listening));
    }
}
