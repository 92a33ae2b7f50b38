//! Results for people and for programs: a table, CSV, JSON and a page.

mod csv;
mod json;
mod page;
mod plot;
mod rows;
mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::results::Results;

pub use table::{summary, table};

/// Writes `bench.csv`, `bench.json` and `bench.html` into `folder`, which is made if it isn't
/// there; returns their paths.
///
/// # Errors
/// A file can't be written.
pub fn write(results: &Results, folder: &Path) -> io::Result<[PathBuf; 3]> {
    fs::create_dir_all(folder)?;
    let paths = ["csv", "json", "html"].map(|kind| folder.join("bench").with_extension(kind));
    fs::write(&paths[0], csv::rounds(results))?;
    fs::write(&paths[1], json::document(results))?;
    fs::write(&paths[2], page::page(results))?;
    Ok(paths)
}
