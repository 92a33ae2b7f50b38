//! Results for people and for programs: tables, CSV, JSON, Markdown and a page.

mod csv;
mod goals;
mod json;
mod markdown;
mod page;
mod plot;
mod rows;
mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::results::Results;

pub use table::{goals, summary, table};

/// Writes `bench.csv`, `bench.json`, `bench.md` and `bench.html` into `folder`, which is created if
/// need be; returns their paths.
///
/// # Errors
/// A file can't be written.
pub fn write(results: &Results, folder: &Path) -> io::Result<[PathBuf; 4]> {
    fs::create_dir_all(folder)?;
    let paths = ["csv", "json", "md", "html"].map(|kind| folder.join("bench").with_extension(kind));
    fs::write(&paths[0], csv::rounds(results))?;
    fs::write(&paths[1], json::document(results))?;
    fs::write(&paths[2], markdown::document(results))?;
    fs::write(&paths[3], page::page(results))?;
    Ok(paths)
}
