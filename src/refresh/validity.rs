//! The validity of credentials: when they are refreshed, and the windows before their expiry.

use std::time::{Duration, SystemTime};

use crate::clock;
use crate::refresh::state::{Policy, State, Validity};

/// The mandatory window of the AWS SDKs. For short-lived credentials it is half of their advisory window.
pub(super) const MANDATORY_WINDOW: Duration = Duration::from_mins(1);
/// The earliest refresh, as a fraction of the lifetime, of credentials that a whole fleet has fetched at the same time.
/// The refreshes are then spread over more than half of the interval between two refreshes, which keeps the peak below
/// twice the mean from then on.
pub(super) const SPREAD_FROM: f64 = 0.25;

impl Validity {
    /// The same validity with all times moved to earlier times.
    pub(crate) fn earlier(self, by: Duration) -> Self {
        let earlier = |at| clock::before(at, by);
        Self {
            fetched_at: earlier(self.fetched_at),
            expiry: self.expiry.map(earlier),
            refresh_at: self.refresh_at.map(earlier),
            mandatory_at: self.mandatory_at.map(earlier),
        }
    }

    /// `ttl`, but at most half of the validity that the credentials had when they were fetched. Requiring more of a source
    /// whose credentials never last that long would fetch again and again.
    pub(crate) fn attainable(&self, ttl: Duration) -> Duration {
        self.expiry.map_or(ttl, |expiry| ttl.min(half(clock::since(expiry, self.fetched_at))))
    }

    /// The validity of credentials that were fetched at `now`. `before` is the state before the fetch. The times are
    /// computed again at each success, because the agent returns the same credentials for hours, each time with less
    /// validity left.
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

/// The advisory window: the configured one, or a value that depends on the lifetime at the time of the fetch. The values are those
/// of the AWS SDKs, except for lifetimes of up to 10 minutes: the SDKs use 5 minutes for these too. No window is longer than half
/// of the lifetime, because new credentials would otherwise be due immediately.
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
