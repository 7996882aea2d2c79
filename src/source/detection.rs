//! The result of the detection, for people and programs.

use std::fmt;

use super::found::Other;
use crate::env;
use crate::error::Error;
use crate::source_kind::SourceKind;

/// Which credential source a pod uses, why, and what is known about the other one.
///
/// Returned by [`detection()`](crate::EksCredentialsProvider::detection). The decision is made once, when the provider is
/// built, from the environment and the builder. No request is sent for it.
///
/// `Display` prints one line:
///
/// ```text
/// IRSA is used: AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are set; EKS Pod Identity is also configured, and comes second
/// in the order of the AWS SDKs
/// ```
///
/// With the feature `serde`, it is serialized as an object with the accessors as fields:
///
/// ```
/// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pod = LocalPod::start().await?;
/// # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
/// let json = serde_json::to_value(provider.detection()?)?;
/// assert_eq!(json["source"], "irsa");
/// assert_eq!(json["preference"], serde_json::json!({ "decided_by": "sdk-order", "first": "irsa" }));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Detection {
    pub(crate) source: SourceKind,
    pub(crate) settings: Vec<&'static str>,
    pub(crate) preference: Preference,
    pub(crate) other: Other<()>,
    pub(crate) fallback: bool,
}

/// What decides which source is used if a pod has both.
///
/// With the feature `serde`, it is serialized as an object: `decided_by` is `sdk-order`, `builder` or `environment`, and `first`
/// is the source that [`first`](Self::first) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preference {
    /// The order of the AWS SDKs, in which IRSA comes first. This is the default, and the effect of
    /// `EKS_CREDENTIALS_SOURCE=auto`.
    SdkOrder,
    /// The setting [`Builder::prefer`](crate::Builder::prefer).
    Builder(SourceKind),
    /// The environment variable `EKS_CREDENTIALS_SOURCE`, which has precedence over the builder.
    Environment(SourceKind),
}

impl Detection {
    /// Returns the source that is used.
    ///
    /// With [`fallback`](Self::fallback), the current credentials may come from the other source:
    /// [`Status::source`](crate::Status::source) is their source.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, SourceKind};
    /// # let provider = EksCredentialsProvider::builder().env([
    /// #     ("AWS_REGION", "eu-central-1"),
    /// #     ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/app"),
    /// #     ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
    /// #     ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
    /// #     ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/token"),
    /// # ]).build()?;
    /// # let detection = provider.detection()?;
    /// assert_eq!(detection.source(), SourceKind::WebIdentity);
    /// # Ok::<(), eks_credentials::Error>(())
    /// ```
    pub fn source(&self) -> SourceKind {
        self.source
    }

    /// Returns the names of the settings that configure the source.
    ///
    /// They are names of environment variables, or texts such as `the builder's role_arn`.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// # let provider = EksCredentialsProvider::builder().env([
    /// #     ("AWS_REGION", "eu-central-1"),
    /// #     ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/app"),
    /// #     ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
    /// #     ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
    /// #     ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/token"),
    /// # ]).build()?;
    /// # let detection = provider.detection()?;
    /// assert_eq!(detection.settings(), ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"]);
    /// # Ok::<(), eks_credentials::Error>(())
    /// ```
    pub fn settings(&self) -> &[&'static str] {
        &self.settings
    }

    /// Returns what decides between the sources, even if only one is configured.
    ///
    /// ```
    /// # use eks_credentials::migration::Preference;
    /// # use eks_credentials::EksCredentialsProvider;
    /// # let provider = EksCredentialsProvider::builder().env([
    /// #     ("AWS_REGION", "eu-central-1"),
    /// #     ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/app"),
    /// #     ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
    /// #     ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
    /// #     ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/token"),
    /// # ]).build()?;
    /// # let detection = provider.detection()?;
    /// assert_eq!(detection.preference(), Preference::SdkOrder);
    /// # Ok::<(), eks_credentials::Error>(())
    /// ```
    pub fn preference(&self) -> Preference {
        self.preference
    }

    /// Returns the other source, if it is configured too and can be used.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, SourceKind};
    /// # let provider = EksCredentialsProvider::builder().env([
    /// #     ("AWS_REGION", "eu-central-1"),
    /// #     ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/app"),
    /// #     ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
    /// #     ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
    /// #     ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/token"),
    /// # ]).build()?;
    /// # let detection = provider.detection()?;
    /// assert_eq!(detection.other(), Some(SourceKind::PodIdentity));
    /// # Ok::<(), eks_credentials::Error>(())
    /// ```
    pub fn other(&self) -> Option<SourceKind> {
        matches!(self.other, Other::Usable(())).then(|| self.source.other())
    }

    /// Returns why the other source cannot be used, although it is at least partly configured.
    ///
    /// Examples are a missing variable of a pair, an invalid value, and a session policy that the source does not support. It is
    /// not an error of the provider, which does not need this source.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// let provider = EksCredentialsProvider::builder()
    ///     .env([
    ///         ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
    ///         ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/token"),
    ///         ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/app"),
    ///     ])
    ///     .build()?;
    /// let problem = provider.detection()?.other_problem().unwrap().to_string();
    /// assert!(problem.contains("AWS_WEB_IDENTITY_TOKEN_FILE is not"));
    /// # Ok::<(), eks_credentials::Error>(())
    /// ```
    pub fn other_problem(&self) -> Option<&Error> {
        match &self.other {
            Other::Unusable(problem) => Some(problem),
            Other::NotConfigured | Other::Usable(()) => None,
        }
    }

    /// Returns whether the provider falls back to the other source after a permanent denial.
    ///
    /// This is the setting [`Builder::fallback`](crate::Builder::fallback) if both sources are configured, else `false`.
    ///
    /// ```
    /// # use eks_credentials::EksCredentialsProvider;
    /// # let provider = EksCredentialsProvider::builder().env([
    /// #     ("AWS_REGION", "eu-central-1"),
    /// #     ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/app"),
    /// #     ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"),
    /// #     ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
    /// #     ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/token"),
    /// # ]).build()?;
    /// # let detection = provider.detection()?;
    /// assert!(!detection.fallback());
    /// # Ok::<(), eks_credentials::Error>(())
    /// ```
    pub fn fallback(&self) -> bool {
        self.fallback
    }
}

impl Preference {
    /// Returns the source that comes first.
    ///
    /// ```
    /// use eks_credentials::SourceKind;
    /// use eks_credentials::migration::Preference;
    ///
    /// assert_eq!(Preference::SdkOrder.first(), SourceKind::WebIdentity);
    /// assert_eq!(Preference::Builder(SourceKind::PodIdentity).first(), SourceKind::PodIdentity);
    /// ```
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
        write!(f, "{source} is used: {} {is} set; {other} ", settings.join(" and "))?;
        match &self.other {
            Other::Usable(()) if *preference == Preference::SdkOrder => {
                write!(f, "is also configured, and comes second in {preference}")?;
            }
            Other::Usable(()) => write!(f, "is also configured, and comes second because of {preference}")?,
            Other::Unusable(problem) => write!(f, "cannot be used: {problem}")?,
            Other::NotConfigured if preference.first() == other && *preference != Preference::SdkOrder => {
                write!(f, "is not configured, although {preference} prefers it")?;
            }
            Other::NotConfigured => f.write_str("is not configured")?,
        }
        if *fallback { f.write_str("; the provider falls back to it after a permanent denial") } else { Ok(()) }
    }
}

impl fmt::Display for Preference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SdkOrder => f.write_str("the order of the AWS SDKs"),
            Self::Builder(source) => write!(f, "the builder's prefer({})", source.as_str()),
            Self::Environment(source) => write!(f, "{}={}", env::SOURCE, source.as_str()),
        }
    }
}
