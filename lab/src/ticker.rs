//! A timer with a resolution of microseconds; that of `epoll_wait` is a millisecond.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use tidegate::reactor::{Key, Poller};

/// Wakes its key once each time it is set.
#[derive(Debug)]
pub(super) struct Ticker {
    timer: OwnedFd,
}

impl Ticker {
    pub(super) fn new(key: Key, poller: &Poller) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        poller.register_readable(&timer, key)?;
        Ok(Self { timer })
    }

    /// Wakes the key after so long. Setting it clears its readiness, so it is never read.
    pub(super) fn set(&self, after: Duration) -> io::Result<()> {
        // Zero would disarm it.
        let after = after.max(Duration::from_nanos(1));
        let spec = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: after.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        Ok(())
    }
}
