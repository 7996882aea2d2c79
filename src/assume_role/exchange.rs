//! One `AssumeRole` request with given credentials, and its response.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::time::timeout;

use super::parameters::Parameters;
use crate::clock::skew::ServerTime;
use crate::error::Error;
use crate::error::problem::Problem;
use crate::error::problem::network::{NoAnswer, Phase, What};
use crate::error::problem::sts::{Meaning, Request, StsRefusal};
use crate::fetched::Fetched;
use crate::provider::hop::Hop;
use crate::refresh::BoxFuture;
use crate::source::web_identity::exchange::{Refusal, read_session};
use crate::source_kind::SourceKind;
use crate::sts::Sts;
use crate::transport::{self, Reply};

/// The session length if no `DurationSeconds` is sent.
const DEFAULT_SESSION_LENGTH: Duration = Duration::from_secs(3600);

/// The step from one set of credentials to those of the role.
pub(super) struct Exchange {
    parameters: Parameters,
    sts: Sts,
    /// Whose credentials sign the request.
    caller: String,
    /// The time limit for STS.
    limit: Duration,
}

impl Exchange {
    pub(super) fn new(parameters: Parameters, sts: Sts, caller: String, limit: Duration) -> Self {
        Self { parameters, sts, caller, limit }
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Host and port of STS.
    pub(super) fn host(&self) -> &str {
        self.sts.endpoint.url.authority()
    }

    /// Assumes the role within the time that is `left`, and within the time limit for STS. The request is signed at `now`.
    pub(super) async fn within(
        &self,
        left: Duration,
        credentials: &Credentials,
        source: SourceKind,
        now: SystemTime,
    ) -> Result<Fetched, Error> {
        let limit = left.min(self.limit);
        timeout(limit, self.send(credentials, source, now)).await.unwrap_or_else(|_| {
            let (peer, phase, what) = (self.sts.peer.clone(), Phase::Exchange, What::TimedOut(Some(limit)));
            Err(Problem::NoAnswer(Box::new(NoAnswer { peer, phase, what })).into())
        })
    }

    /// Sends the request, signed at `now`. If STS refuses this time and sends its own, the request is repeated with it, as the
    /// AWS SDKs do.
    async fn send(&self, credentials: &Credentials, source: SourceKind, now: SystemTime) -> Result<Fetched, Error> {
        let reply = self.sts.send(self.parameters.form(), credentials, now).await?;
        let outcome = self.read(&reply, credentials, source);
        match (&outcome, self.date(&reply)) {
            (Err(error), Some(date)) if meaning(error) == Some(Meaning::WrongClock) => {
                let reply = self.sts.send(self.parameters.form(), credentials, date).await?;
                self.read(&reply, credentials, source)
            }
            _ => outcome,
        }
    }

    /// The time of STS. `None` over plain http, because anyone on the network path can change the header.
    fn date(&self, reply: &Reply) -> Option<SystemTime> {
        reply.date.filter(|_| self.sts.endpoint.url.is_https())
    }

    fn read(&self, reply: &Reply, caller: &Credentials, source: SourceKind) -> Result<Fetched, Error> {
        let role_arn = self.parameters.role_arn.as_str();
        if let Some(Refusal { code, message }) = Refusal::parse(&reply.body) {
            let request = Request::AssumeRole { role_arn: role_arn.to_owned(), caller: self.caller.clone() };
            let shown = |text: &str| transport::quote(text, caller.session_token().unwrap_or_default());
            let refusal = Box::new(StsRefusal::new(reply.status, &code, &message, request, shown));
            return Err(Problem::Sts { peer: self.sts.peer.clone(), refusal }.into());
        }
        if reply.status != 200 {
            return Err(reply.foreign(&self.sts.peer));
        }
        let credentials = read_session(reply, &self.sts.peer, "AssumeRole", role_arn, "EksAssumeRole")?;
        let requested = self.parameters.session_length.unwrap_or(DEFAULT_SESSION_LENGTH);
        let server_time = self.date(reply).map(|date| ServerTime { date, requested });
        Ok(Fetched { server_time, ..Fetched::new(credentials, source) })
    }
}

impl Hop for Exchange {
    fn role_arn(&self) -> &str {
        self.parameters.role_arn.as_str()
    }

    fn exchange<'a>(
        &'a self,
        credentials: &'a Credentials,
        source: SourceKind,
        now: SystemTime,
    ) -> BoxFuture<'a, Result<Fetched, Error>> {
        Box::pin(self.within(self.limit, credentials, source, now))
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("role_arn", &self.parameters.role_arn).finish_non_exhaustive()
    }
}

/// What the refusal by STS means.
pub(super) fn meaning(error: &Error) -> Option<Meaning> {
    match error.problem() {
        Problem::Sts { refusal, .. } => Some(refusal.meaning),
        _ => None,
    }
}
