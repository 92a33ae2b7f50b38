//! Packs the dashboard's page: every file of `web/`, once here instead of for every browser.

use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=web");
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR")?;
    let out = Path::new(&out);
    for file in fs::read_dir("web")? {
        let file = file?;
        pack(&fs::read(file.path())?, &out.join(file.file_name()))?;
    }
    Ok(())
}

/// Writes `bytes` to `path`, with `.gz` appended to its name.
fn pack(bytes: &[u8], path: &Path) -> Result<(), Box<dyn Error>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    let mut encoder = GzEncoder::new(fs::File::create(name)?, Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()?;
    Ok(())
}
