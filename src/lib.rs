//! AWS credentials for Rust services on Amazon EKS.
//!
//! A pod on EKS gets AWS credentials from one of two sources:
//!
//! - **IRSA** (IAM roles for service accounts): kubelet writes a service account token into a file. The process exchanges the
//!   token for credentials at STS.
//! - **EKS Pod Identity**: an agent on the node returns credentials at a link-local address.
//!
//! [`EksCredentialsProvider`] detects which source the pod has and fetches credentials from it. A background task, the refresh
//! task, replaces them before they expire. Requests read the current credentials without a lock. An outage of STS or of the
//! agent that ends before the credentials expire has no effect on requests.
//!
//! # Quick start
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
//! [`sdk_config`](EksCredentialsProvider::sdk_config) applies the same environment variables and defaults as
//! `aws_config::load_defaults`. [`docs::switching_from_aws_config`] compares both, variable by variable.
//!
//! Create one provider for each process, and give clones of it to all clients. A library calls
//! [`EksCredentialsProvider::shared`] instead: all libraries of a process then use the same provider.
//!
//! ## In aws-config
//!
//! If the program uses profile files, keep [aws-config] and pass the provider to it:
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
//! ## In a chain
//!
//! If the program also runs outside a cluster, use the provider as the first one of a chain:
//!
//! ```no_run
//! # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
//! use aws_config::meta::credentials::CredentialsProviderChain;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = EksCredentialsProvider::from_env()?;
//! let chain = CredentialsProviderChain::first_try("eks", provider.clone()).or_default_provider().await;
//! let config = aws_config::defaults(BehaviorVersion::latest())
//!     .credentials_provider(chain)
//!     .identity_cache(provider.identity_cache())
//!     .load()
//!     .await;
//! # Ok(()) }
//! ```
//!
//! The chain tries its next provider only if *neither* source is configured. If the configuration is incomplete,
//! [`from_env`](EksCredentialsProvider::from_env) returns an error. If there is an outage and there are no valid credentials,
//! the chain returns an error.
//!
//! ## Recovery from refused credentials
//!
//! A service can refuse credentials before they expire, for example after the role was deleted and created again.
//! [`recovery()`](EksCredentialsProvider::recovery) fetches new credentials and repeats the attempt. Add it to the
//! configuration of the client, because an `SdkConfig` cannot contain interceptors:
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
//! ## In tests
//!
//! `testing::LocalPod` (feature `testing`) simulates a pod on loopback.
//!
//! # What is detected
//!
//! The sources are detected in this order, which is the order of every AWS SDK. The first one that is configured is used.
//!
//! | source | variables |
//! |---|---|
//! | IRSA | `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE`; `AWS_REGION` or `AWS_DEFAULT_REGION`. Optional: `AWS_ROLE_SESSION_NAME`, `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`, `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`, `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`, `AWS_CA_BUNDLE`, `HTTPS_PROXY` (or `https_proxy`, `ALL_PROXY`, `all_proxy`), `NO_PROXY` (or `no_proxy`) |
//! | EKS Pod Identity, ECS and other container credentials | `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `AWS_CONTAINER_CREDENTIALS_FULL_URI`; `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `AWS_CONTAINER_AUTHORIZATION_TOKEN` |
//!
//! - **Order**: [`Builder::prefer`] and the environment variable `EKS_CREDENTIALS_SOURCE` (`irsa`, `pod-identity` or `auto`)
//!   choose the source that comes first. The variable overrides the builder.
//! - **Reading**: the environment is read once, when the provider is built. White space around a value is removed. An empty
//!   value counts as not set. [`sdk_config`](EksCredentialsProvider::sdk_config) reads [more
//!   variables](docs::switching_from_aws_config).
//! - **Nothing is configured**: every call returns [`NotConfigured`](ErrorKind::NotConfigured). IMDS, profile files and static
//!   keys are never read, so the pod never gets the role of its node.
//! - **Incomplete configuration**: building the provider returns [`InvalidConfiguration`](ErrorKind::InvalidConfiguration).
//!   There are [exceptions]. For example, `AWS_ROLE_ARN` without a token file is an error only if EKS Pod Identity is not
//!   configured, because no AWS SDK treats it as IRSA.
//! - **Both sources are configured**: [`compare()`](EksCredentialsProvider::compare) requests credentials from both, and says
//!   whether they grant the same role. [`Builder::fallback`] switches to the other source after a permanent denial. These two
//!   functions make it possible to [migrate](docs::migrating) a pod without a failed request.
//!
//! [`detection()`](EksCredentialsProvider::detection) says which source is used, and why.
//!
//! # When credentials are fetched, and which calls wait
//!
//! The first call starts the refresh task.
//!
//! | state | a call | the refresh task |
//! |---|---|---|
//! | no credentials yet | waits for the first credentials | retries transient failures for [20 s](Builder::startup_timeout). After this time, the waiting calls return the error |
//! | valid credentials | returns them at once | refreshes them at a random moment in the first half of the [advisory window](Builder::advisory_window) |
//! | valid credentials, and the last refresh failed | returns them at once | retries after a random share of the remaining validity, between 1 s and 10 min |
//! | expired credentials, and the last failure was transient | waits for at most 1 s if an attempt is in progress. If there are still no new credentials, it returns the expired ones | retries after 1–30 s |
//! | no credentials that can be returned, and the last failure was transient. With [`serve_expired(false)`](Builder::serve_expired), expired credentials are never returned | waits for the result if an attempt is in progress. Otherwise it returns the last error at once | retries after 1–30 s |
//! | no valid credentials, and the last error was permanent (a denial) | waits for the result if an attempt is in progress. Otherwise it returns the last error at once | retries after 1–5 s. The delay grows to at most 60 s |
//!
//! - **Late task**: while the credentials are valid, a call waits in only one case, and for at most one second: if the refresh
//!   task is late in the last minute of validity, for example because the process was suspended.
//! - **Permanent error**: it is reported at once, even if the current credentials are still valid. The refresh task retries
//!   without another call. A pod that was denied at its start becomes ready after its trust policy is corrected.
//! - **Fleets**: the first refresh, and the first one after an outage, can begin earlier: at a random moment between a quarter
//!   of the lifetime and the middle of the advisory window. This prevents pods that started together from refreshing together.
//!   The example `fleet` simulates this behaviour.
//! - **Thread**: the refresh task runs on its own thread, so no runtime of the program can delay it. [`Builder::runtime`]
//!   chooses another runtime. The methods of the provider can be awaited on any executor.
//! - **Clocks**: the caches of the SDK compare the expiry with the clock of this machine. If that clock differs from the clock
//!   of STS by more than 30 s, the provider corrects the expiry by the difference. One event at WARN and
//!   [`Status::clock_skew_seconds`] report it. [Wrong clocks] describes the conditions.
//! - **Expired on arrival**: the EKS Pod Identity agent can return expired credentials during an outage. If they expired less
//!   than 6 h ago and there are no better ones, calls return them like other expired credentials. During this time the provider
//!   is not ready, and it continues to retry. Expired credentials from any other source are an error. With
//!   [`serve_expired(false)`](Builder::serve_expired), expired credentials from the agent are an error too.
//!
//! [`docs::reliability`] lists all guarantees with their tests. [`docs::failures`] lists which failures are permanent.
//! [`docs::differences_from_the_aws_sdks`] gives the reasons, and compares the behaviour with that of the SDKs.
//!
//! # Events
//!
//! The provider reports through [`tracing`]. Each attempt is a span `fetch_credentials` at level INFO with the fields `source`,
//! `attempt`, `outcome` and `duration_ms`. A provider for an assumed role adds the field `role`. The events are:
//!
//! | level | event |
//! |---|---|
//! | ERROR | a permanent failure; a transient failure while there are no credentials to return; the expiry of the current credentials |
//! | WARN | a transient failure while there are credentials to return, including expired ones; a failed first attempt of a cold start; credentials that a service has refused; a fallback; a wrong clock; an STS endpoint with plain http on another host; an invalid variable that `sdk_config` ignores |
//! | INFO | the first credentials; credentials from another source than before; the end of an outage; a changed CA bundle |
//! | DEBUG | every other refresh; variables that are set but not read |
//!
//! A call that returns current credentials at once logs nothing. Secrets are never logged, not even at TRACE.
//!
//! [`docs::observability`] describes metrics, OpenTelemetry and readiness probes.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `irsa` | yes | IRSA, with an XML parser. https to STS requires one of the HTTP clients below, or a client that the program passes to the builder |
//! | `pod-identity` | yes | EKS Pod Identity. Without the other features (`default-features = false`) the dependencies contain no TLS and no XML parser |
//! | `sdk-config` | yes | [`sdk_config`](EksCredentialsProvider::sdk_config), [`identity_cache`](EksCredentialsProvider::identity_cache) and [`recovery`](EksCredentialsProvider::recovery) |
//! | `reqwest-http-client` | yes | https to STS with reqwest 0.13 and aws-lc-rs |
//! | `sdk-http-client` | | https to STS with the HTTP client of the AWS SDK and aws-lc-rs. A program with a client of the AWS SDK should use it instead of `reqwest-http-client`, and then does not need reqwest |
//! | `rustls-ring` | | https to STS with the HTTP client of the AWS SDK and ring |
//! | `rustls-aws-lc` | | the same as `sdk-http-client` |
//! | `reqwest_0_13` | | `Builder::reqwest_0_13`: https to STS with a reqwest client of the program |
//! | `webpki-roots` | | Mozilla's root certificates in the program instead of those of the system, for `scratch` images |
//! | `metrics` | | counters, gauges and durations through the [`metrics`](https://docs.rs/metrics) facade: see [`docs::observability`] |
//! | `diagnose` | | `EksCredentialsProvider::diagnose`: what is wrong with the credentials of this pod, and what to do. It depends on `aws-sigv4`, because it sends a signed `GetCallerIdentity` to STS |
//! | `object_store_0_14` | | `EksCredentialsProvider::object_store_0_14`: a credential provider for `object_store` 0.14. It adds no HTTP client and no cryptography |
//! | `object_store_0_13` | | `EksCredentialsProvider::object_store_0_13`: the same for `object_store` 0.13, for example for `deltalake` 1.1. It adds the HTTP client of `object_store` 0.13 (reqwest 0.12 with ring) |
//! | `reqsign_3` | | `EksCredentialsProvider::reqsign_3`: a credential provider for reqsign 3, which the S3 service of OpenDAL 0.59 uses. It adds no HTTP client |
//! | `iam-tokens` | | `EksCredentialsProvider::iam_tokens`: IAM tokens for RDS, Aurora DSQL, ElastiCache, MemoryDB, Amazon MSK and EKS. It depends on `aws-sigv4`, because the tokens are presigned requests |
//! | `serde` | | `serde::Serialize` for [`Status`], [`Detection`], [`Error`] and the results of `diagnose` |
//! | `assume-role` | | `EksCredentialsProvider::assume_role`: a provider for another role, which the credentials of the pod may assume. Contains `irsa`, and depends on `aws-sigv4` |
//! | `testing` | | the module `testing`, with a pod on loopback. Enable it in `[dev-dependencies]` only |
//!
//! At least one of `irsa` and `pod-identity` is required. For a program with a client of the AWS SDK, these features add the
//! fewest dependencies:
//!
//! ```toml
//! eks-credentials = { version = "0.1", default-features = false, features = ["irsa", "pod-identity", "sdk-config", "sdk-http-client"] }
//! ```
//!
//! ## HTTP clients for STS
//!
//! These HTTP clients use the values that `AWS_CA_BUNDLE` and the proxy variables had when the provider was built. They have
//! the same time and size limits, and follow no redirects. If several are enabled, the client of the SDK is used, with
//! aws-lc-rs if both cryptography libraries are enabled. The HTTP clients differ in these points:
//!
//! | | `reqwest-http-client` | `sdk-http-client`, `rustls-ring` |
//! |---|---|---|
//! | trusted root certificates | if `AWS_CA_BUNDLE` is set, only those in the bundle. Otherwise, with `webpki-roots`, those of Mozilla. Otherwise those of the system. On macOS and Windows, the verifier of the system then verifies the certificates | the same, with two differences. On macOS and Windows too, rustls reads the roots of the system and verifies the certificates itself. With `webpki-roots`, roots that Mozilla trusts only for some names are omitted |
//! | cryptography | the process-wide `CryptoProvider` of rustls if the program has installed one, otherwise aws-lc-rs | aws-lc-rs or ring, even if the program has installed another one |
//! | cipher suites | those of the `CryptoProvider` | a selection by the SDK |
//! | HTTP version | 1.1 | 2 or 1.1, as the server chooses |
//!
//! Without any of these HTTP clients, IRSA needs a client from the program, such as [`Builder::http_client`], or an STS
//! endpoint with plain http, for example a test server. If there are no root certificates, the first fetch returns an error
//! that says this.
//!
//! ## Effects on the rest of the program
//!
//! Cargo compiles each dependency once, with all features that its users enable. A feature of this crate can therefore change
//! other parts of the program. `tests/downstream` runs programs with and without this crate, and compares what they print and
//! send. `pod-identity` alone has no effect. The HTTP clients for STS have these effects:
//!
//! | feature | effect | remedy |
//! |---|---|---|
//! | `reqwest-http-client` or `sdk-http-client` in a program with ring; `rustls-ring` or `object_store_0_13` in a program with aws-lc-rs | rustls is compiled with two cryptography providers. Then `rustls::ClientConfig::builder()` panics: "Could not automatically determine the process-level CryptoProvider from Rustls crate features". reqwest with its default features and every client of the AWS SDK have the same effect | use the HTTP client that has the same cryptography library as the program, and object_store 0.14, which leaves the choice to the program. Or install a provider at the beginning of `main`, as below |
//! | `reqwest-http-client` | a reqwest client that was built without TLS now has TLS. It reads the root certificates of the system when it is built. In an image without root certificates, `reqwest::Client::new()` panics: "No CA certificates were loaded from the system" | use `sdk-http-client`, which does not change reqwest. Or install ca-certificates in the image |
//! | `sdk-http-client` | other rustls clients of the program offer the key exchange `X25519MLKEM768` first (feature `prefer-post-quantum` of rustls). Every client of the AWS SDK has the same effect | use `reqwest-http-client` or `rustls-ring` |
//! | `reqwest-http-client`, `sdk-http-client` and `rustls-ring` | if the program uses rustls without its feature `tls12`, its clients now offer TLS 1.2 too. Every https client that supports servers without TLS 1.3 has the same effect | use `ClientConfig::builder_with_protocol_versions` |
//!
//! ```
//! // Or `ring`, if the program uses it.
//! rustls::crypto::aws_lc_rs::default_provider().install_default().expect("no other provider is installed");
//! ```
//!
//! [exceptions]: docs::differences_from_the_aws_sdks#incomplete-configuration
//! [Wrong clocks]: docs::differences_from_the_aws_sdks#wrong-clocks
//! [aws-config]: https://docs.rs/aws-config

// docs.rs shows for each item the feature that it requires.
#![cfg_attr(docsrs, feature(doc_cfg))]
// No input and no clock may cause a panic in product code. Unlike the lints in Cargo.toml, these do not apply to tests.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::string_slice, clippy::unreachable))]
// Without some of the features, code that they share is unused. `.ci/run` builds with all of them and rejects unused code.
#![cfg_attr(
    not(all(
        feature = "__tls",
        feature = "assume-role",
        feature = "diagnose",
        feature = "iam-tokens",
        feature = "irsa",
        feature = "pod-identity",
        feature = "reqwest_0_13",
        feature = "sdk-config",
        feature = "testing",
    )),
    allow(dead_code, unused_imports, reason = "used only with features that are not enabled")
)]

#[cfg(not(any(feature = "irsa", feature = "pod-identity")))]
compile_error!("eks-credentials needs at least one source: enable the feature `irsa` or `pod-identity`");

#[cfg(feature = "assume-role")]
mod assume_role;
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
// These files are not in the published package. A program that depends on this crate sets neither `fuzzing` nor `test` for it.
#[cfg(all(fuzzing, feature = "irsa", feature = "pod-identity"))]
#[doc(hidden)]
#[path = "../fuzz/oracles/mod.rs"]
pub mod fuzzing;
#[cfg(all(test, not(fuzzing), feature = "irsa", feature = "pod-identity"))]
#[path = "../fuzz/oracles/mod.rs"]
mod fuzzing;
#[cfg(feature = "iam-tokens")]
mod iam_tokens;
pub mod migration;
#[cfg(any(feature = "object_store_0_13", feature = "object_store_0_14"))]
mod object_store;
mod provider;
mod refresh;
#[cfg(feature = "reqsign_3")]
mod reqsign;
#[cfg(feature = "sdk-config")]
mod sdk;
#[cfg(feature = "serde")]
mod serialize;
mod source;
mod source_kind;
#[cfg(all(feature = "irsa", any(feature = "assume-role", feature = "diagnose")))]
mod sts;
#[cfg(feature = "testing")]
#[allow(clippy::arithmetic_side_effects, reason = "a panic of a stand-in fails the test")]
pub mod testing;
mod token_file;
mod transport;
mod variable;

#[cfg(feature = "assume-role")]
pub use assume_role::AssumeRole;
pub use aws_credential_types::Credentials;
pub use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
pub use aws_smithy_runtime_api::client::http::SharedHttpClient;
#[cfg(feature = "diagnose")]
pub use diagnose::{Diagnosis, Finding, FindingId, Severity};
pub use error::{Error, ErrorKind};
#[cfg(feature = "iam-tokens")]
pub use iam_tokens::{IamToken, IamTokenGenerator, IamTokens};
pub use provider::{Builder, EksCredentialsProvider};
pub use refresh::status::{Health, Status};
#[cfg(feature = "sdk-config")]
pub use sdk::{Recovery, SdkConfigBuilder};
pub use source::detection::Detection;
pub use source_kind::SourceKind;

/// Compiles the code of the README.
#[cfg(all(doctest, feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#[doc = include_str!("../README.md")]
struct Readme;
