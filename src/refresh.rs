//! Keeping credentials fresh. Nothing here depends on an AWS protocol.
//!
//! | file | duty |
//! |---|---|
//! | `state.rs`, `validity.rs`, `retry.rs`, `schedule.rs` | when to fetch and what to answer: pure functions of state, time and a random number |
//! | `cache.rs` | what callers read, without a lock |
//! | `shared.rs` | the state that callers and the refresh task share |
//! | `driver.rs`, `attempt.rs`, `report.rs`, `metrics.rs` | the refresh task: its loop, one attempt, and what is logged and counted |
//! | `supervision.rs`, `own_runtime.rs`, `task.rs` | starting and replacing the refresh task, on a thread of its own |
//! | `callers.rs` | how callers are answered and wait |
//! | `refusals.rs`, `renewal.rs` | what follows when a service refuses credentials |
//! | `status.rs` | what users see of all this |
//! | `sync.rs` | std, tokio and arc-swap, or a model checker's models of them |

mod attempt;
pub(crate) mod cache;
mod callers;
mod driver;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "refresh/metrics/disabled.rs"]
pub(crate) mod metrics;
#[cfg(not(all(test, shuttle)))]
mod own_runtime;
pub(crate) mod refusals;
pub(crate) mod renewal;
mod report;
mod retry;
pub(crate) mod schedule;
pub(crate) mod shared;
pub(crate) mod state;
pub(crate) mod status;
mod supervision;
pub(crate) mod sync;
pub(crate) mod task;
mod validity;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::error::Error;
use crate::fetched::Fetched;
use crate::source_kind::SourceKind;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where the refresh task gets credentials from.
pub(crate) trait Fetch: fmt::Debug + Send + Sync {
    /// The source that is called first.
    fn kind(&self) -> SourceKind;

    /// The longest that one [`fetch`](Fetch::fetch) should be given.
    fn attempt_timeout(&self) -> Duration;

    /// One attempt, which ends within `limit`.
    fn fetch(&self, limit: Duration) -> BoxFuture<'_, Result<Fetched, Error>>;
}

#[cfg(test)]
mod tests;
