//! The state that providers, their callers and the refresh task share.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::SharedTimeSource;

use crate::clock;
use crate::error::Error;
use crate::refresh::Fetch;
use crate::refresh::cache::{Cache, Entry, Epoch};
use crate::refresh::refusals::Refusals;
use crate::refresh::retry::MIN_GAP;
use crate::refresh::state::Policy;
use crate::refresh::status::{Health, Status};
use crate::refresh::sync::{AbortHandle, Handle, Instant, Mutex, MutexGuard, Notify, OwnRuntime, watch};

#[derive(Debug)]
pub(crate) struct Shared {
    /// The source, or the error that every call returns because no source is configured.
    pub(crate) source: Result<Arc<dyn Fetch>, Error>,
    pub(crate) policy: Policy,
    pub(crate) cache: Cache,
    /// Wakes the refresh task.
    pub(crate) wake: Notify,
    pub(crate) changes: watch::Sender<Status>,
    /// The hosts that have refused credentials.
    pub(crate) refusals: Refusals,
    pub(super) place: Place,
    /// `None` if the clock of the system is read directly.
    time: Option<SharedTimeSource>,
    task: Mutex<Task>,
}

/// Where the refresh task runs.
#[derive(Debug)]
pub(crate) enum Place {
    /// On its own thread.
    Own(OwnRuntime),
    /// On a runtime that the program chose.
    Given(Handle),
    /// On the runtime of the caller that starts the task.
    #[cfg(test)]
    Callers,
}

/// The refresh task, as callers see it.
#[derive(Debug, Default)]
pub(crate) struct Task {
    /// The current task, with its epoch.
    pub(super) running: Option<(Epoch, AbortHandle)>,
    /// When the last attempt began. Kept when a task is replaced, so that the next task also waits for [`MIN_GAP`].
    pub(crate) last_start: Option<Instant>,
    /// When the refresh in progress began. This is monotonic time, which does not change when the wall clock is set or
    /// the machine is suspended.
    pub(super) refresh_began: Option<Instant>,
}

impl Task {
    /// Records that the task of `epoch` has started (`Some`) or ended (`None`) a refresh.
    pub(crate) fn set_refresh(&mut self, epoch: Epoch, began: Option<Instant>) {
        if self.is_run_by(epoch) {
            self.refresh_began = began;
        }
    }

    /// Records that the task of `epoch` ends. The runtime may report a moment later that it is finished, and a caller
    /// that is woken before that must not wait for this task.
    pub(crate) fn dismiss(&mut self, epoch: Epoch) {
        if self.is_run_by(epoch) {
            self.refresh_began = None;
            self.running = None;
        }
    }

    /// Whether `epoch` is the current task. A task that was replaced must not change the state of the next one.
    fn is_run_by(&self, epoch: Epoch) -> bool {
        self.running.as_ref().is_some_and(|(running, _)| *running == epoch)
    }
}

impl Shared {
    pub(crate) fn new(
        source: Result<Arc<dyn Fetch>, Error>,
        policy: Policy,
        time: Option<SharedTimeSource>,
        place: Place,
    ) -> Self {
        let cache = Cache::default();
        let (changes, _) = watch::channel(status(&source, &cache.load(), now(time.as_ref())));
        let (wake, refusals, task) = (Notify::new(), Refusals::default(), Mutex::default());
        Self { source, policy, cache, wake, changes, refusals, place, time, task }
    }

    pub(crate) fn now(&self) -> SystemTime {
        now(self.time.as_ref())
    }

    /// `now` on the clock of STS, as far as it is known, for a signature. AWS refuses signatures whose time is wrong.
    pub(crate) fn on_server_clock(&self, now: SystemTime) -> SystemTime {
        let skew = self.cache.load().skew.filter(|skew| skew.matters());
        skew.map_or(now, |skew| skew.on_server_clock(now))
    }

    /// The longest duration of one refresh, which is a single attempt or all attempts of a cold start.
    pub(crate) fn refresh_budget(&self) -> Duration {
        let attempt = self.source.as_ref().map_or(Duration::ZERO, |source| source.attempt_timeout());
        MIN_GAP.saturating_add(attempt.max(self.policy.startup_timeout))
    }

    pub(crate) fn task(&self) -> MutexGuard<'_, Task> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place of the same kind for the refresh task of another provider.
    pub(crate) fn another_place(&self) -> Place {
        match &self.place {
            Place::Own(_) => Place::Own(OwnRuntime::default()),
            Place::Given(runtime) => Place::Given(runtime.clone()),
            #[cfg(test)]
            Place::Callers => Place::Callers,
        }
    }

    pub(crate) fn status(&self) -> Status {
        status(&self.source, &self.cache.load(), self.now())
    }
}

fn now(time: Option<&SharedTimeSource>) -> SystemTime {
    time.map_or_else(clock::system_now, SharedTimeSource::now)
}

fn status(source: &Result<Arc<dyn Fetch>, Error>, entry: &Entry, now: SystemTime) -> Status {
    match source {
        Ok(source) => entry.status(now, Some(source.as_ref())),
        Err(not_configured) => {
            Status { last_error: Some(not_configured.clone()), health: Health::Failed, ..entry.status(now, None) }
        }
    }
}
