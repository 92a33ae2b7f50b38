//! `relay` on the command line.

use std::convert::Infallible;
use std::io;
use std::process::ExitCode;

use clap::Args;
use tidegate::console::Console;
use tidegate::endpoint::Endpoint;
use tidegate::reactor::{cores, descriptors};
use tidegate_lab::relay::Relay;

use crate::fail;

#[derive(Args, Debug)]
pub(crate) struct RelayFlags {
    /// Address to listen on
    #[arg(long, value_name = "ADDR:PORT|unix:PATH", default_value = "127.0.0.1:9090")]
    listen: Endpoint,

    /// Address to relay to; if repeated, connections go to each in turn
    #[arg(long, value_name = "ADDR:PORT|unix:PATH", default_value = "127.0.0.1:8081")]
    upstream: Vec<Endpoint>,

    /// Core to run on
    #[arg(long, value_name = "CORE")]
    pin: Option<usize>,
}

impl RelayFlags {
    pub(crate) fn run(&self) -> ExitCode {
        let Err(error) = self.relay();
        fail(1, &format!("the relay can't serve {}: {error}", self.listen))
    }

    fn relay(&self) -> io::Result<Infallible> {
        if let Some(core) = self.pin {
            cores::pin_current_thread(core).map_err(io::Error::other)?;
        }
        descriptors::raise_limit()?;
        let relay = Relay::bind(&self.listen, self.upstream.clone())?;
        let upstreams: Vec<String> = self.upstream.iter().map(ToString::to_string).collect();
        let listening = format!("listening on {}", relay.endpoint());
        Console::standard().say(&format!("{listening}, relaying to {}", upstreams.join(", ")));
        relay.run()
    }
}
