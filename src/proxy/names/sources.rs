//! What a system says about names, as its files are now: they are read again when they change.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::dns::{Hosts, ResolvConf};

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Longer files are not read, because they would take long each time.
const MOST_BYTES: u64 = 16 << 20;

/// The files, and the servers that are asked in place of those in them.
#[derive(Debug)]
pub(super) struct Sources {
    hosts: File<Hosts>,
    conf: File<ResolvConf>,
    servers: Vec<SocketAddr>,
}

impl Sources {
    /// With these servers in place of those of the system, if there are any.
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        Self {
            hosts: File::new(HOSTS, Hosts::parse),
            conf: File::new(RESOLV_CONF, ResolvConf::parse),
            servers: servers.to_vec(),
        }
    }

    pub(super) fn set_servers(&mut self, servers: &[SocketAddr]) {
        if self.servers != servers {
            self.servers = servers.to_vec();
            self.conf.stamp = None;
        }
    }

    pub(super) fn hosts(&mut self) -> &Hosts {
        self.hosts.refresh();
        &self.hosts.value
    }

    pub(super) fn conf(&mut self) -> Arc<ResolvConf> {
        if self.conf.refresh() && !self.servers.is_empty() {
            Arc::make_mut(&mut self.conf.value).servers.clone_from(&self.servers);
        }
        Arc::clone(&self.conf.value)
    }
}

/// A file, and what it said when it was read.
#[derive(Debug)]
struct File<T> {
    path: &'static Path,
    parse: fn(&str) -> T,
    stamp: Option<Stamp>,
    value: Arc<T>,
}

/// What tells that a file is another one: inode, length, and the time of the last change.
type Stamp = (u64, u64, i64, i64);

impl<T: Default> File<T> {
    fn new(path: &'static str, parse: fn(&str) -> T) -> Self {
        Self { path: Path::new(path), parse, stamp: None, value: Arc::default() }
    }

    /// Reads it if it has changed; whether it was read. One that can't be read is as an empty one.
    fn refresh(&mut self) -> bool {
        let metadata = fs::metadata(self.path).ok();
        let metadata = metadata.filter(|it| it.is_file() && it.len() <= MOST_BYTES);
        let stamp =
            metadata.map_or((0, 0, 0, 0), |it| (it.ino(), it.len(), it.mtime(), it.mtime_nsec()));
        let has_changed = self.stamp.replace(stamp) != Some(stamp);
        if has_changed {
            let text = if stamp.0 == 0 { None } else { fs::read_to_string(self.path).ok() };
            self.value = Arc::new((self.parse)(&text.unwrap_or_default()));
        }
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_when_it_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hosts");
        let path: &'static Path = Box::leak(path.into_boxed_path());
        let mut file = File { path, ..File::new(HOSTS, Hosts::parse) };
        let first = |file: &File<Hosts>| file.value.find("web").map(|found| found[0].to_string());
        assert!(file.refresh());
        assert_eq!(first(&file), None, "there is none");
        fs::write(path, "10.0.0.1 web").expect("written");
        assert!(file.refresh() && !file.refresh());
        assert_eq!(first(&file).as_deref(), Some("10.0.0.1"));
        fs::write(path, "10.0.0.22 web").expect("written");
        assert!(file.refresh());
        assert_eq!(first(&file).as_deref(), Some("10.0.0.22"));
        fs::remove_file(path).expect("removed");
        assert!(file.refresh());
        assert_eq!(first(&file), None);
    }

    #[test]
    fn servers_that_are_given_replace_those_of_the_system() {
        let server: SocketAddr = "192.0.2.1:5353".parse().expect("an address");
        let mut sources = Sources::new(&[]);
        let own = sources.conf();
        sources.set_servers(&[server]);
        assert_eq!(sources.conf().servers, [server]);
        assert_eq!(sources.conf().search, own.search);
        sources.set_servers(&[]);
        assert_eq!(sources.conf(), own);
    }
}
