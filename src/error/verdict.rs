//! The four decisions that are made for each failure. The tables in [`crate::error::problem`] contain the decisions.

/// How a failure is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether a cold start retries within its startup timeout.
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
    /// After 1 to 5 s. The attempt sends no request before the parent of a role chain has credentials.
    Soon,
}

impl Verdict {
    /// A failure that is expected to end without a change of the configuration.
    pub(crate) const TRANSIENT: Self =
        Self { retries_cold_start: true, serves_expired: true, falls_back: false, delay: Delay::Backoff };
    /// A mistake in the configuration of this pod. At a start, waiting does not help. The cause may also be a server
    /// whose configuration is wrong for a short time, so expired credentials are still served and no fallback is used.
    pub(crate) const MISTAKE: Self = Self { retries_cold_start: false, ..Self::TRANSIENT };
    /// A refusal in the format of the service. It lasts until a policy or an association is changed.
    pub(crate) const PERMANENT: Self =
        Self { retries_cold_start: false, serves_expired: false, falls_back: true, delay: Delay::Hold };
    /// Like [`PERMANENT`](Self::PERMANENT), but retried sooner, because a new association is not visible at once.
    pub(crate) const NOT_VISIBLE_YET: Self =
        Self { retries_cold_start: true, delay: Delay::Backoff, ..Self::PERMANENT };
    /// The verdict for a provider whose parent in a role chain has failed with this one.
    pub(crate) const fn of_parent(self) -> Self {
        Self { falls_back: false, delay: Delay::Soon, ..self }
    }

    /// No request was sent to a service.
    pub(crate) const NOT_ATTEMPTED: Self = Self { falls_back: false, ..Self::PERMANENT };
}
