//! Errors: what failed, with which value, and what to do.

mod kind;
pub(crate) mod problem;
pub(crate) mod verdict;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use aws_credential_types::provider::error::CredentialsError;

pub use self::kind::ErrorKind;
use self::problem::Problem;
use self::problem::setting::Setting;
use self::problem::token::BadToken;
use self::verdict::Verdict;

type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// Why credentials could not be returned.
///
/// `Display` prints one line for people: what failed, with which value, and what to do. The technical causes follow in
/// [`source()`](std::error::Error::source). An error never contains a token or a key.
///
/// Cloning is cheap. All callers that waited for the same fetch get clones of the same error.
///
/// With the feature `serde`, it is serialized as an object with `message` (the line of `Display`), `kind`
/// ([`ErrorKind::as_str`]) and `code` (a string or null).
///
/// # Use in a provider chain
///
/// An `Error` converts into [`CredentialsError`], with itself as the source of that error:
///
/// | kind | variant of `CredentialsError` | effect in a provider chain |
/// |---|---|---|
/// | [`NotConfigured`](ErrorKind::NotConfigured) | `CredentialsNotLoaded` | the chain tries its next provider |
/// | [`InvalidConfiguration`](ErrorKind::InvalidConfiguration) | `InvalidConfiguration` | the chain ends with this error |
/// | every other kind | `ProviderError` | the chain ends with this error |
///
/// # Examples
///
/// ```
/// # use eks_credentials::{EksCredentialsProvider, ErrorKind};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), eks_credentials::Error> {
/// # let provider = EksCredentialsProvider::builder().env([("PATH", "/bin")]).build()?;
/// match provider.credentials().await {
///     Ok(credentials) => drop(credentials),
///     Err(error) if error.kind() == ErrorKind::NotConfigured => println!("not in a pod"),
///     Err(error) => println!("{}: {error}", error.kind().as_str()),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    problem: Problem,
    cause: Option<Cause>,
}

impl Error {
    pub(crate) fn new(problem: impl Into<Problem>) -> Self {
        Self(Arc::new(Inner { problem: problem.into(), cause: None }))
    }

    pub(crate) fn caused_by(problem: impl Into<Problem>, cause: impl Into<Cause>) -> Self {
        Self(Arc::new(Inner { problem: problem.into(), cause: Some(cause.into()) }))
    }

    /// An error in this process itself, or in a test.
    pub(crate) fn internal(kind: ErrorKind, observed: impl Into<String>) -> Self {
        Self::new(Problem::Internal { observed: observed.into(), kind })
    }

    pub(crate) fn problem(&self) -> &Problem {
        &self.0.problem
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.problem().verdict()
    }

    /// Returns the kind of this error.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, ErrorKind, testing::{Answer, LocalPod}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # pod.sts().always(Answer::refuse("AccessDenied"));
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let error = provider.credentials().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Denied);
    /// # Ok(()) }
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.problem().kind()
    }

    /// Returns the error code of STS, EKS Auth or a container credentials server, such as `AccessDenied` or
    /// `ResourceNotFoundException`.
    ///
    /// Returns `None` if there was no response, if the response had no code, or if it did not have the form of the server that
    /// was called.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::{Answer, LocalPod}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # pod.sts().always(Answer::refuse("AccessDenied"));
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let error = provider.credentials().await.unwrap_err();
    /// assert_eq!(error.code(), Some("AccessDenied"));
    /// # Ok(()) }
    /// ```
    pub fn code(&self) -> Option<&str> {
        self.problem().code()
    }

    /// Returns whether the failure is expected to end without a change of policies, associations or configuration.
    ///
    /// The AWS SDKs call such failures recoverable. Expired credentials may be served only after a transient failure.
    ///
    /// Two other decisions do not depend on this value: whether the first refresh repeats the request, and whether the provider
    /// falls back to the other source. [`docs::failures`](crate::docs::failures) lists all of them for each failure.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::{Answer, LocalPod}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::start().await?;
    /// # pod.sts().always(Answer::refuse("AccessDenied"));
    /// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let error = provider.credentials().await.unwrap_err();
    /// assert!(!error.is_transient()); // the trust policy must be changed first
    /// # Ok(()) }
    /// ```
    pub fn is_transient(&self) -> bool {
        self.verdict().serves_expired
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::new(problem)
    }
}

impl From<Setting> for Error {
    fn from(setting: Setting) -> Self {
        Self::new(setting)
    }
}

impl From<BadToken> for Error {
    fn from(token: BadToken) -> Self {
        Self::new(token)
    }
}

/// Messages quote responses of servers, which must not break a log line. Unicode has line separators besides control characters.
pub(crate) fn one_line(message: String) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if message.contains(breaks) { message.replace(breaks, " ") } else { message }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(self.0.problem.line()))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind())
            .field("code", &self.code())
            .field("message", &self.to_string())
            .field("cause", &self.0.cause)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<Error> for CredentialsError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::NotConfigured => Self::not_loaded(error),
            ErrorKind::InvalidConfiguration => Self::invalid_configuration(error),
            _ => Self::provider_error(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_converts_into_credentials_error() {
        let map = |kind| CredentialsError::from(Error::internal(kind, "why"));
        assert!(matches!(map(ErrorKind::NotConfigured), CredentialsError::CredentialsNotLoaded(_)));
        assert!(matches!(map(ErrorKind::InvalidConfiguration), CredentialsError::InvalidConfiguration(_)));
        assert!(matches!(map(ErrorKind::Denied), CredentialsError::ProviderError(_)));
        assert_eq!(map(ErrorKind::Denied).source().expect("the source is this crate's error").to_string(), "why");
    }

    #[test]
    fn error_message_is_one_line() {
        assert_eq!(Error::internal(ErrorKind::Denied, "a\r\nb\u{1b}[31m").to_string(), "a  b [31m");
        assert_eq!(Error::internal(ErrorKind::Denied, "a\u{2028}b\u{2029}c\u{85}d").to_string(), "a b c d");
    }

    #[test]
    fn error_kind_names_and_debug() {
        let kinds = [
            (ErrorKind::NotConfigured, "not-configured"),
            (ErrorKind::InvalidConfiguration, "invalid-configuration"),
            (ErrorKind::TokenFile, "token-file"),
            (ErrorKind::Denied, "denied"),
            (ErrorKind::TokenRejected, "token-rejected"),
            (ErrorKind::Refused, "refused"),
            (ErrorKind::Throttled, "throttled"),
            (ErrorKind::Unavailable, "unavailable"),
            (ErrorKind::Timeout, "timeout"),
            (ErrorKind::InvalidResponse, "invalid-response"),
            (ErrorKind::ExpiredCredentials, "expired-credentials"),
            (ErrorKind::LifetimeTooShort, "lifetime-too-short"),
            (ErrorKind::NoRuntime, "no-runtime"),
        ];
        for (kind, name) in kinds {
            assert_eq!(kind.as_str(), name);
            let debug = format!("{:?}", Error::internal(kind, "why"));
            assert!(debug.contains(&format!("kind: {kind:?}")) && debug.contains("why"), "{debug}");
        }
    }
}
