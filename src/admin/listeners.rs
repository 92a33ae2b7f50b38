//! The sockets at which the admin is answered.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::geteuid;

use crate::endpoint::Endpoint;
use crate::hosts::Hosts;
use crate::proxy::settings::AdminListen;
use crate::reactor::{Inherited, Listener};

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
        (ErrorKind::PermissionDenied, Endpoint::Unix(_)) if error.raw_os_error().is_some() => {
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
    /// Listens at these addresses, at sockets that were passed where they have the address.
    ///
    /// # Errors
    /// The first one that can't be listened on.
    pub fn bind(listen: &[AdminListen], inherited: &Inherited) -> Result<Self, ListenError> {
        let bind = |listen| Entry::bind(listen, inherited);
        listen.iter().map(bind).collect::<Result<_, _>>().map(Self)
    }

    /// The addresses, ports filled in where 0 was asked for.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.0.iter().map(|entry| entry.listener.endpoint())
    }
}

impl Entry {
    fn bind(listen: &AdminListen, inherited: &Inherited) -> Result<Self, ListenError> {
        let AdminListen { endpoint, host, .. } = listen;
        let refuse = |source| ListenError { endpoint: endpoint.clone(), source };
        let access = match endpoint {
            Endpoint::Tcp(address) => {
                let names: Vec<String> = host.iter().cloned().collect();
                Access::ReadOnly(Hosts::new(address.ip(), &names))
            }
            Endpoint::Unix(_) => Access::All,
        };
        let passed = Listener::inherit_group(endpoint, 1, inherited).map_err(refuse)?;
        if let Some(path) = endpoint.path() {
            let check = if passed.is_some() { refuse_open_to_all } else { refuse_of_others };
            check(path).map_err(refuse)?;
        }
        let bound = passed.map_or_else(|| Listener::bind_group(endpoint, MODE, 1), Ok);
        let group = bound.map_err(refuse)?;
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

/// Refuses a socket that was passed and to which every user may connect, because each of them could
/// change backends.
fn refuse_open_to_all(path: &Path) -> io::Result<()> {
    /// What permits all users to connect.
    const OTHERS_WRITE: u32 = 0o002;
    if fs::symlink_metadata(path)?.permissions().mode() & OTHERS_WRITE == 0 {
        return Ok(());
    }
    let why =
        "every user may connect to the socket that was passed; set SocketMode=0600 in its unit";
    Err(io::Error::new(ErrorKind::PermissionDenied, why))
}
