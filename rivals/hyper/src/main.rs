//! The same proxy on hyper and tokio: what tidegate's own event loop has to be better than.
//!
//! It balances by the same policies and writes the same log through the same code, so that what is
//! compared is what lies between two sockets. It also balances as tower does, to be compared with
//! as a balancer. One runtime per worker, each on a thread and, if
//! asked, a core of its own, with a listener of its own: the fastest way to run tokio where
//! requests are short.
//!
//! It does less than tidegate: no retry at another backend, no WebSocket, no draining when it is
//! stopped; and its log counts the bytes of bodies alone, for hyper does not tell those of heads.

mod account;
mod flags;
mod forward;
mod head;
mod peak_ewma;
mod shared;
mod upstream;
mod worker;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use std::{io, thread};

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use flags::{Choice, Flags};
use hyper::http::uri::Authority;
use peak_ewma::PeakEwma;
use shared::Shared;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tidegate::balance::{Membership, Options};
use tidegate::console::Console;
use tidegate::journal::{self, Journal};
use tidegate::reactor::{cores, descriptors};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use upstream::Upstreams;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rival-hyper: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("can't watch signals")?;
    let places = flags.places()?;
    descriptors::raise_limit().context("can't raise the limit of file descriptors")?;
    let names: Vec<_> = flags.upstream.iter().map(|backend| backend.url.clone()).collect();
    let authorities: Arc<[Authority]> =
        flags.upstream.iter().map(|backend| backend.authority.clone()).collect();
    let options = Options { policy: flags.choice.policy(), ..Options::default() };
    let mut membership = Membership::new(options, now())?;
    let ids = names.iter().map(|name| membership.add(name)).collect::<Result<Vec<_>, _>>()?;
    let (loops, address) = listen(flags.listen, places.len())?;
    let (journal, senders) = Journal::start(journal::Options {
        decisions: None,
        path: flags.log.0.clone(),
        meta: None,
        routing_mode: flags.choice.name().to_owned(),
        connection: flags.connections.name().to_owned(),
        workers: places.len(),
        verbose: false,
        console: Console::standard(),
    })?;
    let (stop, stopped) = watch::channel(());
    let mut threads = Vec::new();
    for (((runtime, listener), sender), core) in loops.into_iter().zip(senders).zip(places) {
        let upstreams = Upstreams::new(flags.connections, flags.client, Arc::clone(&authorities));
        let peak_ewma = (flags.choice == Choice::PeakEwma).then(|| PeakEwma::new(&ids));
        let shared = Shared::new(membership.balancer(), peak_ewma, upstreams, sender, flags);
        let stopped = stopped.clone();
        threads.push(thread::spawn(move || -> Result<()> {
            if let Some(core) = core {
                cores::pin_current_thread(core)?;
            }
            runtime.block_on(worker::run(shared, listener, stopped));
            Ok(())
        }));
    }
    println!("listening on http://{address}");
    signals.forever().next();
    drop((stop, stopped));
    for thread in threads {
        thread.join().map_err(|_| anyhow!("a worker ended by a panic"))??;
    }
    let totals = journal.close();
    println!(
        "{} requests, {} errors, {} rows, {} rows lost",
        totals.requests, totals.errors, totals.rows, totals.lost
    );
    Ok(())
}

/// One runtime and one listener per worker, all on the same address. Also the address, with the
/// port that the system chose if it was left to it.
fn listen(address: SocketAddr, count: usize) -> Result<(Vec<(Runtime, TcpListener)>, SocketAddr)> {
    let mut address = address;
    let mut loops = Vec::new();
    for _ in 0..count {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            open(address).with_context(|| format!("can't listen on {address}"))?
        };
        address = listener.local_addr()?;
        loops.push((runtime, listener));
    }
    Ok((loops, address))
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[expect(clippy::disallowed_methods, reason = "the rival's one clock")]
fn now() -> Instant {
    Instant::now()
}
