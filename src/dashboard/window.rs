//! The time windows of the page.

use super::model::{Model, RECENT_SECONDS, WHOLE_SLOTS};
use super::timeline::Timeline;

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// Like the next two, it ends now, or with the newest row if that is long past.
    Minute,
    FiveMinutes,
    /// All since reading began.
    All,
    /// From one second to another, both of them included; in seconds since 1970.
    Between(i64, i64),
}

/// Those that have a name.
const NAMED: [Window; Window::NAMED] = [Window::Minute, Window::FiveMinutes, Window::All];

/// What a range in a link may be at most, in milliseconds since 1970: the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;

impl Window {
    /// How many have a name.
    pub(super) const NAMED: usize = 3;

    /// The one that a query asks for: `window=5m`, or `from=` and `to=` in milliseconds since 1970.
    pub(super) fn asked(query: &str) -> Result<Self, UnknownWindow> {
        let field = |name: &str| {
            let mut fields = query.split('&').filter_map(|field| field.split_once('='));
            fields.find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        match (field("from"), field("to"), field("window")) {
            (None, None, None) => Ok(Self::Minute),
            (None, None, Some(name)) => {
                NAMED.into_iter().find(|window| window.name() == name).ok_or(UnknownWindow)
            }
            (Some(from), Some(to), None) => {
                let [from, to] = [from, to].map(|ms| ms.parse().ok().filter(|ms| is_a_time(*ms)));
                let (from, to): (i64, i64) = from.zip(to).ok_or(UnknownWindow)?;
                let window = Self::Between(from.div_euclid(1000), to.div_euclid(1000));
                if from > to { Err(UnknownWindow) } else { Ok(window) }
            }
            _ => Err(UnknownWindow),
        }
    }

    /// The place among those that have a name.
    pub(super) fn place(self) -> Option<usize> {
        NAMED.into_iter().position(|known| known == self)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::All => "all",
            Self::Between(..) => "range",
        }
    }

    /// For how many seconds after the last row it still ends now.
    pub(super) fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes | Self::All => RECENT_SECONDS,
            Self::Between(..) => 0,
        }
    }

    /// The timeline that shows it, and how many of that one's slots it covers.
    pub(super) fn of(self, model: &Model) -> (&Timeline, i64) {
        match self {
            Self::Minute => (&model.recent, 60),
            Self::FiveMinutes => (&model.recent, RECENT_SECONDS),
            Self::All => (&model.whole, WHOLE_SLOTS),
            Self::Between(from, to) => {
                let newest = model.span_us().map_or(0, |(_, newest)| newest.div_euclid(1_000_000));
                let is_recent = from > newest - RECENT_SECONDS;
                let timeline = if is_recent { &model.recent } else { &model.whole };
                (timeline, (to - from) / timeline.slot_seconds() + 1)
            }
        }
    }

    /// A range as it is shown: the part of it in which there are rows, in whole slots. Nothing of
    /// it may be left.
    pub(super) fn within(self, model: &Model) -> Self {
        let Self::Between(from, to) = self else { return self };
        let (timeline, _) = self.of(model);
        let Some((first_us, newest_us)) = model.span_us() else { return self };
        let length = timeline.slot_seconds();
        let slot = |second: i64| second.div_euclid(length);
        let (first, newest) =
            (slot(first_us.div_euclid(SECOND)), slot(newest_us.div_euclid(SECOND)));
        // One that lies before the first row, or behind the newest, keeps a single slot.
        let from = slot(from).max(first).min(slot(to));
        let to = slot(to).min(newest).max(from);
        Self::Between(from * length, (to + 1) * length - 1)
    }
}

/// In microseconds.
const SECOND: i64 = 1_000_000;

fn is_a_time(ms: i64) -> bool {
    (0..=LAST_MS).contains(&ms)
}

/// A window that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such window; ask for window=1m, window=5m or window=all, or for from= and to= in \
     milliseconds since 1970"
)]
pub(super) struct UnknownWindow;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_known_by_their_names() {
        for (place, window) in NAMED.into_iter().enumerate() {
            assert_eq!(Window::asked(&format!("window={}", window.name())), Ok(window));
            assert_eq!(window.place(), Some(place));
            assert!(UnknownWindow.to_string().contains(&format!("window={}", window.name())));
        }
        assert_eq!(Window::asked(""), Ok(Window::Minute));
        assert_eq!(Window::asked("window=1 m"), Err(UnknownWindow));
    }

    #[test]
    fn a_range_has_two_ends_in_this_order() {
        let range = Window::asked("from=1999&to=5000");
        assert_eq!(range, Ok(Window::Between(1, 5)));
        assert_eq!(range.map(Window::place), Ok(None));
        for query in [
            "from=1",
            "to=1",
            "from=2&to=1",
            "from=x&to=1",
            "from=-1&to=1",
            "from=0&to=253402300800000",
            "from=1&to=2&window=1m",
        ] {
            assert_eq!(Window::asked(query), Err(UnknownWindow), "{query}");
        }
    }
}
