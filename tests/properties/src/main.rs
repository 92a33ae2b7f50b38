//! Carries inputs between the files of cases and libFuzzer, which has one file for each.

use std::path::Path;
use std::{env, fs, io, process};

use properties::{TARGETS, cases};

const USAGE: &str = "\
usage: properties unpack FOLDER   writes the cases of each target to FOLDER/TARGET/
       properties show FILE...    prints inputs as lines for a file of cases";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["unpack", folder] => unpack(Path::new(folder)),
        ["show", files @ ..] if !files.is_empty() => files.iter().try_for_each(|file| {
            println!("{}", fs::read(file)?.escape_ascii());
            Ok(())
        }),
        _ => {
            eprintln!("{USAGE}");
            process::exit(2);
        }
    }
}

fn unpack(folder: &Path) -> io::Result<()> {
    for (target, _) in TARGETS {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        for (index, case) in cases::of(target).iter().enumerate() {
            fs::write(folder.join(format!("case-{index:03}")), case)?;
        }
    }
    Ok(())
}
