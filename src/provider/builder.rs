//! Configuration in code, over that of the environment.

#[cfg(feature = "irsa")]
mod irsa;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_async::time::{SharedTimeSource, TimeSource};

use super::setup::Setup;
use super::{Configured, EksCredentialsProvider};
use crate::env::Env;
use crate::env::region;
use crate::error::Error;
use crate::error::problem::setting::Setting;
use crate::refresh::shared::Place;
use crate::refresh::state::Policy;
use crate::refresh::sync::{Handle, OwnRuntime};
use crate::source::detect::{self, Detected};
use crate::source::settings::Settings;
use crate::source::web_identity::Parameters;
use crate::source::{Source, Sources};
use crate::source_kind::SourceKind;
use crate::transport::{Client, Timeouts};

/// Below the ~22 s after which an SDK client gives up on its credentials provider (3 attempts of 2 × 3.1 s, and the
/// backoff between them), so that the caller gets this crate's error and not the SDK's timeout.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(20);

/// Builds an [`EksCredentialsProvider`]. Every setting is optional: what is not set here comes from the environment.
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    env: Option<Env>,
    policy: Policy,
    timeouts: Timeouts,
    time_source: Option<SharedTimeSource>,
    sts_client: Option<Result<Client, Error>>,
    runtime: Option<Handle>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            env: None,
            policy: Policy { advisory_window: None, startup_timeout: STARTUP_TIMEOUT, serve_expired: true },
            timeouts: Timeouts::default(),
            time_source: None,
            sts_client: None,
            runtime: None,
        }
    }
}

impl Builder {
    /// Which method to use when the pod has both. Default: IRSA, as in every AWS SDK. If the preferred one is not
    /// configured, the other one serves. The environment variable `EKS_CREDENTIALS_SOURCE` (`irsa`, `pod-identity`, or
    /// `auto` for the default order) has the last word, so that a cut-over or a rollback needs no rebuild.
    pub fn prefer(mut self, source: SourceKind) -> Self {
        self.settings.prefer = Some(source);
        self
    }

    /// With both methods configured: whether a *permanent denial* of the preferred one (never an outage) hands over to
    /// the other one, with a WARN event. Every refresh begins with the preferred one again. Default: false, because who
    /// a process is should not depend on who refuses it. If the other one is configured, but not so that it could work, it is
    /// an error of [`build`](Self::build).
    pub fn fallback(mut self, fallback: bool) -> Self {
        self.settings.fallback = fallback;
        self
    }

    /// The region of the STS endpoint, and of [`sdk_config`](EksCredentialsProvider::sdk_config). Default: `AWS_REGION`,
    /// then `AWS_DEFAULT_REGION`.
    ///
    /// IRSA needs a region of AWS, unless an STS endpoint is configured: [`build`](Self::build) returns an error without
    /// one, and for `aws-global`, because the global endpoint of STS is never used. IMDS is never asked for a region.
    /// SDK clients get any region that is not empty, such as `garage` for an S3-compatible store.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.settings.region = Some(region.into());
        self
    }

    /// From how long before expiry credentials are refreshed; the moment itself is random in the first half of this
    /// window. Default: by lifetime, the table of the AWS SDKs' refresh rules (≤ 10 min: half of it; ≤ 20 min: 5 min;
    /// < 90 min: 15 min; otherwise 60 min). Never more than half of the lifetime that credentials arrive with.
    /// By default the first refresh, and the first after an outage, may come as soon as a quarter of the life is over, to
    /// spread a fleet; with a window set here none comes before it.
    pub fn advisory_window(mut self, window: Duration) -> Self {
        self.policy.advisory_window = Some(window);
        self
    }

    /// For how long the first fetch retries transient failures (the agent not up yet, STS throttling) before callers get
    /// an error. Default: 20 s, below the ~22 s after which an SDK client gives up on its provider.
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.policy.startup_timeout = timeout;
        self
    }

    /// The bound of one attempt, from reading the token to the last byte of the answer. Default: 10 s for STS, 12 s for
    /// an agent, which may legitimately take 9–11 s (measured) and loses its upstream call when a client gives up sooner.
    /// While credentials last, no attempt takes longer than half of what is left of them (but a second at least), so that
    /// there is time for another one: that is less than the default only in their last 24 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.attempt = Some(timeout);
        self
    }

    /// The bound for name resolution, TCP, a proxy's `CONNECT` and TLS together, in each attempt. Default: 3.1 s, as in the AWS
    /// SDKs, or more in proportion if [`attempt_timeout`](Self::attempt_timeout) is longer than its default. If that is too
    /// short, the next attempt over https has twice as long, up to the whole attempt, so that a slow path works within the
    /// budget of a cold start; a value that is set here is never exceeded. Clients that are given to the builder have their own.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = Some(timeout);
        self
    }

    /// Whether expired credentials are served while the source fails in a recoverable way, as the AWS SDKs' 2026 refresh
    /// rules have it: a service may still accept them, and it says so more clearly than a missing signature would.
    /// Default: true. After a permanent error expired credentials are never served.
    pub fn serve_expired(mut self, serve: bool) -> Self {
        self.policy.serve_expired = serve;
        self
    }

    /// The environment to read instead of the process's. For tests, and for programs that get theirs from elsewhere.
    pub fn env<K, V>(mut self, env: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        self.env = Some(Env::from_os(env.into_iter().map(|(name, value)| (name.into(), value.into()))));
        self
    }

    pub(crate) fn env_snapshot(mut self, env: Env) -> Self {
        self.env = Some(env);
        self
    }

    /// The wall clock, also of clients from [`sdk_config`](EksCredentialsProvider::sdk_config), which sign by it. Default: the
    /// system's.
    pub fn time_source(mut self, time_source: impl TimeSource + 'static) -> Self {
        self.time_source = Some(SharedTimeSource::new(time_source));
        self
    }

    /// The tokio runtime on which credentials are fetched and refreshed. Default: one of its own, on one thread named
    /// `eks-credentials`, which starts at the first request for credentials and ends with the last clone of the provider.
    ///
    /// Give one in a program that must not have another thread. It must have time and I/O enabled, must be polled all the
    /// time, and must outlive the provider: while it is blocked or has ended, nothing is refreshed. Tests in which tokio's
    /// time is paused can give the runtime of the test.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Reads the configuration. Does no I/O and spawns no task: the first call does. (A reqwest client given by
    /// `reqwest_0_13` is built before, and reads root certificates.)
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if something is configured, but not so that it
    /// could work: half of a pair of variables, an ARN, URI or region that is none, a setting out of range. That
    /// *nothing* is configured is no error here: every ask returns it instead
    /// ([`NotConfigured`](crate::ErrorKind::NotConfigured)), so that the provider can stand first in a chain.
    pub fn build(self) -> Result<EksCredentialsProvider, Error> {
        self.check()?;
        let setup = self.setup();
        let configured = match detect::detect(&setup.env, &setup.settings)? {
            None => Err(detect::not_configured()),
            Some(Detected { first, other, detection }) => {
                let source = |config| Source::new(config, setup.http.clone(), setup.timeouts);
                let sources =
                    Sources { first: source(first), other: other.map(source), fallback: detection.fallback() };
                if let Some(endpoint) = sources.first.clear_text_endpoint() {
                    tracing::warn!(
                        %endpoint,
                        "the STS endpoint uses plain http: the service account token can be read on the network; use https"
                    );
                }
                Ok(Configured { sources: Arc::new(sources), detection })
            }
        };
        let place = self.runtime.map_or_else(|| Place::Own(OwnRuntime::default()), Place::Given);
        Ok(EksCredentialsProvider::new(configured, self.policy, place, setup))
    }

    /// What the provider is built from. [`check`](Self::check) reports a client for STS that could not be built.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            env: self.env.clone().unwrap_or_else(Env::from_process),
            settings: self.settings.clone(),
            time: self.time_source.clone(),
            http: self.sts_client.as_ref().and_then(|client| client.as_ref().ok().cloned()),
            timeouts: self.timeouts,
        }
    }

    /// What is wrong with the settings of the builder alone. It is an error whatever the source will be: a mistake must not stay
    /// hidden until the program runs in the pod in which it matters.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Some(Err(error)) = &self.sts_client {
            return Err(error.clone());
        }
        let durations = [
            ("advisory_window", self.policy.advisory_window),
            ("startup_timeout", Some(self.policy.startup_timeout)),
            ("attempt_timeout", self.timeouts.attempt),
            ("connect_timeout", self.timeouts.connect),
        ];
        if let Some((name, _)) = durations.iter().find(|(_, duration)| duration.is_some_and(|d| d.is_zero())) {
            let observed = format!("the builder's {name} is zero");
            return Err(Setting::Other { observed, remedy: "it must be longer than zero".to_owned() }.into());
        }
        Parameters::parse(&self.settings.irsa)?;
        region::configured(&Env::default(), self.settings.region.as_deref())?;
        Ok(())
    }
}
