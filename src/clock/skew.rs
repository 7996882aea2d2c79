//! How far this machine's clock is from that of STS, and what follows for the expiry of credentials.
//!
//! An expiry is a moment on the server's clock. A machine whose clock is an hour ahead takes fresh credentials for expired
//! ones, and one whose clock is behind refreshes them too late. The `Date` of the answer shows the difference.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::clock::after;

/// `Date` has whole seconds and answers take a moment. Clocks that are synchronised differ by less than this.
const IGNORED: Duration = Duration::from_secs(30);
/// Between the moments at which a server computes the expiry and writes `Date`.
const TOLERANCE: Duration = Duration::from_secs(60);

/// What a trusted server's answer says about time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerTime {
    /// Its `Date`.
    pub(crate) date: SystemTime,
    /// The session length that was requested.
    pub(crate) requested: Duration,
}

/// This machine's clock minus the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skew {
    ahead: bool,
    by: Duration,
}

impl Skew {
    /// `None` if the server's times contradict each other: credentials that end before they were issued, or that last longer
    /// than was asked for. Then one of them is wrong, and nothing follows.
    pub(crate) fn of(server: ServerTime, expiry: SystemTime, now: SystemTime) -> Option<Self> {
        let ServerTime { date, requested } = server;
        let life = expiry.duration_since(date).ok().filter(|life| !life.is_zero())?;
        if life > requested.saturating_add(TOLERANCE) {
            return None;
        }
        Some(Self::between(date, now))
    }

    fn between(right: SystemTime, now: SystemTime) -> Self {
        match now.duration_since(right) {
            Ok(by) => Self { ahead: true, by },
            Err(behind) => Self { ahead: false, by: behind.duration() },
        }
    }

    pub(crate) fn is_ahead(self) -> bool {
        self.ahead
    }

    /// Whether it is more than latency and rounding.
    pub(crate) fn matters(self) -> bool {
        self.by > IGNORED
    }

    /// The moment on this machine's clock that is `expiry` on the server's.
    pub(crate) fn on_this_clock(self, expiry: SystemTime) -> SystemTime {
        match self.ahead {
            true => after(expiry, self.by),
            false => expiry.checked_sub(self.by).unwrap_or(expiry),
        }
    }

    /// Positive if this machine's clock is ahead.
    pub(crate) fn seconds(self) -> i64 {
        let seconds = i64::try_from(self.by.as_secs()).unwrap_or(i64::MAX);
        if self.ahead { seconds } else { seconds.saturating_neg() }
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s {}", self.by.as_secs(), if self.ahead { "ahead" } else { "behind" })
    }
}

/// How far the wall clock has gone ahead of the timers, or behind, since `then`: it has been set, or the machine was suspended,
/// which the timers do not count.
pub(crate) fn jump(then: SystemTime, now: SystemTime, elapsed: Duration) -> Option<Skew> {
    Some(Skew::between(after(then, elapsed), now)).filter(|jump| jump.matters())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    #[test]
    fn the_expiry_is_moved_onto_this_clock_whatever_the_clock_is() {
        for now in [0, 1, 29, 300, 3900, 86_400, 1_000_000] {
            for (date, life) in [(40_000, 1), (40_000, 900), (40_000, 3600), (40_000, 3660)] {
                let server = ServerTime { date: at(date), requested: HOUR };
                let skew = Skew::of(server, at(date + life), at(now)).unwrap();
                assert_eq!(skew.on_this_clock(at(date + life)), at(now + life));
                assert_eq!(skew.seconds(), i64::try_from(now).unwrap() - i64::try_from(date).unwrap());
                assert_eq!(skew.matters(), now.abs_diff(date) > 30);
            }
        }
    }

    #[test]
    fn nothing_follows_from_times_that_contradict_each_other() {
        let server = ServerTime { date: at(40_000), requested: HOUR };
        for expiry in [0, 39_999, 40_000, 40_000 + 3661, 80_000] {
            assert_eq!(Skew::of(server, at(expiry), at(40_000)), None, "{expiry}");
        }
    }

    #[test]
    fn a_jump_is_what_the_timers_do_not_know_of() {
        for (now, elapsed, jumped) in
            [(1000, 1000, false), (1030, 1000, false), (1031, 1000, true), (969, 1000, true), (970, 1000, false)]
        {
            let jump = jump(at(0), at(now), Duration::from_secs(elapsed));
            assert_eq!(jump.map(Skew::is_ahead), jumped.then_some(now > elapsed), "{now}");
        }
    }

    #[test]
    fn a_difference_is_shown_with_its_direction() {
        assert_eq!(Skew::between(at(0), at(65)).to_string(), "65 s ahead");
        assert_eq!(Skew::between(at(65), at(0)).to_string(), "65 s behind");
    }
}
