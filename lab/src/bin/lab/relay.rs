//! `relay` on the command line.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use tidegate::console::Console;
use tidegate::reactor::{cores, descriptors};
use tidegate_lab::relay::Relay;

use crate::fail;

#[derive(Args, Debug)]
pub(crate) struct RelayFlags {
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9090")]
    listen: SocketAddr,

    /// Address to relay to
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8081")]
    upstream: SocketAddr,

    /// Core to run on
    #[arg(long, value_name = "CORE")]
    pin: Option<usize>,
}

impl RelayFlags {
    pub(crate) fn run(&self) -> ExitCode {
        match self.relay() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &format!("the relay can't serve {}: {error}", self.listen)),
        }
    }

    fn relay(&self) -> io::Result<()> {
        if let Some(core) = self.pin {
            cores::pin_current_thread(core).map_err(io::Error::other)?;
        }
        descriptors::raise_limit()?;
        let relay = Relay::bind(self.listen, self.upstream)?;
        let listening = format!("listening on {}", relay.local_addr());
        Console::standard().say(&format!("{listening}, relaying to {}", self.upstream));
        relay.run()
    }
}
