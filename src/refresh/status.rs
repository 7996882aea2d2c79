//! The status of a provider, for observers.

use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::source_kind::SourceKind;

/// The state of a provider after its last refresh.
///
/// [`status()`](crate::EksCredentialsProvider::status) returns it at any time.
/// [`subscribe()`](crate::EksCredentialsProvider::subscribe) returns a receiver for its changes. The receiver gets a new status
/// when a refresh ends, when the current credentials expire, and when a service refuses them. If they expire while a refresh is
/// in progress, it gets the new status when that refresh ends. The first refresh and its retries are one refresh.
///
/// All times are wall-clock times.
///
/// With the feature `serde`, it is serialized as an object with these fields. Times are RFC 3339 strings in UTC with whole
/// seconds. The error is an object: see [`Error`].
///
/// ```
/// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pod = LocalPod::start().await?;
/// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
/// provider.warm_up().await?;
/// let json = serde_json::to_value(provider.status())?;
/// assert_eq!(json["health"], "ready");
/// assert_eq!(json["source"], "irsa");
/// assert!(json["expiry"].as_str().unwrap().ends_with('Z')); // "2026-11-24T04:59:36Z"
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The summary of this status.
    pub health: Health,
    /// The source of the current credentials. Before there are any, the source that will be used. `None` if no source is
    /// configured.
    pub source: Option<SourceKind>,
    /// The ARN of the role that `assume_role` (feature `assume-role`) was called with. `None` for a provider of the pod's own
    /// credentials.
    pub assumed_role: Option<String>,
    /// When the current credentials expire. `None` if there are no credentials, or if they never expire.
    pub expiry: Option<SystemTime>,
    /// When the current credentials were fetched. `None` if there are no credentials.
    pub fetched_at: Option<SystemTime>,
    /// When the refresh task makes its next attempt without a call. `None` if it waits for a call, or while the first
    /// fetch is in progress.
    pub next_fetch: Option<SystemTime>,
    /// Why the last refresh failed. `None` if the last refresh succeeded, and until the first fetch with all its retries has
    /// ended. The message names the role, the endpoint and the claims of the token: do not show it to the public. If no source is configured,
    /// this is [`NotConfigured`](crate::ErrorKind::NotConfigured) from the beginning.
    pub last_error: Option<Error>,
    /// The number of failed refreshes since the last successful one. The first refresh counts as one, with all of its retries.
    pub consecutive_failures: u32,
    /// The number of successful refreshes since the provider was built.
    pub refreshes: u64,
    /// How many seconds the clock of this machine was ahead of the clock of STS at the last fetch. Negative if it was behind.
    ///
    /// Differences of a few seconds are normal. If the difference is more than 30 s, [`expiry`](Self::expiry) is corrected: it is
    /// the time of the expiry on this machine's clock, not the time that STS sent.
    ///
    /// `None` if the difference is not known. This is always so with EKS Pod Identity, because the agent has the same clock as
    /// the pod, and with STS over plain http.
    pub clock_skew_seconds: Option<i64>,
}

/// The summary of a [`Status`].
///
/// With the feature `serde`, it is serialized as `starting`, `ready`, `degraded`, `expired` or `failed`.
///
/// ```
/// # use eks_credentials::Health;
/// fn message(health: Health) -> &'static str {
///     match health {
///         Health::Ready => "ok",
///         Health::Degraded => "the last refresh failed",
///         _ => "no valid credentials",
///     }
/// }
/// # assert_eq!(message(Health::Ready), "ok");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// There has been no call for credentials yet, or the first fetch is in progress.
    Starting,
    /// There are valid credentials, and the last refresh succeeded.
    Ready,
    /// There are valid credentials, but the last refresh failed. Callers still get the current credentials.
    Degraded,
    /// The credentials have expired, or a service has refused them, and there are no new ones yet. Expired credentials are still
    /// served if the failure is [transient](Error::is_transient) and [`serve_expired`](crate::Builder::serve_expired) is `true`.
    /// Refused ones are not.
    Expired,
    /// There have never been credentials, and the last attempt failed.
    Failed,
}

impl Status {
    /// Returns whether there are valid credentials. Use this for a readiness probe.
    ///
    /// It is `true` for [`Ready`](Health::Ready) and [`Degraded`](Health::Degraded). It is `false` while expired credentials are
    /// served.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// assert!(!provider.status().is_ready());
    /// provider.warm_up().await?;
    /// assert!(provider.status().is_ready());
    /// # Ok(()) }
    /// ```
    pub fn is_ready(&self) -> bool {
        matches!(self.health, Health::Ready | Health::Degraded)
    }

    /// Returns how long the current credentials remain valid after `now`.
    ///
    /// This is zero if they have expired, and `None` if there are no credentials or if they never expire.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// provider.warm_up().await?;
    /// let remaining = provider.status().remaining(SystemTime::now()).unwrap();
    /// assert!(remaining > Duration::from_secs(59 * 60) && remaining <= Duration::from_secs(60 * 60));
    /// # Ok(()) }
    /// ```
    pub fn remaining(&self, now: SystemTime) -> Option<Duration> {
        Some(self.expiry?.duration_since(now).unwrap_or_default())
    }
}
