//! Which method serves, and why: for people and programs.

use std::fmt;

use super::found::Other;
use crate::env;
use crate::error::Error;
use crate::source_kind::SourceKind;

/// Which method serves a pod, why that one, and what is known of the other one: from
/// [`detection()`](crate::EksCredentialsProvider::detection).
///
/// Decided once, when the provider is built, from the environment and the builder alone; nothing was asked of STS or of an
/// agent. `Display` is one line:
///
/// ```text
/// IRSA serves: AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are set; EKS Pod Identity is configured too and comes second
/// in the order of every AWS SDK
/// ```
#[derive(Clone, Debug)]
pub struct Detection {
    pub(crate) source: SourceKind,
    pub(crate) settings: Vec<&'static str>,
    pub(crate) preference: Preference,
    pub(crate) other: Other<()>,
    pub(crate) fallback: bool,
}

/// What decides between two methods that a pod has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preference {
    /// Nobody said anything, or `EKS_CREDENTIALS_SOURCE=auto`: the order of every AWS SDK, IRSA first.
    SdkOrder,
    /// [`Builder::prefer`](crate::Builder::prefer).
    Builder(SourceKind),
    /// The environment variable `EKS_CREDENTIALS_SOURCE`, which goes before the builder.
    Environment(SourceKind),
}

impl Detection {
    /// The method that serves. With [`fallback`](Self::fallback) a permanent denial hands over to the other one:
    /// [`Status::source`](crate::Status::source) is where the current credentials came from.
    pub fn source(&self) -> SourceKind {
        self.source
    }

    /// What configures it: names of environment variables, or of the builder's settings as `the builder's role_arn`.
    pub fn settings(&self) -> &[&'static str] {
        &self.settings
    }

    /// What would decide, or has decided, between the two.
    pub fn preference(&self) -> Preference {
        self.preference
    }

    /// The other method, if the pod has that too.
    pub fn other(&self) -> Option<SourceKind> {
        matches!(self.other, Other::Usable(())).then(|| self.source.other())
    }

    /// Why the other method could not serve although something of it is configured: half of a pair of variables, a value
    /// that is none, a session policy that it could not apply. Not an error of the provider, which does not need it.
    pub fn other_problem(&self) -> Option<&Error> {
        match &self.other {
            Other::Unusable(problem) => Some(problem),
            Other::NotConfigured | Other::Usable(()) => None,
        }
    }

    /// Whether a permanent denial hands over to the other method ([`Builder::fallback`](crate::Builder::fallback), with
    /// both configured).
    pub fn fallback(&self) -> bool {
        self.fallback
    }
}

impl Preference {
    /// The method that comes first.
    pub fn first(self) -> SourceKind {
        match self {
            Self::SdkOrder => SourceKind::WebIdentity,
            Self::Builder(source) | Self::Environment(source) => source,
        }
    }
}

impl fmt::Display for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, settings, preference, fallback, .. } = self;
        let (other, is) = (source.other(), if settings.len() == 1 { "is" } else { "are" });
        write!(f, "{source} serves: {} {is} set; {other} ", settings.join(" and "))?;
        match &self.other {
            Other::Usable(()) if *preference == Preference::SdkOrder => {
                write!(f, "is configured too and comes second in {preference}")?;
            }
            Other::Usable(()) => write!(f, "is configured too and comes second because of {preference}")?,
            Other::Unusable(problem) => write!(f, "is not usable: {problem}")?,
            // A preference for what is not there is worth a word.
            Other::NotConfigured if preference.first() == other && *preference != Preference::SdkOrder => {
                write!(f, "is not configured, in spite of {preference}")?;
            }
            Other::NotConfigured => f.write_str("is not configured")?,
        }
        if *fallback { f.write_str("; a permanent denial hands over to it") } else { Ok(()) }
    }
}

impl fmt::Display for Preference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SdkOrder => f.write_str("the order of every AWS SDK"),
            Self::Builder(source) => write!(f, "the builder's prefer({})", source.as_str()),
            Self::Environment(source) => write!(f, "{}={}", env::SOURCE, source.as_str()),
        }
    }
}
