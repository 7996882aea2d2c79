//! Additions and subtractions of times that never panic or overflow.

use std::time::{Duration, SystemTime};

/// `time + by`. A `by` of more than a thousand years counts as a thousand years, so that the sum does not
/// overflow.
pub(crate) fn after(time: SystemTime, by: Duration) -> SystemTime {
    const MILLENNIUM: Duration = Duration::from_secs(1000 * 366 * 24 * 3600);
    time.checked_add(by.min(MILLENNIUM)).unwrap_or(time)
}

/// `time - by`, or `time` if the platform cannot represent the result.
pub(crate) fn before(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_sub(by).unwrap_or(time)
}

/// `later - earlier`, or zero if `later` is before `earlier`.
pub(crate) fn since(later: SystemTime, earlier: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or_default()
}
