//! The chosen source, and the fallback to the other source after a permanent denial.

use std::time::Duration;

use super::Source;
use super::found::Other;
use crate::error::Error;
use crate::error::problem::Problem;
use crate::fetched::Fetched;
use crate::refresh::{BoxFuture, Fetch};
use crate::source_kind::SourceKind;

/// The sources that the refresh task fetches credentials from.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) first: Source,
    pub(crate) other: Other<Source>,
    /// Whether the other source is used after a permanent denial by the first source.
    pub(crate) fallback: bool,
}

impl Sources {
    /// The other source, for a comparison of both.
    pub(crate) fn other(&self) -> Result<&Source, Error> {
        match self.other.as_ref() {
            Other::Usable(other) => Ok(other),
            Other::Unusable(error) => Err(error),
            Other::NotConfigured => Err(Problem::OtherNotConfigured { configured: self.first.kind() }.into()),
        }
    }

    fn fallback(&self) -> Option<&Source> {
        self.other.usable().filter(|_| self.fallback)
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

    /// Every fetch begins with the preferred source. It is therefore used again as soon as it recovers. `limit` is the limit
    /// for both sources together: the fallback has the time that the preferred source did not use.
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
                "the preferred source was denied, falling back to the other source"
            );
            fallback.fetch(limit.saturating_sub(started.elapsed())).await.map_err(|second| {
                let cause = second.clone();
                Error::caused_by(Problem::FallbackFailed { denied, second }, cause)
            })
        })
    }
}
