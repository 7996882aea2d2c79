//! How callers get credentials: without waiting if possible, otherwise after the refresh in progress or after a new
//! one.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;

use crate::error::Error;
use crate::error::problem::Problem;
use crate::refresh::cache::{Current, Entry};
use crate::refresh::metrics;
use crate::refresh::schedule::{self, Decision};
use crate::refresh::shared::Shared;
use crate::refresh::state::Refusal;
use crate::refresh::task::within;

/// A refresh task that has not started a requested refresh after this time is not running: its runtime is blocked or is
/// not polled. The waiting caller then starts another task.
const TASK_GONE: Duration = Duration::from_secs(1);
/// Added to the longest duration of a refresh before the task that runs it is replaced.
const REFRESH_GRACE: Duration = Duration::from_secs(2);

impl Shared {
    /// The hit path. Returns the entry if its credentials can be served without waking the task and without waiting.
    pub(crate) fn servable(&self) -> Option<Guard<Arc<Entry>>> {
        let entry = self.cache.load();
        let now = self.now();
        let serve = entry.serves(now) || schedule::decide(&self.policy, &entry.state(), now) == Decision::Serve;
        serve.then_some(entry)
    }

    /// The credentials that can be served without waiting. In an outage these can be expired ones.
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

    /// Returns credentials to a caller. Waits for a refresh if necessary.
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
                        // They have expired during the wait, or a permanent error no longer allows serving them.
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

    /// The result of a refresh for the callers that waited for it. This is also correct if a caller is polled so late
    /// that the retry delay after an error has already ended. `None` if the refresh succeeded but its credentials have
    /// expired since.
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

    /// Marks the credentials with this access key id as refused by a service. They then count as expired. If they have
    /// already expired and are not served, new ones are being fetched, and further refusals in an outage must not
    /// shorten the retry delays.
    pub(crate) fn invalidate(&self, access_key_id: &str) {
        let now = self.now();
        self.cache.update(|entry| {
            let is_served = self.policy.serves(&entry.state(), now);
            let Some(current) = &mut entry.current else { return };
            // After an earlier refusal of the same credentials, a refresh has already been requested.
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

    /// The result is ignored, because the caller falls back to the current credentials.
    async fn wait_briefly(self: &Arc<Self>, seen: &Entry) {
        let wait = schedule::brief_wait(&seen.state(), self.now());
        if let Ok(runtime) = self.runtime() {
            let _ = within(&runtime, wait, self.wait_for_refresh(seen)).await;
        }
    }

    /// Waits for the end of the first refresh that ends after `seen` was read. Returns the entry that this refresh
    /// published, or a later one. Dropping the future does not cancel the refresh, which belongs to the refresh task.
    pub(super) async fn wait_for_refresh(self: &Arc<Self>, seen: &Entry) -> Result<Arc<Entry>, Error> {
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

pub(super) fn no_outcome() -> Error {
    Problem::NoOutcomeYet.into()
}
