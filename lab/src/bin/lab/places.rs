//! Where a stack listens, as flags.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;

#[derive(Args, Clone, Debug)]
pub(crate) struct Places {
    /// Port of the proxy
    #[arg(
        long, value_name = "PORT", default_value_t = 9090,
        value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "listen",
    )]
    port: u16,

    /// Address and port of the proxy [default: 0.0.0.0 and --port]
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    listen: Option<SocketAddr>,

    /// Ports of the backends A, B and C on localhost
    #[arg(
        long, value_name = "A,B,C", default_value = "8081,8082,8083", value_parser = three_ports,
    )]
    backend_ports: Ports,
}

#[derive(Clone, Copy, Debug)]
struct Ports([u16; 3]);

impl Places {
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port)))
    }

    pub(crate) fn backend_ports(&self) -> [u16; 3] {
        self.backend_ports.0
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let known: Option<SocketAddr> = text.parse().ok();
    known.filter(|address| address.port() > 0).ok_or_else(|| {
        "give an address and a port other than 0, such as 127.0.0.1:9090 or [::]:9090".to_owned()
    })
}

fn three_ports(text: &str) -> Result<Ports, String> {
    let port = |word: &str| word.trim().parse().ok().filter(|port: &u16| *port > 0);
    let ports: Option<Vec<u16>> = text.split(',').map(port).collect();
    ports
        .and_then(|ports| ports.try_into().ok())
        .map(Ports)
        .ok_or_else(|| "give three ports, such as 18081,18082,18083".to_owned())
}
