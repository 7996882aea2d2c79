//! The cache that every caller reads: one immutable [`Entry`] in an `ArcSwap`. Readers take no lock. Writers replace
//! the entry with [`Cache::update`], one at a time.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use arc_swap::Guard;
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::identity::Identity;

use crate::clock;
use crate::clock::skew::Skew;
use crate::error::Error;
use crate::fetched::Fetched;
use crate::refresh::state::{Failure, InProgress, Refusal, State, Validity};
use crate::refresh::status::{Health, Status};
use crate::refresh::sync::{ArcSwap, Instant, Mutex, MutexGuard};
use crate::refresh::{Fetch, schedule};
use crate::source_kind::SourceKind;

/// A consistent snapshot of the credentials and of the state of the refresh task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) current: Option<Current>,
    /// The last failed refresh, if no refresh has succeeded since.
    pub(crate) failed: Option<FailedRefresh>,
    /// The refresh in progress: one attempt, or all attempts of a cold start.
    pub(crate) in_progress: Option<InProgress>,
    /// When the last attempt began.
    pub(crate) last_attempt: Option<SystemTime>,
    /// The refresh task has ended, for example with its runtime. The next caller must start another one.
    pub(crate) task_ended: bool,
    /// A refresh is required regardless of the schedule: after a refusal, after a jump of the clock, or for a caller that
    /// needs a longer validity.
    pub(crate) forced: bool,
    /// The number of refreshes that have ended, successful or not. A waiting caller waits until it changes.
    pub(crate) refreshes_ended: u64,
    /// The number of successful refreshes.
    pub(crate) refreshes: u64,
    /// The difference between the local clock and the clock of the server, from the last response that showed it.
    pub(crate) skew: Option<Skew>,
    /// Computed from the other fields by [`schedule::serves_until`].
    serves_until: Option<SystemTime>,
}

/// The current credentials, with values that are computed once and not for every request.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) credentials: Credentials,
    pub(crate) source: SourceKind,
    pub(crate) validity: Validity,
    /// Whether a service has refused these credentials.
    pub(crate) refusal: Refusal,
    pub(crate) checked: ExpiryCheck,
    pub(crate) identity: Identity,
    /// The number of the successful refresh that returned these credentials. The first one is 1.
    pub(crate) generation: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct FailedRefresh {
    pub(crate) failure: Failure,
    pub(crate) error: Error,
}

/// The last comparison of the expiry with the local wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpiryCheck {
    pub(crate) at: SystemTime,
    /// The same moment on the monotonic clock, which cannot be set.
    pub(crate) timer: Instant,
    /// When the credentials expire, on the monotonic clock. `None` if the server did not send its time.
    pub(crate) ends_by: Option<Instant>,
}

impl ExpiryCheck {
    fn new(fetched: &Fetched, now: SystemTime) -> Self {
        let timer = Instant::now();
        let expiry = fetched.server_time.and(fetched.credentials.expiry());
        Self { at: now, timer, ends_by: expiry.and_then(|expiry| timer.checked_add(clock::since(expiry, now))) }
    }
}

impl Current {
    pub(crate) fn new(fetched: Fetched, validity: Validity, refusal: Refusal, generation: u64) -> Self {
        let checked = ExpiryCheck::new(&fetched, validity.fetched_at);
        let Fetched { credentials, source, .. } = fetched;
        Self { identity: credentials.clone().into(), generation, credentials, source, validity, refusal, checked }
    }

    /// Whether `fetched` contains these same credentials.
    pub(crate) fn is_same(&self, fetched: &Fetched) -> bool {
        self.credentials.access_key_id() == fetched.credentials.access_key_id()
    }

    /// Compares the expiry with the wall clock again after the clock has jumped.
    pub(crate) fn recheck_expiry(&mut self, now: SystemTime) {
        let timer = Instant::now();
        (self.checked.at, self.checked.timer) = (now, timer);
        let Some((expiry, ends_by)) = self.credentials.expiry().zip(self.checked.ends_by) else { return };
        let ends = clock::after(now, ends_by.saturating_duration_since(timer)).min(expiry);
        *self.credentials.expiry_mut() = Some(ends);
        self.identity = self.credentials.clone().into();
        self.validity = self.validity.earlier(clock::since(expiry, ends));
    }
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    entry: ArcSwap<Entry>,
    /// Serializes writers. Contains the epoch of the refresh task that may write.
    writer: Mutex<Epoch>,
}

/// The number of a refresh task. Only the task with the latest number may write: the cache rejects the changes of a
/// task that was replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(u64);

impl Cache {
    /// The hit path: it takes no lock and allocates no memory.
    pub(crate) fn load(&self) -> Guard<Arc<Entry>> {
        self.entry.load()
    }

    /// Use this instead of [`load`](Self::load) for an entry that is kept across an `.await`.
    pub(crate) fn load_full(&self) -> Arc<Entry> {
        self.entry.load_full()
    }

    /// Changes the entry for a caller.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Entry)) {
        let _writer = self.lock();
        self.publish(change);
    }

    /// Changes the entry for the refresh task of `epoch`. Returns `false`, and changes nothing, if that task was
    /// replaced.
    pub(crate) fn update_as(&self, epoch: Epoch, change: impl FnOnce(&mut Entry)) -> bool {
        let writer = self.lock();
        if *writer == epoch {
            self.publish(change);
        }
        *writer == epoch
    }

    /// Returns the epoch for a new refresh task. From then on the cache rejects changes by earlier tasks.
    pub(crate) fn next_epoch(&self) -> Epoch {
        let mut writer = self.lock();
        writer.0 = writer.0.wrapping_add(1);
        *writer
    }

    fn publish(&self, change: impl FnOnce(&mut Entry)) {
        let mut entry = Entry::clone(&self.entry.load());
        change(&mut entry);
        entry.serves_until = schedule::serves_until(&entry.state());
        self.entry.store(Arc::new(entry));
    }

    fn lock(&self) -> MutexGuard<'_, Epoch> {
        // A poisoned lock is harmless, because the entry is replaced as a whole.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The state on which [`schedule`] bases its decisions.
    pub(crate) fn state(&self) -> State {
        let current = self.current.as_ref();
        State {
            validity: current.map(|current| current.validity),
            refusal: current.map_or(Refusal::None, |current| current.refusal),
            failure: self.failed.as_ref().map(|failed| failed.failure),
            in_progress: self.in_progress,
            last_attempt: self.last_attempt,
            task_ended: self.task_ended,
            forced: self.forced,
        }
    }

    /// Whether a request at `now` can be served without calling [`schedule::decide`].
    pub(crate) fn serves(&self, now: SystemTime) -> bool {
        self.serves_until.is_some_and(|until| now < until)
    }

    pub(crate) fn expiry(&self) -> Option<SystemTime> {
        self.current.as_ref().and_then(|current| current.validity.expiry)
    }

    pub(crate) fn error(&self) -> Option<&Error> {
        self.failed.as_ref().map(|failed| &failed.error)
    }

    /// Prepares the entry for a new refresh task. If the previous task has ended, the new one makes an attempt
    /// without waiting for the end of the retry delay, because the source may have recovered since.
    pub(crate) fn take_over(&mut self, now: SystemTime) {
        self.in_progress = None;
        if std::mem::take(&mut self.task_ended)
            && let Some(FailedRefresh { failure, .. }) = &mut self.failed
        {
            failure.retry_at = failure.retry_at.min(now);
        }
    }

    pub(crate) fn status(&self, now: SystemTime, configured: Option<&dyn Fetch>) -> Status {
        let Self { current, failed, .. } = self;
        let state = self.state();
        let health = match (current.is_some(), state.is_usable(now), failed.is_some()) {
            (_, true, false) => Health::Ready,
            (_, true, true) => Health::Degraded,
            (true, false, _) => Health::Expired,
            (false, false, true) => Health::Failed,
            (false, false, false) => Health::Starting,
        };
        Status {
            health,
            source: current.as_ref().map(|current| current.source).or(configured.map(Fetch::kind)),
            assumed_role: configured.and_then(Fetch::role_arn).map(str::to_owned),
            expiry: self.expiry(),
            fetched_at: current.as_ref().map(|current| current.validity.fetched_at),
            // No fetch is scheduled before the first refresh has ended.
            next_fetch: schedule::next_fetch(&state, now).filter(|_| current.is_some() || failed.is_some()),
            last_error: self.error().cloned(),
            consecutive_failures: state.failure.map_or(0, |failure| failure.consecutive),
            refreshes: self.refreshes,
            clock_skew_seconds: self.skew.map(Skew::seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_rejects_updates_of_a_replaced_task() {
        let cache = Cache::default();
        let (old, new) = (cache.next_epoch(), cache.next_epoch());
        assert!(!cache.update_as(old, |entry| entry.refreshes = 1));
        assert_eq!(cache.load().refreshes, 0);
        assert!(cache.update_as(new, |entry| entry.refreshes = 2));
        assert_eq!(cache.load().refreshes, 2);
    }
}
