//! Which cores this process may use, and binding a thread to one of them.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Why a thread was not pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The core does not exist or is outside what the thread may use.
    #[error("core {core} is not available; this process may use {}", list(allowed))]
    NotAllowed {
        /// The core asked for.
        core: usize,
        /// The cores that may be asked for.
        allowed: Vec<usize>,
    },
    /// The operating system refused.
    #[error("core {core} cannot be taken: {cause}")]
    Refused {
        /// The core asked for.
        core: usize,
        /// What the operating system said.
        cause: io::Error,
    },
}

/// How many cores' worth of work this process can do at once; cgroup quotas and the affinity mask
/// count. At least 1.
#[must_use]
pub fn available() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// The cores the calling thread may run on, in ascending order. A pinned thread, and those it
/// starts, may use its one core only: ask before pinning.
///
/// # Errors
/// Only if the machine has more cores than the kernel's 1024-bit mask has room for.
pub fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Binds the calling thread to `core`.
///
/// # Errors
/// When `core` is not among [`allowed`], also where the kernel would permit it: a mask set from
/// outside is meant.
pub fn pin_current_thread(core: usize) -> Result<(), PinError> {
    let refused = |cause| PinError::Refused { core, cause };
    let allowed = allowed().map_err(refused)?;
    if !allowed.contains(&core) {
        return Err(PinError::NotAllowed { core, allowed });
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|errno| refused(errno.into()))
}

fn list(cores: &[usize]) -> String {
    cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs in a thread of its own, so that the test harness keeps all its cores.
    fn in_own_thread(test: impl FnOnce() + Send + 'static) {
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn a_pinned_thread_may_use_its_one_core() {
        in_own_thread(|| {
            let core = *allowed().unwrap().last().unwrap();
            pin_current_thread(core).unwrap();
            assert_eq!(allowed().unwrap(), [core]);
        });
    }

    #[test]
    fn a_core_out_of_reach_is_refused_with_those_in_reach() {
        in_own_thread(|| {
            let before = allowed().unwrap();
            for core in [before.last().unwrap() + 1, 1023, 1024, usize::MAX] {
                let refusal = pin_current_thread(core).unwrap_err().to_string();
                assert!(refusal.contains(&format!("core {core} ")), "{refusal}");
                assert!(refusal.ends_with(&list(&before)), "{refusal}");
            }
            assert_eq!(allowed().unwrap(), before);
        });
    }

    #[test]
    fn at_least_one_core_is_available() {
        assert!((1..=allowed().unwrap().len()).contains(&available()));
    }
}
