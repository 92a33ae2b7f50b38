//! The commands of a document: what its fenced `sh` blocks hold.

/// The commands of each section, one a line.
pub fn sections(markdown: &str) -> Vec<Vec<String>> {
    let mut sections = vec![Vec::new()];
    let mut fence = None;
    for line in markdown.lines() {
        match (line.strip_prefix("```"), fence) {
            (Some(language), None) => fence = Some(language),
            (Some(_), Some(_)) => fence = None,
            (None, Some("sh")) => sections.last_mut().unwrap().push(line.to_owned()),
            (None, None) if line.starts_with("## ") => sections.push(Vec::new()),
            _ => {}
        }
    }
    sections
}
