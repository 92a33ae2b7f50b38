//! The page's files, which the build embeds in the program.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A file as it is served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asset {
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    /// For clients that do not accept gzip; `None` for a file that no such client needs.
    pub(super) plain: Option<&'static [u8]>,
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
            plain: Some(include_bytes!(concat!("../../web/", $file))),
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/", $file, ".gz")),
        }
    };
}

/// All files there are.
static ASSETS: &[Asset] = &[
    web!("/", "index.html", HTML),
    web!("/colours.css", "colours.css", CSS),
    web!("/frame.css", "frame.css", CSS),
    web!("/figures.css", "figures.css", CSS),
    web!("/small.css", "small.css", CSS),
    web!("/theme.js", "theme.js", JAVASCRIPT),
    web!("/app.js", "app.js", JAVASCRIPT),
    web!("/charts.js", "charts.js", JAVASCRIPT),
    web!("/format.js", "format.js", JAVASCRIPT),
    web!("/poll.js", "poll.js", JAVASCRIPT),
    web!("/tables.js", "tables.js", JAVASCRIPT),
    web!("/icon.svg", "icon.svg", SVG),
    #[cfg(feature = "charts")]
    Asset {
        path: "/plotly.js",
        content_type: JAVASCRIPT,
        plain: None,
        gzip: include_bytes!(concat!(env!("OUT_DIR"), "/plotly.js.gz")),
    },
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
            let text = String::from_utf8_lossy(asset.plain.unwrap_or_default());
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("://"), "{}", asset.path);
        }
    }

    /// A proxy in front of the dashboard may strip a prefix of the path.
    #[test]
    fn everything_is_named_relative_to_the_page() {
        for asset in ASSETS {
            let text = String::from_utf8_lossy(asset.plain.unwrap_or_default());
            let names = text.match_indices(['"', '\'', '`', '(']).filter_map(|(at, _)| {
                let mut rest = text[at + 1..].strip_prefix('/')?.chars();
                rest.next().is_some_and(char::is_alphabetic).then(|| &text[at..])
            });
            let shown: Vec<String> = names.map(|name| name.chars().take(20).collect()).collect();
            assert!(shown.is_empty(), "{}: {shown:?}", asset.path);
        }
    }

    #[test]
    fn files_differ_by_their_tags() {
        let tags: std::collections::HashSet<_> = ASSETS.iter().map(Asset::etag).collect();
        assert_eq!(tags.len(), ASSETS.len());
    }
}
