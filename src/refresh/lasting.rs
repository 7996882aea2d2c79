//! Credentials that stay valid for some time: for callers that require it, and for IAM tokens, which end with the credentials
//! that sign them.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::error::Error;
use crate::error::problem::Problem;
use crate::refresh::cache::{Current, Entry};
use crate::refresh::callers::no_outcome;
use crate::refresh::schedule::{self, Decision};
use crate::refresh::shared::Shared;

/// A source that is called again within this time is expected to return the same credentials, and none that are valid
/// longer.
const SAME_AGAIN: Duration = Duration::from_secs(60);

impl Shared {
    /// Returns credentials that are valid for more than `ttl` from now. Fetches new ones if the current ones are not.
    pub(crate) async fn get_valid_for<T>(
        self: &Arc<Self>,
        ttl: Duration,
        pick: impl Fn(&Current) -> T,
    ) -> Result<T, Error> {
        self.get(|_| ()).await?;
        let entry = self.cache.load_full();
        if let Some(current) = self.outlasting(&entry, ttl) {
            return Ok(pick(current));
        }
        if !self.force_refresh(&entry) {
            return Err(self.too_short(&entry, ttl));
        }
        let refreshed = self.wait_for_refresh(&entry).await?;
        self.outlasting(&refreshed, ttl).map(pick).ok_or_else(|| self.too_short(&refreshed, ttl))
    }

    /// Returns credentials for a token with a life of `ttl`. Fetches new ones if the token would end earlier. If they cannot be
    /// fetched, returns the current ones. Never returns expired credentials.
    pub(crate) async fn get_lasting<T>(
        self: &Arc<Self>,
        ttl: Duration,
        pick: impl Fn(&Current) -> T,
    ) -> Result<T, Error> {
        let attainable = self.get(|current| current.validity.attainable(ttl)).await?;
        match self.get_valid_for(attainable, &pick).await {
            Err(error) => self.usable(pick).ok_or(error),
            lasting => lasting,
        }
    }

    /// The same without waiting. Where [`get_lasting`](Self::get_lasting) would fetch, this wakes the refresh task and returns
    /// the current credentials.
    pub(crate) fn cached_lasting<T>(
        self: &Arc<Self>,
        ttl: Duration,
        pick: impl FnOnce(&Current) -> T,
    ) -> Result<T, Error> {
        self.source.as_ref().map_err(Clone::clone)?;
        let entry = self.cache.load_full();
        let attainable = entry.current.as_ref().map_or(ttl, |current| current.validity.attainable(ttl));
        let wakes = match schedule::decide(&self.policy, &entry.state(), self.now()) {
            Decision::Serve => self.outlasting(&entry, attainable).is_none() && self.force_refresh(&entry),
            Decision::ServeExpired | Decision::Fail => false,
            Decision::ServeAndWake | Decision::WaitBriefly | Decision::Wait => true,
        };
        if wakes {
            self.wake_if_possible();
        }
        self.usable(pick).ok_or_else(|| self.not_usable())
    }

    /// The current credentials, unless they have expired or were refused.
    fn usable<T>(&self, pick: impl FnOnce(&Current) -> T) -> Option<T> {
        let entry = self.cache.load();
        let is_usable = entry.state().is_usable(self.now());
        entry.current.as_ref().filter(|_| is_usable).map(pick)
    }

    /// Why there are no credentials that can be used.
    pub(crate) fn not_usable(&self) -> Error {
        let entry = self.cache.load();
        match (entry.error(), &entry.current) {
            (Some(error), _) => error.clone(),
            (None, Some(_)) => Problem::NotRefreshedYet.into(),
            (None, None) => no_outcome(),
        }
    }

    /// Requires a refresh of the credentials in `entry`, regardless of the schedule. Returns `false` if a refresh now would
    /// return the same credentials, or if the retry delay after a failure has not ended.
    fn force_refresh(&self, entry: &Entry) -> bool {
        let now = self.now();
        let fetched_at = entry.current.as_ref().map(|current| current.validity.fetched_at);
        let just_fetched = fetched_at.is_some_and(|at| at <= now && clock::since(now, at) < SAME_AGAIN);
        if just_fetched || !entry.state().may_be_called(now) {
            return false;
        }
        // If another refresh has ended since, use its result: one more refresh would return the same credentials.
        self.cache.update(|latest| latest.forced |= latest.refreshes_ended == entry.refreshes_ended);
        true
    }

    /// The current credentials of `entry`, if they are valid for more than `ttl`.
    fn outlasting<'a>(&self, entry: &'a Entry, ttl: Duration) -> Option<&'a Current> {
        entry.current.as_ref().filter(|_| entry.state().is_usable_for(self.now(), ttl))
    }

    fn too_short(&self, entry: &Entry, ttl: Duration) -> Error {
        let cause = entry.error().cloned();
        let problem = Problem::LifetimeTooShort { requested: ttl, expiry: entry.expiry(), cause: cause.clone() };
        match cause {
            Some(cause) => Error::caused_by(problem, cause),
            None => problem.into(),
        }
    }
}
