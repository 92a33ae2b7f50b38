//! What the service manager that started this program is told, as `sd_notify(3)` of systemd says.
//! The environment names it; if there is none, nothing is told.

use std::fmt::Display;
use std::time::Duration;

use sd_notify::NotifyState;

/// The program serves, by a plan that is in force.
pub fn ready(status: &impl Display) {
    tell(&[NotifyState::Ready, NotifyState::Status(&line(status))]);
}

/// The configuration is read again. What comes of it is told by [`ready`].
pub fn reloading() {
    // systemd tells by the instant which of its requests this answers.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The program takes no more clients and is about to end.
pub fn stopping(status: &impl Display) {
    tell(&[NotifyState::Stopping, NotifyState::Status(&line(status))]);
}

/// Nothing hangs.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often that must be told, if it must be.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero())
}

/// A manager that can't be told just now can't be told that either.
fn tell(states: &[NotifyState]) {
    let _ = sd_notify::notify(states);
}

/// A message as one line, because each line of a datagram is a state of its own.
fn line(status: &impl Display) -> String {
    status.to_string().trim().replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_whatever_is_in_it() {
        assert_eq!(line(&"a\nREADY=1\r\n"), "a READY=1");
    }
}
