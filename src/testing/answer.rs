//! The answer of a stand-in to one request: the usual one, or a fault.

use std::time::Duration;

/// The answer of a [`StandIn`](super::StandIn) to one request.
///
/// Set it with [`StandIn::then`](super::StandIn::then) or [`StandIn::always`](super::StandIn::always).
///
/// ```
/// use std::time::Duration;
///
/// use eks_credentials::testing::{Answer, LocalPod};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let pod = LocalPod::start().await?;
/// pod.sts().then(Answer::reset()).then(Answer::proper().after(Duration::from_secs(3)));
/// # Ok(()) }
/// ```
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
    /// The answer of the real service: it validates the request, and returns credentials or an error.
    ///
    /// The agent returns cached credentials as the real agent does.
    ///
    /// ```
    /// use eks_credentials::testing::Answer;
    ///
    /// let answer = Answer::proper();
    /// ```
    pub fn proper() -> Self {
        Self::of(Kind::Issue)
    }

    /// The same credentials as in the last answer, as from the cache of the agent. If the stand-in has not issued any yet, it
    /// issues new ones.
    ///
    /// ```
    /// use eks_credentials::testing::Answer;
    ///
    /// let answer = Answer::same_again();
    /// ```
    pub fn same_again() -> Self {
        Self::of(Kind::SameAgain)
    }

    /// New credentials that expired a minute ago. Newer versions of the agent can return expired credentials in an outage.
    ///
    /// ```
    /// use eks_credentials::testing::Answer;
    ///
    /// let answer = Answer::expired();
    /// ```
    pub fn expired() -> Self {
        Self::of(Kind::Expired)
    }

    /// An error with this code, in the format and with the status of the service.
    ///
    /// Examples of codes are `AccessDenied` and `Throttling` for STS, and `AccessDeniedException` and
    /// `ResourceNotFoundException` for the agent.
    ///
    /// ```
    /// use eks_credentials::testing::{Answer, LocalPod};
    /// use eks_credentials::{EksCredentialsProvider, ErrorKind};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// pod.sts().always(Answer::refuse("AccessDenied"));
    ///
    /// let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let error = provider.credentials().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Denied);
    /// # Ok(()) }
    /// ```
    pub fn refuse(code: impl Into<String>) -> Self {
        Self::of(Kind::Refuse { code: code.into(), message: "scripted by the test".into() })
    }

    /// An error with this code and this message. Otherwise like [`refuse`](Self::refuse).
    ///
    /// ```
    /// use eks_credentials::testing::Answer;
    ///
    /// let answer = Answer::refuse_with("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    /// ```
    pub fn refuse_with(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::of(Kind::Refuse { code: code.into(), message: message.into() })
    }

    /// A response with this status and body. The content type is `text/plain; charset=utf-8`.
    ///
    /// ```
    /// use eks_credentials::testing::Answer;
    ///
    /// let answer = Answer::http(503, "busy");
    /// ```
    pub fn http(status: u16, body: impl Into<String>) -> Self {
        Self::http_as(status, "text/plain; charset=utf-8", body)
    }

    /// A response with this status, content type and body.
    ///
    /// ```
    /// use eks_credentials::testing::Answer;
    ///
    /// let answer = Answer::http_as(502, "text/html", "<h1>Bad Gateway</h1>");
    /// ```
    pub fn http_as(status: u16, content_type: impl Into<String>, body: impl Into<String>) -> Self {
        Self::of(Kind::Http { status, content_type: content_type.into(), body: body.into() })
    }

    /// A response with credentials that ends after 20 bytes of the body, although its `content-length` announces all of them.
    ///
    /// If the service refuses the request, it sends the complete error.
    ///
    /// ```
    /// use eks_credentials::testing::Answer;
    ///
    /// let answer = Answer::truncated();
    /// ```
    pub fn truncated() -> Self {
        Self::of(Kind::Truncated)
    }

    /// No response. The connection stays open until the client closes it.
    ///
    /// ```
    /// use eks_credentials::testing::Answer;
    ///
    /// let answer = Answer::hang();
    /// ```
    pub fn hang() -> Self {
        Self::of(Kind::Hang)
    }

    /// No response. The stand-in reads the request and resets the connection (TCP RST).
    ///
    /// ```
    /// use eks_credentials::testing::Answer;
    ///
    /// let answer = Answer::reset();
    /// ```
    pub fn reset() -> Self {
        Self::of(Kind::Reset)
    }

    /// No response. The stand-in reads the request and closes the connection, as an agent does that panics.
    ///
    /// ```
    /// use eks_credentials::testing::Answer;
    ///
    /// let answer = Answer::close();
    /// ```
    pub fn close() -> Self {
        Self::of(Kind::Close)
    }

    /// Delays this answer. The delay is added to [`StandIn::set_latency`](super::StandIn::set_latency). Default: no delay.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use eks_credentials::testing::Answer;
    ///
    /// let answer = Answer::proper().after(Duration::from_millis(500));
    /// ```
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn of(kind: Kind) -> Self {
        Self { delay: Duration::ZERO, kind }
    }
}
