//! The two methods of a pod together: which is fetched from, what a denial hands over to, and what is looked at on the side.

use std::time::Duration;

use super::Source;
use crate::error::Error;
use crate::probe::Probe;
use crate::problem::Problem;
use crate::refresh::{BoxFuture, Fetch, Fetched};
use crate::source::SourceKind;

/// What the driver fetches from: the detected source, and what the pod has of the other one.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) first: Source,
    /// Why it could not be used, if something of it is configured, but not so that it could work.
    pub(crate) second: Option<Result<Source, Error>>,
    /// Whether a permanent denial of the first hands over to the second.
    pub(crate) fallback: bool,
    /// Whether the second is to be asked once on the side.
    pub(crate) shadow: bool,
}

impl Sources {
    /// The other one, to ask it on the side.
    pub(crate) fn other(&self) -> Result<&Source, Error> {
        match &self.second {
            Some(other) => other.as_ref().map_err(Clone::clone),
            None => Err(Problem::OtherNotConfigured { configured: self.first.kind() }.into()),
        }
    }

    fn fallback(&self) -> Option<&Source> {
        self.second.as_ref()?.as_ref().ok().filter(|_| self.fallback)
    }
}

impl Fetch for Sources {
    fn kind(&self) -> SourceKind {
        self.first.kind()
    }

    fn attempt_timeout(&self) -> Duration {
        let fallback = self.fallback().map_or(Duration::ZERO, Source::attempt_timeout);
        self.first.attempt_timeout().saturating_add(fallback)
    }

    /// Every fetch begins with the preferred source, so that it is used again as soon as it works again. `limit` is for
    /// both together: what the first leaves of it is the second's.
    fn fetch(&self, limit: Duration) -> BoxFuture<'_, Result<Fetched, Error>> {
        Box::pin(async move {
            let started = tokio::time::Instant::now();
            let denied = match self.first.fetch(limit.min(self.first.attempt_timeout())).await {
                Err(error) if error.verdict().falls_back => error,
                outcome => return outcome,
            };
            let Some(fallback) = self.fallback() else { return Err(denied) };
            tracing::warn!(
                denied = self.first.kind().as_str(),
                fallback = fallback.kind().as_str(),
                error = %denied,
                "the preferred source was denied, falling back to the other one"
            );
            fallback.fetch(limit.saturating_sub(started.elapsed())).await.map_err(|second| {
                let cause = second.clone();
                Error::caused_by(Problem::FallbackFailed { denied, second }, cause)
            })
        })
    }

    fn shadow(&self) -> Option<BoxFuture<'_, Probe>> {
        let second = self.second.as_ref().filter(|_| self.shadow)?;
        Some(Box::pin(async move {
            match second {
                Ok(source) => source.probe(None).await,
                Err(problem) => {
                    let source = self.first.kind().other();
                    Probe { source, outcome: Err(problem.clone()), latency: Duration::ZERO }
                }
            }
        }))
    }
}
