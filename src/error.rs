//! What can go wrong, in one line each: what failed, where, and what to do.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use aws_credential_types::provider::error::CredentialsError;

type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// Why there are no credentials.
///
/// `Display` is one line for a person: what failed, where, and what to do about it. The technical causes follow in
/// [`source()`](std::error::Error::source). Never holds a token or a key. Cloning is cheap: every caller that waited for
/// the same fetch gets a clone of the same error.
///
/// Converts into [`CredentialsError`]: [`ErrorKind::NotConfigured`] becomes `CredentialsNotLoaded` (a
/// provider chain goes on to its next provider), [`ErrorKind::InvalidConfiguration`] becomes `InvalidConfiguration`,
/// everything else `ProviderError`, each with this error as its source.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    code: Option<String>,
    cause: Option<Cause>,
}

/// The classes of [`Error`], for code that must tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The environment configures neither IRSA nor Pod Identity.
    NotConfigured,
    /// Something is configured, but half of it is missing or a value is not usable.
    InvalidConfiguration,
    /// The projected service account token could not be read from its file.
    TokenFile,
    /// STS or EKS Auth understood the request and refused it. Permanent until somebody changes the trust policy, the
    /// association or the configuration.
    Denied,
    /// The service account token was refused as expired or not valid now: a rotation race or a clock that is off.
    TokenRejected,
    /// STS, EKS Auth or the agent throttled the request.
    Throttled,
    /// STS or the agent could not be reached, or answered with a server error.
    Unavailable,
    /// No complete answer within the attempt's time.
    Timeout,
    /// An answer that is not what the protocol says: not XML or JSON, a field missing, a date that is none, too large.
    InvalidResponse,
    /// The credentials that came back had already expired.
    ExpiredCredentials,
    /// The credentials are valid, but not for as long as
    /// [`credentials_valid_for`](crate::EksCredentialsProvider::credentials_valid_for) asked.
    LifetimeTooShort,
    /// Credentials must be fetched, and the caller is not inside a tokio runtime with time and I/O enabled.
    NoRuntime,
}

impl ErrorKind {
    /// How spans and metrics write it: `not-configured`, `denied`, `token-file`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotConfigured => "not-configured",
            Self::InvalidConfiguration => "invalid-configuration",
            Self::TokenFile => "token-file",
            Self::Denied => "denied",
            Self::TokenRejected => "token-rejected",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::InvalidResponse => "invalid-response",
            Self::ExpiredCredentials => "expired-credentials",
            Self::LifetimeTooShort => "lifetime-too-short",
            Self::NoRuntime => "no-runtime",
        }
    }

    /// Whether the failure is expected to pass by itself: the class that the AWS SDKs call recoverable. Only these are
    /// retried at a cold start, and only these let expired credentials be served.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::TokenRejected
                | Self::Throttled
                | Self::Unavailable
                | Self::Timeout
                | Self::InvalidResponse
                | Self::ExpiredCredentials
        )
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, message: one_line(message.into()), code: None, cause: None }))
    }

    /// What a service refused, with its code for it: of what may have been quoted there, no secret.
    pub(crate) fn with_code(kind: ErrorKind, code: &str, message: impl Into<String>) -> Self {
        let code = Some(one_line(code.to_owned())).filter(|code| !code.is_empty());
        Self(Arc::new(Inner { kind, message: one_line(message.into()), code, cause: None }))
    }

    pub(crate) fn caused_by(kind: ErrorKind, message: impl Into<String>, cause: impl Into<Cause>) -> Self {
        let cause = Some(cause.into());
        Self(Arc::new(Inner { kind, message: one_line(message.into()), code: None, cause }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidConfiguration, message)
    }

    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The code that STS or EKS Auth gave for it: `AccessDenied`, `ResourceNotFoundException`, … `None` if the answer had
    /// none, or if there was no answer.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// [`ErrorKind::is_transient`] of this error's kind.
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }
}

/// Messages quote what servers said: nothing of it must break a log line, Unicode's own separators neither.
pub(crate) fn one_line(message: String) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if message.contains(breaks) { message.replace(breaks, " ") } else { message }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("code", &self.0.code)
            .field("message", &self.0.message)
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
        let map = |kind| CredentialsError::from(Error::new(kind, "why"));
        assert!(matches!(map(ErrorKind::NotConfigured), CredentialsError::CredentialsNotLoaded(_)));
        assert!(matches!(map(ErrorKind::InvalidConfiguration), CredentialsError::InvalidConfiguration(_)));
        assert!(matches!(map(ErrorKind::Denied), CredentialsError::ProviderError(_)));
        assert_eq!(map(ErrorKind::Denied).source().expect("our error is the source").to_string(), "why");
    }

    #[test]
    fn a_message_is_one_line_whatever_the_server_said() {
        assert_eq!(Error::new(ErrorKind::Denied, "a\r\nb\u{1b}[31m").to_string(), "a  b [31m");
        assert_eq!(Error::new(ErrorKind::Denied, "a\u{2028}b\u{2029}c\u{85}d").to_string(), "a b c d");
    }
}
