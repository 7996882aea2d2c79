//! How callers are answered: at once if that is possible, otherwise after the refresh in progress or a new one.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;

use crate::clock;
use crate::error::Error;
use crate::error::problem::Problem;
use crate::refresh::cache::{Current, Entry};
use crate::refresh::metrics;
use crate::refresh::schedule::{self, Decision};
use crate::refresh::shared::Shared;
use crate::refresh::state::Refusal;
use crate::refresh::task::within;

/// A refresh task that has not even begun a requested refresh after this time does not run: its runtime is blocked, or nobody
/// polls it. Then the waiting caller starts another task on its own runtime.
const TASK_GONE: Duration = Duration::from_secs(1);
/// Added to the longest duration of a refresh, before a task that has begun one is replaced.
const REFRESH_GRACE: Duration = Duration::from_secs(2);
/// A source that is called twice within a minute returns the same credentials. It has no longer-lived ones.
const SAME_AGAIN: Duration = Duration::from_secs(60);

impl Shared {
    /// The hit path: what may be served without waking or waiting for anything.
    pub(crate) fn servable(&self) -> Option<Guard<Arc<Entry>>> {
        let entry = self.cache.load();
        let now = self.now();
        let serve = entry.serves(now) || schedule::decide(&self.policy, &entry.state(), now) == Decision::Serve;
        serve.then_some(entry)
    }

    /// The credentials that may be served without waiting, including expired ones in an outage.
    pub(crate) fn cached<T>(&self, pick: impl FnOnce(&Current) -> T) -> Option<T> {
        let entry = self.cache.load();
        let now = self.now();
        let is_served = || match schedule::decide(&self.policy, &entry.state(), now) {
            Decision::Fail | Decision::Wait => false,
            Decision::Serve | Decision::ServeAndWake | Decision::ServeExpired | Decision::WaitBriefly => true,
        };
        let may_serve = entry.serves(now) || is_served();
        entry.current.as_ref().filter(|_| may_serve).map(pick)
    }

    /// The answer to a caller, after waiting if that is necessary.
    pub(crate) async fn get<T>(self: &Arc<Self>, pick: impl Fn(&Current) -> T) -> Result<T, Error> {
        if let Some(current) = self.servable().as_ref().and_then(|entry| entry.current.as_ref()) {
            return Ok(pick(current));
        }
        self.source.as_ref().map_err(Clone::clone)?;
        loop {
            let entry = self.cache.load_full();
            match schedule::decide(&self.policy, &entry.state(), self.now()) {
                Decision::Serve | Decision::ServeExpired => {}
                Decision::ServeAndWake => self.wake_if_possible(),
                Decision::WaitBriefly => {
                    self.wait_briefly(&entry).await;
                    match self.cached(&pick) {
                        Some(credentials) => return Ok(credentials),
                        // They have expired meanwhile, or a permanent error forbids to serve them.
                        None => continue,
                    }
                }
                Decision::Wait => {
                    let refreshed = self.wait_for_refresh(&entry).await?;
                    match self.outcome_of(&refreshed) {
                        Some(outcome) => return outcome.map(pick),
                        None => continue,
                    }
                }
                Decision::Fail => return Err(entry.error().cloned().unwrap_or_else(no_outcome)),
            }
            return entry.current.as_ref().map(&pick).ok_or_else(no_outcome);
        }
    }

    /// What a refresh means for the callers that waited for it, even if the time during which its error is kept has passed.
    /// `None`: it succeeded, but its credentials have expired meanwhile.
    fn outcome_of<'a>(&self, refreshed: &'a Entry) -> Option<Result<&'a Current, Error>> {
        let (state, current) = (refreshed.state(), refreshed.current.as_ref());
        if let Some(current) = current.filter(|_| state.is_usable(self.now())) {
            return Some(Ok(current));
        }
        let error = refreshed.error()?;
        match current {
            Some(current) if self.policy.may_serve_expired(&state) => Some(Ok(current)),
            _ => Some(Err(error.clone())),
        }
    }

    /// Credentials that are valid for `ttl` from now. Fetches new ones if the current ones are not.
    pub(crate) async fn get_valid_for<T>(
        self: &Arc<Self>,
        ttl: Duration,
        pick: impl Fn(&Current) -> T,
    ) -> Result<T, Error> {
        self.get(|_| ()).await?;
        let entry = self.cache.load_full();
        let now = self.now();
        if let Some(current) = self.lasting(&entry, ttl) {
            return Ok(pick(current));
        }
        let fetched_at = entry.current.as_ref().map(|current| current.validity.fetched_at);
        let just_fetched = fetched_at.is_some_and(|at| at <= now && clock::since(now, at) < SAME_AGAIN);
        if just_fetched || !entry.state().may_be_called(now) {
            return Err(self.too_short(&entry, ttl));
        }
        // If a refresh has ended since, it is the answer, and another one would return the same.
        self.cache.update(|latest| latest.forced |= latest.refreshes_ended == entry.refreshes_ended);
        let refreshed = self.wait_for_refresh(&entry).await?;
        self.lasting(&refreshed, ttl).map(pick).ok_or_else(|| self.too_short(&refreshed, ttl))
    }

    fn lasting<'a>(&self, entry: &'a Entry, ttl: Duration) -> Option<&'a Current> {
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

    /// A service has refused the credentials with this access key id: from now on they count as expired. If they had expired
    /// already and are not served, new ones are being fetched, and further refusals in an outage must not shorten the retry
    /// delays.
    pub(crate) fn invalidate(&self, access_key_id: &str) {
        let now = self.now();
        self.cache.update(|entry| {
            let is_served = self.policy.serves(&entry.state(), now);
            let Some(current) = &mut entry.current else { return };
            // After an earlier refusal of the same credentials, other ones have been requested already.
            if current.credentials.access_key_id() != access_key_id || current.refusal != Refusal::None {
                return;
            }
            current.refusal = Refusal::Refused;
            if is_served {
                let expiry = &mut current.validity.expiry;
                *expiry = Some(expiry.map_or(now, |expiry| expiry.min(now)));
                entry.failed = None;
                entry.forced = true;
            }
        });
        self.wake.notify_one();
    }

    /// Whatever the outcome is, there are credentials to serve.
    async fn wait_briefly(self: &Arc<Self>, seen: &Entry) {
        let wait = schedule::brief_wait(&seen.state(), self.now());
        if let Ok(runtime) = self.runtime() {
            let _ = within(&runtime, wait, self.wait_for_refresh(seen)).await;
        }
    }

    /// Waits until a refresh has ended that had not ended when `seen` was read, and returns the entry after it. Cancelling this
    /// cancels nothing: the refresh belongs to the refresh task.
    async fn wait_for_refresh(self: &Arc<Self>, seen: &Entry) -> Result<Arc<Entry>, Error> {
        let runtime = self.runtime()?;
        let _waiting = metrics::Waiting::begin();
        let mut changes = self.changes.subscribe();
        self.wake_task(false)?;
        loop {
            let entry = self.cache.load_full();
            if entry.refreshes_ended != seen.refreshes_ended {
                return Ok(entry);
            }
            match within(&runtime, TASK_GONE, changes.changed()).await {
                // The task may have ended with its runtime.
                Ok(_) => self.wake_task(false)?,
                Err(_) => {
                    let longest = self.refresh_budget().saturating_add(REFRESH_GRACE);
                    let refresh_began = self.task().refresh_began;
                    let overdue = refresh_began.is_none_or(|began| began.elapsed() > longest);
                    self.wake_task(overdue)?;
                }
            }
        }
    }
}

fn no_outcome() -> Error {
    Problem::NoOutcomeYet.into()
}
