//! How a stand-in answers one request: properly, or with a fault.

use std::time::Duration;

/// One answer of a stand-in. Made by one of the constructors, delayed by [`after`](Self::after).
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) delay: Duration,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Issue,
    SameAgain,
    Expired,
    Refuse { code: String, message: String },
    Http { status: u16, content_type: String, body: String },
    Truncated,
    Hang,
    Reset,
    Close,
}

impl Answer {
    /// What the real thing does: check the request, and answer it with credentials or with the error that it has earned.
    pub fn proper() -> Self {
        Self::of(Kind::Issue)
    }

    /// The same credentials as last time (new ones if there are none yet), as an agent's cache does.
    pub fn same_again() -> Self {
        Self::of(Kind::SameAgain)
    }

    /// Credentials that expired a minute ago, as an agent may serve them in an outage.
    pub fn expired() -> Self {
        Self::of(Kind::Expired)
    }

    /// An error of the service, in the form of this stand-in: `AccessDenied`, `Throttling`, … from STS,
    /// `AccessDeniedException`, `ResourceNotFoundException`, … from the agent.
    pub fn refuse(code: impl Into<String>) -> Self {
        Self::of(Kind::Refuse { code: code.into(), message: "scripted by the test".into() })
    }

    /// As [`refuse`](Self::refuse), with what the service says.
    pub fn refuse_with(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::of(Kind::Refuse { code: code.into(), message: message.into() })
    }

    /// Any status and body, as `text/plain`.
    pub fn http(status: u16, body: impl Into<String>) -> Self {
        Self::http_as(status, "text/plain; charset=utf-8", body)
    }

    /// Any status, content type and body.
    pub fn http_as(status: u16, content_type: impl Into<String>, body: impl Into<String>) -> Self {
        Self::of(Kind::Http { status, content_type: content_type.into(), body: body.into() })
    }

    /// The beginning of a proper answer, then the end of the connection.
    pub fn truncated() -> Self {
        Self::of(Kind::Truncated)
    }

    /// No answer, for as long as the client keeps the connection.
    pub fn hang() -> Self {
        Self::of(Kind::Hang)
    }

    /// The request is read, and the connection reset.
    pub fn reset() -> Self {
        Self::of(Kind::Reset)
    }

    /// The request is read, and the connection closed without a byte: an agent that panicked.
    pub fn close() -> Self {
        Self::of(Kind::Close)
    }

    /// The same answer, `delay` later.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn of(kind: Kind) -> Self {
        Self { delay: Duration::ZERO, kind }
    }
}
