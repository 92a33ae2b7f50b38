//! The time windows of the page.

use std::str::FromStr;

use super::model::{Model, RECENT_SECONDS, WHOLE_SLOTS};
use super::timeline::Timeline;

/// A span of time that ends now, or with the newest row if that is long past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    Minute,
    FiveMinutes,
    /// All since reading began.
    All,
}

impl Window {
    pub(super) const ALL: [Self; 3] = [Self::Minute, Self::FiveMinutes, Self::All];

    /// The name in a query.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::All => "all",
        }
    }

    /// For how many seconds after the last row it still ends now.
    pub(super) fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes | Self::All => RECENT_SECONDS,
        }
    }

    /// The timeline that shows it, and how many of that one's slots it covers.
    pub(super) fn of(self, model: &Model) -> (&Timeline, i64) {
        match self {
            Self::Minute => (&model.recent, 60),
            Self::FiveMinutes => (&model.recent, RECENT_SECONDS),
            Self::All => (&model.whole, WHOLE_SLOTS),
        }
    }
}

impl FromStr for Window {
    type Err = UnknownWindow;

    fn from_str(text: &str) -> Result<Self, UnknownWindow> {
        Self::ALL.into_iter().find(|window| window.name() == text).ok_or(UnknownWindow)
    }
}

/// A name that is not one of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such window; the windows are 1m, 5m and all")]
pub(super) struct UnknownWindow;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_known_by_their_names() {
        for window in Window::ALL {
            assert_eq!(window.name().parse(), Ok(window));
        }
        assert_eq!("1 m".parse::<Window>(), Err(UnknownWindow));
        let names = Window::ALL.map(Window::name);
        assert!(names.iter().all(|name| UnknownWindow.to_string().contains(name)));
    }
}
