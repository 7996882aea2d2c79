//! When credentials are refreshed: the windows before their expiry.

use std::time::{Duration, SystemTime};

use crate::clock;
use crate::refresh::state::{Policy, State, Validity};

/// The AWS SDKs' mandatory window. A shorter one for short-lived credentials: half of their advisory window.
pub(super) const MANDATORY_WINDOW: Duration = Duration::from_mins(1);
/// From which share of their life credentials are refreshed that a whole fleet has fetched together. To be spread over
/// more than half of the interval between two refreshes keeps the peak below twice the mean from then on.
pub(super) const SPREAD_FROM: f64 = 0.25;

impl Validity {
    /// The same, but all of it earlier.
    pub(crate) fn earlier(self, by: Duration) -> Self {
        let earlier = |at| clock::before(at, by);
        Self {
            fetched_at: earlier(self.fetched_at),
            expiry: self.expiry.map(earlier),
            refresh_at: self.refresh_at.map(earlier),
            mandatory_at: self.mandatory_at.map(earlier),
        }
    }

    /// The times of credentials fetched now, by who was in the state `before`. Recomputed at every success: an agent hands
    /// the same credentials out again and again, each time with less of their life left.
    pub(crate) fn new(
        policy: &Policy,
        before: &State,
        now: SystemTime,
        expiry: Option<SystemTime>,
        random: f64,
    ) -> Self {
        let window = expiry.map(|expiry| advisory_window(policy, clock::since(expiry, now)));
        let before_expiry = |early: Duration| expiry.and_then(|expiry| expiry.checked_sub(early));
        Self {
            fetched_at: now,
            expiry,
            refresh_at: window.and_then(|window| {
                let lifetime = clock::since(expiry?, now);
                let first = if before.coincides_with_fleet(policy) {
                    lifetime.mul_f64(SPREAD_FROM)
                } else {
                    lifetime.saturating_sub(window)
                };
                let last = lifetime.saturating_sub(half(window));
                now.checked_add(first.saturating_add(last.saturating_sub(first).mul_f64(random)))
            }),
            mandatory_at: window.and_then(|window| before_expiry(MANDATORY_WINDOW.min(half(window)))),
        }
    }
}

/// The AWS SDKs' table by the lifetime at fetch, or the configured window; that one never more than half of the
/// lifetime, or fresh credentials would be due at once.
pub(super) fn advisory_window(policy: &Policy, lifetime: Duration) -> Duration {
    let minutes = Duration::from_mins;
    match policy.advisory_window {
        Some(configured) => configured.min(half(lifetime)),
        None if lifetime <= minutes(10) => half(lifetime),
        None if lifetime <= minutes(20) => minutes(5),
        None if lifetime < minutes(90) => minutes(15),
        None => minutes(60),
    }
}

pub(crate) fn half(duration: Duration) -> Duration {
    duration.checked_div(2).unwrap_or_default()
}
