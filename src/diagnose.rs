//! The diagnosis of a pod: why it has no credentials or wrong ones, or why it will lose them.

mod catalogue;
mod chain;
mod claims;
mod consequences;
mod display;
mod endpoint;
mod environment;
mod fetch;
mod finding;
mod identity;
mod of_problem;
mod other_address;
mod remedies;
mod token;

use std::sync::Arc;

use aws_credential_types::Credentials;

pub use catalogue::FindingId;
pub use finding::{Finding, Severity};

use crate::error::Error;
use crate::provider::hop::Hop;
use crate::provider::setup::Setup;
use crate::provider::{Builder, EksCredentialsProvider};
use crate::refresh::sync::OwnRuntime;
use crate::refresh::task::run_on;
use crate::source::detect;
use crate::source::{Source, SourceConfig};
use crate::source_kind::SourceKind;

/// The result of a diagnosis: what was found about the credentials of a pod, and what to do.
///
/// [`EksCredentialsProvider::diagnose`] returns it. If no provider can be built, use [`Diagnosis::of_env`]. It never contains a
/// secret. [`docs::findings`](crate::docs::findings) lists all findings.
///
/// `Display` prints a report for people. With the feature `serde`, it is serialized for programs, as an object with these fields:
///
/// | field | value |
/// |---|---|
/// | `schema_version` | 1. The number changes when a field is removed or changes its meaning |
/// | `severity` | the worst severity: `ok`, `info`, `warning` or `error` |
/// | `source` | the source that is used: `irsa`, `pod-identity` or null |
/// | `findings` | a list of objects with the fields of [`Finding`] |
///
/// ```
/// # use eks_credentials::testing::LocalPod;
/// # use eks_credentials::{EksCredentialsProvider, FindingId, Severity};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pod = LocalPod::start().await?;
/// pod.irsa_token().impersonate("default", "another-account")?;
///
/// let diagnosis = EksCredentialsProvider::builder().env(pod.irsa_env()).diagnose().await;
///
/// assert_eq!(diagnosis.severity(), Severity::Error);
/// assert!(diagnosis.findings().iter().any(|finding| finding.id == FindingId::TrustPolicy));
/// println!("{diagnosis}");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Diagnosis {
    severity: Severity,
    source: Option<SourceKind>,
    findings: Vec<Finding>,
}

impl Diagnosis {
    /// Diagnoses the environment of the process, even if no provider can be built from it.
    ///
    /// The same as [`Builder::diagnose`](crate::Builder::diagnose) of a default builder. Use a builder to diagnose another
    /// environment.
    ///
    /// ```no_run
    /// # use eks_credentials::Diagnosis;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// println!("{}", Diagnosis::of_env().await);
    /// # }
    /// ```
    pub async fn of_env() -> Self {
        EksCredentialsProvider::builder().diagnose().await
    }

    /// Returns the findings, the worst first.
    ///
    /// A finding that another one causes is not in this list, but in the [`consequences`](Finding::consequences) of that one.
    ///
    /// ```no_run
    /// # use eks_credentials::{EksCredentialsProvider, Severity, SourceKind, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let diagnosis = EksCredentialsProvider::builder().env(pod.irsa_env()).diagnose().await;
    /// for finding in diagnosis.findings() {
    ///     println!("{}: {}", finding.id, finding.observed);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the severity of the worst finding.
    ///
    /// ```no_run
    /// # use eks_credentials::{EksCredentialsProvider, Severity, SourceKind, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let diagnosis = EksCredentialsProvider::builder().env(pod.irsa_env()).diagnose().await;
    /// assert!(diagnosis.severity() < Severity::Error);
    /// # Ok(()) }
    /// ```
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns the credential source that is used. `None` if no source is configured, or if its configuration cannot be used.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, Severity, SourceKind, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let diagnosis = EksCredentialsProvider::builder().env(pod.irsa_env()).diagnose().await;
    /// assert_eq!(diagnosis.source(), Some(SourceKind::WebIdentity));
    /// # Ok(()) }
    /// ```
    pub fn source(&self) -> Option<SourceKind> {
        self.source
    }

    fn new(source: Option<SourceKind>, findings: Vec<Finding>) -> Self {
        let mut findings = consequences::below_their_causes(findings);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let severity = findings.first().map_or(Severity::Ok, |worst| worst.severity);
        Self { severity, source, findings }
    }
}

impl EksCredentialsProvider {
    /// Diagnoses the credentials of this pod: what is wrong, and what to do.
    ///
    /// It checks the environment variables, the token and the endpoint. Then it fetches credentials and calls `GetCallerIdentity`
    /// of STS with them. The current credentials and the refresh task are not affected. No request is sent twice.
    ///
    /// Every step has a time limit. Together they take at most half a minute, and well under a second in a healthy pod.
    ///
    /// If no provider can be built, use [`Diagnosis::of_env`] or [`Builder::diagnose`].
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// println!("{}", provider.diagnose().await);
    /// # Ok(()) }
    /// ```
    pub async fn diagnose(&self) -> Diagnosis {
        on_a_thread_of_its_own(self.setup().clone(), self.hops().to_vec(), Ok(())).await
    }
}

impl Builder {
    /// Diagnoses the credentials of a pod, even if [`build`](Self::build) fails.
    ///
    /// It sends at most one request for credentials and one `GetCallerIdentity`, each within its time limit. For the steps, see
    /// [`EksCredentialsProvider::diagnose`].
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, FindingId};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let builder = EksCredentialsProvider::builder().env([("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/app")]);
    /// let diagnosis = builder.diagnose().await;
    /// assert_eq!(diagnosis.findings()[0].id, FindingId::IrsaHalf);
    /// # }
    /// ```
    pub async fn diagnose(self) -> Diagnosis {
        on_a_thread_of_its_own(self.setup(), Vec::new(), self.check()).await
    }
}

/// Runs [`diagnose`] on its own thread, so that it does not depend on the executor of the caller.
async fn on_a_thread_of_its_own(setup: Setup, hops: Vec<Arc<dyn Hop>>, invalid: Result<(), Error>) -> Diagnosis {
    let own = OwnRuntime::default();
    let Ok(runtime) = own.handle() else { return diagnose(&setup, &hops, invalid).await };
    let (there, then, check) = (setup.clone(), hops.clone(), invalid.clone());
    match run_on(&runtime, async move { diagnose(&there, &then, check).await }).await {
        Ok(diagnosis) => diagnosis,
        // It panicked there. Run here, it panics again, and the caller gets the panic instead of a wrong result.
        Err(_) => diagnose(&setup, &hops, invalid).await,
    }
}

/// Checks everything, from the variables to the network. Each step that waits has a limit: 5 s for the token, the limit of an
/// attempt for the fetch, 1 s for the other address of the agent, 5 s for STS. `invalid` is the result of the builder's own
/// check.
async fn diagnose(setup: &Setup, hops: &[Arc<dyn Hop>], invalid: Result<(), Error>) -> Diagnosis {
    let Setup { env, settings, .. } = setup;
    let survey = detect::survey(env, settings);
    let mut findings = environment::sources(&survey);
    let detected = invalid.and_then(|()| survey.choose(settings));
    let detected = detected.unwrap_or_else(|error| {
        // The survey already contains most problems of a source.
        add(&mut findings, Finding::of(&error));
        None
    });
    if detected.is_some() {
        environment::soften(&mut findings);
    }
    for finding in environment::check(env, settings, detected.as_ref()) {
        add(&mut findings, finding);
    }
    let source = detected.as_ref().map(|detected| detected.first.kind());
    match detected {
        Some(detected) => {
            let config = detected.first;
            if let Some(credentials) = examine(setup, &config, &mut findings).await {
                chain::check(setup, &config, hops, credentials, &mut findings).await;
            }
        }
        None => {
            for (kind, tokens) in environment::tokens(env, settings) {
                token::check(setup, kind, &tokens, &mut findings).await;
            }
        }
    }
    Diagnosis::new(source, findings)
}

/// Adds a finding unless the same has been found already.
fn add(findings: &mut Vec<Finding>, finding: Finding) {
    if !findings.iter().any(|found| found.id == finding.id && found.observed == finding.observed) {
        findings.push(finding);
    }
}

/// Checks the source that is used. Returns the credentials that it has fetched for this.
async fn examine(setup: &Setup, config: &SourceConfig, findings: &mut Vec<Finding>) -> Option<Credentials> {
    endpoint::check(&setup.env, &setup.settings, config, findings);
    let token = match config.tokens() {
        Some(tokens) => Some(token::check(setup, config.kind(), &tokens, findings).await?),
        None => None,
    };
    let source = Source::new(config.clone(), setup.http.clone(), setup.timeouts);
    let credentials = fetch::check(setup, config, &source, token.as_ref(), findings).await?;
    findings.push(identity::check(setup, config, &credentials).await);
    Some(credentials)
}
