//! The commands of a document: what its fenced `sh` blocks hold.

/// The section whose commands need a container engine, so that only `tests/docker` runs them.
pub(crate) const IN_DOCKER: &str = "In Docker";

/// A section's title, empty before the first one, and its commands, one a line.
pub(crate) type Section = (String, Vec<String>);

pub(crate) fn sections(markdown: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    let mut fence = None;
    for line in markdown.lines() {
        match (line.strip_prefix("```"), fence) {
            (Some(language), None) => fence = Some(language),
            (Some(_), Some(_)) => fence = None,
            (None, Some("sh")) => sections.last_mut().unwrap().1.push(line.to_owned()),
            (None, None) => {
                let title = line.strip_prefix("## ").map(str::to_owned);
                sections.extend(title.map(|title| (title, Vec::new())));
            }
            _ => {}
        }
    }
    sections
}
