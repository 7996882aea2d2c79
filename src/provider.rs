//! The provider: a cheap handle on shared state.

pub(crate) mod builder;
pub(crate) mod setup;
mod shared;

use std::fmt;
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};

pub use self::builder::Builder;
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

/// AWS credentials of a pod on EKS, by IRSA or by Pod Identity, refreshed ahead of expiry.
///
/// Cloning is cheap, and clones share everything: build one, and give clones to all clients. The first request for
/// credentials starts a background task, which fetches and refreshes them. It runs on a small tokio runtime of its own, on
/// one thread, so that nothing the program does with its own runtimes can delay it: a runtime that is blocked, that nobody
/// polls, or that was built without time or I/O. The methods can therefore be awaited on any executor. The task and its
/// thread end, and secrets are wiped, with the last clone (SDK clients and configs hold clones too).
#[derive(Clone)]
pub struct EksCredentialsProvider(Arc<Handle>);

/// Ends the refresh task with the last provider. The task itself only holds what is inside.
struct Handle {
    shared: Arc<Shared>,
    setup: Setup,
    /// The error is that nothing is configured.
    configured: Result<Configured, Error>,
    /// Variables that are set and on purpose not read are logged once.
    not_read_reported: Once,
}

/// What the pod has.
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
    /// A provider configured by the environment alone, which is read here and never again. Does no I/O. Every call builds
    /// another one, with a refresh task of its own: a library calls [`shared`](Self::shared) instead.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// For everything that the environment does not say.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(configured: Result<Configured, Error>, policy: Policy, place: Place, setup: Setup) -> Self {
        let source = configured.as_ref().map(|configured| Arc::clone(&configured.sources) as Arc<dyn Fetch>);
        let shared = Arc::new(Shared::new(source.map_err(Clone::clone), policy, setup.time.clone(), place));
        Self(Arc::new(Handle { shared, setup, configured, not_read_reported: Once::new() }))
    }

    /// Credentials to sign a request with now.
    ///
    /// Returns at once while valid credentials are there, in a refresh and in an outage too. Waits only for the first
    /// credentials (at most [`startup_timeout`](Builder::startup_timeout) and an attempt) and when the current ones have
    /// expired (at most one attempt); and for a second at most in the last minute of validity if the refreshing task is
    /// late, as after a suspension. All who wait share one upstream request, and its result. Being cancelled while
    /// waiting costs nobody anything.
    ///
    /// # Errors
    ///
    /// What the shared fetch failed with. After a failure without valid credentials the error is kept for the callers
    /// behind until the next retry: 1–5 s at first and up to 60 s later if it is permanent, else 1–30 s.
    pub async fn credentials(&self) -> Result<Credentials, Error> {
        self.core().get(pick_credentials).await
    }

    /// Credentials that stay valid for `ttl` from now: for presigned URLs and long uploads. Fetches new ones if those at
    /// hand do not last so long, waiting as [`credentials`](Self::credentials) does.
    ///
    /// # Errors
    ///
    /// [`LifetimeTooShort`](crate::ErrorKind::LifetimeTooShort) if the newest ones do not last so long either; at once,
    /// without a fetch, if they are less than a minute old. If newer ones could not be fetched, the kind of that failure:
    /// it may pass, and those at hand are still good for [`credentials`](Self::credentials). Otherwise as there.
    pub async fn credentials_valid_for(&self, ttl: Duration) -> Result<Credentials, Error> {
        self.core().get_valid_for(ttl, pick_credentials).await
    }

    /// The valid credentials at hand, if there are any (or the expired ones that an outage makes
    /// [`credentials`](Self::credentials) serve). Neither waits nor fetches: a synchronous peek.
    pub fn cached(&self) -> Option<Credentials> {
        self.core().cached(pick_credentials)
    }

    /// Fetches the first credentials, before a service calls itself ready.
    ///
    /// # Errors
    ///
    /// As [`credentials`](Self::credentials).
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.core().get(|_| ()).await
    }

    /// Reports that a service refused these credentials (`ExpiredToken`). If they are the current ones, they are not served any
    /// more, a refresh begins, and the next call waits for it. This also applies to expired credentials that are served because
    /// of an outage. If the source itself returns the same credentials again (the EKS Pod Identity agent does so for up to three
    /// hours), they are served, the [`status`](Self::status) is degraded, and the source is asked again with a growing delay of
    /// up to ten minutes. A report about older credentials, or a second report about the same ones, changes nothing.
    pub fn invalidate(&self, rejected: &Credentials) {
        self.core().invalidate(rejected.access_key_id());
    }

    /// How it stands now.
    pub fn status(&self) -> Status {
        self.core().status()
    }

    /// The status as of the last attempt or expiry, and every change of it. Does not keep the provider alive: the stream
    /// ends with it.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.core().changes.subscribe()
    }

    /// Which method serves this pod and why, and what is known of the other one.
    ///
    /// # Errors
    ///
    /// [`NotConfigured`](crate::ErrorKind::NotConfigured) if the pod has neither.
    pub fn detection(&self) -> Result<&Detection, Error> {
        self.configured().map(|configured| &configured.detection)
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.0.setup
    }

    /// Runs `report` at the first call, and at no other call to this provider or a clone.
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

/// Does not keep the provider alive.
pub(crate) struct WeakProvider(Weak<Handle>);

impl WeakProvider {
    /// `None` if the provider has ended.
    pub(crate) fn upgrade(&self) -> Option<EksCredentialsProvider> {
        self.0.upgrade().map(EksCredentialsProvider)
    }
}

fn pick_credentials(held: &Current) -> Credentials {
    held.credentials.clone()
}

impl ProvideCredentials for EksCredentialsProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        if let Some(held) = self.core().servable().as_ref().and_then(|entry| entry.current.as_ref()) {
            return future::ProvideCredentials::ready(Ok(held.credentials.clone()));
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
