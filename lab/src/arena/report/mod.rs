//! The results for people and for programs: text, JSON, a page, and the heat map by itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::results::Results;

/// Everything, for a terminal.
#[must_use]
pub fn text(_results: &Results) -> String {
    String::new()
}

/// The scenario at this place, for a terminal: its table, as soon as it was run.
#[must_use]
pub fn scenario(_results: &Results, _index: usize) -> String {
    String::new()
}

/// Everything, for programs. [`read`] reads it back.
#[must_use]
pub fn json(_results: &Results) -> String {
    String::new()
}

/// Everything as one page in HTML.
#[must_use]
pub fn page(_results: &Results) -> String {
    String::new()
}

/// The heat map as an SVG for both colour schemes.
#[must_use]
pub fn heat_map(_results: &Results) -> String {
    String::new()
}

/// Reads what [`json`] wrote.
///
/// # Errors
/// The file can't be read, or is no such document.
pub fn read(path: &Path) -> io::Result<Results> {
    let _text = fs::read_to_string(path)?;
    Err(io::Error::from(io::ErrorKind::InvalidData))
}

/// Writes `arena.json`, `arena.html` and `arena-heatmap.svg` into `folder`, which is created if
/// need be; returns their paths.
///
/// # Errors
/// A file can't be written.
pub fn write(results: &Results, folder: &Path) -> io::Result<[PathBuf; 3]> {
    fs::create_dir_all(folder)?;
    let paths = ["arena.json", "arena.html", "arena-heatmap.svg"].map(|name| folder.join(name));
    fs::write(&paths[0], json(results))?;
    fs::write(&paths[1], page(results))?;
    fs::write(&paths[2], heat_map(results))?;
    Ok(paths)
}
