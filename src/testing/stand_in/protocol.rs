//! The interface between the loopback server and the protocol of one service.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::testing::ledger::Issued;
use crate::testing::wire::{Request, Response};

/// The protocol of one service: how it validates requests, and the format of its responses.
pub(in crate::testing) trait Protocol: fmt::Debug + Send + Sync + 'static {
    /// The default lifetime of the credentials.
    const LIFETIME: Duration;

    /// How the service caches credentials with this lifetime. `None`: it issues new credentials for every request.
    fn reuse(lifetime: Duration) -> Option<Reuse>;

    fn validate(&self, request: &Request, now: SystemTime) -> Verdict;

    fn credentials(&self, request: &Request, issued: &Issued) -> Response;

    /// The ARN of the session that this valid request starts.
    fn assumed_role_arn(&self, request: &Request) -> String;

    fn refusal(&self, code: &str, message: &str) -> Response;
}

/// When a cache returns credentials that were issued earlier.
pub(in crate::testing) struct Reuse {
    pub(in crate::testing) renewed_after: Duration,
    pub(in crate::testing) at_least_left: Duration,
}

pub(in crate::testing) enum Verdict {
    /// The request is valid and gets credentials.
    Grant,
    /// The service answers without issuing credentials: it refuses the request, or it is a request for something else.
    Reply(Response),
    /// A correct client does not send this request. The text says what is wrong with it.
    Unexpected(Response, String),
}
