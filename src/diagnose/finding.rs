//! One finding: what was observed, what was expected, and what to do.

use super::catalogue::FindingId;
use crate::error::one_line;

/// One finding of a [`Diagnosis`](super::Diagnosis).
///
/// ```
/// # use eks_credentials::testing::LocalPod;
/// # use eks_credentials::{EksCredentialsProvider, FindingId, Severity};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pod = LocalPod::start().await?;
/// # pod.irsa_token().impersonate("default", "another-account")?;
/// # let diagnosis = EksCredentialsProvider::builder().env(pod.irsa_env()).diagnose().await;
/// let finding = &diagnosis.findings()[0];
/// assert_eq!(finding.id, FindingId::TrustPolicy);
/// println!("{}: {}", finding.id, finding.title);
/// println!("observed: {}", finding.observed);
/// if let Some(remedy) = &finding.remedy {
///     println!("to do: {remedy}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The ID of the finding, for programs.
    pub id: FindingId,
    /// The title of the finding, in one line: [`FindingId::title`].
    pub title: &'static str,
    /// The severity in this pod. It may differ from the usual one, which [`FindingId::severity`] returns.
    pub severity: Severity,
    /// What was observed in this pod: names and values, never a secret.
    pub observed: String,
    /// The technical causes, as reported by the operating system and libraries. `None` if there are no such causes.
    pub cause: Option<String>,
    /// What would be correct. `None` if nothing is wrong.
    pub expected: Option<String>,
    /// What to do. `None` if nothing must be done.
    pub remedy: Option<String>,
    /// Commands that help. Unless they say otherwise, run them on a workstation with access to the account and the cluster. Words
    /// in capitals are placeholders for values that are not known in the pod.
    pub commands: Vec<String>,
    /// A statement of an IAM policy in JSON, to compare with the existing policy or to add to it.
    pub policy: Option<String>,
    /// Other findings that this one causes. They need no remedy of their own.
    pub consequences: Vec<Finding>,
}

/// The severity of a finding. Severities are ordered: a worse one is greater.
///
/// With the feature `serde`, it is serialized as `ok`, `info`, `warning` or `error`.
///
/// ```
/// # use eks_credentials::Severity;
/// assert!(Severity::Error > Severity::Warning);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Nothing is wrong.
    Ok,
    /// Information. Nothing must be done.
    Info,
    /// A risk: credentials work now, but may fail later, or fail for other SDKs in the pod.
    Warning,
    /// There are no credentials, or they are not the intended ones.
    Error,
}

impl Finding {
    pub(super) fn new(id: FindingId, observed: impl Into<String>) -> Self {
        Self {
            id,
            title: id.title(),
            severity: id.severity(),
            observed: one_line(observed.into()),
            cause: None,
            expected: None,
            remedy: None,
            commands: Vec::new(),
            policy: None,
            consequences: Vec::new(),
        }
    }

    pub(super) fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    pub(super) fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: Some(one_line(expected.into())), ..self }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(one_line(remedy.into())).filter(|remedy| !remedy.is_empty()), ..self }
    }

    pub(super) fn commands(self, commands: impl IntoIterator<Item = String>) -> Self {
        Self { commands: commands.into_iter().collect(), ..self }
    }

    pub(super) fn policy(self, policy: impl Into<String>) -> Self {
        Self { policy: Some(policy.into()), ..self }
    }
}
