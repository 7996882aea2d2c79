//! Sums and differences of times that neither panic nor overflow.

use std::time::{Duration, SystemTime};

/// `time + by`, where more than a thousand years are a thousand: the clock cannot count much further.
pub(crate) fn after(time: SystemTime, by: Duration) -> SystemTime {
    const MILLENNIUM: Duration = Duration::from_secs(1000 * 366 * 24 * 3600);
    time.checked_add(by.min(MILLENNIUM)).unwrap_or(time)
}

/// `time - by`, or `time` where the clock cannot count so far back.
pub(crate) fn before(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_sub(by).unwrap_or(time)
}

/// How far `later` lies ahead of `earlier`; zero if it does not.
pub(crate) fn since(later: SystemTime, earlier: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or_default()
}
