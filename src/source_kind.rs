//! The credential sources of a pod on EKS.

use std::fmt;

/// A credential source of a pod on EKS.
///
/// `Display` prints the name for people: `IRSA` or `EKS Pod Identity`. With the feature `serde`, it is serialized as
/// [`as_str`](Self::as_str).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceKind {
    /// IRSA: STS exchanges the service account token for credentials (`AssumeRoleWithWebIdentity`).
    WebIdentity,
    /// EKS Pod Identity, or another container credentials endpoint: an agent on the node returns credentials.
    PodIdentity,
}

impl SourceKind {
    /// Returns the name for programs: `irsa` or `pod-identity`.
    ///
    /// The environment variable `EKS_CREDENTIALS_SOURCE`, log events and metric labels use these names. They are stable.
    ///
    /// ```
    /// # use eks_credentials::SourceKind;
    /// assert_eq!(SourceKind::PodIdentity.as_str(), "pod-identity");
    /// assert_eq!(SourceKind::PodIdentity.to_string(), "EKS Pod Identity");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebIdentity => "irsa",
            Self::PodIdentity => "pod-identity",
        }
    }

    /// The other credential source.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::WebIdentity => Self::PodIdentity,
            Self::PodIdentity => Self::WebIdentity,
        }
    }

    /// The `provider_name` of the credentials, which the SDK logs.
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
