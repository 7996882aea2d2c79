//! Why a pod has no credentials, or the wrong ones, or soon none: everything that can be looked at from inside it.

mod catalogue;
mod claims;
mod consequences;
mod display;
mod endpoint;
mod environment;
mod fetch;
mod identity;
mod of_problem;
mod other_address;
mod remedies;
mod token;

pub use catalogue::FindingId;

use crate::error::{Error, one_line};
use crate::provider::setup::Setup;
use crate::provider::{Builder, EksCredentialsProvider};
use crate::refresh::sync::OwnRuntime;
use crate::refresh::task::run_on;
use crate::source::Source;
use crate::source::detect::{self, Detected};
use crate::source_kind::SourceKind;

/// What is well and what is not with a pod's credentials, each with what to do about it.
///
/// From [`EksCredentialsProvider::diagnose`], or [`Diagnosis::of_env`] where no provider can be built. `Display` is a
/// screen for people; with the feature `serde` it is [`Serialize`](serde::Serialize), for machines: an object with
/// `schema_version` (1; it grows when a field is removed or changes its meaning), `severity`, `source` and `findings`. It
/// never holds a secret. Every finding: [`docs::findings`](crate::docs::findings).
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
/// assert!(diagnosis.findings().iter().any(|finding| finding.id == FindingId::TrustPolicy));
/// println!("{diagnosis}");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Diagnosis {
    #[cfg_attr(not(feature = "serde"), expect(dead_code, reason = "only for machines"))]
    schema_version: u32,
    severity: Severity,
    #[cfg_attr(feature = "serde", serde(serialize_with = "source_name"))]
    source: Option<SourceKind>,
    findings: Vec<Finding>,
}

/// The version of the form for machines.
const SCHEMA_VERSION: u32 = 1;

/// One thing that was found.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// Which one it is, for programs.
    pub id: FindingId,
    /// What it says, in one line: [`FindingId::title`].
    pub title: &'static str,
    /// How bad it is here. Usually [`FindingId::severity`].
    pub severity: Severity,
    /// What was seen here: names and values, never a secret.
    pub observed: String,
    /// The technical causes below it, as the operating system and libraries gave them. `None` if there are none.
    pub cause: Option<String>,
    /// What should have been seen. `None` if there is nothing wrong.
    pub expected: Option<String>,
    /// What to do. `None` if there is nothing to be done.
    pub remedy: Option<String>,
    /// Commands to run, on a workstation with access to the account and the cluster if they do not say otherwise. What stands
    /// in capitals is not known here.
    pub commands: Vec<String>,
    /// A statement of a policy in JSON, to compare or to paste.
    pub policy: Option<String>,
    /// What else was found because of this one. It needs no advice of its own.
    pub consequences: Vec<Finding>,
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

    /// What was found, the worst first. What follows from another finding is in its
    /// [`consequences`](Finding::consequences).
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// That of the worst finding.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The credential source that is used. `None` if none is configured, or not so that it could work.
    pub fn source(&self) -> Option<SourceKind> {
        self.source
    }

    fn new(source: Option<SourceKind>, findings: Vec<Finding>) -> Self {
        let mut findings = consequences::below_their_causes(findings);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let severity = findings.first().map_or(Severity::Ok, |worst| worst.severity);
        Self { schema_version: SCHEMA_VERSION, severity, source, findings }
    }
}

#[cfg(feature = "serde")]
fn source_name<S: serde::Serializer>(source: &Option<SourceKind>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&source.map(SourceKind::as_str), serializer)
}

impl Finding {
    fn new(id: FindingId, observed: impl Into<String>) -> Self {
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

    fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: Some(one_line(expected.into())), ..self }
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(one_line(remedy.into())).filter(|remedy| !remedy.is_empty()), ..self }
    }

    fn commands(self, commands: impl IntoIterator<Item = String>) -> Self {
        Self { commands: commands.into_iter().collect(), ..self }
    }

    fn policy(self, policy: impl Into<String>) -> Self {
        Self { policy: Some(policy.into()), ..self }
    }
}

const SET_THE_CLOCK: &str = "synchronise the node's clock with Amazon Time Sync (169.254.169.123, UDP port 123): the commands show \
                             whether it is reached and set the clock. Replace a node without a shell (EKS Auto Mode, \
                             Fargate, Bottlerocket)";

impl EksCredentialsProvider {
    /// Says what is wrong with this pod's credentials and what to do: from the variables over token, endpoint and a fetch of
    /// its own to who STS says they are. What is served and refreshed is not touched. Every step has its limit of time: in
    /// all that is half a minute at the very worst, and well under a second in a healthy pod.
    ///
    /// Where no provider can be built: [`Diagnosis::of_env`], [`Builder::diagnose`].
    pub async fn diagnose(&self) -> Diagnosis {
        on_a_thread_of_its_own(self.setup().clone(), Ok(())).await
    }
}

impl Builder {
    /// Says what is wrong with a pod's credentials and what to do, also where [`build`](Self::build) fails. Sends one
    /// request for credentials and one to STS that asks who they are, each within its limit of time, and nothing twice.
    pub async fn diagnose(self) -> Diagnosis {
        on_a_thread_of_its_own(self.setup(), self.check()).await
    }
}

/// As [`diagnose`], whatever the caller's executor is, and however busy.
async fn on_a_thread_of_its_own(setup: Setup, invalid: Result<(), Error>) -> Diagnosis {
    let own = OwnRuntime::default();
    let Ok(runtime) = own.handle() else { return diagnose(&setup, invalid).await };
    let (there, check) = (setup.clone(), invalid.clone());
    match run_on(&runtime, async move { diagnose(&there, check).await }).await {
        Ok(diagnosis) => diagnosis,
        // It panicked there. The caller sees the panic, and not an answer that is none.
        Err(_) => diagnose(&setup, invalid).await,
    }
}

/// Looks at everything, from the variables outwards. Each step that waits has its limit: 5 s for the token, the attempt's
/// for the fetch, 1 s for a look at the agent's other address, 5 s for STS. `invalid` is what the builder's own check says.
async fn diagnose(setup: &Setup, invalid: Result<(), Error>) -> Diagnosis {
    let Setup { env, settings, .. } = setup;
    let survey = detect::survey(env, settings);
    let mut findings = environment::sources(&survey);
    let detected = invalid.and_then(|()| survey.choose(settings));
    let detected = detected.unwrap_or_else(|error| {
        let finding = Finding::of(&error);
        // Most problems of a source are in the survey.
        if !findings.iter().any(|found| found.id == finding.id && found.observed == finding.observed) {
            findings.push(finding);
        }
        None
    });
    if detected.is_some() {
        environment::soften(&mut findings);
    }
    for finding in environment::check(env, settings, detected.as_ref()) {
        if !findings.iter().any(|found| found.id == finding.id && found.observed == finding.observed) {
            findings.push(finding);
        }
    }
    let source = detected.as_ref().map(|detected| detected.first.kind());
    match detected {
        Some(detected) => examine(setup, detected, &mut findings).await,
        None => {
            for (kind, tokens) in environment::tokens(env, settings) {
                token::check(setup, kind, &tokens, &mut findings).await;
            }
        }
    }
    Diagnosis::new(source, findings)
}

/// The source that is used.
async fn examine(setup: &Setup, detected: Detected, findings: &mut Vec<Finding>) {
    let config = detected.first;
    endpoint::check(&setup.env, &setup.settings, &config, findings);
    let token = match config.tokens() {
        Some(tokens) => match token::check(setup, config.kind(), &tokens, findings).await {
            Some(token) => Some(token),
            None => return,
        },
        None => None,
    };
    let source = Source::new(config.clone(), setup.http.clone(), setup.timeouts);
    let credentials = fetch::check(setup, &config, &source, token.as_ref(), findings).await;
    if let Some(credentials) = credentials {
        findings.push(identity::check(setup, &config, &credentials).await);
    }
}
