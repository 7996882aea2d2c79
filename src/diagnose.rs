//! Why a pod has no credentials, or the wrong ones, or soon none: everything that can be looked at from inside it.

mod catalogue;
mod display;
mod endpoint;
mod environment;
mod fetch;
#[cfg(feature = "irsa")]
mod identity;
mod refusal;
mod remedies;
mod token;

use std::time::Duration;

use aws_smithy_async::time::SharedTimeSource;

pub use catalogue::FindingId;

use crate::detect::{self, Settings, SourceConfig};
use crate::env::Env;
use crate::error::{Error, one_line};
use crate::provider::EksCredentialsProvider;
use crate::source::{Source, SourceKind};
use crate::transport::Client;

/// What is well and what is not with a pod's credentials, each with what to do about it.
///
/// From [`EksCredentialsProvider::diagnose`], or [`Diagnosis::of_env`] where no provider can be built. `Display` is a
/// screen for people; with the feature `serde` it is [`Serialize`](serde::Serialize), for machines. It never holds a
/// secret. Every finding: [`docs::findings`](crate::docs::findings).
///
/// ```
/// # use eks_credentials::testing::LocalPod;
/// # use eks_credentials::{EksCredentialsProvider, FindingId, Severity};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pod = LocalPod::start().await?;
/// pod.irsa_token().impersonate("default", "somebody-else")?;
///
/// let diagnosis = EksCredentialsProvider::builder().env(pod.irsa_env()).diagnose().await;
///
/// assert_eq!(diagnosis.severity(), Severity::Error);
/// assert!(diagnosis.findings().iter().any(|finding| finding.id == FindingId::TrustSub));
/// println!("{diagnosis}");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Diagnosis {
    severity: Severity,
    #[cfg_attr(feature = "serde", serde(serialize_with = "source_name"))]
    source: Option<SourceKind>,
    findings: Vec<Finding>,
}

/// One thing that was found.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// Which one it is, for programs.
    pub id: FindingId,
    /// How bad it is: [`FindingId::severity`].
    pub severity: Severity,
    /// What was seen here: names and values, never a secret.
    pub observed: String,
    /// What should have been seen. `None` if there is nothing wrong.
    pub expected: Option<String>,
    /// What to do. `None` if there is nothing to be done.
    pub remedy: Option<String>,
    /// What to lay beside or to paste: a policy statement in JSON, or a command. What stands in `<…>` is not known here.
    pub snippet: Option<String>,
}

/// How bad a finding is. The worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Info,
    /// It works now, or for this crate, and may not for long, or for others.
    Warning,
    /// There are no credentials, or not the right ones.
    Error,
}

impl Diagnosis {
    /// Diagnoses the environment of the process, whether or not a provider could be built from it. As
    /// [`Builder::diagnose`](crate::Builder::diagnose) of a default builder, which takes another environment, too.
    pub async fn of_env() -> Self {
        EksCredentialsProvider::builder().diagnose().await
    }

    /// What was found, the worst first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// That of the worst finding.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The method that serves. `None` if none is configured, or not so that it could work.
    pub fn source(&self) -> Option<SourceKind> {
        self.source
    }

    fn new(source: Option<SourceKind>, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let severity = findings.first().map_or(Severity::Ok, |worst| worst.severity);
        Self { severity, source, findings }
    }
}

#[cfg(feature = "serde")]
fn source_name<S: serde::Serializer>(source: &Option<SourceKind>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&source.map(SourceKind::as_str), serializer)
}

impl Finding {
    fn new(id: FindingId, observed: impl Into<String>) -> Self {
        let remedy = Some(id.remedy().to_owned()).filter(|remedy| !remedy.is_empty());
        let observed = one_line(observed.into());
        Self { id, severity: id.severity(), observed, expected: None, remedy, snippet: None }
    }

    fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: Some(one_line(expected.into())), ..self }
    }

    /// More to do, where more is known.
    fn also(self, more: Option<&str>) -> Self {
        let remedy = self.remedy.map(|remedy| more.map_or(remedy.clone(), |more| format!("{remedy}; {more}")));
        Self { remedy, ..self }
    }

    fn snippet(self, snippet: impl Into<String>) -> Self {
        Self { snippet: Some(snippet.into()), ..self }
    }
}

/// What is diagnosed: all that a provider was built from.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) env: Env,
    pub(crate) settings: Settings,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) time: SharedTimeSource,
    pub(crate) sts_client: Option<Client>,
}

/// Looks at everything, from the variables outwards. Each step that waits has its limit: 5 s for the token, the attempt's
/// for the fetch, 1 s for a look at the agent's other address, 5 s for STS. `invalid` is what the builder's own check says.
pub(crate) async fn diagnose(subject: &Subject, invalid: Result<(), Error>) -> Diagnosis {
    let mut findings = environment::check(&subject.env, &subject.settings);
    let detected = invalid.and_then(|()| detect::detect(&subject.env, &subject.settings));
    let config = match detected {
        Ok(detected) => detected.map(|detected| detected.first),
        Err(error) => {
            // What no check above has recognized.
            if !findings.iter().any(|finding| finding.severity == Severity::Error) {
                findings.push(Finding::new(FindingId::Config, error.to_string()).expected("a setting that can work"));
            }
            None
        }
    };
    let source = config.as_ref().map(SourceConfig::kind);
    match config {
        Some(config) => examine(subject, config, &mut findings).await,
        None => {
            for (kind, tokens) in environment::tokens(&subject.env, &subject.settings) {
                token::check(subject, kind, &tokens, &mut findings).await;
            }
        }
    }
    Diagnosis::new(source, findings)
}

/// The method that serves.
async fn examine(subject: &Subject, config: SourceConfig, findings: &mut Vec<Finding>) {
    endpoint::check(&subject.env, &subject.settings, &config, findings);
    let token = match config.tokens() {
        Some(tokens) => match token::check(subject, config.kind(), &tokens, findings).await {
            Some(token) => Some(token),
            None => return,
        },
        None => None,
    };
    let source = Source::new(config.clone(), subject.sts_client.clone(), subject.attempt_timeout);
    let credentials = fetch::check(subject, &config, &source, token.as_ref(), findings).await;
    #[cfg(feature = "irsa")]
    if let Some(credentials) = credentials {
        findings.push(identity::check(subject, &config, &credentials).await);
    }
    #[cfg(not(feature = "irsa"))]
    if credentials.is_some() {
        findings.push(Finding::new(
            FindingId::IdentityUnknown,
            "not asked: this build has no TLS; the feature `irsa` of eks-credentials brings it",
        ));
    }
}
