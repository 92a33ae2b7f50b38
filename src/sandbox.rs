//! Keeps this program from writing anywhere but where it has to, and from starting programs, by
//! Landlock (landlock(7)), where the kernel has that.
//!
//! It holds for the thread that asks for it and for those that this one starts later. So it comes
//! before any other thread is started.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, make_bitflags,
};

/// Where files can be written. As long as the program runs it can't get more.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    /// `None` if that is everywhere.
    granted: Option<Granted>,
}

#[derive(Clone, Debug)]
struct Granted {
    /// The files whose folder could not be opened. A socket that was passed may be in such a folder
    /// and works without it, so these are not refused later. Opening another one of them fails.
    unopened: Vec<PathBuf>,
    /// The folders, pipes and devices that can be written, by device and inode: a folder that is
    /// deleted and made anew is another one.
    places: Vec<(u64, u64)>,
}

/// How much of Landlock the kernel has to have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Demand {
    /// As much as it has.
    AsMuchAsThereIs,
    /// All that refuses whatever changes a file (Linux 6.2), otherwise it is an error.
    Needed,
}

/// The version of Linux 6.2. Before it, files elsewhere could be truncated.
const NEEDED: ABI = ABI::V3;

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
    /// When the kernel refuses, or does not have what is demanded.
    pub fn enter(files: &[PathBuf], demand: Demand) -> Result<Option<Self>, RulesetError> {
        let level = match demand {
            Demand::AsMuchAsThereIs => CompatLevel::BestEffort,
            Demand::Needed => CompatLevel::HardRequirement,
        };
        let rules = Ruleset::default().set_compatibility(level);
        let rules = rules.handle_access(AccessFs::from_write(NEEDED) | AccessFs::Execute)?;
        // What newer kernels know is refused as well, as far as this one knows it.
        let rules = rules.set_compatibility(CompatLevel::BestEffort);
        let mut rules = rules.handle_access(AccessFs::from_write(ABI::V5))?.create()?;
        let mut granted = Granted { unopened: Vec::new(), places: Vec::new() };
        let places =
            files.iter().flat_map(|file| places(file).into_iter().map(move |at| (file, at)));
        for (file, place) in places {
            let Ok(opened) = PathFd::new(&place) else {
                granted.unopened.push(file.clone());
                continue;
            };
            let access = if place.is_dir() { IN_FOLDERS } else { WITH_FILES };
            rules = rules.add_rule(PathBeneath::new(opened, access))?;
            granted.places.extend(id(&place));
        }
        let is_enforced = rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced;
        Ok(is_enforced.then_some(Self { granted: Some(granted) }))
    }

    /// The first of these files that could not be written.
    #[must_use]
    pub fn refused<'a>(&self, files: &'a [PathBuf]) -> Option<&'a Path> {
        let Granted { unopened, places: writable } = self.granted.as_ref()?;
        let is_writable = |place: &Path| id(place).is_some_and(|id| writable.contains(&id));
        let is_below = |place: &PathBuf| place.ancestors().any(is_writable);
        let mut tried = files.iter().filter(|file| !unopened.contains(file));
        tried.find(|file| !places(file).iter().all(is_below)).map(PathBuf::as_path)
    }
}

/// What the kernel knows a file or folder by.
fn id(place: &Path) -> Option<(u64, u64)> {
    fs::metadata(place).ok().map(|found| (found.dev(), found.ino()))
}

/// What has to be writable for this file: its folder, and that of the file a link leads to; or only
/// the file, if it is a pipe or a device. Paths are without links, as far as they exist.
fn places(file: &Path) -> Vec<PathBuf> {
    if fs::metadata(file).is_ok_and(|found| is_special(&found)) {
        // A pipe without a name, as `/dev/stderr` may be, is not restricted and has no rule.
        return fs::canonicalize(file).into_iter().collect();
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
pub(crate) fn real(path: &Path) -> PathBuf {
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
                let sandbox = Sandbox::enter(&files, Demand::AsMuchAsThereIs).expect("no error")?;
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

    /// Does this in a thread that may write these files, because there is no way back.
    fn within(files: &[PathBuf], act: impl FnOnce(Sandbox) + Send) {
        thread::scope(|scope| {
            let entered = scope.spawn(|| {
                if let Some(sandbox) = Sandbox::enter(files, Demand::AsMuchAsThereIs).unwrap() {
                    act(sandbox);
                }
            });
            entered.join().expect("all holds");
        });
    }

    #[test]
    fn a_pipe_without_a_name_needs_no_rule() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        within(&[(&path).into()], |sandbox| {
            assert_eq!(sandbox.refused(&[(&path).into()]), None);
            fs::OpenOptions::new().append(true).open(&path).expect("opened");
            fs::write("/dev/null", "").expect_err("nothing else can be written");
        });
    }

    #[test]
    fn what_could_not_be_opened_is_refused_later_unless_it_was_asked_for_already() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        fs::create_dir(path("in")).unwrap();
        let files = [path("in/a.csv"), path("missing/a.sock")];
        within(&files, |sandbox| {
            assert_eq!(sandbox.refused(&files), None);
            let more = [path("in/b.csv"), path("missing/b.sock")];
            assert_eq!(sandbox.refused(&more), Some(&*more[1]));
        });
    }

    #[test]
    fn a_link_that_leads_elsewhere_since_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        for folder in ["in", "out"] {
            fs::create_dir(path(folder)).unwrap();
            fs::write(path(folder).join("a.csv"), "").unwrap();
        }
        symlink(path("in/a.csv"), path("in/link.csv")).unwrap();
        let (files, mut entered) = ([path("in/link.csv")], None);
        within(&files, |sandbox| entered = Some(sandbox));
        let Some(sandbox) = entered else { return };
        assert_eq!(sandbox.refused(&files), None);
        fs::remove_file(&files[0]).unwrap();
        symlink(path("out/a.csv"), &files[0]).unwrap();
        assert_eq!(sandbox.refused(&files), Some(&*files[0]));
    }

    #[test]
    fn a_folder_that_was_made_anew_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("in");
        let remake = || {
            fs::remove_dir_all(&folder).ok();
            fs::create_dir(&folder).unwrap();
        };
        remake();
        let files = [folder.join("a.csv"), folder.join("b/c.csv")];
        let mut entered = None;
        within(&files[..1], |sandbox| entered = Some(sandbox));
        let Some(sandbox) = entered.take() else { return };
        assert_eq!(sandbox.refused(&files), None);
        // The kernel keeps the folder for a process that is confined to it, so that another one
        // gets another number. Here the thread has ended.
        let _kept = fs::File::open(&folder).unwrap();
        fs::remove_dir(&folder).unwrap();
        assert_eq!(sandbox.refused(&files), Some(&*files[0]), "it could not be made");
        remake();
        assert_eq!(sandbox.refused(&files), Some(&*files[0]));
        within(&[scratch.path().join("x")], |sandbox| entered = Some(sandbox));
        remake();
        let around = entered.expect("as before");
        assert_eq!(around.refused(&files), None, "the folder around it is the same");
    }

    #[test]
    fn what_is_not_confined_may_write_everything() {
        assert_eq!(Sandbox::default().refused(&["/x/y".into()]), None);
    }
}
