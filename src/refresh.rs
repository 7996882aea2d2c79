//! Keeping credentials fresh: what to do when ([`schedule`], pure), what everybody reads ([`cache`], lock-free), and the
//! one task that fetches ([`driver`]), on a thread of its own (`own_runtime.rs`). Knows nothing of AWS protocols.

pub(crate) mod cache;
pub(crate) mod driver;
mod metrics;
#[cfg(not(all(test, shuttle)))]
mod own_runtime;
pub(crate) mod refusals;
pub(crate) mod schedule;
pub(crate) mod shared;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod task;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::error::Error;
use crate::fetched::Fetched;
use crate::source_kind::SourceKind;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where the driver gets credentials from.
pub(crate) trait Fetch: fmt::Debug + Send + Sync {
    /// What is fetched from in the first place.
    fn kind(&self) -> SourceKind;

    /// The longest that one [`fetch`](Fetch::fetch) should be given.
    fn attempt_timeout(&self) -> Duration;

    /// One attempt, which ends within `limit`.
    fn fetch(&self, limit: Duration) -> BoxFuture<'_, Result<Fetched, Error>>;
}

#[cfg(test)]
mod tests;
