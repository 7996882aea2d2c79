//! The four decisions that are made for a failure. Which failure has which: the tables in [`crate::error::problem`].

/// How a failure is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether a cold start tries again within its startup timeout.
    pub(crate) retries_cold_start: bool,
    /// Whether credentials that have expired may be served.
    pub(crate) serves_expired: bool,
    /// Whether the other source may be used instead.
    pub(crate) falls_back: bool,
    /// When the next attempt is made.
    pub(crate) delay: Delay,
}

/// When the refresh task makes the next attempt if no valid credentials are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delay {
    /// With jittered exponential backoff of up to 30 s.
    Backoff,
    /// After 1 to 5 s at first, then with jittered exponential backoff of up to 60 s.
    Hold,
}

impl Verdict {
    /// Expected to pass by itself.
    pub(crate) const TRANSIENT: Self =
        Self { retries_cold_start: true, serves_expired: true, falls_back: false, delay: Delay::Backoff };
    /// A mistake in this pod's own configuration: waiting does not help at a start. It may also be a server that is set up
    /// wrongly for a moment, so that nothing is given up because of it.
    pub(crate) const MISTAKE: Self = Self { retries_cold_start: false, ..Self::TRANSIENT };
    /// A refusal in the service's own form, until somebody changes a policy or an association.
    pub(crate) const PERMANENT: Self =
        Self { retries_cold_start: false, serves_expired: false, falls_back: true, delay: Delay::Hold };
    /// The same, but a new association is not visible at once.
    pub(crate) const NOT_VISIBLE_YET: Self =
        Self { retries_cold_start: true, delay: Delay::Backoff, ..Self::PERMANENT };
    /// Nothing was asked of any service.
    pub(crate) const NOT_ATTEMPTED: Self = Self { falls_back: false, ..Self::PERMANENT };
}
