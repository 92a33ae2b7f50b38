//! Commands to workers: one mailbox and one waker each.
//!
//! The owner of the backends and other workers leave a [`Command`] in a worker's mailbox and wake
//! it. An empty mailbox costs the worker one relaxed load per turn. Of each kind of command but
//! clients only the last one is kept, so a mailbox holds no more than a worker's share of clients
//! and one command of each other kind, however long it is not emptied. One to listen keeps the
//! sockets of those before it.
//! What is sent before a worker runs waits for it; one that ended takes nothing.

use std::mem::discriminant;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::decisions::Explained;
use super::listeners::Listening;
use super::queue::Wake;
use super::settings::Settings;
use crate::balance::{BackendId, Roster};
use crate::endpoint::Client;
use crate::reactor::{Transport, Waker};

/// An accepted client that no worker watches yet.
pub(super) type Newcomer = (Transport, Client);

/// What a worker is to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Stop accepting after the shutdown delay, and end when what is in flight has ended.
    Drain,
    /// Run by these settings from now on.
    Settings(Arc<Settings>),
    /// Choose from this roster from now on.
    Roster(Arc<Roster>),
    /// Listen on these addresses from now on.
    Listen(Listening),
    /// Close the idle connections to addresses that their backends do not have any more.
    Moved,
    /// End what is in flight at these backends: it has had its time.
    Cut(Vec<BackendId>),
    /// Give a connection slot and a descriptor back, because another worker lacks one.
    Capacity,
    /// Tell so many of the last choices.
    Explain(usize, Sender<Vec<Explained>>),
    /// Serve this client, which another worker accepted. It is counted as this worker's already.
    Client(Newcomer),
}

impl Command {
    /// What is to be done of two commands of a kind, of which the earlier one was not taken.
    fn after(self, earlier: Self) -> Self {
        match (self, earlier) {
            (Self::Listen(now), Self::Listen(earlier)) => Self::Listen(now.after(earlier)),
            (now, _) => now,
        }
    }
}

/// The mailboxes of all workers, by their numbers.
#[derive(Debug)]
pub(super) struct Mailboxes(Box<[Mailbox]>);

#[derive(Debug)]
struct Mailbox {
    /// Whether there are commands, so that the worker need not lock to see that there are none.
    is_filled: AtomicBool,
    content: Mutex<Content>,
    waker: Waker,
}

#[derive(Debug)]
struct Content {
    accepts: Accepts,
    commands: Vec<Command>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Accepts {
    All,
    /// The worker drains.
    AllButClients,
    /// The worker ended.
    Nothing,
}

impl Mailboxes {
    /// One mailbox for each waker.
    pub(super) fn new(wakers: impl IntoIterator<Item = Waker>) -> Self {
        let mailbox = |waker| Mailbox {
            is_filled: AtomicBool::new(false),
            content: Mutex::new(Content { accepts: Accepts::All, commands: Vec::new() }),
            waker,
        };
        Self(wakers.into_iter().map(mailbox).collect())
    }

    /// The number of workers.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Leaves a command for a worker; one that the worker does not take any more comes back.
    pub(super) fn send(&self, worker: usize, command: Command) -> Result<(), Command> {
        self.0[worker].put(command)
    }

    /// Leaves a command for each worker that has not ended.
    pub(super) fn send_all(&self, command: impl Fn() -> Command) {
        self.send_others(self.len(), command);
    }

    /// Leaves a command for each worker but `worker` that has not ended.
    pub(super) fn send_others(&self, worker: usize, command: impl Fn() -> Command) {
        for (_, mailbox) in self.0.iter().enumerate().filter(|(other, _)| *other != worker) {
            // One that ended has nothing left to do.
            let _ = mailbox.put(command());
        }
    }

    /// Whether there are commands for a worker.
    pub(super) fn has_commands(&self, worker: usize) -> bool {
        self.0[worker].is_filled.load(Ordering::Relaxed)
    }

    /// Takes the commands for a worker, in the order in which they were sent.
    pub(super) fn take(&self, worker: usize) -> Vec<Command> {
        self.0[worker].take(|_| {})
    }

    /// As [`Mailboxes::take`], and the worker takes no clients any more.
    pub(super) fn refuse_clients(&self, worker: usize) -> Vec<Command> {
        self.0[worker].take(|content| content.accepts = Accepts::AllButClients)
    }

    /// The worker has ended and takes nothing any more.
    pub(super) fn close(&self, worker: usize) {
        drop(self.0[worker].take(|content| content.accepts = Accepts::Nothing));
    }
}

impl Wake for Mailboxes {
    /// A worker looks for calls from the queue in each turn, so it needs no command.
    fn wake(&self, worker: usize) {
        // As above.
        let _ = self.0[worker].waker.wake();
    }
}

impl Mailbox {
    fn put(&self, mut command: Command) -> Result<(), Command> {
        let mut content = self.lock();
        let is_client = matches!(command, Command::Client(_));
        match content.accepts {
            Accepts::All => {}
            Accepts::AllButClients if !is_client => {}
            Accepts::AllButClients | Accepts::Nothing => return Err(command),
        }
        if !is_client {
            let kind = discriminant(&command);
            let earlier = content.commands.extract_if(.., |earlier| discriminant(earlier) == kind);
            command = earlier.fold(command, Command::after);
        }
        content.commands.push(command);
        self.is_filled.store(true, Ordering::Relaxed);
        // An eventfd that refuses its one write leaves the command to the next event.
        let _ = self.waker.wake();
        Ok(())
    }

    fn take(&self, change: impl FnOnce(&mut Content)) -> Vec<Command> {
        let mut content = self.lock();
        change(&mut content);
        self.is_filled.store(false, Ordering::Relaxed);
        std::mem::take(&mut content.commands)
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::proxy::listeners::ListenerId;
    use crate::reactor::{Event, Listener, Poller};
    use std::sync::mpsc::TryRecvError;
    use std::thread;

    /// Mailboxes of so many workers whose loops nobody turns.
    pub(in crate::proxy) fn mailboxes(workers: usize) -> Mailboxes {
        Mailboxes::new((0..workers).map(|_| Poller::new(1).expect("a poller").waker()))
    }

    pub(in crate::proxy) fn newcomer() -> Newcomer {
        let any = "127.0.0.1:0".parse().expect("an address");
        let mut listener = Listener::bind(&any).expect("a listener");
        let address = listener.endpoint().to_string();
        let _peer = std::net::TcpStream::connect(address).expect("a connection");
        // The handshake may end a moment after the connection is there for its peer.
        loop {
            if let Some(newcomer) = listener.accept().expect("no failure") {
                return newcomer;
            }
        }
    }

    /// The commands for a worker, in short.
    fn taken(mailboxes: &Mailboxes, worker: usize) -> String {
        let short = |command: &Command| match command {
            Command::Drain => 'd',
            Command::Settings(_) => 's',
            Command::Roster(_) => 'r',
            Command::Listen(_) => 'l',
            Command::Moved => 'm',
            Command::Cut(_) => 'x',
            Command::Capacity => 'c',
            Command::Explain(..) => 'e',
            Command::Client(_) => 'n',
        };
        mailboxes.take(worker).iter().map(short).collect()
    }

    #[test]
    fn commands_come_in_their_order_and_each_once() {
        let mailboxes = mailboxes(2);
        assert!(!mailboxes.has_commands(0));
        mailboxes.send(0, Command::Client(newcomer())).expect("taken");
        mailboxes.send(0, Command::Drain).expect("taken");
        mailboxes.send(0, Command::Client(newcomer())).expect("taken");
        assert_eq!((mailboxes.has_commands(0), mailboxes.has_commands(1)), (true, false));
        assert_eq!(taken(&mailboxes, 0), "ndn");
        assert!(!mailboxes.has_commands(0));
        assert_eq!(taken(&mailboxes, 0), "");
    }

    #[test]
    fn of_each_kind_but_clients_the_last_one_is_kept() {
        let mailboxes = mailboxes(1);
        for _ in 0..1000 {
            mailboxes.send(0, Command::Drain).expect("taken");
            mailboxes.send_all(|| Command::Capacity);
        }
        mailboxes.send(0, Command::Client(newcomer())).expect("taken");
        mailboxes.send(0, Command::Client(newcomer())).expect("taken");
        mailboxes.send(0, Command::Drain).expect("taken");
        assert_eq!(taken(&mailboxes, 0), "cnnd");
    }

    #[test]
    fn sockets_to_listen_at_are_kept_although_only_the_last_command_is() {
        let mailboxes = mailboxes(1);
        let any = "127.0.0.1:0".parse().expect("an address");
        let (sender, done) = std::sync::mpsc::channel();
        for _ in 0..3 {
            let socket = (ListenerId::default(), Listener::bind(&any).expect("a listener"));
            let (opened, done) = (vec![socket], vec![sender.clone()]);
            let command = Command::Listen(Listening { opened, all: Arc::from([]), done });
            mailboxes.send(0, command).expect("taken");
        }
        drop(sender);
        let taken = mailboxes.take(0);
        let [Command::Listen(listening)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(listening.opened.len(), 3);
        let ports: Vec<_> = listening.opened.iter().map(|(_, it)| it.endpoint().clone()).collect();
        assert!(ports[0] != ports[1] && ports[1] != ports[2], "{ports:?}");
        assert!(done.try_recv() == Err(TryRecvError::Empty), "all are waited for");
        drop(taken);
        assert!(done.try_recv() == Err(TryRecvError::Disconnected));
    }

    #[test]
    fn others_are_all_but_one() {
        let mailboxes = mailboxes(3);
        mailboxes.send_others(1, || Command::Capacity);
        assert_eq!([0, 1, 2].map(|worker| taken(&mailboxes, worker)), ["c", "", "c"]);
    }

    #[test]
    fn one_that_drains_takes_all_but_clients_and_one_that_ended_nothing() {
        let mailboxes = mailboxes(2);
        mailboxes.send(0, Command::Client(newcomer())).expect("taken");
        assert_eq!(mailboxes.refuse_clients(0).len(), 1, "what came before is still served");
        mailboxes.send(0, Command::Client(newcomer())).expect_err("refused");
        mailboxes.send(0, Command::Capacity).expect("taken");
        mailboxes.close(0);
        assert!(!mailboxes.has_commands(0));
        mailboxes.send(0, Command::Capacity).expect_err("refused");
        mailboxes.send_all(|| Command::Drain);
        assert_eq!([0, 1].map(|worker| taken(&mailboxes, worker)), ["", "d"]);
    }

    #[test]
    fn a_command_wakes_its_worker_even_if_it_was_sent_before_the_first_turn() {
        let mut poller = Poller::new(8).expect("a poller");
        let mailboxes = Mailboxes::new([poller.waker()]);
        mailboxes.send(0, Command::Drain).expect("taken");
        let mut events = Vec::new();
        poller.turn(&mut events, false).expect("a turn");
        assert!(events.contains(&Event::Woken) && mailboxes.has_commands(0));
        assert_eq!(taken(&mailboxes, 0), "d");
    }

    #[test]
    fn no_client_is_lost_or_served_twice_while_many_send_and_one_takes() {
        const SENDERS: usize = 4;
        const CLIENTS: usize = 50;
        let mut poller = Poller::new(8).expect("a poller");
        let mailboxes = Arc::new(Mailboxes::new([poller.waker()]));
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let mailboxes = Arc::clone(&mailboxes);
                thread::spawn(move || {
                    for _ in 0..CLIENTS {
                        mailboxes.send(0, Command::Client(newcomer())).expect("taken");
                    }
                })
            })
            .collect();
        let (mut clients, mut events) = (0, Vec::new());
        while clients < SENDERS * CLIENTS {
            poller.turn(&mut events, false).expect("a turn");
            if mailboxes.has_commands(0) {
                clients += mailboxes.take(0).len();
            }
        }
        for sender in senders {
            sender.join().expect("a sender");
        }
        assert!(mailboxes.take(0).is_empty());
    }
}
