//! The limit on open descriptors, which is the limit on connections.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit on open descriptors to the hard one and returns the limit now in force;
/// `u64::MAX` means none.
///
/// # Errors
/// When the operating system refuses; the old limit stays in force.
pub fn raise_limit() -> io::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(maximum.unwrap_or(u64::MAX))
}

/// Whether `error` says that the process or the machine has no descriptor left. That is our own
/// trouble and says nothing about the peer.
#[must_use]
pub fn are_exhausted(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let hard = getrlimit(Resource::Nofile).maximum;
        assert_eq!(raise_limit().unwrap(), hard.unwrap_or(u64::MAX));
        assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: hard, maximum: hard });
    }

    #[test]
    fn exhaustion_is_told_from_other_errors() {
        assert!(are_exhausted(&Errno::MFILE.into()));
        assert!(are_exhausted(&Errno::NFILE.into()));
        assert!(!are_exhausted(&Errno::ADDRNOTAVAIL.into()));
        assert!(!are_exhausted(&io::Error::other("no errno")));
    }
}
