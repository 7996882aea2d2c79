//! The credential source of a provider for an assumed role.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::time::{Instant, timeout};

use super::exchange::{Exchange, meaning};
use crate::error::Error;
use crate::error::problem::Problem;
use crate::error::problem::sts::Meaning;
use crate::fetched::Fetched;
use crate::provider::EksCredentialsProvider;
use crate::provider::hop::Hop;
use crate::refresh::cache::Current;
use crate::refresh::renewal::Reason;
use crate::refresh::{BoxFuture, Fetch};
use crate::source_kind::SourceKind;

/// STS usually answers in less than a second. This is the limit of IRSA.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct AssumedRole {
    parent: EksCredentialsProvider,
    exchange: Arc<Exchange>,
}

impl AssumedRole {
    pub(super) fn new(parent: EksCredentialsProvider, exchange: Arc<Exchange>) -> Self {
        Self { parent, exchange }
    }

    async fn assume(&self, limit: Duration) -> Result<Fetched, Error> {
        let started = Instant::now();
        let left = || limit.saturating_sub(started.elapsed());
        let first = self.parents(left()).await?;
        let refused = match self.exchange(&first, left()).await {
            Err(error) if meaning(&error) == Some(Meaning::CallerRejected) => error,
            outcome => return outcome,
        };
        if !self.renew_parent(&first.credentials, &refused) {
            return Err(refused);
        }
        match self.parents(left()).await {
            Ok(second) if second.credentials.access_key_id() != first.credentials.access_key_id() => {
                self.exchange(&second, left()).await
            }
            // The refusal explains more than another error of the parent.
            _ => Err(refused),
        }
    }

    /// The parent's credentials. If it has none, this waits for its refresh.
    async fn parents(&self, limit: Duration) -> Result<Parents, Error> {
        let pick = |current: &Current| Parents { credentials: current.credentials.clone(), source: current.source };
        let core = self.parent.core();
        let error = match timeout(limit, core.get(pick)).await {
            Ok(Ok(parents)) => return Ok(parents),
            Ok(Err(error)) => error,
            Err(_) => core.cache.load().error().cloned().unwrap_or_else(|| Problem::NoOutcomeYet.into()),
        };
        let role_arn = self.exchange.role_arn().to_owned();
        Err(Error::caused_by(Problem::NoCaller { role_arn, error: error.clone() }, error))
    }

    async fn exchange(&self, Parents { credentials, source }: &Parents, left: Duration) -> Result<Fetched, Error> {
        let outcome = self.exchange.within(left, credentials, *source, self.signing_time()).await;
        if outcome.is_ok() {
            self.parent.core().refusals.succeeded(self.exchange.host());
        }
        outcome
    }

    /// The time for the signature, corrected by the difference from the clock of STS that the parent has found.
    fn signing_time(&self) -> SystemTime {
        let core = self.parent.core();
        core.on_server_clock(core.now())
    }

    /// Makes the parent fetch other credentials. Returns `false` if that would not help, for example because STS has already
    /// refused newer ones.
    fn renew_parent(&self, refused: &Credentials, error: &Error) -> bool {
        let reason = match error.code() {
            Some("InvalidClientTokenId" | "UnrecognizedClientException") => Reason::Unknown,
            _ => Reason::Ended,
        };
        let core = self.parent.core();
        core.refusals.renew(core, self.exchange.host(), refused.access_key_id(), reason)
    }
}

/// The parent's credentials, and the source that they come from.
struct Parents {
    credentials: Credentials,
    source: SourceKind,
}

impl Fetch for AssumedRole {
    fn kind(&self) -> SourceKind {
        // Without a configured source, no refresh task is started, and nothing calls this.
        self.parent.core().source.as_ref().map_or(SourceKind::WebIdentity, |source| source.kind())
    }

    fn role_arn(&self) -> Option<&str> {
        Some(self.exchange.role_arn())
    }

    /// The limit for STS, and the time for a refresh of the parent.
    fn attempt_timeout(&self) -> Duration {
        self.parent.core().refresh_budget().saturating_add(self.exchange.limit())
    }

    fn fetch(&self, limit: Duration) -> BoxFuture<'_, Result<Fetched, Error>> {
        Box::pin(self.assume(limit))
    }
}
