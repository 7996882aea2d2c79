//! The classes of errors.

/// The classes of [`Error`], for code that must tell them apart.
///
/// How each of them is treated is in [`docs::failures`](crate::docs::failures).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The environment configures neither IRSA nor Pod Identity.
    NotConfigured,
    /// Something is configured, but a part of it is missing or a value cannot be used.
    InvalidConfiguration,
    /// The projected service account token could not be read from its file.
    TokenFile,
    /// STS or EKS Auth understood the request and refused it, in its own form and with a code that is known to be permanent
    /// until somebody changes the trust policy, the association or the configuration.
    Denied,
    /// The service account token was refused: it has expired, is not valid yet, or was issued by another cluster.
    TokenRejected,
    /// STS or the agent refused the request in its own form, with a code that is not known to be permanent, such as
    /// `ValidationError` or a code that is new.
    Refused,
    /// STS, EKS Auth or the agent throttled the request.
    Throttled,
    /// STS or the agent could not be reached, or answered with a server error.
    Unavailable,
    /// No complete answer within the attempt's time.
    Timeout,
    /// An answer that is not in the form of the server that was asked, or a success that cannot be used: a field is missing,
    /// a date is not valid, the answer is too large.
    InvalidResponse,
    /// The credentials that came back had already expired, or are those that a service has refused.
    ExpiredCredentials,
    /// The credentials are valid, but not for as long as
    /// [`credentials_valid_for`](crate::EksCredentialsProvider::credentials_valid_for) requested.
    LifetimeTooShort,
    /// Credentials must be fetched, and neither can a thread be started for it, nor is the caller inside a tokio runtime; or
    /// the task that fetches panicked.
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
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::InvalidResponse => "invalid-response",
            Self::ExpiredCredentials => "expired-credentials",
            Self::LifetimeTooShort => "lifetime-too-short",
            Self::NoRuntime => "no-runtime",
        }
    }
}
