//! From the results of an active check to its verdict.

/// What an active check says of a backend.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is well.
    Passes,
    /// It should get no requests.
    Fails,
}

/// Changes the verdict only after several results of the other kind in a row. A backend passes
/// until its check says otherwise.
#[derive(Clone, Debug)]
pub struct Check {
    verdict: Verdict,
    /// Results in a row that contradict the verdict.
    against: u32,
}

impl Default for Check {
    fn default() -> Self {
        Self { verdict: Verdict::Passes, against: 0 }
    }
}

impl Check {
    /// One more result; the verdict, if that is another one now. It takes `needed` results in a row
    /// that contradict it.
    pub fn result(&mut self, result: Verdict, needed: u32) -> Option<Verdict> {
        if result == self.verdict {
            self.against = 0;
            return None;
        }
        self.against += 1;
        if self.against < needed {
            return None;
        }
        (self.verdict, self.against) = (result, 0);
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_changes_after_so_many_results_in_a_row() {
        let mut check = Check::default();
        let mut told = |results: &str| -> String {
            let result = |c| if c == '+' { Verdict::Passes } else { Verdict::Fails };
            let sign = |verdict| match verdict {
                None => '.',
                Some(Verdict::Passes) => 'p',
                Some(Verdict::Fails) => 'f',
            };
            let needed = |c| if c == '+' { 2 } else { 3 };
            results.chars().map(|c| sign(check.result(result(c), needed(c)))).collect()
        };
        assert_eq!(told("++--+---"), ".......f");
        assert_eq!(told("--+-++"), ".....p");
        assert_eq!(told("+---"), "...f");
    }
}
