//! Every round as a row, for other evaluations.

use std::fmt::Write;

use super::super::results::Results;

const HEADER: &str = "workload,contender,round,requests,seconds,requests_per_s,\
    cpu_us_per_request,core_share,others_share,p50_us,p99_us,p999_us,errors,peak_resident_bytes\n";

/// The rounds of all workloads. No name in it needs quoting.
pub(super) fn rounds(results: &Results) -> String {
    let mut text = HEADER.to_owned();
    for measured in &results.workloads {
        for entry in &measured.entries {
            for (index, round) in entry.rounds.iter().enumerate() {
                let load = &round.load;
                // Writing to a String can't fail.
                let _ = writeln!(
                    text,
                    "{},{},{},{},{:.3},{:.1},{:.3},{:.4},{:.4},{:.0},{:.0},{:.0},{},{}",
                    measured.workload.name,
                    entry.contender.name,
                    index + 1,
                    load.requests,
                    load.duration.as_secs_f64(),
                    load.per_second(),
                    round.cpu_us_per_request,
                    round.share,
                    round.others,
                    load.p50_us,
                    load.p99_us,
                    load.p999_us,
                    load.errors,
                    entry.peak_resident_bytes,
                );
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::results::tests::measured;
    use super::super::super::workload::{LineUp, WORKLOADS};
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn no_name_begins_a_formula_or_needs_quotes() {
        let line_ups = [LineUp::Everyone, LineUp::OneOfEach, LineUp::Workers, LineUp::Transports];
        let contenders = line_ups.iter().flat_map(|line_up| line_up.contenders());
        let names = WORKLOADS.iter().map(|workload| workload.name);
        for name in names.chain(contenders.map(|contender| contender.name)) {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            assert!(name.bytes().all(|byte| is_plain(byte) || byte == b'-'), "{name}");
            assert!(is_plain(name.as_bytes()[0]), "{name}");
        }
    }

    #[test]
    fn every_round_is_a_row_with_all_columns() {
        let results = Results {
            machine: Machine::default(),
            rounds: (3, 1),
            left_out: Vec::new(),
            workloads: vec![measured()],
        };
        let text = rounds(&results);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 5 * 3);
        let columns = |line: &str| line.split(',').count();
        assert!(lines.iter().all(|line| columns(line) == columns(lines[0])), "{text}");
        let first =
            "small-1,tidegate,1,1000,1.000,1000.0,9.000,0.9700,0.0000,500,900,990,0,5242880";
        assert_eq!(lines[1], first);
    }
}
