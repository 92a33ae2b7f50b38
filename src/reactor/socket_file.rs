//! The file of a Unix socket that is listened on: made, and removed at the end.
//!
//! The file outlives its listener, and then keeps the next one from its path. So one at which
//! nobody listens any more is replaced, and nothing else is.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::bind;

use super::transport::Transport;
use crate::endpoint::UnixName;

/// See the module's description. Dropping it removes the file, unless it is another's by now; that
/// is told by its inode, which is ours for as long as the socket is open.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: Inode,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Inode {
    device: u64,
    number: u64,
}

impl SocketFile {
    /// Binds `socket` to a name, and lets those connect whom `mode` lets write; `None` for an
    /// abstract name, which is no file.
    ///
    /// # Errors
    /// `AddrInUse` if another listens there, `AlreadyExists` if it is no socket, or what the system
    /// says.
    pub(super) fn bind(socket: &OwnedFd, name: &UnixName, mode: u32) -> io::Result<Option<Self>> {
        let address = name.address()?;
        let Some(path) = name.path() else {
            bind(socket, &address)?;
            return Ok(None);
        };
        match bind(socket, &address) {
            Err(Errno::ADDRINUSE) => {
                remove_stale(path, name)?;
                bind(socket, &address)?;
            }
            bound => bound?,
        }
        let file = Self { path: path.to_owned(), inode: Inode::of(&fs::symlink_metadata(path)?) };
        // Nobody can connect before the socket listens, so nobody sees the mode it had till now.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        Ok(Some(file))
    }

    /// Removes the file, if it is still ours.
    pub(super) fn remove(&self) {
        let is_ours = |metadata: Metadata| Inode::of(&metadata) == self.inode;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            // Where that is not permitted, the next to listen there replaces it or says so.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Inode {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), number: metadata.ino() }
    }
}

/// Removes the file of a socket at which nobody listens.
fn remove_stale(path: &Path, name: &UnixName) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file there is no socket"));
    }
    match Transport::connect(&name.clone().into()) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // One that has to wait, and one that is of another type, is somebody's as well.
        Err(error) if Errno::from_io_error(&error) != Some(Errno::PROTOTYPE) => Err(error),
        _ => Err(Errno::ADDRINUSE.into()),
    }
}
