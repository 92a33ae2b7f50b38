//! Packs the dashboard's page: every file of `web/`, and Plotly.js from the crate that contains it.
//! They are compressed once here instead of for every browser.

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
    #[cfg(feature = "charts")]
    pack(plotly()?.as_bytes(), &out.join("plotly.js"))?;
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

/// The crate has its scripts as HTML elements; the first of them is Plotly.js.
#[cfg(feature = "charts")]
fn plotly() -> Result<String, Box<dyn Error>> {
    let page = plotly::Plot::offline_js_sources();
    let begin = page.find('>').ok_or("no script element")? + 1;
    let length = page[begin..].find("</script>").ok_or("no end of the script element")?;
    let script = &page[begin..begin + length];
    let is_plotly = script.trim_start().starts_with("/**") && script.contains("plotly.js v");
    if is_plotly { Ok(script.to_owned()) } else { Err("the first script is not Plotly.js".into()) }
}
