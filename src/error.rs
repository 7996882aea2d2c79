//! What can go wrong, in one line each: what failed, where, and what to do.

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

/// Why there are no credentials.
///
/// `Display` is one line for a person: what failed, with which value, and what to do about it. The technical causes follow
/// in [`source()`](std::error::Error::source). It never holds a token or a key. Cloning is cheap: every caller that waited
/// for the same fetch gets a clone of the same error.
///
/// Converts into [`CredentialsError`]: [`ErrorKind::NotConfigured`] becomes `CredentialsNotLoaded` (a
/// provider chain tries its next provider), [`ErrorKind::InvalidConfiguration`] becomes `InvalidConfiguration`,
/// everything else `ProviderError`, each with this error as its source.
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

    /// Of this process itself, or of a test.
    pub(crate) fn internal(kind: ErrorKind, observed: impl Into<String>) -> Self {
        Self::new(Problem::Internal { observed: observed.into(), kind })
    }

    pub(crate) fn problem(&self) -> &Problem {
        &self.0.problem
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.problem().verdict()
    }

    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        self.problem().kind()
    }

    /// The code that STS, EKS Auth or a container credentials server gave: `AccessDenied`, `ResourceNotFoundException`, …
    /// `None` if the answer had none, if it was not in the form of the server that was asked, or if there was no answer.
    pub fn code(&self) -> Option<&str> {
        self.problem().code()
    }

    /// Whether the failure is expected to pass without a change of policies, associations or configuration: the class that
    /// the AWS SDKs call recoverable. Only after such failures may expired credentials be served. Whether a cold start
    /// repeats the request, and whether the other source may be used instead, are separate decisions: see
    /// [`docs::failures`](crate::docs::failures).
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

/// Messages quote what servers said: nothing of it must break a log line, Unicode's own separators neither.
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
    fn maps_to_the_sdk_error_that_composes_in_a_chain() {
        let map = |kind| CredentialsError::from(Error::internal(kind, "why"));
        assert!(matches!(map(ErrorKind::NotConfigured), CredentialsError::CredentialsNotLoaded(_)));
        assert!(matches!(map(ErrorKind::InvalidConfiguration), CredentialsError::InvalidConfiguration(_)));
        assert!(matches!(map(ErrorKind::Denied), CredentialsError::ProviderError(_)));
        assert_eq!(map(ErrorKind::Denied).source().expect("our error is the source").to_string(), "why");
    }

    #[test]
    fn a_message_is_one_line_whatever_the_server_said() {
        assert_eq!(Error::internal(ErrorKind::Denied, "a\r\nb\u{1b}[31m").to_string(), "a  b [31m");
        assert_eq!(Error::internal(ErrorKind::Denied, "a\u{2028}b\u{2029}c\u{85}d").to_string(), "a b c d");
    }

    #[test]
    fn names_of_kinds_are_words_with_hyphens_and_debug_shows_the_kind() {
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
