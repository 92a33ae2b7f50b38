//! The page's files, which the build embeds in the program.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A file as it is served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asset {
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    /// For clients that do not accept gzip.
    pub(super) plain: &'static [u8],
    pub(super) gzip: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! web {
    ($path:literal, $file:literal, $content_type:expr) => {
        Asset {
            path: $path,
            content_type: $content_type,
            plain: include_bytes!(concat!("../../web/", $file)),
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".gz")),
        }
    };
}

/// All files there are.
static ASSETS: &[Asset] = &[
    web!("/", "index.html", HTML),
    web!("/address.js", "address.js", JAVASCRIPT),
    web!("/app.js", "app.js", JAVASCRIPT),
    web!("/axis.js", "axis.js", JAVASCRIPT),
    web!("/backends.js", "backends.js", JAVASCRIPT),
    web!("/cells.js", "cells.js", JAVASCRIPT),
    web!("/chart.js", "chart.js", JAVASCRIPT),
    web!("/charts.css", "charts.css", CSS),
    web!("/charts.js", "charts.js", JAVASCRIPT),
    web!("/choices.js", "choices.js", JAVASCRIPT),
    web!("/colours.css", "colours.css", CSS),
    web!("/dom.js", "dom.js", JAVASCRIPT),
    web!("/figures.css", "figures.css", CSS),
    web!("/expected.js", "expected.js", JAVASCRIPT),
    web!("/format.js", "format.js", JAVASCRIPT),
    web!("/frame.css", "frame.css", CSS),
    web!("/health.js", "health.js", JAVASCRIPT),
    web!("/icon.svg", "icon.svg", SVG),
    web!("/latency.js", "latency.js", JAVASCRIPT),
    web!("/lines.js", "lines.js", JAVASCRIPT),
    web!("/poll.js", "poll.js", JAVASCRIPT),
    web!("/requests.js", "requests.js", JAVASCRIPT),
    web!("/shapes.js", "shapes.js", JAVASCRIPT),
    web!("/small.css", "small.css", CSS),
    web!("/stacks.js", "stacks.js", JAVASCRIPT),
    web!("/stage.js", "stage.js", JAVASCRIPT),
    web!("/status.js", "status.js", JAVASCRIPT),
    web!("/strips.js", "strips.js", JAVASCRIPT),
    web!("/tables.css", "tables.css", CSS),
    web!("/tables.js", "tables.js", JAVASCRIPT),
    web!("/theme.js", "theme.js", JAVASCRIPT),
    web!("/time.js", "time.js", JAVASCRIPT),
    web!("/why.js", "why.js", JAVASCRIPT),
    web!("/words.js", "words.js", JAVASCRIPT),
];

impl Asset {
    /// The file at a path.
    pub(super) fn at(path: &str) -> Option<&'static Self> {
        ASSETS.iter().find(|asset| asset.path == path)
    }

    /// The entity tag of this version of the file (RFC 9110 §8.8.3).
    pub(super) fn etag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.gzip.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/web");
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
            assert!(Asset::at(&path).is_some(), "{path}");
        }
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        for asset in ASSETS {
            let text = String::from_utf8_lossy(asset.plain);
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("://"), "{}", asset.path);
        }
    }

    /// A proxy in front of the dashboard may strip a prefix of the path.
    #[test]
    fn everything_is_named_relative_to_the_page() {
        for asset in ASSETS {
            let text = String::from_utf8_lossy(asset.plain);
            let names = text.match_indices(['"', '\'', '`', '(']).filter_map(|(at, _)| {
                let mut rest = text[at + 1..].strip_prefix('/')?.chars();
                rest.next().is_some_and(char::is_alphabetic).then(|| &text[at..])
            });
            let shown: Vec<String> = names.map(|name| name.chars().take(20).collect()).collect();
            assert!(shown.is_empty(), "{}: {shown:?}", asset.path);
        }
    }

    #[test]
    fn the_whole_page_is_small() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.gzip.len()).sum();
        assert!(bytes < 60_000, "{bytes}");
    }

    #[test]
    fn files_differ_by_their_tags() {
        let tags: std::collections::HashSet<_> = ASSETS.iter().map(Asset::etag).collect();
        assert_eq!(tags.len(), ASSETS.len());
    }
}
