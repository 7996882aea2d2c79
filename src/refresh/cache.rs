//! What every caller reads: one immutable [`Entry`] behind an `ArcSwap`. Readers never lock; writers go through
//! [`Cache::update`], one at a time.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::Guard;
use aws_credential_types::Credentials;
#[cfg(feature = "sdk-config")]
use aws_smithy_runtime_api::client::identity::Identity;

use crate::clock;
use crate::clock::skew::Skew;
use crate::error::Error;
use crate::fetched::Fetched;
use crate::refresh::schedule;
use crate::refresh::schedule::State;
use crate::refresh::status::{Health, Status};
use crate::refresh::sync::{ArcSwap, Instant, Mutex, MutexGuard};
use crate::source_kind::SourceKind;

/// One consistent view of everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) state: State,
    pub(crate) held: Option<Held>,
    /// What [`schedule::serves_until`] says of the state.
    serves_until: Option<SystemTime>,
    /// Why the last attempt failed, if nothing succeeded since.
    pub(crate) error: Option<Error>,
    /// Flights that have ended, well or badly: what a waiting caller waits to see grow.
    pub(crate) flights_ended: u64,
    /// Successful fetches.
    pub(crate) refreshes: u64,
    /// How far this machine's clock was from the server's at the last success that told.
    pub(crate) skew: Option<Skew>,
}

/// When the expiry was last compared with this machine's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) at: SystemTime,
    /// The same moment by the timers' clock, which is never set.
    pub(crate) timer: Instant,
    /// When the credentials expire by the timers' clock. `None`: the server did not say how long they last.
    pub(crate) ends_by: Option<Instant>,
}

impl Judged {
    fn new(fetched: &Fetched, now: SystemTime) -> Self {
        let timer = Instant::now();
        let expiry = fetched.server_time.and(fetched.credentials.expiry());
        Self { at: now, timer, ends_by: expiry.and_then(|expiry| timer.checked_add(clock::since(expiry, now))) }
    }
}

/// Credentials, and what is made of them once instead of for every request.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) credentials: Credentials,
    pub(crate) source: SourceKind,
    pub(crate) judged: Judged,
    #[cfg(feature = "sdk-config")]
    pub(crate) identity: Identity,
    /// Which of the successful fetches brought them, from 1.
    #[cfg(feature = "sdk-config")]
    pub(crate) generation: u64,
}

impl Held {
    #[cfg_attr(not(feature = "sdk-config"), expect(unused_variables, reason = "the identity's generation"))]
    pub(crate) fn new(fetched: Fetched, generation: u64, now: SystemTime) -> Self {
        let judged = Judged::new(&fetched, now);
        let Fetched { credentials, source, .. } = fetched;
        Self {
            #[cfg(feature = "sdk-config")]
            identity: credentials.clone().into(),
            #[cfg(feature = "sdk-config")]
            generation,
            credentials,
            source,
            judged,
        }
    }

    /// Compares the expiry with the wall clock again, after a jump. Returns by how much the expiry has become earlier.
    pub(crate) fn judge_again(&mut self, now: SystemTime) -> Duration {
        let timer = Instant::now();
        (self.judged.at, self.judged.timer) = (now, timer);
        let Some((expiry, ends_by)) = self.credentials.expiry().zip(self.judged.ends_by) else { return Duration::ZERO };
        let ends = clock::after(now, ends_by.saturating_duration_since(timer)).min(expiry);
        *self.credentials.expiry_mut() = Some(ends);
        #[cfg(feature = "sdk-config")]
        {
            self.identity = self.credentials.clone().into();
        }
        clock::since(expiry, ends)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    current: ArcSwap<Entry>,
    /// Serializes writers; holds which driver may write.
    writer: Mutex<Epoch>,
}

/// The number of the driver that is in charge. One that was replaced finds a higher one and writes nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Epoch(u64);

impl Cache {
    /// The hit path: no lock, no allocation.
    pub(crate) fn load(&self) -> Guard<Arc<Entry>> {
        self.current.load()
    }

    /// For keeping across an `.await`.
    pub(crate) fn load_full(&self) -> Arc<Entry> {
        self.current.load_full()
    }

    /// Changes the entry on nobody's behalf in particular: an ask, not a result.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Entry)) {
        let _writer = self.lock();
        self.publish(change);
    }

    /// Changes the entry on behalf of the driver of `epoch`; false if another one is in charge.
    pub(crate) fn update_as(&self, epoch: Epoch, change: impl FnOnce(&mut Entry)) -> bool {
        let writer = self.lock();
        if *writer == epoch {
            self.publish(change);
        }
        *writer == epoch
    }

    /// Puts a new driver in charge.
    pub(crate) fn next_epoch(&self) -> Epoch {
        let mut writer = self.lock();
        writer.0 = writer.0.wrapping_add(1);
        *writer
    }

    fn publish(&self, change: impl FnOnce(&mut Entry)) {
        let mut entry = Entry::clone(&self.current.load());
        change(&mut entry);
        entry.serves_until = schedule::serves_until(&entry.state);
        self.current.store(Arc::new(entry));
    }

    fn lock(&self) -> MutexGuard<'_, Epoch> {
        // The lock guards no invariant that a panic could break: the entry is replaced whole.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Whether a request at `now` is served without a further thought.
    pub(crate) fn serves(&self, now: SystemTime) -> bool {
        self.serves_until.is_some_and(|until| now < until)
    }

    pub(crate) fn status(&self, now: SystemTime, configured: Option<SourceKind>) -> Status {
        let Self { state, held, error, .. } = self;
        let health = match (held.is_some(), state.is_usable(now), error.is_some()) {
            (_, true, false) => Health::Ready,
            (_, true, true) => Health::Degraded,
            (true, false, _) => Health::Expired,
            (false, false, true) => Health::Failed,
            (false, false, false) => Health::Starting,
        };
        Status {
            health,
            source: held.as_ref().map(|held| held.source).or(configured),
            expiry: state.validity.and_then(|validity| validity.expiry),
            fetched_at: state.validity.map(|validity| validity.fetched_at),
            // Before anything was tried the driver waits for somebody to ask.
            next_fetch: schedule::next_fetch(state, now).filter(|_| held.is_some() || error.is_some()),
            last_error: error.clone(),
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
