//! Configuration in code, over that of the environment.

use std::ffi::OsString;
#[cfg(feature = "irsa")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_async::time::{SharedTimeSource, TimeSource};
#[cfg(feature = "irsa")]
use aws_smithy_runtime_api::client::http::HttpClient;

use crate::detect::{self, Detected, Settings};
#[cfg(feature = "diagnose")]
use crate::diagnose::{self, Diagnosis, Subject};
use crate::env::Env;
use crate::error::Error;
use crate::problem::setting::Setting;
use crate::provider::{Configured, EksCredentialsProvider};
use crate::refresh::schedule::Policy;
use crate::refresh::shared::Place;
use crate::refresh::sync::{Handle, OwnRuntime};
#[cfg(any(feature = "irsa", feature = "sdk-config", feature = "diagnose"))]
use crate::region;
#[cfg(feature = "sdk-config")]
use crate::sdk_config::SdkSettings;
#[cfg(feature = "irsa")]
use crate::source::web_identity;
use crate::source::{Source, SourceKind, Sources};
#[cfg(feature = "irsa")]
use crate::transport;
use crate::transport::{Client, Timeouts};

/// Below the ~22 s after which an SDK client gives up on its credentials provider (3 attempts of 2 × 3.1 s, and the
/// backoff between them), so that the caller gets this crate's error and not the SDK's timeout.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(20);

/// Builds an [`EksCredentialsProvider`]. Every setting is optional: what is not set here comes from the environment.
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    shadow: bool,
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
            shadow: false,
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

    /// Before a migration: whether the method that does *not* serve is asked once in the background, after the first
    /// credentials have come from the one that does. The result is an event (INFO if it would work, WARN if it would not, or
    /// for another account) and [`Status::shadow`](crate::Status::shadow). What it grants is thrown away. It is never an
    /// error, no request waits for it, and it delays no refresh; it takes an attempt's time at most, and ends with the
    /// provider. Default: false. Without a second method in the pod nothing is asked.
    /// [`compare`](EksCredentialsProvider::compare) looks closer, and when it is called.
    pub fn shadow(mut self, shadow: bool) -> Self {
        self.shadow = shadow;
        self
    }

    /// The region of the STS endpoint, and of [`sdk_config`](EksCredentialsProvider::sdk_config). Default: `AWS_REGION`,
    /// then `AWS_DEFAULT_REGION`.
    ///
    /// IRSA needs a region of AWS, unless an STS endpoint is configured: [`build`](Self::build) returns an error without
    /// one, and for `aws-global`, because the global endpoint of STS is never used. IMDS is never asked for a region.
    /// SDK clients get any region that is not empty, such as `garage` for an S3-compatible store.
    #[cfg(any(feature = "irsa", feature = "sdk-config", feature = "diagnose"))]
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
        let env = self.env.clone().unwrap_or_else(Env::from_process);
        let configured = match detect::detect(&env, &self.settings)? {
            None => Err(detect::not_configured()),
            Some(Detected { first, second, detection }) => {
                let source = |config| Source::new(config, self.sts_client(), self.timeouts);
                let sources = Sources {
                    first: source(first),
                    second: second.map(|second| second.map(source)),
                    fallback: detection.fallback(),
                    shadow: self.shadow,
                };
                if let Some(endpoint) = sources.first.clear_text_endpoint() {
                    tracing::warn!(
                        %endpoint,
                        "the STS endpoint uses plain http: the service account token can be read on the network; use https"
                    );
                }
                Ok(Configured { sources: Arc::new(sources), detection })
            }
        };
        Ok(EksCredentialsProvider::new(
            configured,
            self.policy,
            self.time_source.clone(),
            self.runtime.clone().map_or_else(|| Place::Own(OwnRuntime::default()), Place::Given),
            env.clone(),
            #[cfg(feature = "diagnose")]
            self.subject(&env),
            #[cfg(feature = "sdk-config")]
            SdkSettings::new(env, self.settings.region, self.time_source.unwrap_or_default()),
        ))
    }

    /// Says what is wrong with a pod's credentials and what to do, also where [`build`](Self::build) fails. Sends one
    /// request for credentials and one to STS that asks who they are, each within its limit of time, and nothing twice.
    #[cfg(feature = "diagnose")]
    pub async fn diagnose(self) -> Diagnosis {
        let env = self.env.clone().unwrap_or_else(Env::from_process);
        diagnose::on_a_thread_of_its_own(self.subject(&env), self.check()).await
    }

    #[cfg(feature = "diagnose")]
    fn subject(&self, env: &Env) -> Subject {
        Subject {
            env: env.clone(),
            settings: self.settings.clone(),
            timeouts: self.timeouts,
            time: self.time_source.clone().unwrap_or_default(),
            sts_client: self.sts_client(),
        }
    }

    /// The program's own. [`check`](Self::check) has reported the one that could not be built.
    fn sts_client(&self) -> Option<Client> {
        self.sts_client.clone()?.ok()
    }

    fn check(&self) -> Result<(), Error> {
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
        // Whatever the source will be: a mistake must not wait for the pod in which it matters.
        #[cfg(feature = "irsa")]
        web_identity::check_parameters(&self.settings.irsa)?;
        #[cfg(any(feature = "irsa", feature = "sdk-config", feature = "diagnose"))]
        region::configured(&Env::default(), self.settings.region.as_deref())?;
        Ok(())
    }
}

/// Settings of IRSA alone.
#[cfg(feature = "irsa")]
impl Builder {
    /// The role to assume. Default: `AWS_ROLE_ARN`.
    pub fn role_arn(mut self, role_arn: impl Into<String>) -> Self {
        self.settings.irsa.role_arn = Some(role_arn.into());
        self
    }

    /// The file with the service account token. Default: `AWS_WEB_IDENTITY_TOKEN_FILE`. Read anew for every attempt.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.irsa.token_file = Some(path.into());
        self
    }

    /// The role session name, which CloudTrail shows: 2–64 characters of `[A-Za-z0-9_+=,.@-]`. Default:
    /// `AWS_ROLE_SESSION_NAME`, else `{namespace}-{pod}` from the token, else the host name, cut to its last 64
    /// characters. It stays the same for the life of the process.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.settings.irsa.session_name = Some(name.into());
        self
    }

    /// `DurationSeconds`: 15 minutes to 12 hours, in whole seconds, and not more than the role's maximum session
    /// duration. Default: not sent, for which STS gives one hour.
    pub fn duration(mut self, duration: Duration) -> Self {
        self.settings.irsa.duration = Some(duration);
        self
    }

    /// An inline session policy in JSON, at most 2,048 characters, which narrows the role's permissions. EKS Pod Identity
    /// cannot do that: in a pod that would use it, also as a fallback, it is an error of [`build`](Self::build).
    pub fn policy(mut self, policy: impl Into<String>) -> Self {
        self.settings.irsa.policy = Some(policy.into());
        self
    }

    /// Adds a managed session policy, which narrows the role's permissions: at most 10. As [`policy`](Self::policy) an
    /// error with EKS Pod Identity.
    pub fn policy_arn(mut self, arn: impl Into<String>) -> Self {
        self.settings.irsa.policy_arns.push(arn.into());
        self
    }

    /// `ProviderId`: only for OAuth 2.0 identity providers, never for a Kubernetes token. STS requires it to be absent
    /// for OpenID Connect.
    pub fn provider_id(mut self, provider_id: impl Into<String>) -> Self {
        self.settings.irsa.provider_id = Some(provider_id.into());
        self
    }

    /// The URL of STS. Default: `AWS_ENDPOINT_URL_STS`, then `AWS_ENDPOINT_URL` (neither if
    /// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is `true`), then the regional endpoint, with `AWS_USE_FIPS_ENDPOINT` and
    /// `AWS_USE_DUALSTACK_ENDPOINT`.
    pub fn sts_endpoint(mut self, url: impl Into<String>) -> Self {
        self.settings.irsa.sts_endpoint = Some(url.into());
        self
    }

    /// The HTTP client for STS, instead of the one that the [features](crate#features) choose. It is never used for an
    /// agent, whose requests must not meet a proxy.
    ///
    /// Any client of the AWS SDK can be given, for example one that the program already has for its service clients. It is
    /// asked for one connector, with a connect timeout of 3.1 s, at the first request. `AWS_CA_BUNDLE` and the proxy variables
    /// are not applied to it; the limits of time and the limit of 64 KiB for an answer are.
    ///
    /// **It must not follow redirects**: the request carries the service account token, and a client that follows a 307
    /// sends it to another host. The SDK's own client follows none.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// # use eks_credentials::testing::LocalPod;
    /// use aws_smithy_http_client::Builder;
    /// use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let http_client = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc)).build_https();
    /// # let pod = LocalPod::start().await?;
    /// let provider = EksCredentialsProvider::builder()
    ///     .http_client(http_client)
    /// #   .env(pod.irsa_env())
    ///     .build()?;
    /// provider.warm_up().await?;
    /// # Ok(()) }
    /// ```
    pub fn http_client(mut self, client: impl HttpClient + 'static) -> Self {
        self.sts_client = Some(Ok(transport::from_http_client(client)));
        self
    }

    /// Like [`http_client`](Self::http_client), with a client of reqwest 0.13 that is built from these settings at once.
    /// Redirects are switched off and idle connections are not kept, whatever the settings say.
    ///
    /// The feature `reqwest_0_13` turns on none of reqwest's own features: TLS is what the program chooses for its reqwest.
    /// If reqwest cannot build the client, [`build`](Self::build) returns
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration).
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// # use eks_credentials::testing::LocalPod;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// let provider = EksCredentialsProvider::builder()
    ///     .reqwest_0_13(reqwest::Client::builder().connect_timeout(Duration::from_secs(3)))
    /// #   .env(pod.irsa_env())
    ///     .build()?;
    /// provider.warm_up().await?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "reqwest_0_13")]
    pub fn reqwest_0_13(mut self, client: reqwest::ClientBuilder) -> Self {
        self.sts_client = Some(transport::from_reqwest_0_13(client));
        self
    }
}
