//! Keeps this program from writing anywhere but where it has to, and from starting programs, by
//! Landlock (landlock(7)), where the kernel has that.
//!
//! It holds for the thread that asks for it and for those that this one starts later.

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, make_bitflags,
};

/// Where files can be written. As long as the program runs there is no way to more.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    /// `None` if that is everywhere.
    writable: Option<Vec<PathBuf>>,
}

/// What may be done in a folder: to write, make and remove files, and to make sockets and folders.
const IN_FOLDERS: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    WriteFile | Truncate | MakeReg | MakeDir | MakeSock | RemoveFile
});

/// What may be done with a pipe or a device.
const WITH_FILES: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ WriteFile | Truncate });

impl Sandbox {
    /// Permits to write these files, whether they exist or not, and their neighbours. Their folders
    /// have to exist. `None` if the kernel does not have Landlock.
    ///
    /// # Errors
    /// When the kernel has it and refuses.
    pub fn enter(files: &[PathBuf]) -> Result<Option<Self>, RulesetError> {
        // What newer kernels know is refused as well, as far as this one knows it.
        let handled = AccessFs::from_write(ABI::V5) | AccessFs::Execute;
        let mut rules = Ruleset::default().handle_access(handled)?.create()?;
        let writable: Vec<PathBuf> = files.iter().flat_map(|file| places(file)).collect();
        for place in &writable {
            // Where there is no folder nothing can be written.
            let Ok(opened) = PathFd::new(place) else { continue };
            let access = if place.is_dir() { IN_FOLDERS } else { WITH_FILES };
            rules = rules.add_rule(PathBeneath::new(opened, access))?;
        }
        let is_enforced = rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced;
        Ok(is_enforced.then_some(Self { writable: Some(writable) }))
    }

    /// The first of these files that could not be written.
    #[must_use]
    pub fn refused<'a>(&self, files: &'a [PathBuf]) -> Option<&'a Path> {
        let writable = self.writable.as_ref()?;
        let is_below = |place: &PathBuf| writable.iter().any(|folder| place.starts_with(folder));
        let is_refused = |file: &&PathBuf| !places(file).iter().all(is_below);
        files.iter().find(is_refused).map(PathBuf::as_path)
    }
}

/// What has to be writable for this file: its folder, and that of the file a link leads to; or only
/// the file, if it is a pipe or a device. Paths are without links, as far as they exist.
fn places(file: &Path) -> Vec<PathBuf> {
    if fs::metadata(file).is_ok_and(|found| is_special(&found)) {
        return vec![real(file)];
    }
    let mut places = vec![real(folder(file))];
    if let Ok(target) = fs::canonicalize(file) {
        let other = folder(&target).to_owned();
        if !places.contains(&other) {
            places.push(other);
        }
    }
    places
}

fn is_special(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let kind = found.file_type();
    kind.is_fifo() || kind.is_char_device() || kind.is_block_device()
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The path without links. What does not exist is taken as it is.
fn real(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        let there = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        if let Ok(there) = fs::canonicalize(there) {
            return missing.iter().rev().fold(there, |path, name| path.join(name));
        }
        missing.extend(ancestor.file_name());
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::thread;

    #[test]
    fn only_neighbours_can_be_written_and_nothing_can_be_started() {
        let scratch = tempfile::tempdir().expect("a folder");
        let path = |name: &str| scratch.path().join(name);
        for folder in ["in", "out"] {
            fs::create_dir(path(folder)).expect("made");
            fs::write(path(folder).join("old"), "").expect("written");
        }
        symlink(path("in"), path("link")).expect("a link");
        let files = [path("link/a.csv"), "/dev/null".into()];
        // In a thread of its own, because there is no way back.
        let entered = thread::scope(|scope| {
            let within = scope.spawn(|| {
                let sandbox = Sandbox::enter(&files).expect("no error")?;
                assert_eq!(sandbox.refused(&files), None);
                let more = [path("in/b/c.csv"), path("out/a.csv"), path("in/d.csv")];
                assert_eq!(sandbox.refused(&more), Some(&*more[1]));
                fs::create_dir(path("in/b")).expect("made");
                fs::write(path("in/b/c.csv"), "c").expect("written");
                fs::rename(path("in/old"), path("in/b/../aside")).expect("renamed");
                drop(UnixListener::bind(path("in/a.sock")).expect("a socket"));
                fs::remove_file(path("in/a.sock")).expect("removed");
                fs::write("/dev/null", "x").expect("written");
                for name in ["out/new", "out/old", "new"] {
                    fs::write(path(name), "").expect_err(name);
                }
                fs::write("/dev/zero", "x").expect_err("it is not listed");
                fs::remove_file(path("out/old")).expect_err("it is not ours");
                UnixListener::bind(path("out/a.sock")).expect_err("a socket");
                fs::read(path("out/old")).expect("everything can be read");
                std::process::Command::new("/bin/true").spawn().expect_err("a program");
                Some(())
            });
            within.join().expect("all holds")
        });
        // Another thread is not confined. Nor is this one, where the kernel can't.
        fs::write(path("out/new"), "").expect("written");
        assert!(entered.is_some() || !has_landlock(), "it can be confined");
    }

    /// Whether a kernel as new as this one has it, unless it was turned off.
    fn has_landlock() -> bool {
        fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|text| text.contains("landlock"))
    }

    #[test]
    fn what_is_not_confined_may_write_everything() {
        assert_eq!(Sandbox::default().refused(&["/x/y".into()]), None);
    }
}
