//! Processor time and memory of a program.

use std::fs;
use std::io;
use std::time::Duration;

use procfs::ProcError;
use procfs::process::{Process, Status, Task, all_processes};

/// A program: a process and all its descendants, with all their threads.
#[derive(Debug)]
pub(crate) struct Tree {
    pids: Vec<i32>,
}

impl Tree {
    /// The tree below `root` as it is now; it must not be starting processes any more.
    pub(crate) fn of(root: u32) -> io::Result<Self> {
        let processes = all_processes().map_err(io::Error::other)?;
        // A process that ends meanwhile is not in the tree.
        let stats = processes.filter_map(|process| process.ok()?.stat().ok());
        let parents: Vec<_> = stats.map(|stat| (stat.pid, stat.ppid)).collect();
        Ok(Self { pids: descendants(root.cast_signed(), &parents) })
    }

    /// Processor time used so far, exact to the scheduler's nanosecond. Threads that have ended
    /// don't count.
    ///
    /// # Errors
    /// A process has ended, or the kernel keeps no such figures.
    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        let used = self.threads(|thread| Ok(thread.schedstat()?.sum_exec_runtime));
        Ok(Duration::from_nanos(used?.iter().sum()))
    }

    /// The cores that any of its threads may run on.
    pub(crate) fn cores(&self) -> io::Result<Vec<usize>> {
        let lists = self.threads(|thread| Ok(allowed_cores(&thread.status()?)))?;
        let mut cores = lists.concat();
        cores.sort_unstable();
        cores.dedup();
        Ok(cores)
    }

    /// The most memory that was resident, in bytes; pages shared by processes count for each.
    pub(crate) fn peak_resident_bytes(&self) -> io::Result<u64> {
        let peak = |pid: &i32| Ok(Process::new(*pid)?.status()?.vmhwm.unwrap_or(0) * 1024);
        let peaks: Result<Vec<u64>, ProcError> = self.pids.iter().map(peak).collect();
        Ok(peaks.map_err(io::Error::other)?.iter().sum())
    }

    /// The results of `look` for all threads, except for those that end meanwhile.
    fn threads<T>(&self, look: impl Fn(Task) -> Result<T, ProcError>) -> io::Result<Vec<T>> {
        let mut seen = Vec::new();
        for pid in &self.pids {
            let threads = Process::new(*pid).and_then(|process| process.tasks());
            for thread in threads.map_err(io::Error::other)? {
                match thread.and_then(&look) {
                    Ok(one) => seen.push(one),
                    Err(ProcError::NotFound(_)) => {}
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
        }
        Ok(seen)
    }
}

/// How long some cores have been busy and idle, in the kernel's ticks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cores {
    busy: u64,
    idle: u64,
}

impl Cores {
    pub(crate) fn now(cores: &[usize]) -> io::Result<Self> {
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

    /// The share of the time between `earlier` and now in which the cores were busy, 0 to 1.
    pub(crate) fn busy_since(self, earlier: Self) -> f64 {
        let busy = self.busy.saturating_sub(earlier.busy);
        let idle = self.idle.saturating_sub(earlier.idle);
        busy as f64 / (busy + idle).max(1) as f64
    }
}

fn descendants(root: i32, parents: &[(i32, i32)]) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child));
        next += 1;
    }
    found
}

fn allowed_cores(status: &Status) -> Vec<usize> {
    let ranges = status.cpus_allowed_list.iter().flatten();
    ranges.flat_map(|(first, last)| *first as usize..=*last as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn a_tree_is_the_root_and_all_below_it() {
        let parents = [(2, 1), (3, 2), (4, 1), (5, 4), (6, 3), (7, 9)];
        assert_eq!(descendants(2, &parents), [2, 3, 6]);
        assert_eq!(descendants(1, &parents), [1, 2, 4, 3, 5, 6]);
        assert_eq!(descendants(8, &parents), [8]);
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
    fn this_process_has_figures() {
        let tree = Tree::of(process::id()).expect("proc");
        assert!(tree.pids.contains(&process::id().cast_signed()));
        assert!(tree.processor_time().expect("figures") > Duration::ZERO);
        assert!(tree.peak_resident_bytes().expect("figures") > 0);
        assert!(!tree.cores().expect("lists").is_empty());
        assert!(Cores::now(&[0]).expect("proc").idle > 0);
    }
}
