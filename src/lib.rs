//! AWS credentials for Rust services on Amazon EKS.
//!
//! A pod on EKS gets AWS access in one of two ways. With **IRSA** (IAM roles for service accounts) kubelet projects a
//! token into a file, and the process exchanges it at STS. With **EKS Pod Identity** an agent on the node hands out
//! credentials at a link-local address. Both are short-lived, so both must be refreshed for ever: without a request ever
//! waiting for credentials it could already have had, and without an outage of STS or of the agent costing anything
//! before the credentials truly expire.
//!
//! [`EksCredentialsProvider`] detects which of the two the pod has, fetches, and refreshes ahead of expiry in one
//! background task. Requests read the current credentials without a lock.
//!
//! ```no_run
//! use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = EksCredentialsProvider::from_env()?;
//! let s3 = aws_sdk_s3::Client::new(&provider.sdk_config(BehaviorVersion::latest()).build());
//! # Ok(()) }
//! ```
//!
//! `sdk_config` applies the environment variables and defaults that `aws_config::load_defaults` applies. If the program relies
//! on profile files or also runs outside a cluster, keep [aws-config] and give it the provider:
//!
//! ```no_run
//! # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let provider = EksCredentialsProvider::from_env()?;
//! let config = aws_config::defaults(BehaviorVersion::latest())
//!     .credentials_provider(provider.clone())
//!     .identity_cache(provider.identity_cache())
//!     .load()
//!     .await;
//! # Ok(()) }
//! ```
//!
//! What differs between the two, variable by variable: [`docs::switching_from_aws_config`].
//!
//! A service may refuse credentials before they expire, for example when the role was deleted and created again.
//! [`recovery()`](EksCredentialsProvider::recovery) renews them and has the attempt repeated. It belongs to a service's own
//! config, because an `SdkConfig` cannot carry interceptors:
//!
//! ```no_run
//! # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
//! # fn client(provider: EksCredentialsProvider) -> aws_sdk_s3::Client {
//! let config = provider.sdk_config(BehaviorVersion::latest()).build();
//! let config = aws_sdk_s3::config::Builder::from(&config)
//!     .interceptor(provider.recovery())
//!     .retry_classifier(provider.recovery());
//! let s3 = aws_sdk_s3::Client::from_conf(config.build());
//! # s3 }
//! ```
//!
//! Where the same binary also runs on a laptop, as the first of a chain. Only a pod in which *nothing* is configured lets
//! the chain go on; a half-configured one is an error at [`from_env`](EksCredentialsProvider::from_env), and an outage an
//! error of its own:
//!
//! ```no_run
//! # use eks_credentials::EksCredentialsProvider;
//! use aws_config::meta::credentials::CredentialsProviderChain;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let eks = EksCredentialsProvider::from_env()?;
//! let chain = CredentialsProviderChain::first_try("eks", eks).or_default_provider().await;
//! # Ok(()) }
//! ```
//!
//! In tests, `testing::LocalPod` (feature `testing`) is a pod on loopback.
//!
//! # What is detected
//!
//! In the order of every AWS SDK; the first that is configured is used.
//! [`Builder::prefer`] or the environment variable `EKS_CREDENTIALS_SOURCE` (`irsa`, `pod-identity`, `auto`) turns the
//! order round.
//!
//! | method | variables |
//! |---|---|
//! | IRSA | `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE`; `AWS_REGION` or `AWS_DEFAULT_REGION`; optionally `AWS_ROLE_SESSION_NAME`, `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`, `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`, `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`, `AWS_CA_BUNDLE`, `HTTPS_PROXY` (or `https_proxy`, `ALL_PROXY`, `all_proxy`), `NO_PROXY` (or `no_proxy`) |
//! | Pod Identity, ECS and other container credentials | `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `AWS_CONTAINER_CREDENTIALS_FULL_URI`; `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `AWS_CONTAINER_AUTHORIZATION_TOKEN` |
//!
//! Surrounding blanks are trimmed, and an empty value counts as unset. The environment is read once, when the provider is
//! built; [`sdk_config`](EksCredentialsProvider::sdk_config) reads [more
//! variables](docs::switching_from_aws_config). IMDS, profiles and static keys are never read: a pod that is not configured is an error, not the node's role.
//! `AWS_ROLE_ARN` alone is an error only if Pod Identity is not configured either: no AWS SDK takes it for IRSA.
//! [`detection()`](EksCredentialsProvider::detection) says which one serves and why.
//!
//! A pod that has both can be taken from one to the other without a failing request:
//! [`compare()`](EksCredentialsProvider::compare) requests credentials from both and says whether they grant the same, and
//! [`Builder::fallback`] lets a permanent denial hand over.
//!
//! # When it fetches, and who waits
//!
//! The first ask starts the background task and waits for the first credentials; transient failures are retried for
//! [20 s](Builder::startup_timeout). From then on the task refreshes at a random moment in the first half of the
//! [advisory window](Builder::advisory_window); the first time, and the first time after an outage, at a random moment
//! between a quarter of the credentials' life and there, so that a fleet that fetched together does not come back
//! together (`examples/fleet` shows it). While it does, and while it fails, callers get the credentials at hand.
//! In the last minute of validity a caller waits for a second at most, and only if the task is late (a process that was
//! suspended). A failed refresh is retried after a random share of the remaining validity, 1 s to 10 min. After expiry
//! callers wait for an attempt (a second at most if expired credentials may be [served](Builder::serve_expired)) or get
//! the last error at once; attempts then follow each other in 1–30 s. A permanent error (a denial) with valid credentials at
//! hand is reported and retried in the same way. Without, the task tries again by itself, after 1–5 s at first and at most
//! every 60 s later, and callers in between get the error at once: a pod that was denied at its start becomes ready when its
//! trust policy is corrected, without another request.
//!
//! The task runs on a thread of its own, so that no runtime of the program can delay it, and its methods can be awaited on any
//! executor. [`Builder::runtime`] chooses another place.
//!
//! **Clocks.** An expiry is a moment on the clock of the service. STS sends its time with every answer. If this machine's
//! clock differs from it by more than 30 s, the expiry of the credentials is moved by the difference, with one WARN event and
//! [`Status::clock_skew_seconds`]: the SDK's own caches compare `Credentials::expiry()` with this machine's clock. When the
//! clock is corrected later, new credentials are fetched. The answer must come over https, and the time from its `Date` to the
//! expiry must not be longer than the requested session. The EKS Pod Identity agent has the same clock as the pod, so that
//! nothing can be corrected there.
//!
//! **Credentials past their expiry.** The EKS Pod Identity agent may hand out credentials that have expired in an outage of
//! its service, and AWS may still honour them. From the agent's own addresses, up to 6 h after their expiry, they are used if
//! there is nothing better, as expired credentials are in an outage: the provider is not ready, and goes on asking. From
//! every other source they are an error, and with [`serve_expired(false)`](Builder::serve_expired) always.
//!
//! What is promised about all this, and how each promise is tested: [`docs::reliability`].
//!
//! # Events
//!
//! By [`tracing`]: a span `fetch_credentials` around each attempt (fields `source`, `attempt`, `outcome`, `duration_ms`).
//! INFO for the first credentials, another source, and the end of an outage;
//! WARN for a failed refresh while there is something to serve (expired credentials included, in a recoverable outage), for
//! credentials that a service refused, and for a fallback; ERROR
//! for a permanent failure, when credentials expire, and when there is nothing to serve. Nothing on the path of a request
//! that is served at once. Secrets never appear, at TRACE neither.
//!
//! Metrics, OpenTelemetry and readiness probes: [`docs::observability`].
//!
//! # Features
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `irsa` | yes | the IRSA source, with an XML parser. https to STS needs one of the three HTTP clients below |
//! | `pod-identity` | yes | the Pod Identity source. Alone (`default-features = false`) there is no TLS and no XML crate in the tree |
//! | `sdk-config` | yes | [`sdk_config`](EksCredentialsProvider::sdk_config), [`identity_cache`](EksCredentialsProvider::identity_cache) and [`recovery`](EksCredentialsProvider::recovery) |
//! | `reqwest-http-client` | yes | https to STS by reqwest 0.13 with aws-lc-rs |
//! | `sdk-http-client` | | https to STS by the AWS SDK's own HTTP client with aws-lc-rs. Use it instead of `reqwest-http-client` in a program that has an SDK client: then there is no reqwest in the tree |
//! | `rustls-ring` | | https to STS by the AWS SDK's own HTTP client with ring |
//! | `rustls-aws-lc` | | the same as `sdk-http-client` |
//! | `reqwest_0_13` | | `Builder::reqwest_0_13`: https to STS by a reqwest client of the program's own |
//! | `webpki-roots` | | Mozilla's root certificates in the binary instead of the system's, for `scratch` images |
//! | `metrics` | | counters, gauges and durations through the [`metrics`](https://docs.rs/metrics) facade: [`docs::observability`] |
//! | `diagnose` | | `EksCredentialsProvider::diagnose`: what is wrong with this pod's credentials, and what to do. Brings `aws-sigv4`, to ask STS who the credentials are |
//! | `serde` | | `serde::Serialize` for the results of `diagnose` |
//! | `testing` | | the module `testing`, a pod on loopback: for `[dev-dependencies]` |
//!
//! At least one of `irsa` and `pod-identity` is needed. The lightest set of features beside an SDK client:
//!
//! ```toml
//! eks-credentials = { version = "0.1", default-features = false, features = ["irsa", "pod-identity", "sdk-config", "sdk-http-client"] }
//! ```
//!
//! ## HTTP clients for STS
//!
//! Every client reads `AWS_CA_BUNDLE` and the proxy variables from the environment's snapshot, has the same limits of time
//! and size, and follows no redirects. If several are compiled in, the SDK's is used, and aws-lc-rs before ring. What
//! differs:
//!
//! | | `reqwest-http-client` | `sdk-http-client`, `rustls-ring` |
//! |---|---|---|
//! | trusted roots | `AWS_CA_BUNDLE` alone if it is set; else the built-in ones with `webpki-roots`; else those of the system, through its own verifier on macOS and Windows | the same, but the system's roots are read from its store and verified by rustls on every system, and `webpki-roots` leaves out a root that Mozilla trusts for some names only |
//! | cryptography | the process-wide `CryptoProvider` of rustls if the program has installed one, else aws-lc-rs | aws-lc-rs or ring, also if the program has installed another one |
//! | cipher suites | those of the `CryptoProvider` | those that the SDK chooses from them |
//! | HTTP version | 1.1 | 2 or 1.1, as the server chooses |
//!
//! A build with `irsa` and none of them reaches STS only through [`Builder::http_client`], or by plain http (a stand-in).
//! Without any root certificate the first fetch fails with an error that says so.
//!
//! ## Effects on the rest of the program
//!
//! Cargo compiles every crate once, with the features that all of its users ask for. `tests/downstream` runs programs with
//! and without this crate in their dependency tree, and compares what they print and send. `pod-identity` alone has no
//! effect. The HTTP clients for STS have these:
//!
//! | feature | effect | remedy |
//! |---|---|---|
//! | `reqwest-http-client`, `sdk-http-client` in a program with ring; `rustls-ring` in a program with aws-lc-rs | two cryptographies are compiled into rustls. A call of `rustls::ClientConfig::builder()` panics: "Could not automatically determine the process-level CryptoProvider from Rustls crate features". reqwest with its default features, and every AWS SDK client, have the same effect | use the HTTP client with the cryptography that the program has, or install a provider at the beginning of `main`, as below |
//! | `reqwest-http-client` | a reqwest client of the program that had no TLS has it now. It reads the system's root certificates when it is built, and `reqwest::Client::new()` panics in an image that has none: "No CA certificates were loaded from the system" | use `sdk-http-client`, which does not touch reqwest, or install ca-certificates in the image |
//! | `sdk-http-client` | other rustls clients of the program offer the key exchange `X25519MLKEM768` first (rustls' feature `prefer-post-quantum`), as in every program with an AWS SDK client | `reqwest-http-client` or `rustls-ring` |
//! | all three | rustls clients of a program without rustls' feature `tls12` offer TLS 1.2 too, as with every https client that reaches servers without TLS 1.3 | `ClientConfig::builder_with_protocol_versions` |
//!
//! ```
//! // Or `ring`, if that is what the program has.
//! rustls::crypto::aws_lc_rs::default_provider().install_default().expect("no other provider is installed");
//! ```
//!
//! [aws-config]: https://docs.rs/aws-config

// On docs.rs every item shows the feature that it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// In what is shipped, hostile input and wrong clocks must not find a panic. (Those of [lints] hold for tests too.)
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::string_slice, clippy::unreachable))]
// Each feature uses a part of what they have in common. With all of them, code that nothing uses is an error in `.ci/run`.
#![cfg_attr(
    not(all(feature = "diagnose", feature = "irsa", feature = "pod-identity", feature = "sdk-config")),
    allow(dead_code, unused_imports, reason = "used by features that are off")
)]

#[cfg(not(any(feature = "irsa", feature = "pod-identity")))]
compile_error!("eks-credentials needs at least one source: enable the feature `irsa` or `pod-identity`");

mod caller_identity;
mod claims;
mod clock;
#[cfg(feature = "diagnose")]
mod diagnose;
#[cfg(doc)]
pub mod docs;
mod env;
mod error;
mod fetched;
// Not in the published package, which is built without either cfg.
#[cfg(all(fuzzing, feature = "irsa", feature = "pod-identity"))]
#[doc(hidden)]
#[path = "../fuzz/oracles/mod.rs"]
pub mod fuzzing;
#[cfg(all(test, not(fuzzing), feature = "irsa", feature = "pod-identity"))]
#[path = "../fuzz/oracles/mod.rs"]
mod fuzzing;
pub mod migration;
mod provider;
mod refresh;
#[cfg(feature = "sdk-config")]
mod sdk;
#[cfg(feature = "serde")]
mod serialize;
mod source;
mod source_kind;
#[cfg(feature = "testing")]
#[allow(clippy::arithmetic_side_effects, reason = "a stand-in may fail a test loudly")]
pub mod testing;
mod token_file;
mod transport;
mod variable;

pub use aws_credential_types::Credentials;
pub use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
pub use aws_smithy_runtime_api::client::http::SharedHttpClient;
#[cfg(feature = "diagnose")]
pub use diagnose::{Diagnosis, Finding, FindingId, Severity};
pub use error::{Error, ErrorKind};
pub use provider::{Builder, EksCredentialsProvider};
pub use refresh::status::{Health, Status};
#[cfg(feature = "sdk-config")]
pub use sdk::{Recovery, SdkConfigBuilder};
pub use source::detection::Detection;
pub use source_kind::SourceKind;

/// The code of the README compiles.
#[cfg(all(doctest, feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#[doc = include_str!("../README.md")]
struct Readme;
