//! Configuration in code, with precedence over the environment.

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

/// An SDK client waits about 22 s for its credentials provider: 3 attempts of 2 × 3.1 s, and the backoff between them. With a
/// shorter limit, the caller gets the error of this crate and not the timeout of the SDK.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(20);

/// Builds an [`EksCredentialsProvider`].
///
/// Every setting is optional. The description of each setting names its default, which is often an environment variable.
/// Settings in code have precedence over the environment, with one exception: `EKS_CREDENTIALS_SOURCE` has precedence over
/// [`prefer`](Self::prefer).
///
/// ```
/// # use std::time::Duration;
/// # use eks_credentials::{EksCredentialsProvider, SourceKind};
/// let provider = EksCredentialsProvider::builder()
///     .prefer(SourceKind::PodIdentity)
///     .startup_timeout(Duration::from_secs(10))
///     .build()?;
/// # Ok::<(), eks_credentials::Error>(())
/// ```
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
    /// Sets which credential source is used if the pod has both. Default: IRSA, as in every AWS SDK.
    ///
    /// If the preferred source is not configured, the provider uses the other source. The environment variable
    /// `EKS_CREDENTIALS_SOURCE` has precedence over this setting, so a cut-over or a rollback needs no new build. Its values
    /// are `irsa`, `pod-identity`, and `auto` for the default order. Upper and lower case are equivalent.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, SourceKind, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// let provider = EksCredentialsProvider::builder()
    ///     .prefer(SourceKind::PodIdentity)
    /// #   .env(pod.both_env())
    ///     .build()?;
    /// assert_eq!(provider.detection()?.source(), SourceKind::PodIdentity);
    /// # Ok(()) }
    /// ```
    pub fn prefer(mut self, source: SourceKind) -> Self {
        self.settings.prefer = Some(source);
        self
    }

    /// Sets whether the provider falls back to the other source after a permanent denial. Default: `false`, because the
    /// identity of a process should not depend on which source refuses it.
    ///
    /// This setting applies to pods in which both sources are configured. Only a permanent denial of the preferred source causes
    /// a fallback. An outage never does. [`docs::failures`](crate::docs::failures) lists the permanent denials. Every refresh
    /// calls the preferred source first, and every fallback is logged at WARN.
    ///
    /// If the configuration of the other source is invalid or incomplete, [`build`](Self::build) returns an error. There is one
    /// exception: a single variable that no AWS SDK accepts as a configuration, such as `AWS_ROLE_ARN` alone, is not an error. The
    /// provider then has no fallback.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, SourceKind};
    /// use eks_credentials::testing::{Answer, LocalPod};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// pod.sts().always(Answer::refuse("AccessDenied"));
    /// let provider = EksCredentialsProvider::builder().fallback(true).env(pod.both_env()).build()?;
    /// provider.warm_up().await?;
    /// assert_eq!(provider.status().source, Some(SourceKind::PodIdentity));
    /// # Ok(()) }
    /// ```
    pub fn fallback(mut self, fallback: bool) -> Self {
        self.settings.fallback = fallback;
        self
    }

    /// Sets the region. Default: `AWS_REGION`, then `AWS_DEFAULT_REGION`.
    ///
    /// The region determines the STS endpoint of IRSA, and is the default region of the SDK clients that use `sdk_config()`
    /// (feature `sdk-config`). The provider never requests a region from IMDS.
    ///
    /// IRSA requires an AWS region, unless an STS endpoint is configured. Without a region, [`build`](Self::build) returns an
    /// error. The same applies to the region `aws-global`, because this crate never derives the global STS endpoint. SDK
    /// clients accept any region that is not blank, for example `garage` for an S3-compatible store.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().region("eu-central-1");
    /// # builder.build().unwrap();
    /// ```
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.settings.region = Some(region.into());
        self
    }

    /// Sets the refresh window: the time before expiry in which credentials are refreshed.
    ///
    /// A refresh happens at a random time in the first half of this window. The default depends on the lifetime, as in the AWS
    /// SDKs' refresh rules (see [`docs::protocols`](crate::docs::protocols)). For lifetimes of up to 10 min, this crate uses a
    /// shorter window:
    ///
    /// | lifetime of the credentials | window |
    /// |---|---|
    /// | up to 10 min | half of the lifetime |
    /// | more than 10 min, up to 20 min | 5 min |
    /// | more than 20 min, less than 90 min | 15 min |
    /// | 90 min or more | 60 min |
    ///
    /// With the default, the first refresh and the first refresh after an outage may happen before the window: at a random time
    /// between a quarter of the lifetime and the middle of the window. This spreads the requests of a fleet that started at the
    /// same time. With a configured window, no refresh happens before the window.
    ///
    /// The window is never longer than half of the lifetime that credentials have when they are fetched. Zero is not allowed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().advisory_window(Duration::from_secs(10 * 60));
    /// # builder.build().unwrap();
    /// ```
    pub fn advisory_window(mut self, window: Duration) -> Self {
        self.policy.advisory_window = Some(window);
        self
    }

    /// Sets how long the first fetch retries transient failures before callers get an error. Default: 20 s.
    ///
    /// Such failures are common when a pod starts: the agent may start after the pod, or STS may throttle requests. An SDK client
    /// waits about 22 s for its credentials provider. The default is shorter, so the client returns this crate's error instead
    /// of a timeout.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().startup_timeout(Duration::from_secs(10));
    /// # builder.build().unwrap();
    /// ```
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.policy.startup_timeout = timeout;
        self
    }

    /// Sets the time limit for one attempt at one source. Default: 10 s for STS, 12 s for an agent.
    ///
    /// An attempt begins with reading the token and ends with the last byte of the response. The EKS Pod Identity agent may
    /// need 9 to 11 s for a valid response (measured). If the client disconnects earlier, the result of the agent's call to
    /// EKS Auth is lost. With [`fallback`](Self::fallback), the limit for both sources together is the sum of their limits.
    ///
    /// While the current credentials are valid, an attempt is also limited to half of their remaining validity, or to 1 s if
    /// that is longer. This leaves time for another attempt before they expire. With the default limits and without a fallback,
    /// this rule has an effect only in the last 24 s before expiry.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().attempt_timeout(Duration::from_secs(15));
    /// # builder.build().unwrap();
    /// ```
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.attempt = Some(timeout);
        self
    }

    /// Sets the time limit for connecting, in each attempt. Default: 3.1 s, as in the AWS SDKs.
    ///
    /// The limit applies to name resolution, TCP, the `CONNECT` request to a proxy, and TLS together. The setting does not
    /// apply to HTTP clients that are passed to the builder.
    ///
    /// A configured limit is never exceeded. The default limit can grow in two cases:
    ///
    /// - If [`attempt_timeout`](Self::attempt_timeout) is longer than its default, the connect limit grows in the same
    ///   proportion.
    /// - If a connection over https needs more time, the limit is doubled for the next attempt, up to the time limit of the
    ///   whole attempt. A slow network path therefore works within [`startup_timeout`](Self::startup_timeout).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().connect_timeout(Duration::from_secs(5));
    /// # builder.build().unwrap();
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = Some(timeout);
        self
    }

    /// Sets whether expired credentials are served during an outage. Default: `true`, as in the AWS SDKs' refresh rules of
    /// 2026.
    ///
    /// A service may still accept expired credentials. If it refuses them, its error is clearer than the error for a request
    /// without a signature. Expired credentials are served only after [transient](crate::Error::is_transient) failures, never
    /// after a permanent error.
    ///
    /// With `false`, this crate also rejects credentials that have already expired when the agent returns them.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// let builder = EksCredentialsProvider::builder().serve_expired(false);
    /// # builder.build().unwrap();
    /// ```
    pub fn serve_expired(mut self, serve: bool) -> Self {
        self.policy.serve_expired = serve;
        self
    }

    /// Sets the environment variables. Default: those of the process.
    ///
    /// If this is set, the variables of the process are not read. Use this setting in tests, or if the program gets its
    /// configuration from another place.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, SourceKind};
    /// let provider = EksCredentialsProvider::builder()
    ///     .env([
    ///         ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
    ///         ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/token"),
    ///     ])
    ///     .build()?;
    /// assert_eq!(provider.status().source, Some(SourceKind::PodIdentity));
    /// # Ok::<(), eks_credentials::Error>(())
    /// ```
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

    /// Sets the wall clock. Default: the system clock.
    ///
    /// SDK clients that use `sdk_config()` (feature `sdk-config`) sign requests with the same clock.
    ///
    /// ```
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// # use eks_credentials::EksCredentialsProvider;
    /// use aws_smithy_async::time::StaticTimeSource;
    ///
    /// let clock = StaticTimeSource::new(UNIX_EPOCH + Duration::from_secs(1_767_225_600));
    /// let builder = EksCredentialsProvider::builder().time_source(clock);
    /// # builder.build().unwrap();
    /// ```
    pub fn time_source(mut self, time_source: impl TimeSource + 'static) -> Self {
        self.time_source = Some(SharedTimeSource::new(time_source));
        self
    }

    /// Sets the tokio runtime of the refresh task. Default: a separate runtime with one thread, named `eks-credentials`.
    ///
    /// The thread starts at the first call for credentials and ends with the last clone of the provider.
    ///
    /// Set a runtime if the program must not start another thread, or in a test that pauses tokio's time. The runtime must have
    /// time and I/O enabled. It must be polled continuously, and must outlive the provider. While it is blocked, and after it
    /// has ended, credentials are not refreshed.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), eks_credentials::Error> {
    /// let provider = EksCredentialsProvider::builder().runtime(tokio::runtime::Handle::current()).build()?;
    /// # Ok(()) }
    /// ```
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Builds the provider.
    ///
    /// This reads the configuration. It does no I/O and does not start the refresh task: the first call for credentials does
    /// both. There is one exception: `reqwest_0_13` builds its client at once, which reads root certificates.
    ///
    /// # Errors
    ///
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) if the configuration cannot work. For example, one
    /// variable of a pair is missing, an ARN, URI or region is not valid, or a setting is out of range.
    ///
    /// If *nothing* is configured, `build` succeeds, and every call for credentials returns
    /// [`NotConfigured`](crate::ErrorKind::NotConfigured). The provider can therefore be the first one in a provider chain.
    ///
    /// # Examples
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, ErrorKind};
    /// let builder = EksCredentialsProvider::builder().env([("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/app")]);
    /// let error = builder.build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
    /// assert!(error.to_string().contains("AWS_WEB_IDENTITY_TOKEN_FILE is not"));
    /// ```
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

    /// The inputs of the provider. If a client for STS could not be built, [`check`](Self::check) returns the error.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            env: self.env.clone().unwrap_or_else(Env::from_process),
            settings: self.settings.clone(),
            time: self.time_source.clone(),
            http: self.sts_client.as_ref().and_then(|client| client.as_ref().ok().cloned()),
            timeouts: self.timeouts,
        }
    }

    /// Checks the settings of the builder, including those that the detected source does not use. Otherwise a mistake would be
    /// found only in a pod that uses the setting.
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
