//! Checks the source's rules that a program can check: which module may import which, and how long
//! lines, functions and files may be.
//!
//! The checks read text, not syntax. They rely on `rustfmt` (a block ends with a brace that is
//! indented like its first line) and are strict where the text is ambiguous. An exception is in
//! [`EXCEPTIONS`] with its reason, and must still be needed. Every check is shown to fail on a bad
//! sample.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

const MAX_COLUMNS: usize = 100;
const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;

/// The layers, the lowest first. A module imports only from layers below its own.
const LAYERS: [&[&str]; 7] = [
    &["buffer", "console", "decision", "endpoint", "hosts", "sandbox", "time", "usage"],
    &["health", "reactor", "http", "balance", "dns"],
    &["journal"],
    &["proxy"],
    &["control", "dashboard", "lab"],
    &["admin", "ctl"],
    &["bin"],
];

/// Words that code under a path must not contain, and why.
const FORBIDDEN: [(&str, &[&str], &str); 8] = [
    ("src/http/", &["mio", "socket2", "rustix", "std::net", "std::io"], "HTTP has no sockets"),
    ("src/balance/", &["mio", "socket2", "rustix", "std::net", "std::io"], "nor has balancing"),
    ("src/balance/", &["httparse"], "balancing has no HTTP"),
    ("src/dns/", &["mio", "rustix", "UdpSocket", "std::io", "std::fs"], "nor has a look-up"),
    ("src/reactor/", &["httparse"], "the reactor does not interpret bytes"),
    ("src/proxy/", &["stdout", "stderr", "println", "eprintln"], "workers wait for no console"),
    ("src/journal/", &["io::stderr", "println", "eprintln"], "nor does the log's thread"),
    ("src/proxy/exchange", &["reactor", "mio", "TcpStream"], "the exchange is tested without one"),
];

/// A place where a check does not hold, and why that is right.
struct Exception {
    check: &'static str,
    path: &'static str,
    reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[];

/// One file. What is inside `#[cfg(test)]`, or in a file of tests, is test code.
struct Source {
    path: String,
    lines: Vec<Line>,
}

struct Line {
    text: String,
    is_test: bool,
}

/// What a check found: the line's number, from 1, and what is wrong.
type Findings = Vec<(usize, String)>;

type Check = fn(&Source) -> Findings;

const CHECKS: [(&str, Check); 10] = [
    ("columns", columns),
    ("file length", file_length),
    ("function length", function_length),
    ("left over", left_over),
    ("unwrap", unwrap),
    ("layers", layers),
    ("super", supers),
    ("forbidden", forbidden),
    ("anyhow", anyhow),
    ("module doc", module_doc),
];

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let stem = path.trim_end_matches(".rs");
        let is_test = ["tests/", "benches/"].iter().any(|root| path.starts_with(root))
            || stem.split('/').any(|part| part == "tests");
        let mut lines: Vec<Line> =
            text.lines().map(|text| Line { text: text.to_owned(), is_test }).collect();
        let starts = (0..lines.len()).filter(|&at| lines[at].text.trim() == "#[cfg(test)]");
        for start in starts.collect::<Vec<_>>() {
            let end = end_of_block(&lines, start + 1);
            lines[start..=end].iter_mut().for_each(|line| line.is_test = true);
        }
        Self { path: path.to_owned(), lines }
    }

    /// The module of a file: the first name below `src/`. The lab's crate is one module.
    fn module(&self) -> Option<&str> {
        if let Some(below) = self.path.strip_prefix("lab/src/") {
            return Some(if below.starts_with("bin/") { "bin" } else { "lab" });
        }
        let below = self.path.strip_prefix("src/")?;
        let module = below.split('/').next()?.trim_end_matches(".rs");
        (module != "lib").then_some(module)
    }

    /// How many modules are above and including this one: 1 for `src/time.rs`.
    fn depth(&self) -> usize {
        let below = self.path.replacen("src/", "", 1);
        let below = below.trim_end_matches(".rs");
        below.trim_end_matches("/mod").split('/').count()
    }

    /// Lines of code with their numbers; whole-line comments are none.
    fn code(&self) -> impl Iterator<Item = (usize, &Line)> {
        let lines = self.lines.iter().enumerate().map(|(index, line)| (index + 1, line));
        lines.filter(|(_, line)| !line.text.trim_start().starts_with("//"))
    }
}

/// The index of the last line of the item that begins at `start`.
fn end_of_block(lines: &[Line], start: usize) -> usize {
    let indent = |text: &str| text.len() - text.trim_start().len();
    let base = lines.get(start).map_or(0, |line| indent(&line.text));
    let ends = |line: &Line| {
        indent(&line.text) == base
            && (line.text.ends_with(';') || line.text.ends_with('}'))
            && !line.text.trim_start().starts_with("#[")
    };
    let length = lines.iter().skip(start).position(ends);
    length.map_or(lines.len().saturating_sub(1), |length| start + length)
}

/// Whether `word` occurs in `text` on its own, not as a part of a longer name.
fn has_word(text: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_name) && !text[at + word.len()..].starts_with(is_name)
    })
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn columns(source: &Source) -> Findings {
    let lines = source.lines.iter().enumerate();
    lines
        .map(|(index, line)| (index + 1, line.text.chars().count()))
        .filter(|&(_, width)| width > MAX_COLUMNS)
        .map(|(number, width)| (number, format!("{width} columns")))
        .collect()
}

fn file_length(source: &Source) -> Findings {
    let count = source.lines.len();
    let is_long = count > MAX_FILE_LINES;
    is_long.then(|| (count, format!("{count} lines"))).into_iter().collect()
}

fn function_length(source: &Source) -> Findings {
    let starts = source.code().filter(|(_, line)| is_function(&line.text));
    starts
        .map(|(number, _)| (number, end_of_block(&source.lines, number - 1) + 2 - number))
        .filter(|&(_, length)| length > MAX_FUNCTION_LINES)
        .map(|(number, length)| (number, format!("a function of {length} lines")))
        .collect()
}

fn is_function(line: &str) -> bool {
    let head = line.trim_start().split(" fn ").next().unwrap_or_default();
    let qualifier = |word: &str| {
        word.starts_with("pub") || ["const", "async", "unsafe", "extern"].contains(&word)
    };
    line.trim_start().starts_with("fn ")
        || (line.contains(" fn ") && !head.is_empty() && head.split(' ').all(qualifier))
}

fn left_over(source: &Source) -> Findings {
    // Written in two parts, so that this file has none itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
        concat!("to", "do!"),
        concat!("db", "g!"),
        concat!("unimple", "mented!"),
    ];
    let lines = source.lines.iter().enumerate();
    let found = lines.filter_map(|(index, line)| {
        let word = words.iter().find(|word| has_word(&line.text, word))?;
        Some((index + 1, format!("`{word}`")))
    });
    found.collect()
}

fn unwrap(source: &Source) -> Findings {
    let live = source.code().filter(|(_, line)| !line.is_test);
    let panics = |line: &Line| {
        [".unwrap()", ".expect(", "::unwrap)"].iter().any(|call| line.text.contains(call))
    };
    live.filter(|(_, line)| panics(line))
        .map(|(number, _)| (number, "this can panic".to_owned()))
        .collect()
}

fn layers(source: &Source) -> Findings {
    let Some(module) = source.module() else { return Vec::new() };
    let Some(own) = layer_of(module) else {
        return vec![(1, format!("`{module}` is in no layer; add it to one"))];
    };
    let library = if ["lab", "bin"].contains(&module) { "tidegate::" } else { "crate::" };
    let mut findings = Vec::new();
    for (number, line) in source.code() {
        for (at, _) in line.text.match_indices(library) {
            let path = &line.text[at + library.len()..];
            let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
            let other = &path[..end];
            let is_below = layer_of(other).is_some_and(|layer| layer < own);
            // A program may have modules of its own, named by their own `crate::`.
            if other != module && !is_below {
                let what = if other.is_empty() { "several modules in one line" } else { other };
                findings.push((number, format!("`{module}` must not import {what}")));
            }
        }
    }
    findings
}

/// `super` must not lead out of the module, where [`layers`] would not see it.
fn supers(source: &Source) -> Findings {
    if source.module().is_none() {
        return Vec::new();
    }
    let climbs =
        |line: &Line| (1..9).take_while(|&n| line.text.contains(&"super::".repeat(n))).count();
    source
        .code()
        // A module of tests within the file is one deeper.
        .filter(|(_, line)| climbs(line) >= source.depth() + usize::from(line.is_test))
        .map(|(number, _)| (number, "`super` leaves the module".to_owned()))
        .collect()
}

fn forbidden(source: &Source) -> Findings {
    let mut findings = Vec::new();
    for (place, words, reason) in FORBIDDEN {
        if !source.path.starts_with(place) {
            continue;
        }
        for (number, line) in source.code() {
            if let Some(word) = words.iter().find(|word| has_word(&line.text, word)) {
                findings.push((number, format!("`{word}`: {reason}")));
            }
        }
    }
    findings
}

fn anyhow(source: &Source) -> Findings {
    let is_library = source.module().is_some_and(|module| module != "bin");
    let lines = source.code().filter(|(_, line)| is_library && has_word(&line.text, "anyhow"));
    lines.map(|(number, _)| (number, "errors of the library are typed".to_owned())).collect()
}

fn module_doc(source: &Source) -> Findings {
    let has_doc = source.lines.first().is_some_and(|line| line.text.starts_with("//! "));
    let path = &source.path;
    let is_unit_test =
        path.contains("src/") && (path.contains("/tests/") || path.ends_with("/tests.rs"));
    (!is_unit_test && !has_doc)
        .then(|| (1, "it does not say why it exists".to_owned()))
        .into_iter()
        .collect()
}

/// Every Rust file of the project, by its path from the root.
fn sources() -> Vec<Source> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).expect("a folder that can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("below the root").display().to_string();
                found.push(Source::new(&name, &fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let folders = ["src", "lab", "tests", "benches", "rivals", "fuzz/fuzz_targets"];
    for folder in folders.map(|name| root.join(name)) {
        if folder.is_dir() {
            walk(root, &folder, &mut found);
        }
    }
    found
}

/// What is wrong with the sources, and which exceptions are not needed.
fn complaints(sources: &[Source], exceptions: &[Exception]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut is_needed = vec![false; exceptions.len()];
    for source in sources {
        for (name, check) in CHECKS {
            let findings = check(source);
            let is_for = |e: &Exception| e.check == name && e.path == source.path;
            if let Some(index) = exceptions.iter().position(is_for) {
                is_needed[index] = !findings.is_empty();
                continue;
            }
            let path = &source.path;
            complaints.extend(findings.iter().map(|(line, what)| format!("{path}:{line}: {what}")));
        }
    }
    for (Exception { check, path, reason }, is_needed) in exceptions.iter().zip(is_needed) {
        if !is_needed {
            complaints.push(format!("{path}: needs no exception from `{check}` ({reason})"));
        }
    }
    complaints
}

#[test]
fn the_sources_keep_the_rules() {
    let sources = sources();
    assert!(sources.len() > 50, "only {} files were found", sources.len());
    let complaints = complaints(&sources, EXCEPTIONS);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn an_exception_covers_one_check_in_one_file_and_must_be_needed() {
    let sample = |path| Source::new(path, "//! A sample.\nuse super::x;\nuse crate::proxy::y;");
    let sources = [sample("src/time.rs"), sample("src/buffer.rs")];
    let of = |path, check| Exception { check, path, reason: "for once" };
    assert_eq!(complaints(&sources, &[]).len(), 4);
    let left = complaints(&sources, &[of("src/time.rs", "layers")]);
    assert_eq!(left.len(), 3);
    assert!(left[0].starts_with("src/time.rs:2: `super`"), "{left:?}");
    let left = complaints(&sources, &[of("src/time.rs", "columns"), of("src/gone.rs", "layers")]);
    assert_eq!(left.len(), 6);
    assert!(left[4..].iter().all(|line| line.contains("needs no exception")), "{left:?}");
}

/// What a check says of a sample that has a module doc and `body`, whose first line is number 2.
fn found(check: &str, path: &str, body: &str) -> Vec<usize> {
    let (_, check) = CHECKS.into_iter().find(|(name, _)| *name == check).expect("a check");
    let source = Source::new(path, &format!("//! A sample.\n{body}"));
    check(&source).into_iter().map(|(line, _)| line).collect()
}

#[test]
fn a_line_may_have_100_columns_and_no_more() {
    let line = |width: usize| "é".repeat(width);
    assert!(found("columns", "src/time.rs", &line(MAX_COLUMNS)).is_empty());
    assert_eq!(found("columns", "src/time.rs", &line(MAX_COLUMNS + 1)), [2]);
}

#[test]
fn a_file_may_have_500_lines_and_no_more() {
    assert!(found("file length", "tests/a.rs", &"\n".repeat(MAX_FILE_LINES - 1)).is_empty());
    assert_eq!(found("file length", "tests/a.rs", &"\n".repeat(MAX_FILE_LINES)), [501]);
}

#[test]
fn a_function_may_have_70_lines_and_no_more() {
    for head in ["fn f() {", "pub(crate) fn f(", "    pub const fn f() {", "    async fn f() {"] {
        let indent = &head[..head.len() - head.trim_start().len()];
        let of = |lines: usize| {
            let body = format!("{indent}    {{\n").repeat(lines - 2);
            format!("\n{head}\n{body}{indent}}}\n{indent}fn g() {{}}\n")
        };
        assert!(found("function length", "src/time.rs", &of(MAX_FUNCTION_LINES)).is_empty());
        assert_eq!(found("function length", "src/time.rs", &of(MAX_FUNCTION_LINES + 1)), [3]);
    }
    // A method that is only declared, and a sentence, are as long as their line.
    let long = "    line\n".repeat(80);
    assert!(found("function length", "src/time.rs", &format!("    fn f();\n{long}")).is_empty());
    assert!(found("function length", "src/time.rs", &format!("// pub fn f\n{long}")).is_empty());
}

#[test]
fn nothing_is_left_over() {
    for word in [concat!("// TO", "DO later"), concat!("to", "do!()"), concat!("db", "g!(x)")] {
        assert_eq!(found("left over", "src/time.rs", word), [2], "{word}");
    }
    assert!(found("left over", "src/time.rs", concat!("let to", "dos = x;")).is_empty());
}

#[test]
fn only_tests_may_unwrap() {
    for call in ["x.unwrap();", "x.expect(\"y\");", "a.map(Option::unwrap)"] {
        assert_eq!(found("unwrap", "src/time.rs", call), [2], "{call}");
        assert!(found("unwrap", "src/http/tests.rs", call).is_empty());
        assert!(found("unwrap", "src/http/tests/heads.rs", call).is_empty());
        assert!(found("unwrap", "tests/a.rs", call).is_empty());
        let module =
            format!("#[cfg(test)]\nmod tests {{\n    {call}\n}}\nfn f() {{\n    {call}\n}}");
        assert_eq!(found("unwrap", "src/time.rs", &module), [7], "only what follows the tests");
        let import = format!("#[cfg(test)]\n#[path = \"x\"]\nmod tests;\n{call}");
        assert_eq!(found("unwrap", "src/time.rs", &import), [5], "a module elsewhere ends at once");
    }
    assert!(found("unwrap", "src/time.rs", "// x.unwrap()\nx.unwrap_or(1);").is_empty());
    assert!(found("unwrap", "src/time.rs", "#[expect(dead_code)]").is_empty());
}

#[test]
fn modules_import_only_from_layers_below() {
    let bad = [
        ("src/http/head.rs", "use crate::proxy::Fault;"),
        ("src/http/head.rs", "use crate::balance::Fleet;"),
        ("src/balance/fleet.rs", "use crate::reactor::Key;"),
        ("src/reactor/poller.rs", "use crate::http::Head;"),
        ("src/journal/feed.rs", "use crate::proxy::Fault;"),
        ("src/proxy/server.rs", "use crate::lab::up;"),
        ("src/time.rs", "use crate::buffer::Buffer;"),
        ("src/buffer.rs", "let x = crate::http::head();"),
        ("src/http/head.rs", "use crate::{balance, reactor};"),
        ("src/bin/a.rs", "use tidegate::{journal, proxy};"),
        ("lab/src/bin/lab/up.rs", "use tidegate::{journal, proxy};"),
        ("src/http/tests.rs", "use crate::proxy::Fault;"),
        ("lab/src/up.rs", "use tidegate::dashboard::page;"),
    ];
    for (path, line) in bad {
        assert_eq!(found("layers", path, line), [2], "{path}: {line}");
    }
    assert_eq!(found("layers", "src/attic/x.rs", ""), [1], "a module without a layer");
    let good = [
        ("src/http/head.rs", "use crate::time::parse;\nuse crate::http::Span;"),
        ("src/proxy/server.rs", "use crate::journal::RecordSender;\nuse crate::http::Head;"),
        ("lab/src/up.rs", "use tidegate::balance::Policy;\nuse crate::ports;"),
        ("src/bin/a.rs", "use tidegate::dashboard::page;\nuse crate::flags;"),
        ("lab/src/bin/lab/up.rs", "use tidegate_lab::up;\nuse tidegate::usage;"),
        ("src/lib.rs", "pub mod proxy;"),
        ("src/http/head.rs", "//! Unlike [`crate::proxy`]."),
    ];
    for (path, line) in good {
        assert!(found("layers", path, line).is_empty(), "{path}: {line}");
    }
}

#[test]
fn super_leaves_no_module() {
    for (path, line) in [
        ("src/http/head.rs", "use super::super::proxy;"),
        ("src/time.rs", "use super::proxy;"),
        ("src/http/mod.rs", "use super::proxy;"),
        ("src/proxy/exchange/mod.rs", "use super::super::http;"),
    ] {
        assert_eq!(found("super", path, line), [2], "{path}: {line}");
    }
    for (path, line) in [
        ("src/http/head.rs", "use super::Span;"),
        ("src/proxy/exchange/request.rs", "use super::super::fault::Fault;"),
        ("src/time.rs", "#[cfg(test)]\nmod tests {\n    use super::*;\n}"),
        ("src/balance/x.rs", "#[cfg(test)]\nmod tests {\n    use super::super::set;\n}"),
    ] {
        assert!(found("super", path, line).is_empty(), "{path}: {line}");
    }
}

#[test]
fn each_module_does_without_what_it_must_not_know() {
    for (place, words, _) in FORBIDDEN {
        let path = format!("{place}/sample.rs");
        for word in words {
            assert_eq!(found("forbidden", &path, &format!("use {word}::x;")), [2], "{path} {word}");
            assert!(found("forbidden", &path, &format!("// not {word}")).is_empty());
            assert!(found("forbidden", &path, &format!("let my_{word}ing = 1;")).is_empty());
        }
    }
}

#[test]
fn the_library_types_its_errors() {
    assert_eq!(found("anyhow", "src/proxy/server.rs", "use anyhow::Result;"), [2]);
    assert_eq!(found("anyhow", "lab/src/up.rs", "use anyhow::Result;"), [2]);
    for program in ["src/bin/dashboard.rs", "lab/src/bin/backend.rs"] {
        assert!(found("anyhow", program, "use anyhow::Result;").is_empty());
    }
}

#[test]
fn a_module_says_why_it_exists() {
    let says_so = |text: &str| module_doc(&Source::new("src/time.rs", text)).is_empty();
    assert!(says_so("//! Durations.\n"));
    assert!(!says_so("use std::time;\n"));
    assert!(!says_so(""));
}
