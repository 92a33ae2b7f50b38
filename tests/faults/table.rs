//! The table of faults names the tests that prove it, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The tests that a page names in the last column of its tables, as `module::name`.
fn named(page: &str) -> BTreeSet<String> {
    let cells = page.lines().filter_map(|line| line.strip_suffix(" |")?.rsplit(" | ").next());
    let tests = cells.filter_map(|cell| cell.strip_prefix('`')?.strip_suffix('`'));
    tests.filter(|test| test.contains("::")).map(str::to_owned).collect()
}

/// The tests of a module.
fn tests_of(module: &str, source: &str) -> BTreeSet<String> {
    let behind = source.split("#[test]\nfn ").skip(1);
    behind.map(|text| format!("{module}::{}", text.split('(').next().unwrap())).collect()
}

#[test]
fn the_table_names_every_test_of_a_fault_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let mut tests = BTreeSet::new();
    for file in fs::read_dir(root.join("tests/faults")).unwrap() {
        let path = file.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap();
        if module != "table" {
            tests.extend(tests_of(module, &fs::read_to_string(&path).unwrap()));
        }
    }
    let named = named(&page);
    let (missing, unknown) = (&tests - &named, &named - &tests);
    assert!(missing.is_empty(), "not in docs/reliability.md: {missing:#?}");
    assert!(unknown.is_empty(), "in docs/reliability.md, but no test: {unknown:#?}");
    assert!(named.len() > 40);
}

#[test]
fn a_name_is_found_on_both_sides() {
    let page =
        "| a fault | `200` | `x::it_holds` |\n| no test | `200` |\n`y::prose` |of| no table\n";
    let source = "#[test]\nfn it_holds() {}\n\nfn helper() {}\n\n#[test]\nfn and_this() {}\n";
    assert_eq!(named(page), BTreeSet::from(["x::it_holds".to_owned()]));
    let found = tests_of("x", source);
    assert_eq!(found, ["x::it_holds", "x::and_this"].map(str::to_owned).into());
}
