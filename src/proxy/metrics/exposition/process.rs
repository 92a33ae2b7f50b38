//! What the system says of this process.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// See the module. What the system does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Process {
    /// Descriptors that are open.
    pub open_descriptors: Option<u64>,
    /// How many may be; `None` means any number.
    pub most_descriptors: Option<u64>,
    /// Bytes of memory that are in use.
    pub resident_bytes: Option<u64>,
    /// Bytes of address space that are taken.
    pub virtual_bytes: Option<u64>,
    /// Processor time used.
    pub processor: Duration,
}

impl Process {
    /// As it is now.
    #[must_use]
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let clock = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            open_descriptors: open_descriptors(),
            most_descriptors: getrlimit(Resource::Nofile).current,
            resident_bytes: size(&status, "VmRSS:"),
            virtual_bytes: size(&status, "VmSize:"),
            processor: Duration::try_from(clock).unwrap_or_default(),
        }
    }
}

/// The folder's length is their number since Linux 6.2; before that it was none, and they have to
/// be counted, the one with which this is done included.
fn open_descriptors() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).ok()?.len() {
        0 => Some(fs::read_dir(FOLDER).ok()?.count().saturating_sub(1) as u64),
        count => Some(count),
    }
}

/// The bytes of a line such as `VmRSS:     1234 kB`.
fn size(status: &str, name: &str) -> Option<u64> {
    let text = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = text.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_bytes() {
        let status = "Name:\tx\nVmSize:\t    2048 kB\nVmRSS:\t       3 kB\nVmSwap:\t x kB\n";
        let sizes = ["VmRSS:", "VmSize:", "VmSwap:", "VmPeak:"].map(|name| size(status, name));
        assert_eq!(sizes, [Some(3072), Some(2 << 20), None, None]);
    }

    #[test]
    fn this_process_has_descriptors_and_memory_and_used_time() {
        let before = Process::read();
        let files: Vec<_> = (0..100).map(|_| fs::File::open("/proc/self/status")).collect();
        let after = Process::read();
        // Other tests open and close files meanwhile, but not by the hundred.
        assert!(after.open_descriptors > before.open_descriptors.map(|count| count + 50));
        assert!(after.open_descriptors < after.most_descriptors.or(Some(u64::MAX)));
        assert!(after.resident_bytes > Some(1 << 20) && after.resident_bytes < after.virtual_bytes);
        assert!(after.processor >= before.processor && after.processor > Duration::ZERO);
        drop(files);
    }
}
