//! What every caller reads: one immutable [`Entry`] behind an `ArcSwap`. Readers never lock. Writers go through
//! [`Cache::update`], one at a time.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use arc_swap::Guard;
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::identity::Identity;

use crate::clock;
use crate::clock::skew::Skew;
use crate::error::Error;
use crate::fetched::Fetched;
use crate::refresh::schedule;
use crate::refresh::state::{Failure, InProgress, Refusal, State, Validity};
use crate::refresh::status::{Health, Status};
use crate::refresh::sync::{ArcSwap, Instant, Mutex, MutexGuard};
use crate::source_kind::SourceKind;

/// One consistent view of everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) current: Option<Current>,
    /// The last failed refresh, if none has succeeded since.
    pub(crate) failed: Option<FailedRefresh>,
    /// The running attempt, or the whole series of attempts at a cold start.
    pub(crate) in_progress: Option<InProgress>,
    /// When the last attempt began.
    pub(crate) last_attempt: Option<SystemTime>,
    /// The refresh task has ended with its runtime: the next caller must start another one.
    pub(crate) task_ended: bool,
    /// A caller needs other credentials than the current ones, whatever the times say.
    pub(crate) forced: bool,
    /// Refreshes that have ended, whatever their outcome. A waiting caller waits until this number grows.
    pub(crate) refreshes_ended: u64,
    /// Successful refreshes.
    pub(crate) refreshes: u64,
    /// The difference between this machine's clock and the server's, as of the last success that showed it.
    pub(crate) skew: Option<Skew>,
    /// Derived from the rest by [`schedule::serves_until`].
    serves_until: Option<SystemTime>,
}

/// The current credentials, with what is derived from them once instead of for every request.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    pub(crate) credentials: Credentials,
    pub(crate) source: SourceKind,
    pub(crate) validity: Validity,
    /// Whether a service has refused them.
    pub(crate) refusal: Refusal,
    pub(crate) checked: ExpiryCheck,
    pub(crate) identity: Identity,
    /// The number of the successful refresh that returned them, from 1.
    pub(crate) generation: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct FailedRefresh {
    pub(crate) failure: Failure,
    pub(crate) error: Error,
}

/// When the expiry was last compared with this machine's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpiryCheck {
    pub(crate) at: SystemTime,
    /// The same moment on the timers' clock, which nobody can set.
    pub(crate) timer: Instant,
    /// When the credentials expire on the timers' clock. `None`: the server did not say how long they last.
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

    /// Whether these are the credentials that were fetched.
    pub(crate) fn is_same(&self, fetched: &Fetched) -> bool {
        self.credentials.access_key_id() == fetched.credentials.access_key_id()
    }

    /// Compares the expiry with the wall clock again, after a jump of the clock.
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
    /// Serializes writers. Holds the number of the refresh task that may write.
    writer: Mutex<Epoch>,
}

/// The number of the refresh task that is in charge. A task that was replaced finds a higher number and writes nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(u64);

impl Cache {
    /// The hit path: no lock, no allocation.
    pub(crate) fn load(&self) -> Guard<Arc<Entry>> {
        self.entry.load()
    }

    /// For keeping across an `.await`.
    pub(crate) fn load_full(&self) -> Arc<Entry> {
        self.entry.load_full()
    }

    /// Changes the entry on behalf of a caller.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Entry)) {
        let _writer = self.lock();
        self.publish(change);
    }

    /// Changes the entry on behalf of the refresh task of `epoch`. Returns false if another one is in charge.
    pub(crate) fn update_as(&self, epoch: Epoch, change: impl FnOnce(&mut Entry)) -> bool {
        let writer = self.lock();
        if *writer == epoch {
            self.publish(change);
        }
        *writer == epoch
    }

    /// Puts a new refresh task in charge.
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
        // A panic cannot break an invariant here: the entry is replaced as a whole.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// What decisions depend on.
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

    /// Whether a request at `now` is served without any further decision.
    pub(crate) fn serves(&self, now: SystemTime) -> bool {
        self.serves_until.is_some_and(|until| now < until)
    }

    pub(crate) fn expiry(&self) -> Option<SystemTime> {
        self.current.as_ref().and_then(|current| current.validity.expiry)
    }

    pub(crate) fn error(&self) -> Option<&Error> {
        self.failed.as_ref().map(|failed| &failed.error)
    }

    /// A new refresh task takes over from one that ended or hung. It makes an attempt whatever the retry delay is, because the
    /// state of the source may have changed since.
    pub(crate) fn take_over(&mut self, now: SystemTime) {
        self.in_progress = None;
        if std::mem::take(&mut self.task_ended)
            && let Some(FailedRefresh { failure, .. }) = &mut self.failed
        {
            failure.retry_at = failure.retry_at.min(now);
        }
    }

    pub(crate) fn status(&self, now: SystemTime, configured: Option<SourceKind>) -> Status {
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
            source: current.as_ref().map(|current| current.source).or(configured),
            expiry: self.expiry(),
            fetched_at: current.as_ref().map(|current| current.validity.fetched_at),
            // Before the first attempt the refresh task waits for a caller.
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
    fn a_driver_that_was_replaced_changes_nothing_more() {
        let cache = Cache::default();
        let (old, new) = (cache.next_epoch(), cache.next_epoch());
        assert!(!cache.update_as(old, |entry| entry.refreshes = 1));
        assert_eq!(cache.load().refreshes, 0);
        assert!(cache.update_as(new, |entry| entry.refreshes = 2));
        assert_eq!(cache.load().refreshes, 2);
    }
}
