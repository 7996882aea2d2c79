//! What observers see.

use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::source_kind::SourceKind;

/// How the provider stands, after its last attempt to fetch.
///
/// From [`status()`](crate::EksCredentialsProvider::status) at any time, or as a stream from
/// [`subscribe()`](crate::EksCredentialsProvider::subscribe), which changes when an attempt has ended, when the other
/// method has been asked on the side, and when credentials expire (if an attempt is under way at that moment, when it has ended). All times are wall-clock times.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// How it stands.
    pub health: Health,
    /// Where the current credentials came from; before there are any, where they will be asked for. `None` if nothing is
    /// configured.
    pub source: Option<SourceKind>,
    /// When the current credentials expire. `None`: there are none, or they never do.
    pub expiry: Option<SystemTime>,
    /// When the current credentials were fetched.
    pub fetched_at: Option<SystemTime>,
    /// When the driver will fetch next without being asked. `None`: not before somebody asks.
    pub next_fetch: Option<SystemTime>,
    /// Why the last attempt failed, if nothing succeeded since.
    pub last_error: Option<Error>,
    /// Failed attempts since the last success. A cold start counts its retries as one.
    pub consecutive_failures: u32,
    /// Successful fetches since the provider was built.
    pub refreshes: u64,
    /// By how many seconds this machine's clock was ahead of that of STS at the last fetch; negative if it was behind, and a
    /// few seconds mean nothing. With more than 30 s, [`expiry`](Self::expiry) is the moment on this machine's clock at which
    /// the credentials end, and not the one that STS wrote. `None`: not known, as with EKS Pod Identity, whose agent has the
    /// same clock, or over plain http.
    pub clock_skew_seconds: Option<i64>,
}

/// The summary of a [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// Nobody has asked for credentials yet, or the first fetch is under way.
    Starting,
    /// There are valid credentials, and the last refresh succeeded.
    Ready,
    /// There are valid credentials, but the last refresh failed: nothing is lost yet.
    Degraded,
    /// The credentials have expired and could not be renewed. They are served on if the failure is recoverable and
    /// [`serve_expired`](crate::Builder::serve_expired) is on.
    Expired,
    /// There have never been credentials, and the last attempt failed.
    Failed,
}

impl Status {
    /// Whether requests can be signed: the answer for a readiness probe.
    pub fn is_ready(&self) -> bool {
        matches!(self.health, Health::Ready | Health::Degraded)
    }

    /// How long the current credentials are valid from `now`: zero once they have expired, `None` if there are none or
    /// they never expire.
    pub fn remaining(&self, now: SystemTime) -> Option<Duration> {
        Some(self.expiry?.duration_since(now).unwrap_or_default())
    }
}
