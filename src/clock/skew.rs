//! The difference between the local clock and the clock of STS, and its effect on the expiry of credentials.
//!
//! An expiry is a time on the clock of the server. If the local clock is an hour ahead, new credentials seem to have
//! expired. If it is behind, they are refreshed too late. The `Date` header of the response shows the difference.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::clock::after;

/// Smaller differences are ignored. `Date` has a resolution of one second and a response has latency, and synchronized
/// clocks differ by less than this.
const IGNORED: Duration = Duration::from_secs(30);
/// The longest time between the moments at which a server computes the expiry and writes `Date`.
const TOLERANCE: Duration = Duration::from_secs(60);

/// The times in the response of a trusted server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerTime {
    /// The `Date` header.
    pub(crate) date: SystemTime,
    /// The session length that was requested.
    pub(crate) requested: Duration,
}

/// The local clock minus the clock of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skew {
    ahead: bool,
    by: Duration,
}

impl Skew {
    /// Computes the difference at `now`. Returns `None` if the times of the server contradict each other: the
    /// credentials expire before they were issued, or are valid for longer than requested. In this case
    /// one of the times is wrong, and they are not used.
    pub(crate) fn of(server: ServerTime, expiry: SystemTime, now: SystemTime) -> Option<Self> {
        let ServerTime { date, requested } = server;
        let lifetime = expiry.duration_since(date).ok().filter(|lifetime| !lifetime.is_zero())?;
        if lifetime > requested.saturating_add(TOLERANCE) {
            return None;
        }
        Some(Self::between(date, now))
    }

    fn between(correct: SystemTime, now: SystemTime) -> Self {
        match now.duration_since(correct) {
            Ok(by) => Self { ahead: true, by },
            Err(behind) => Self { ahead: false, by: behind.duration() },
        }
    }

    pub(crate) fn is_ahead(self) -> bool {
        self.ahead
    }

    /// Whether the difference is too large to be caused by latency and rounding.
    pub(crate) fn matters(self) -> bool {
        self.by > IGNORED
    }

    /// Converts `expiry` from the clock of the server to the local clock.
    pub(crate) fn on_this_clock(self, expiry: SystemTime) -> SystemTime {
        match self.ahead {
            true => after(expiry, self.by),
            false => expiry.checked_sub(self.by).unwrap_or(expiry),
        }
    }

    /// The time on the clock of the server, if it is `now` on the local clock.
    pub(crate) fn on_server_clock(self, now: SystemTime) -> SystemTime {
        match self.ahead {
            true => now.checked_sub(self.by).unwrap_or(now),
            false => after(now, self.by),
        }
    }

    /// The difference in seconds. Positive if the local clock is ahead.
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

/// How far the wall clock has moved ahead of the monotonic clock, or behind it, since `then`. `None` if the difference
/// is small. Otherwise the wall clock was set, or the machine was suspended: the monotonic clock does not advance
/// during a suspension.
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
    fn skew_moves_the_expiry_to_the_local_clock() {
        for now in [0, 1, 29, 300, 3900, 86_400, 1_000_000] {
            for (date, lifetime) in [(40_000, 1), (40_000, 900), (40_000, 3600), (40_000, 3660)] {
                let server = ServerTime { date: at(date), requested: HOUR };
                let skew = Skew::of(server, at(date + lifetime), at(now)).unwrap();
                assert_eq!(skew.on_this_clock(at(date + lifetime)), at(now + lifetime));
                assert_eq!(skew.on_server_clock(at(now)), at(date));
                assert_eq!(skew.seconds(), i64::try_from(now).unwrap() - i64::try_from(date).unwrap());
                assert_eq!(skew.matters(), now.abs_diff(date) > 30);
            }
        }
    }

    #[test]
    fn skew_ignores_contradictory_server_times() {
        let server = ServerTime { date: at(40_000), requested: HOUR };
        for expiry in [0, 39_999, 40_000, 40_000 + 3661, 80_000] {
            assert_eq!(Skew::of(server, at(expiry), at(40_000)), None, "{expiry}");
        }
    }

    #[test]
    fn jump_is_a_difference_from_the_monotonic_clock() {
        for (now, elapsed, jumped) in
            [(1000, 1000, false), (1030, 1000, false), (1031, 1000, true), (969, 1000, true), (970, 1000, false)]
        {
            let jump = jump(at(0), at(now), Duration::from_secs(elapsed));
            assert_eq!(jump.map(Skew::is_ahead), jumped.then_some(now > elapsed), "{now}");
        }
    }

    #[test]
    fn skew_displays_its_direction() {
        assert_eq!(Skew::between(at(0), at(65)).to_string(), "65 s ahead");
        assert_eq!(Skew::between(at(65), at(0)).to_string(), "65 s behind");
    }
}
