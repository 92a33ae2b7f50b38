use serde_json::Value;

use super::*;
use sample::{entry, full, measured, results, tally};

mod judging;
mod sample;
mod shown;

fn standing(measured: &Measured) -> Standing {
    Standing::of(measured)
}

/// Every element is closed in its place, and every `<` and `&` is of the language.
fn assert_well_formed(document: &str) {
    const EMPTY: [&str; 3] = ["!doctype", "meta", "wbr"];
    let mut open = Vec::new();
    let mut rest = document;
    while let Some((text, after)) = rest.split_once('<') {
        assert_text(text);
        let (tag, after) = after.split_once('>').expect("an end of a tag");
        rest = after;
        let name = tag.split([' ', '\n']).next().unwrap();
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "closed at {}", &rest[..rest.len().min(200)]);
        } else if !tag.ends_with('/') && !EMPTY.contains(&name) {
            open.push(name);
        }
        if name == "style" {
            rest = &rest[rest.find("</style>").unwrap()..];
        }
    }
    assert_text(rest);
    assert_eq!(open, [""; 0]);
}

fn assert_text(text: &str) {
    for after in text.split('&').skip(1) {
        let entity = after.split_once(';').map(|(entity, _)| entity);
        let is_known = entity.is_some_and(|it| ["amp", "lt", "gt", "quot", "#39"].contains(&it));
        assert!(is_known, "&{}", &after[..after.len().min(20)]);
    }
}

/// Nothing is fetched, and nothing is run.
fn assert_self_contained(document: &str) {
    for word in ["<script", "src=", "url(", "@import", "<link", "<iframe", "onload", "onclick"] {
        assert!(!document.contains(word), "{word}");
    }
    for target in document.split("href=\"").skip(1) {
        assert!(target.starts_with('#'), "{}", &target[..40]);
    }
}
