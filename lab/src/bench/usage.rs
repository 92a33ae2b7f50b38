//! What a program used of the machine, as `/proc` tells it (proc(5)).

use std::fs;
use std::io;
use std::time::Duration;

/// A program: a process and all its descendants, with all their threads.
#[derive(Debug)]
pub(super) struct Tree {
    pids: Vec<u32>,
}

impl Tree {
    /// The tree below `root` as it is now; it must have come to rest.
    pub(super) fn of(root: u32) -> io::Result<Self> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            // A process that ends meanwhile is none of ours.
            let Some(pid) = pid else { continue };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            parents.extend(parent(&stat).map(|parent| (pid, parent)));
        }
        Ok(Self { pids: descendants(root, &parents) })
    }

    /// Processor time used so far, exact to the scheduler's nanosecond. Threads that have ended
    /// don't count.
    ///
    /// # Errors
    /// A process is gone, or the kernel keeps no such figures.
    pub(super) fn processor_time(&self) -> io::Result<Duration> {
        let mut sum = Duration::ZERO;
        for pid in &self.pids {
            for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
                // A thread that ends between the listing and the look is not counted either.
                let text = fs::read_to_string(task.path().join("schedstat"));
                sum += text.ok().as_deref().and_then(on_processor).unwrap_or_default();
            }
        }
        Ok(sum)
    }

    /// The cores that any of its threads may run on.
    pub(super) fn cores(&self) -> io::Result<Vec<usize>> {
        let mut cores = Vec::new();
        for pid in &self.pids {
            for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
                let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
                cores.extend(allowed_cores(&status));
            }
        }
        cores.sort_unstable();
        cores.dedup();
        Ok(cores)
    }

    /// The most memory that was resident, in bytes; pages shared by processes count for each.
    pub(super) fn peak_resident_bytes(&self) -> io::Result<u64> {
        let mut sum = 0;
        for pid in &self.pids {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            sum += peak_kibibytes(&status).unwrap_or(0) * 1024;
        }
        Ok(sum)
    }
}

/// What some cores did since they were started, in the kernel's ticks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Cores {
    busy: u64,
    idle: u64,
}

impl Cores {
    pub(super) fn now(cores: &[usize]) -> io::Result<Self> {
        Ok(Self::read(&fs::read_to_string("/proc/stat")?, cores))
    }

    fn read(stat: &str, cores: &[usize]) -> Self {
        let mut sum = Self::default();
        for line in stat.lines() {
            let mut fields = line.split_ascii_whitespace();
            let name = fields.next().and_then(|name| name.strip_prefix("cpu")?.parse().ok());
            if name.is_none_or(|core| !cores.contains(&core)) {
                continue;
            }
            // user nice system idle iowait irq softirq steal; guests are counted within user.
            for (index, ticks) in fields.take(8).enumerate() {
                let ticks: u64 = ticks.parse().unwrap_or(0);
                *if matches!(index, 3 | 4) { &mut sum.idle } else { &mut sum.busy } += ticks;
            }
        }
        sum
    }

    /// The share of the time between `earlier` and now in which the cores worked, 0 to 1.
    pub(super) fn busy_since(self, earlier: Self) -> f64 {
        let busy = self.busy.saturating_sub(earlier.busy);
        let idle = self.idle.saturating_sub(earlier.idle);
        busy as f64 / (busy + idle).max(1) as f64
    }
}

/// The parent in `/proc/PID/stat`. The name before it is in brackets and may hold anything.
fn parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn descendants(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child));
        next += 1;
    }
    found
}

/// The first figure of `schedstat`: nanoseconds on a processor.
fn on_processor(schedstat: &str) -> Option<Duration> {
    let nanoseconds = schedstat.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// The list in `Cpus_allowed_list`, as in `0-2,5`.
fn allowed_cores(status: &str) -> Vec<usize> {
    let text = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = text.unwrap_or_default().trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

fn peak_kibibytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent("10 (nginx) S 9 10 10 0 -1"), Some(9));
        assert_eq!(parent("10 (a) b (c)) R 7 10 10"), Some(7));
        assert_eq!(parent("10 (cut"), None);
        assert_eq!(parent(""), None);
    }

    #[test]
    fn a_tree_is_the_root_and_all_below_it() {
        let parents = [(2, 1), (3, 2), (4, 1), (5, 4), (6, 3), (7, 9)];
        assert_eq!(descendants(2, &parents), [2, 3, 6]);
        assert_eq!(descendants(1, &parents), [1, 2, 4, 3, 5, 6]);
        assert_eq!(descendants(8, &parents), [8]);
    }

    #[test]
    fn processor_time_is_the_first_figure() {
        assert_eq!(
            on_processor("269170576 83345164 245\n"),
            Some(Duration::from_nanos(269_170_576))
        );
        assert_eq!(on_processor(""), None);
    }

    #[test]
    fn the_peak_is_told_in_kibibytes() {
        let status = "Name:\tnginx\nVmPeak:\t   99 kB\nVmHWM:\t    5120 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(peak_kibibytes(status), Some(5120));
        assert_eq!(peak_kibibytes("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn allowed_cores_are_numbers_and_ranges() {
        let status = "Cpus_allowed:\t27\nCpus_allowed_list:\t0-2,5\nMems_allowed:\t1\n";
        assert_eq!(allowed_cores(status), [0, 1, 2, 5]);
        assert_eq!(allowed_cores("Cpus_allowed_list:\t7\n"), [7]);
        assert!(allowed_cores("").is_empty());
    }

    #[test]
    fn cores_are_busy_when_they_are_neither_idle_nor_waiting_for_a_disk() {
        let stat = |a: u64, b: u64| {
            format!(
                "cpu  9 9 9 9 9 9 9 9 0 0\n\
                 cpu0 {a} 0 0 50 0 0 0 0 0 0\n\
                 cpu1 1 2 3 {b} 5 6 7 8 99 99\n\
                 intr 1"
            )
        };
        let before = Cores::read(&stat(100, 4), &[1]);
        assert_eq!(before, Cores { busy: 27, idle: 9 });
        let after = Cores::read(&stat(500, 4 + 27), &[1]);
        assert!(after.busy_since(before).abs() < 1e-9, "core 0 is not asked about");
        let both = [Cores::read(&stat(100, 4), &[0, 1]), Cores::read(&stat(175, 29), &[0, 1])];
        assert!((both[1].busy_since(both[0]) - 0.75).abs() < 1e-9);
        assert!(before.busy_since(before).abs() < 1e-9, "no time has passed");
    }

    #[test]
    fn of_this_process_there_is_something_to_tell() {
        let tree = Tree::of(process::id()).expect("proc");
        assert!(tree.pids.contains(&process::id()));
        assert!(tree.processor_time().expect("figures") > Duration::ZERO);
        assert!(tree.peak_resident_bytes().expect("figures") > 0);
        assert!(!tree.cores().expect("lists").is_empty());
        assert!(Cores::now(&[0]).expect("proc").idle > 0);
    }
}
