//! Shared by the tests: clocks that can be set, and a wait for newer credentials.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses only a part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::{SystemTimeSource, TimeSource};
use eks_credentials::EksCredentialsProvider;
use storage::LocalStorage;

/// The beginnings of the secrets of a local pod.
pub(crate) const SECRETS: [&str; 2] = ["local-secret-", "local-session-"];

/// The clock of the system, plus a number of seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        SystemTimeSource::new().now() + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn provider_with(local: &LocalStorage, clock: &Clock) -> EksCredentialsProvider {
    EksCredentialsProvider::builder().env(local.pod().irsa_env()).time_source(clock.clone()).build().unwrap()
}

/// Waits until the current credentials have expired and were replaced.
pub(crate) async fn replaced(provider: &EksCredentialsProvider) {
    let expiry = provider.status().expiry.unwrap();
    provider.subscribe().wait_for(|status| status.fetched_at.is_some_and(|at| at > expiry)).await.unwrap();
}

/// Fetches new credentials, as after a refusal by a service.
pub(crate) async fn refresh(provider: &EksCredentialsProvider) {
    provider.invalidate(&provider.credentials().await.unwrap());
    provider.warm_up().await.unwrap();
}
