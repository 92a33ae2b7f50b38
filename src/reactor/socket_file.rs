//! The file of a listening Unix socket: made, and removed at the end.
//!
//! The file outlives a listener that was killed, and the next one could not bind to its path. So a
//! file of a socket on which no process listens is replaced, and no other file is.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::bind;

use super::transport::Transport;
use crate::endpoint::UnixName;

/// See the module's description. Dropping it removes the file, unless the file belongs to another
/// process by now. That is told by its inode, whose number can't be reused while the socket is
/// open.
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
    /// Binds `socket` to a name and gives its file `mode`; `None` for an abstract name, which has
    /// no file.
    ///
    /// # Errors
    /// `AddrInUse` if another process listens there, `AlreadyExists` if there is a file that is no
    /// socket, or an error of the system.
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
        // The socket does not listen yet, so no connection is made while the mode is another.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        Ok(Some(file))
    }

    /// Gives the file another mode.
    ///
    /// # Errors
    /// `NotFound` if it is not there any more, or an error of the system.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        if !self.is_ours() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "its file is not there any more"));
        }
        fs::set_permissions(&self.path, Permissions::from_mode(mode))
    }

    /// Whether what is at the path is still our file.
    fn is_ours(&self) -> bool {
        let is_ours = |metadata: Metadata| Inode::of(&metadata) == self.inode;
        fs::symlink_metadata(&self.path).is_ok_and(is_ours)
    }

    /// Removes the file, if it is still ours.
    pub(super) fn remove(&self) {
        if self.is_ours() {
            // If that is not permitted, the next listener replaces the file or reports it.
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

/// Removes the file of a socket on which no process listens.
fn remove_stale(path: &Path, name: &UnixName) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file there is no socket"));
    }
    match Transport::connect(&name.clone().into()) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // A busy socket and one of another type are in use as well.
        Err(error) if Errno::from_io_error(&error) != Some(Errno::PROTOTYPE) => Err(error),
        _ => Err(Errno::ADDRINUSE.into()),
    }
}
