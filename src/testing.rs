//! A local pod for tests without a cluster.
//!
//! [`LocalPod`] provides what a pod on EKS has:
//!
//! - A stand-in for STS and a stand-in for the EKS Pod Identity agent. Both are HTTP servers on loopback.
//! - Signed service account tokens in files, in the layout that kubelet uses.
//! - The environment variables that the EKS webhooks inject.
//!
//! The stand-in for the agent behaves as measured on `eks-pod-identity-agent` v0.1.37: it answers with the same plain-text
//! errors and returns cached credentials. The stand-in for STS behaves as the STS API reference documents it. The facts and
//! their sources are in [`docs::protocols`](crate::docs::protocols). Tests can inject faults with [`Answer`].
//!
//! ```
//! use eks_credentials::EksCredentialsProvider;
//! use eks_credentials::testing::{Answer, LocalPod};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pod = LocalPod::start().await?;
//! pod.sts().then(Answer::http(503, "busy"));
//!
//! let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
//! let credentials = provider.credentials().await?;
//!
//! assert!(pod.ledger().get(credentials.access_key_id()).is_some());
//! assert_eq!(pod.sts().requests(), 2); // the 503 was retried
//! # Ok(()) }
//! ```
//!
//! The stand-ins reject and record requests that a correct client does not send. If a [`LocalPod`] is dropped while such
//! records exist, it panics, and the test fails. [`StandIn::take_unexpected`] returns the records and removes them.
//!
//! # An outage of an hour in less than a second
//!
//! A test can pause the time of tokio (its feature `test-util`): a sleep then ends as soon as all tasks are idle. For such a
//! test, the provider needs the runtime of the test and a clock that follows the time of tokio. The trait `TimeSource` is in the
//! crate `aws-smithy-async`.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use aws_smithy_async::time::TimeSource;
//! use eks_credentials::EksCredentialsProvider;
//! use eks_credentials::testing::{Answer, LocalPod};
//! use tokio::runtime::Handle;
//! use tokio::time::Instant;
//!
//! #[derive(Debug)]
//! struct PausedClock(SystemTime, Instant);
//!
//! impl TimeSource for PausedClock {
//!     fn now(&self) -> SystemTime {
//!         self.0 + self.1.elapsed()
//!     }
//! }
//!
//! // In a test: #[tokio::test(start_paused = true)]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pod = LocalPod::start().await?;
//! let provider = EksCredentialsProvider::builder()
//!     .env(pod.irsa_env())
//!     .runtime(Handle::current())
//!     .time_source(PausedClock(SystemTime::now(), Instant::now()))
//!     .build()?;
//! provider.warm_up().await?;
//!
//! pod.sts().always(Answer::http(503, "outage"));
//! tokio::time::sleep(Duration::from_secs(3500)).await;
//! assert!(provider.status().is_ready());
//! tokio::time::sleep(Duration::from_secs(100)).await;
//! assert!(!provider.status().is_ready());
//! # Ok(()) }
//! ```

mod agent;
mod answer;
mod assumable_role;
mod builder;
mod issuer;
mod jws;
mod ledger;
mod projection;
mod sigv4;
mod stand_in;
mod sts;
mod token;
mod wire;

use std::io;
use std::sync::Arc;

pub use answer::Answer;
pub use assumable_role::AssumableRole;
pub use builder::LocalPodBuilder;
pub use jws::Signing;
pub use ledger::{Issued, Ledger};
pub use stand_in::StandIn;
pub use token::ProjectedToken;

use crate::env;

/// A pod on loopback that has IRSA and EKS Pod Identity. The [module documentation](self) has an example.
///
/// When it is dropped, the stand-ins stop and the token files are removed.
///
/// # Panics
///
/// Dropping it panics if a stand-in received a request that a correct client does not send, unless
/// [`StandIn::take_unexpected`] has returned the record, or the thread is already panicking.
#[derive(Debug)]
pub struct LocalPod {
    sts: StandIn,
    agent: StandIn,
    irsa_token: Arc<ProjectedToken>,
    agent_token: Arc<ProjectedToken>,
    ledger: Ledger,
    role_arn: String,
    region: String,
    // Removes the token files when the pod is dropped.
    _folder: tempfile::TempDir,
}

impl LocalPod {
    /// Starts a pod with default settings, on the current tokio runtime.
    ///
    /// The pod has the name `local-7d9f8b6c5-x2x1z`, the namespace `default`, the service account `local` and the role
    /// `arn:aws:iam::111122223333:role/local-pod`.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// assert!(pod.sts().address().ip().is_loopback());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if a loopback port cannot be bound, a signing key cannot be generated, or the token files cannot be
    /// written.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder for a pod with other names, another region or other lifetimes.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::builder().region("us-east-1").pod("worker-0").start().await?;
    /// assert!(pod.irsa_env().contains(&("AWS_REGION".to_owned(), "us-east-1".to_owned())));
    /// # Ok(()) }
    /// ```
    pub fn builder() -> LocalPodBuilder {
        LocalPodBuilder::default()
    }

    /// Returns the environment variables of a pod with IRSA.
    ///
    /// These are `AWS_ROLE_ARN`, `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_REGION` and `AWS_DEFAULT_REGION`, as the EKS webhook
    /// injects them, and `AWS_ENDPOINT_URL_STS` with the address of the stand-in for STS. The environment of this process
    /// does not change.
    ///
    /// ```
    /// use eks_credentials::EksCredentialsProvider;
    /// use eks_credentials::SourceKind;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// provider.credentials().await?;
    /// assert_eq!(provider.status().source, Some(SourceKind::WebIdentity));
    /// # Ok(()) }
    /// ```
    pub fn irsa_env(&self) -> Vec<(String, String)> {
        self.with_region([
            (env::ROLE_ARN, self.role_arn.clone()),
            (env::WEB_IDENTITY_TOKEN_FILE, self.irsa_token.path().display().to_string()),
            (env::ENDPOINT_URL_STS, format!("http://{}", self.sts.address())),
        ])
    }

    /// Returns the environment variables of a pod with EKS Pod Identity.
    ///
    /// These are `AWS_CONTAINER_CREDENTIALS_FULL_URI`, `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`, `AWS_REGION` and
    /// `AWS_DEFAULT_REGION`, as the EKS webhook injects them, and `AWS_ENDPOINT_URL_STS` with the address of the stand-in for
    /// STS. With Pod Identity this crate calls STS only for `GetCallerIdentity` (in diagnoses and comparisons) and for
    /// `AssumeRole`.
    ///
    /// ```
    /// use eks_credentials::EksCredentialsProvider;
    /// use eks_credentials::SourceKind;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// let provider = EksCredentialsProvider::builder().env(pod.pod_identity_env()).build()?;
    /// provider.credentials().await?;
    /// assert_eq!(provider.status().source, Some(SourceKind::PodIdentity));
    /// # Ok(()) }
    /// ```
    pub fn pod_identity_env(&self) -> Vec<(String, String)> {
        self.with_region([
            (env::CONTAINER_FULL_URI, agent::Agent::url(self.agent.address())),
            (env::CONTAINER_TOKEN_FILE, self.agent_token.path().display().to_string()),
            (env::ENDPOINT_URL_STS, format!("http://{}", self.sts.address())),
        ])
    }

    /// Returns the environment variables of a pod that has both sources: those of [`irsa_env`](Self::irsa_env) and those of
    /// [`pod_identity_env`](Self::pod_identity_env).
    ///
    /// ```
    /// use eks_credentials::EksCredentialsProvider;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
    /// assert!(provider.compare().await?.is_ready());
    /// # Ok(()) }
    /// ```
    pub fn both_env(&self) -> Vec<(String, String)> {
        let mut both = self.irsa_env();
        both.extend(self.pod_identity_env());
        both
    }

    /// Returns the stand-in for STS.
    ///
    /// It answers `AssumeRoleWithWebIdentity`, and `AssumeRole` and `GetCallerIdentity` for credentials that a stand-in of this pod
    /// has issued.
    ///
    /// ```
    /// use eks_credentials::testing::{Answer, LocalPod};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.sts().always(Answer::refuse("AccessDenied"));
    /// # Ok(()) }
    /// ```
    pub fn sts(&self) -> &StandIn {
        &self.sts
    }

    /// Returns the stand-in for the EKS Pod Identity agent.
    ///
    /// ```
    /// use eks_credentials::testing::{Answer, LocalPod};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.agent().then(Answer::refuse("ThrottlingException"));
    /// # Ok(()) }
    /// ```
    pub fn agent(&self) -> &StandIn {
        &self.agent
    }

    /// Returns the token file with the audience of STS, which IRSA uses.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// let token = std::fs::read_to_string(pod.irsa_token().path())?;
    /// assert_eq!(token.split('.').count(), 3); // a JWT
    /// # Ok(()) }
    /// ```
    pub fn irsa_token(&self) -> &ProjectedToken {
        &self.irsa_token
    }

    /// Returns the token file with the audience of the agent, which EKS Pod Identity uses.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// assert!(pod.agent_token().path().ends_with("eks-pod-identity-token"));
    /// # Ok(()) }
    /// ```
    pub fn agent_token(&self) -> &ProjectedToken {
        &self.agent_token
    }

    /// Returns the credentials that both stand-ins have issued. A stand-in for a service, such as S3, can verify signatures
    /// with them.
    ///
    /// ```
    /// use eks_credentials::EksCredentialsProvider;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let credentials = provider.credentials().await?;
    /// let issued = pod.ledger().get(credentials.access_key_id()).expect("the stand-in issued it");
    /// assert_eq!(issued.secret_access_key, credentials.secret_access_key());
    /// # Ok(()) }
    /// ```
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn with_region<const N: usize>(&self, vars: [(&str, String); N]) -> Vec<(String, String)> {
        let region = [(env::REGION, self.region.clone()), (env::DEFAULT_REGION, self.region.clone())];
        vars.into_iter().chain(region).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Drop for LocalPod {
    #[allow(clippy::panic, reason = "an unexpected request must fail the test")]
    fn drop(&mut self) {
        let unexpected = [self.sts.take_unexpected(), self.agent.take_unexpected()].concat();
        if !unexpected.is_empty() && !std::thread::panicking() {
            panic!("the local pod received requests that a correct client does not send: {}", unexpected.join("; "));
        }
    }
}
