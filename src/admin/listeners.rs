//! The sockets at which the admin is answered.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::process::geteuid;

use crate::endpoint::Endpoint;
use crate::hosts::Hosts;
use crate::proxy::settings::AdminListen;
use crate::reactor::Listener;

/// The mode of a socket's file: it is for its owner alone.
const MODE: u32 = 0o600;

/// An address that can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on --admin {endpoint}: {source}{}", advice(source, endpoint))]
pub struct ListenError {
    endpoint: Endpoint,
    source: io::Error,
}

fn advice(error: &io::Error, endpoint: &Endpoint) -> &'static str {
    match (error.kind(), endpoint) {
        (ErrorKind::AddrInUse, Endpoint::Tcp(_)) => {
            "; is another proxy running? Choose another port"
        }
        (ErrorKind::AddrInUse, Endpoint::Unix(_)) => {
            "; another program listens there, perhaps another proxy: choose another path"
        }
        (ErrorKind::AlreadyExists, _) => "; remove it, or choose another path",
        (ErrorKind::NotFound, _) => "; make its folder first",
        (ErrorKind::PermissionDenied, Endpoint::Unix(_)) => {
            "; the proxy's user must be permitted to write to its folder"
        }
        _ => "",
    }
}

/// What may be asked over a connection.
#[derive(Clone, Debug)]
pub(super) enum Access {
    /// Everything: the file's mode says who is there.
    All,
    /// What changes nothing, of one of these hosts.
    ReadOnly(Hosts),
}

/// A socket, and what may be asked there.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) listener: Listener,
    pub(super) access: Access,
}

/// The sockets of an admin API that does not answer yet. Connections wait.
#[derive(Debug)]
pub struct Bound(pub(super) Vec<Entry>);

impl Bound {
    /// Listens at these addresses.
    ///
    /// # Errors
    /// The first one that can't be listened on.
    pub fn bind(listen: &[AdminListen]) -> Result<Self, ListenError> {
        listen.iter().map(Entry::bind).collect::<Result<_, _>>().map(Self)
    }

    /// The addresses, ports filled in where 0 was asked for.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.0.iter().map(|entry| entry.listener.endpoint())
    }
}

impl Entry {
    fn bind(listen: &AdminListen) -> Result<Self, ListenError> {
        let AdminListen { endpoint, host, .. } = listen;
        let refuse = |source| ListenError { endpoint: endpoint.clone(), source };
        let access = match endpoint {
            Endpoint::Tcp(address) => {
                let names: Vec<String> = host.iter().cloned().collect();
                Access::ReadOnly(Hosts::new(address.ip(), &names))
            }
            Endpoint::Unix(name) => {
                name.path().map_or(Ok(()), refuse_of_others).map_err(refuse)?;
                Access::All
            }
        };
        let group = Listener::bind_group(endpoint, MODE, 1).map_err(refuse)?;
        let listener = group.into_iter().next();
        let listener = listener.ok_or_else(|| refuse(ErrorKind::AddrNotAvailable.into()))?;
        Ok(Self { listener, access })
    }
}

/// Refuses the socket of another user, which that one could replace again. What is no socket is
/// refused by the listener.
fn refuse_of_others(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if found.file_type().is_socket() && found.uid() != geteuid().as_raw() {
        let why = format!("the socket there belongs to another user ({})", found.uid());
        return Err(io::Error::new(ErrorKind::AlreadyExists, why));
    }
    Ok(())
}
