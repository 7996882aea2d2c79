//! Keeping credentials fresh: what to do when ([`schedule`], pure), what everybody reads ([`cache`], lock-free), and the
//! one task that fetches ([`driver`]), on a thread of its own (`own_runtime.rs`). Knows nothing of AWS protocols.

pub(crate) mod cache;
pub(crate) mod driver;
mod metrics;
#[cfg(not(all(test, shuttle)))]
mod own_runtime;
pub(crate) mod schedule;
pub(crate) mod shared;
pub(crate) mod sync;
pub(crate) mod task;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;

use crate::clock_skew::{ServerTime, Skew};
use crate::error::Error;
use crate::probe::Probe;
use crate::source::SourceKind;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where the driver gets credentials from.
pub(crate) trait Fetch: fmt::Debug + Send + Sync {
    /// What is fetched from in the first place.
    fn kind(&self) -> SourceKind;

    /// The longest that one [`fetch`](Fetch::fetch) should be given.
    fn attempt_timeout(&self) -> Duration;

    /// One attempt, which ends within `limit`.
    fn fetch(&self, limit: Duration) -> BoxFuture<'_, Result<Fetched, Error>>;

    /// One ask of the source that does not serve, if there is one to be asked on the side.
    fn shadow(&self) -> Option<BoxFuture<'_, Probe>> {
        None
    }
}

/// What a successful attempt brought.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) credentials: Credentials,
    /// Which source it came from, in the end.
    pub(crate) source: SourceKind,
    /// What the answer says about time, if it can be trusted.
    pub(crate) server_time: Option<ServerTime>,
    /// Whether this source may hand out credentials after their expiry that AWS still honours.
    pub(crate) is_statically_stable: bool,
}

impl Fetched {
    pub(crate) fn new(credentials: Credentials, source: SourceKind) -> Self {
        Self { credentials, source, server_time: None, is_statically_stable: false }
    }

    /// With the expiry as a time of this machine's clock, which may differ from the server's. The difference, if the server's
    /// times are consistent; otherwise they are dropped.
    pub(crate) fn on_clock(mut self, now: SystemTime) -> (Self, Option<Skew>) {
        let expiry = self.credentials.expiry();
        let skew = self.server_time.zip(expiry).and_then(|(server, expiry)| Skew::of(server, expiry, now));
        match (skew, expiry) {
            (None, _) => self.server_time = None,
            (Some(skew), Some(expiry)) if skew.matters() => {
                *self.credentials.expiry_mut() = Some(skew.on_this_clock(expiry));
            }
            _ => {}
        }
        (self, skew)
    }
}

/// Every order of events that the model checker comes upon. Instead of the tests on tokio's paused clock.
#[cfg(test)]
#[cfg(shuttle)]
mod interleavings;
#[cfg(test)]
#[cfg(not(shuttle))]
mod tests;
