//! The results for people and for programs: text, JSON, a page, and the heat map by itself.

mod heat;
mod json;
mod page;
mod phases;
mod seen;
mod series;
mod simulated;
mod standing;
mod stats;
mod tables;
mod tails;
#[cfg(test)]
mod tests;
mod text;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::results::{Measured, Results};
use standing::Standing;

/// Everything, for a terminal.
#[must_use]
pub fn text(results: &Results) -> String {
    text::document(results)
}

/// What is said of all scenarios together, for a terminal that has shown each already.
#[must_use]
pub fn summary(results: &Results) -> String {
    let standings: Vec<Standing> = results.scenarios.iter().map(Standing::of).collect();
    text::summary(results, &standings)
}

/// One scenario, for a terminal. Of the other results only the contenders' names are needed, so it
/// can be shown as soon as the scenario was run.
#[must_use]
pub fn scenario(results: &Results, measured: &Measured) -> String {
    text::scenario(results, measured, &Standing::of(measured))
}

/// Everything, for programs. [`read`] reads it back.
///
/// # Errors
/// A value can't be written as JSON.
pub fn json(results: &Results) -> io::Result<String> {
    Ok(json::document(results)?)
}

/// Everything as one page in HTML.
#[must_use]
pub fn page(results: &Results) -> String {
    page::document(results)
}

/// The heat map as an SVG for both colour schemes.
#[must_use]
pub fn heat_map(results: &Results) -> String {
    let standings: Vec<Standing> = results.scenarios.iter().map(Standing::of).collect();
    heat::picture(results, &standings)
}

/// Reads what [`json`] wrote.
///
/// # Errors
/// The file can't be read, or is no such document.
pub fn read(path: &Path) -> io::Result<Results> {
    json::read(&fs::read_to_string(path)?)
}

/// Writes `arena.json`, `arena.html` and `arena-heatmap.svg` into `folder`, which is created if
/// need be; returns their paths.
///
/// # Errors
/// A file can't be written.
pub fn write(results: &Results, folder: &Path) -> io::Result<[PathBuf; 3]> {
    fs::create_dir_all(folder)?;
    let paths = ["arena.json", "arena.html", "arena-heatmap.svg"].map(|name| folder.join(name));
    fs::write(&paths[0], json(results)?)?;
    fs::write(&paths[1], page(results))?;
    fs::write(&paths[2], heat_map(results))?;
    Ok(paths)
}
