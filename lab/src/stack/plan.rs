//! What a stack runs, and where.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::BACKENDS;
use tidegate::balance::Policy;

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The proxy's policy.
    pub policy: Policy,
    /// The proxy's connection mode, as its flag spells it.
    pub connections: String,
    /// Where the proxy listens.
    pub listen: SocketAddr,
    /// Where the backends listen on localhost.
    pub backend_ports: [u16; BACKENDS.len()],
    /// Where the dashboard listens on localhost, if it is to run.
    pub dashboard_port: Option<u16>,
    /// Where the proxy answers `tidegatectl`, if it does.
    pub admin: Option<Admin>,
    /// Further flags of the proxy.
    pub proxy_flags: Vec<OsString>,
}

/// Where a proxy answers `tidegatectl`.
#[derive(Clone, Debug)]
pub struct Admin {
    /// A port of localhost, where one may look.
    pub port: u16,
    /// A Unix socket, where one may also change something.
    pub socket: PathBuf,
}

impl Admin {
    /// The socket as a flag of the proxy and of `tidegatectl`.
    #[must_use]
    pub fn socket_flag(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// The address of the port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}

impl Plan {
    pub(super) fn proxy_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![
            self.policy.to_string().into(),
            "--connections".into(),
            self.connections.clone().into(),
            "--listen".into(),
            self.listen.to_string().into(),
        ];
        for port in self.backend_ports {
            args.extend(["--upstream".into(), format!("http://localhost:{port}").into()]);
        }
        if let Some(admin) = &self.admin {
            for address in [admin.socket_flag(), admin.address().to_string()] {
                args.extend(["--admin".into(), address.into()]);
            }
        }
        args.extend(self.proxy_flags.iter().cloned());
        args
    }

    /// Where a client on this machine connects to the proxy.
    pub(super) fn proxy_address(&self) -> SocketAddr {
        let ip = match self.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        SocketAddr::new(ip, self.listen.port())
    }

    /// The proxy's URL for people.
    #[must_use]
    pub fn proxy_url(&self) -> String {
        let address = self.proxy_address();
        if address.ip().is_loopback() {
            format!("http://localhost:{}", address.port())
        } else {
            format!("http://{address}")
        }
    }
}
