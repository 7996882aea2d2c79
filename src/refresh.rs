//! Fetching, caching and refreshing credentials. This module does not depend on any AWS protocol.
//!
//! | file | duty |
//! |---|---|
//! | `state.rs`, `validity.rs`, `retry.rs`, `schedule.rs` | when to fetch, and what a caller gets: pure functions of the state, the time and a random number |
//! | `cache.rs` | the cache, which callers read without a lock |
//! | `shared.rs` | the state that callers and the refresh task share |
//! | `driver.rs`, `attempt.rs`, `report.rs`, `metrics.rs` | the refresh task: its loop, a single attempt, its log events and its metrics |
//! | `supervision.rs`, `own_runtime.rs`, `task.rs` | starting and replacing the refresh task, and the thread on which it runs |
//! | `callers.rs` | how callers get credentials and wait for them |
//! | `lasting.rs` | credentials that stay valid for a given time |
//! | `refusals.rs`, `renewal.rs` | what happens after a service has refused credentials |
//! | `status.rs` | the status that users see |
//! | `sync.rs` | primitives of std, tokio and arc-swap, or the models that replace them in a model checker |

mod attempt;
pub(crate) mod cache;
mod callers;
mod driver;
mod lasting;
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

/// A credential source, as the refresh task uses it.
pub(crate) trait Fetch: fmt::Debug + Send + Sync {
    /// The preferred source, which is called first.
    fn kind(&self) -> SourceKind;

    /// The role of a role chain. `None` for the credentials of the pod itself.
    fn role_arn(&self) -> Option<&str> {
        None
    }

    /// The time limit for one [`fetch`](Fetch::fetch).
    fn attempt_timeout(&self) -> Duration;

    /// Makes one attempt, which ends within `limit`.
    fn fetch(&self, limit: Duration) -> BoxFuture<'_, Result<Fetched, Error>>;
}

#[cfg(test)]
mod tests;
