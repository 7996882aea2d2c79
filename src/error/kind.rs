//! The kinds of errors.

/// The kind of an [`Error`](crate::Error), for programs.
///
/// [`docs::failures`](crate::docs::failures) lists how each failure is treated. With the feature `serde`, it is serialized as
/// [`as_str`](Self::as_str).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No credential source is configured.
    NotConfigured,
    /// The configuration is incomplete, or a value cannot be used.
    InvalidConfiguration,
    /// The projected service account token could not be read from its file.
    TokenFile,
    /// STS or EKS Auth refused the request. The response has the form of that service, and its code is known to be permanent. A
    /// retry fails until the trust policy, the association or the configuration is changed.
    Denied,
    /// The service account token was refused. For example, it has expired, is not valid yet, or was issued by another cluster.
    TokenRejected,
    /// STS or the agent refused the request. The response has the form of that server, but its code is not known to be permanent.
    /// Examples are `ValidationError` and new codes.
    Refused,
    /// STS, EKS Auth or the agent throttled the request.
    Throttled,
    /// STS or the agent could not be reached, or returned a server error.
    Unavailable,
    /// There was no complete response within the time limit of the attempt.
    Timeout,
    /// The response does not have the form of the server that was called, or its credentials cannot be used. For example, a
    /// field is missing, a date is not valid, or the response is too large.
    InvalidResponse,
    /// The source returned credentials that had already expired, or that a service has refused.
    ExpiredCredentials,
    /// The credentials are valid, but not for the time that was requested with
    /// [`credentials_valid_for`](crate::EksCredentialsProvider::credentials_valid_for).
    LifetimeTooShort,
    /// The refresh task could not run: no thread could be started for it and the caller is not inside a tokio runtime, or the task
    /// panicked.
    NoRuntime,
}

impl ErrorKind {
    /// Returns the name for programs, such as `not-configured`, `denied` or `token-file`.
    ///
    /// Spans and metrics use these names. They are stable.
    ///
    /// ```
    /// # use eks_credentials::ErrorKind;
    /// assert_eq!(ErrorKind::TokenFile.as_str(), "token-file");
    /// ```
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
