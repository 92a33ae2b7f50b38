//! A workload as bars: the median of each contender, with its lowest and highest round.

use super::super::contender::Program;
use super::super::results::{Entry, Measured};
use crate::render::{Bar, Ink, Line, Panel, bars};

/// Processor time per request as an SVG; `None` if no contender has a figure.
pub(super) fn processor_time(measured: &Measured) -> Option<String> {
    let entries = || measured.entries.iter().filter(|entry| entry.cpu().is_some());
    let title = "processor µs per request: median, lowest and highest round".to_owned();
    let panel = Panel { title, bars: entries().map(bar).collect() };
    bars(&entries().map(line).collect::<Vec<_>>(), &[panel])
}

fn line(entry: &Entry) -> Line {
    let ink = match entry.contender.program {
        Program::Tidegate(_) => Ink::Series(0),
        Program::Relay => Ink::Series(7),
        _ => Ink::Series(1),
    };
    Line { name: entry.contender.name.to_owned(), ink, is_dashed: false }
}

fn bar(entry: &Entry) -> Option<Bar> {
    let cpu = entry.cpu()?;
    let text = format!("{:.1}", cpu.median);
    Some(Bar { value: cpu.median, range: Some((cpu.min, cpu.max)), text })
}

#[cfg(test)]
mod tests {
    use super::super::super::results::tests::measured;
    use super::*;

    #[test]
    fn every_contender_with_a_figure_has_a_bar() {
        let mut measured = measured();
        measured.entries[1].rounds.clear();
        let svg = processor_time(&measured).expect("figures");
        for name in ["tidegate", "nginx", "haproxy", "relay"] {
            assert!(svg.contains(name), "{name}");
        }
        assert!(!svg.contains("hyper"));
        assert!(svg.contains("50.0"));
    }

    #[test]
    fn without_a_figure_there_is_no_plot() {
        let mut measured = measured();
        measured.entries.iter_mut().for_each(|entry| entry.rounds.clear());
        assert_eq!(processor_time(&measured), None);
    }
}
