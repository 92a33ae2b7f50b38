//! Which configuration is best by which figure, as far as the runs can tell.

use super::Report;
use super::configuration::{Configuration, configurations};
use super::estimate::Estimate;
use super::figure::{Figure, figures};

/// What a tie is, for the report.
pub(super) const NOISE: &str = "A tie is a difference of less than 1 %, or one that may be chance.";

/// Which configuration is best by one figure.
pub(super) struct Verdict<'a> {
    pub(super) figure: Figure,
    /// All that have the figure, the best first.
    ranked: Vec<Ranked<'a>>,
    /// Those of them that tie with the best; `None` if the runs are too short to tell.
    leaders: Option<Vec<Ranked<'a>>>,
}

type Ranked<'a> = (&'a str, Estimate);

/// The verdicts, if there are several configurations.
pub(super) fn verdicts(report: &Report) -> Vec<Verdict<'_>> {
    let configurations = configurations(report);
    let verdicts = figures(report).map(|figure| verdict(&configurations, figure));
    verdicts.into_iter().filter(|verdict| verdict.ranked.len() > 1).collect()
}

fn verdict<'a>(configurations: &[Configuration<'a>], figure: Figure) -> Verdict<'a> {
    let values = configurations.iter().filter_map(|it| Some((it.name, figure.of(it)?)));
    let mut ranked: Vec<_> = values.collect();
    ranked.sort_by(|(_, a), (_, b)| a.value.total_cmp(&b.value));
    if figure.is_more_better {
        ranked.reverse();
    }
    let best = ranked.first().map(|(_, best)| *best);
    let differs: Option<Vec<_>> = ranked.iter().map(|(_, value)| best?.differs(*value)).collect();
    let leaders = differs.map(|differs| {
        let judged = ranked.iter().zip(differs);
        judged.filter(|(_, differs)| !differs).map(|(ranked, _)| *ranked).collect()
    });
    Verdict { figure, ranked, leaders }
}

impl Verdict<'_> {
    /// The best configurations; `None` if the runs are too short to tell.
    pub(super) fn leaders(&self) -> Option<Vec<&str>> {
        Some(self.leaders.as_ref()?.iter().map(|(name, _)| *name).collect())
    }

    /// A sentence for the report.
    pub(super) fn text(&self) -> String {
        let Figure { best: name, words, .. } = self.figure;
        let figure = |(name, value): &Ranked<'_>| format!("{name} ({})", words(value.value));
        let (Some(best), Some(worst)) = (self.ranked.first(), self.ranked.last()) else {
            return String::new();
        };
        let range = format!("{} to {}", words(best.1.value), words(worst.1.value));
        match self.leaders.as_deref() {
            None => format!("The {name}: the runs are too short to tell ({range})."),
            Some([best]) => format!("The {name}: {}.", figure(best)),
            Some(all) if all.len() == self.ranked.len() => {
                format!("The {name}: a tie of all {} ({range}).", all.len())
            }
            Some(some) => {
                let names: Vec<_> = some.iter().map(figure).collect();
                format!("The {name}: a tie of {}.", names.join(" and "))
            }
        }
    }
}
