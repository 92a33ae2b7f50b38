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
    rise: u32,
    fall: u32,
    verdict: Verdict,
    /// Results in a row that contradict the verdict.
    against: u32,
}

impl Check {
    /// So many results in a row make it pass, or fail.
    #[must_use]
    pub fn new(rise: u32, fall: u32) -> Self {
        Self { rise, fall, verdict: Verdict::Passes, against: 0 }
    }

    /// One more result; the verdict, if that is another one now.
    pub fn result(&mut self, result: Verdict) -> Option<Verdict> {
        if result == self.verdict {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = match result {
            Verdict::Passes => self.rise,
            Verdict::Fails => self.fall,
        };
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
        let mut check = Check::new(2, 3);
        let mut told = |results: &str| -> String {
            let result = |c| if c == '+' { Verdict::Passes } else { Verdict::Fails };
            let sign = |verdict| match verdict {
                None => '.',
                Some(Verdict::Passes) => 'p',
                Some(Verdict::Fails) => 'f',
            };
            results.chars().map(|c| sign(check.result(result(c)))).collect()
        };
        assert_eq!(told("++--+---"), ".......f");
        assert_eq!(told("--+-++"), ".....p");
        assert_eq!(told("+---"), "...f");
    }
}
