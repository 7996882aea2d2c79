//! The two credential sources that a pod on EKS can have.

use std::fmt;

/// The two ways in which a pod on EKS gets AWS access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceKind {
    /// IRSA: the pod's token is exchanged at STS by `AssumeRoleWithWebIdentity`.
    WebIdentity,
    /// EKS Pod Identity, or any other container credentials endpoint: an agent hands credentials out.
    PodIdentity,
}

impl SourceKind {
    /// How the environment variable `EKS_CREDENTIALS_SOURCE` and log events write it: `irsa` or `pod-identity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebIdentity => "irsa",
            Self::PodIdentity => "pod-identity",
        }
    }

    /// The one that this is not.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::WebIdentity => Self::PodIdentity,
            Self::PodIdentity => Self::WebIdentity,
        }
    }

    /// The `provider_name` of the credentials, which the SDK shows in its logs.
    pub(crate) fn provider_name(self) -> &'static str {
        match self {
            Self::WebIdentity => "EksWebIdentity",
            Self::PodIdentity => "EksPodIdentity",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebIdentity => "IRSA",
            Self::PodIdentity => "EKS Pod Identity",
        })
    }
}
