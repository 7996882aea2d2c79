//! The provider: a handle to the shared state.

pub(crate) mod builder;
pub(crate) mod hop;
pub(crate) mod setup;
mod shared;

use std::fmt;
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};

pub use self::builder::Builder;
use self::hop::Hop;
use self::setup::Setup;
use crate::error::Error;
use crate::refresh::Fetch;
use crate::refresh::cache::Current;
use crate::refresh::shared::{Place, Shared};
use crate::refresh::state::Policy;
use crate::refresh::status::Status;
use crate::refresh::sync::watch;
use crate::source::Sources;
use crate::source::detection::Detection;

/// A credentials provider for pods on EKS. It uses IRSA or EKS Pod Identity, and refreshes credentials before they expire.
///
/// Cloning is cheap, and all clones share the same state. Build one provider and give clones of it to all clients.
///
/// The first call for credentials starts the refresh task, which fetches and refreshes them. The task runs on its own thread
/// with its own small tokio runtime. The runtimes of the program therefore cannot delay it, even if they are blocked, are not
/// polled, or were built without time or I/O. For the same reason the methods can be awaited on any executor.
///
/// When the last clone is dropped, the task and its thread end, and the secrets are wiped from memory. SDK clients and
/// configurations contain clones too.
///
/// ```no_run
/// # use eks_credentials::EksCredentialsProvider;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), eks_credentials::Error> {
/// let provider = EksCredentialsProvider::from_env()?;
/// let credentials = provider.credentials().await?;
/// # drop(credentials); Ok(()) }
/// ```
#[derive(Clone)]
pub struct EksCredentialsProvider(Arc<Handle>);

/// Dropping it ends the refresh task. The task holds only the inner [`Shared`], so it does not keep the handle alive.
struct Handle {
    shared: Arc<Shared>,
    setup: Setup,
    /// The error means that no credential source is configured.
    configured: Result<Configured, Error>,
    /// The roles that are assumed one after the other, beginning with the credentials of the pod.
    hops: Vec<Arc<dyn Hop>>,
    /// Variables that are set, but intentionally not read, are logged once.
    not_read_reported: Once,
}

/// The configured credential sources of the pod.
#[derive(Clone)]
pub(crate) struct Configured {
    pub(crate) sources: Arc<Sources>,
    pub(crate) detection: Detection,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl EksCredentialsProvider {
    /// Builds a provider from the environment variables of the process.
    ///
    /// The environment is read once, here. This function does no I/O. Every call builds a new provider with its own refresh
    /// task, so a library should call [`shared`](Self::shared) instead.
    ///
    /// # Errors
    ///
    /// The same as those of [`Builder::build`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use eks_credentials::EksCredentialsProvider;
    /// let provider = EksCredentialsProvider::from_env()?;
    /// # Ok::<(), eks_credentials::Error>(())
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Returns a builder for a provider with settings in code.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().startup_timeout(Duration::from_secs(10));
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(configured: Result<Configured, Error>, policy: Policy, place: Place, setup: Setup) -> Self {
        let source = configured.as_ref().map(|configured| Arc::clone(&configured.sources) as Arc<dyn Fetch>);
        let shared = Arc::new(Shared::new(source.map_err(Clone::clone), policy, setup.time.clone(), place));
        Self(Arc::new(Handle { shared, setup, configured, hops: Vec::new(), not_read_reported: Once::new() }))
    }

    /// A provider with the settings of this one that gets its credentials from `source`, by one more step of a role chain.
    pub(crate) fn followed_by(&self, hop: Arc<dyn Hop>, source: Arc<dyn Fetch>) -> Self {
        let Handle { setup, configured, hops, .. } = &*self.0;
        let (setup, configured) = (setup.clone(), configured.clone());
        let source = self.configured().map(|_| source);
        let place = self.core().another_place();
        let shared = Arc::new(Shared::new(source, self.core().policy, setup.time.clone(), place));
        let hops = hops.iter().cloned().chain([hop]).collect();
        Self(Arc::new(Handle { shared, setup, configured, hops, not_read_reported: Once::new() }))
    }

    pub(crate) fn hops(&self) -> &[Arc<dyn Hop>] {
        &self.0.hops
    }

    /// Whose credentials these are: those of an assumed role, or those that the pod's source returns.
    pub(crate) fn role_or_source(&self) -> String {
        match (self.hops().last(), self.configured()) {
            (Some(hop), _) => format!("role {}", hop.role_arn()),
            (None, Ok(configured)) => configured.sources.first.kind().to_string(),
            (None, Err(_)) => "this pod".to_owned(),
        }
    }

    /// Returns the current credentials. If there are no valid credentials, this waits for them.
    ///
    /// While the current credentials are valid, this returns them at once, even during a refresh or an outage. It waits only in
    /// these cases:
    ///
    /// | case | longest wait |
    /// |---|---|
    /// | there are no credentials yet | [`startup_timeout`](Builder::startup_timeout) plus one attempt |
    /// | the current credentials have expired | one attempt, or 1 s in an outage in which [expired credentials may be served](Builder::serve_expired) |
    /// | the current credentials expire within a minute, and the refresh task is late, for example after a suspension | 1 s |
    ///
    /// One attempt takes at most [`attempt_timeout`](Builder::attempt_timeout). All waiting callers share one request to the
    /// source and its result. Cancelling the future cancels only the wait, not the request.
    ///
    /// # Errors
    ///
    /// Returns the error of the last fetch if there are no credentials to serve. Until the next attempt, further calls return
    /// the same error at once. The next attempt is made after 1 to 30 s. After a permanent error, the delay is 1 to 5 s at
    /// first, and grows to at most 60 s.
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let credentials = provider.credentials().await?;
    /// assert!(credentials.expiry().is_some());
    /// # Ok(()) }
    /// ```
    pub async fn credentials(&self) -> Result<Credentials, Error> {
        self.core().get(pick_credentials).await
    }

    /// Returns credentials that stay valid for `ttl` from now, for presigned URLs and long uploads.
    ///
    /// If the current credentials expire earlier, this fetches new ones and waits as [`credentials`](Self::credentials)
    /// does.
    ///
    /// # Errors
    ///
    /// - [`LifetimeTooShort`](crate::ErrorKind::LifetimeTooShort) if new credentials also expire too early. If the current
    ///   credentials are less than a minute old, this error is returned at once and nothing is fetched.
    /// - The error of the failed fetch if new credentials could not be fetched. The current credentials can still be used: see
    ///   [`credentials`](Self::credentials).
    /// - All other errors of [`credentials`](Self::credentials).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use eks_credentials::ErrorKind;
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// provider.credentials_valid_for(Duration::from_secs(15 * 60)).await?;
    ///
    /// // Credentials from STS last one hour by default.
    /// let error = provider.credentials_valid_for(Duration::from_secs(2 * 3600)).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::LifetimeTooShort);
    /// # Ok(()) }
    /// ```
    pub async fn credentials_valid_for(&self, ttl: Duration) -> Result<Credentials, Error> {
        self.core().get_valid_for(ttl, pick_credentials).await
    }

    /// Returns the current credentials without waiting and without a fetch.
    ///
    /// If there are no valid credentials, this returns `None`, except in an outage: then it returns the expired credentials
    /// that [`credentials`](Self::credentials) would serve.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// assert!(provider.cached().is_none());
    /// let credentials = provider.credentials().await?;
    /// assert_eq!(provider.cached(), Some(credentials));
    /// # Ok(()) }
    /// ```
    pub fn cached(&self) -> Option<Credentials> {
        self.core().cached(pick_credentials)
    }

    /// Waits until there are credentials or the first fetch has failed, for example before a service reports that it is ready.
    ///
    /// This behaves like [`credentials`](Self::credentials), but does not return the credentials. After an error the refresh task
    /// tries again by itself: use [`status`](Self::status) or [`subscribe`](Self::subscribe) instead of calling this in a loop.
    ///
    /// # Errors
    ///
    /// The same as those of [`credentials`](Self::credentials).
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// provider.warm_up().await?;
    /// assert!(provider.status().is_ready());
    /// # Ok(()) }
    /// ```
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.core().get(|_| ()).await
    }

    /// Reports that a service refused these credentials, for example with the code `ExpiredToken`.
    ///
    /// If `rejected` are the current credentials, the provider stops serving them and starts a refresh. The next call waits for
    /// this refresh. The same applies to expired credentials that are served because of an outage. A report about older
    /// credentials, or a second report about the same credentials, has no effect.
    ///
    /// The source may return the same credentials again: the EKS Pod Identity agent does so for up to three hours. The provider
    /// then serves them again, and its [`status`](Self::status) is [`Degraded`](crate::Health::Degraded). It repeats the
    /// request to the source with a growing delay of up to ten minutes.
    ///
    /// SDK clients can do this automatically: see `recovery()` (feature `sdk-config`).
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let refused = provider.credentials().await?;
    /// provider.invalidate(&refused);
    /// assert_ne!(provider.credentials().await?.access_key_id(), refused.access_key_id());
    /// # Ok(()) }
    /// ```
    pub fn invalidate(&self, rejected: &Credentials) {
        self.core().invalidate(rejected.access_key_id());
    }

    /// Returns the current status, for readiness probes and dashboards.
    ///
    /// Does not wait and does not fetch.
    ///
    /// ```
    /// # use eks_credentials::Health;
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// assert_eq!(provider.status().health, Health::Starting);
    /// provider.warm_up().await?;
    /// assert_eq!(provider.status().health, Health::Ready);
    /// # Ok(()) }
    /// ```
    pub fn status(&self) -> Status {
        self.core().status()
    }

    /// Returns a receiver for changes of the status.
    ///
    /// [`Status`] describes when it gets a new value. The receiver does not keep the provider alive: after the last clone of the
    /// provider has been dropped, `changed()` returns an error.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let mut changes = provider.subscribe();
    /// provider.warm_up().await?;
    /// let status = changes.wait_for(|status| status.is_ready()).await?.clone();
    /// assert_eq!(status.refreshes, 1);
    /// # Ok(()) }
    /// ```
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.core().changes.subscribe()
    }

    /// Returns which credential source is used, why, and what is known about the other source.
    ///
    /// # Errors
    ///
    /// [`NotConfigured`](crate::ErrorKind::NotConfigured) if no source is configured.
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, SourceKind, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
    /// let detection = provider.detection()?;
    /// assert_eq!(detection.source(), SourceKind::WebIdentity);
    /// assert_eq!(detection.other(), Some(SourceKind::PodIdentity));
    /// # Ok(()) }
    /// ```
    pub fn detection(&self) -> Result<&Detection, Error> {
        self.configured().map(|configured| &configured.detection)
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.0.setup
    }

    /// Runs `report` at the first call. Further calls do nothing, including calls through clones.
    pub(crate) fn report_once(&self, report: impl FnOnce()) {
        self.0.not_read_reported.call_once(report);
    }

    pub(crate) fn downgrade(&self) -> WeakProvider {
        WeakProvider(Arc::downgrade(&self.0))
    }

    pub(crate) fn configured(&self) -> Result<&Configured, Error> {
        self.0.configured.as_ref().map_err(Clone::clone)
    }

    pub(crate) fn core(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}

/// A handle that does not keep the provider alive.
pub(crate) struct WeakProvider(Weak<Handle>);

impl WeakProvider {
    /// Returns `None` if the last provider was dropped.
    pub(crate) fn upgrade(&self) -> Option<EksCredentialsProvider> {
        self.0.upgrade().map(EksCredentialsProvider)
    }
}

fn pick_credentials(current: &Current) -> Credentials {
    current.credentials.clone()
}

impl ProvideCredentials for EksCredentialsProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        if let Some(current) = self.core().servable().as_ref().and_then(|entry| entry.current.as_ref()) {
            return future::ProvideCredentials::ready(Ok(current.credentials.clone()));
        }
        future::ProvideCredentials::new(async { Ok(self.credentials().await?) })
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.cached()
    }
}

impl fmt::Debug for EksCredentialsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EksCredentialsProvider").field("status", &self.status()).finish_non_exhaustive()
    }
}
