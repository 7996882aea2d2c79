//! The refresh task. It sleeps until the schedule or a caller wakes it, fetches, publishes the outcome, and sleeps
//! again.
//!
//! Only this task calls the source, so there is at most one request for credentials at a time. A refresh does not
//! belong to a caller, so a cancelled caller does not cancel it.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use crate::clock;
use crate::clock::skew::{self, Skew};
use crate::error::Error;
use crate::error::problem::{Problem, Runtime};
use crate::fetched::Fetched;
use crate::refresh::cache::{Current, Entry, Epoch, FailedRefresh};
use crate::refresh::retry::MIN_GAP;
use crate::refresh::schedule::{self, Decision};
use crate::refresh::shared::Shared;
use crate::refresh::state::{Failure, InProgress, Refusal, Validity};
use crate::refresh::sync::{Instant, sleep, timeout};
use crate::refresh::{Fetch, metrics};

/// The longest sleep before the wall clock is read again. Timers use the monotonic clock and expiry uses the wall
/// clock, and the two move apart when the machine is suspended or the clock is set. With this limit, a clock that jumps
/// to 30 s before the expiry still leaves time for a refresh before the credentials expire, also without any caller.
const RECHECK: Duration = Duration::from_secs(20);

/// Runs the refresh task until it is aborted (when the last provider is dropped), until it is replaced, or until its
/// runtime ends. A panic, for example in a runtime without I/O, becomes an error for the waiting callers, which would
/// otherwise wait forever.
pub(super) async fn drive(shared: Arc<Shared>, epoch: Epoch) {
    let Ok(source) = shared.source.clone() else { return };
    let driver = Driver { shared, epoch, source };
    metrics::describe();
    loop {
        let mut run = pin!(driver.run());
        let panicked = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context))) {
            Ok(poll) => poll.map(|()| false),
            Err(_) => Poll::Ready(true),
        });
        if !panicked.await {
            return;
        }
        driver.fail(Problem::NoRuntime(Runtime::Panicked).into());
        sleep(MIN_GAP).await;
    }
}

pub(super) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) epoch: Epoch,
    pub(super) source: Arc<dyn Fetch>,
}

impl Driver {
    async fn run(&self) {
        let now = self.shared.now();
        self.publish(|entry| entry.take_over(now));
        let mut woken = true;
        let mut reported_expiry = None;
        loop {
            let entry = self.shared.cache.load_full();
            let now = self.shared.now();
            self.report_expiry(&entry, now, &mut reported_expiry);
            let jumped = |current: &Current| {
                let checked = current.checked;
                skew::jump(checked.at, now, checked.timer.elapsed()).is_some()
            };
            if entry.current.as_ref().is_some_and(jumped) {
                self.recheck_expiry(now);
                continue;
            }
            let next = schedule::next_fetch(&entry.state(), now);
            if next.is_some_and(|at| at <= now) || (woken && self.is_wanted(&entry, now)) {
                woken = false;
                if !self.refresh(&entry).await {
                    return;
                }
                continue;
            }
            let expiry = entry.expiry().filter(|&at| at > now);
            let until = [next, expiry].into_iter().flatten().map(|at| clock::since(at, now)).min();
            let pause = until.unwrap_or(RECHECK).min(RECHECK);
            woken = timeout(pause, self.shared.wake.notified()).await.is_ok();
        }
    }

    /// Whether a caller at `now` would need a refresh.
    fn is_wanted(&self, entry: &Entry, now: SystemTime) -> bool {
        use Decision::{ServeAndWake, Wait, WaitBriefly};
        matches!(schedule::decide(&self.shared.policy, &entry.state(), now), ServeAndWake | WaitBriefly | Wait)
    }

    /// Makes one refresh and publishes its outcome. Returns `false` if this task was replaced in the meantime.
    async fn refresh(&self, before: &Entry) -> bool {
        if !self.begin_refresh(self.shared.now()) {
            return false;
        }
        let last_start = self.shared.task().last_start;
        if let Some(last_start) = last_start {
            sleep(MIN_GAP.saturating_sub(last_start.elapsed())).await;
        }
        // Only the first refresh repeats failed attempts by itself. After it, callers get the current credentials or an
        // error, and the schedule determines the next attempt.
        let started = Instant::now();
        let cold = before.current.is_none() && before.failed.is_none();
        let outcome = loop {
            let awake = Awake::begin(&self.shared);
            let outcome = if cold {
                self.fetch_with_retries().await
            } else {
                let longest = self.source.attempt_timeout();
                self.attempt(1, schedule::attempt_limit(&before.state(), self.shared.now(), longest)).await
            };
            if outcome.is_ok() || !awake.was_interrupted(&self.shared) {
                break outcome;
            }
            // The machine was suspended during the attempt, so the failure does not mean that the source is
            // unavailable.
            sleep(MIN_GAP).await;
            if !self.begin_refresh(self.shared.now()) {
                return false;
            }
        };
        metrics::duration(self.source.as_ref(), &outcome, started.elapsed());
        match outcome {
            Ok(fetched) => self.succeed(fetched),
            Err(error) => self.fail(error),
        }
    }

    fn begin_refresh(&self, began: SystemTime) -> bool {
        let deadline = clock::after(began, self.shared.refresh_budget());
        self.shared.task().set_refresh(self.epoch, Some(Instant::now()));
        self.publish(|entry| entry.in_progress = Some(InProgress { began, deadline }))
    }

    /// Handles a jump of the wall clock since the last comparison with the expiry. The comparison may be wrong, so new
    /// credentials are fetched. Until they arrive, a clock that was set back does not extend the current credentials if
    /// the server sent its time. A clock that has moved ahead shortens them, because the machine may have been
    /// suspended.
    fn recheck_expiry(&self, now: SystemTime) {
        self.publish(|entry| {
            (entry.skew, entry.forced) = (None, true);
            if let Some(current) = &mut entry.current {
                current.recheck_expiry(now);
            }
        });
    }

    fn succeed(&self, fetched: Fetched) -> bool {
        let now = self.shared.now();
        let before = self.shared.cache.load_full();
        let expiry = fetched.credentials.expiry();
        let validity = Validity::new(&self.shared.policy, &before.state(), now, expiry, fastrand::f64());
        if before.current.as_ref().is_some_and(|current| current.refusal != Refusal::None && current.is_same(&fetched))
        {
            return self.accept_refused_again(fetched, validity);
        }
        self.report_success(&before, &fetched);
        metrics::refreshed(fetched.source, self.source.role_arn());
        let outcome = |entry: &mut Entry| {
            entry.failed = None;
            entry.refreshes = entry.refreshes.saturating_add(1);
            entry.current = Some(Current::new(fetched, validity, Refusal::None, entry.refreshes));
        };
        self.finish(now, outcome, || ())
    }

    /// Accepts credentials that a service has refused and that the source has returned again. They are served, because
    /// the source has no others and the service may be wrong. The source is called again with growing delays.
    fn accept_refused_again(&self, fetched: Fetched, validity: Validity) -> bool {
        let (now, random) = (self.shared.now(), fastrand::f64());
        let error = Error::from(Problem::RefusedAgain { source: fetched.source });
        let outcome = |entry: &mut Entry| {
            let failure = Failure::returned_again(&entry.state(), &validity, now, error.verdict(), random);
            entry.failed = Some(FailedRefresh { failure, error: error.clone() });
            entry.current = Some(Current::new(fetched, validity, Refusal::ReturnedAgain, entry.refreshes));
        };
        self.finish(now, outcome, || self.report_failure(&error))
    }

    fn fail(&self, error: Error) -> bool {
        let now = self.shared.now();
        let random = fastrand::f64();
        let outcome = |entry: &mut Entry| {
            let failure = Failure::new(&entry.state(), now, error.verdict(), random);
            entry.failed = Some(FailedRefresh { failure, error: error.clone() });
        };
        self.finish(now, outcome, || self.report_failure(&error))
    }

    /// Ends the refresh and wakes the waiting callers. Calls `report` before subscribers see the new status.
    fn finish(&self, now: SystemTime, outcome: impl FnOnce(&mut Entry), report: impl FnOnce()) -> bool {
        let published = self.publish(|entry| {
            outcome(entry);
            entry.in_progress = None;
            entry.forced = false;
            entry.refreshes_ended = entry.refreshes_ended.saturating_add(1);
        });
        report();
        if published {
            self.shared.task().set_refresh(self.epoch, None);
            self.publish_status(now);
        }
        published
    }

    pub(super) fn publish(&self, change: impl FnOnce(&mut Entry)) -> bool {
        self.shared.cache.update_as(self.epoch, change)
    }

    pub(super) fn publish_status(&self, now: SystemTime) {
        let status = self.shared.cache.load().status(now, Some(self.source.as_ref()));
        metrics::status(&status);
        self.shared.changes.send_replace(status);
    }
}

/// Runs when the task ends, also when its runtime ends. Wakes the waiting callers, which then start another task.
impl Drop for Driver {
    fn drop(&mut self) {
        let in_charge = self.publish(|entry| {
            entry.in_progress = None;
            entry.task_ended = true;
        });
        if in_charge {
            self.shared.task().dismiss(self.epoch);
        }
        self.shared.changes.send_modify(|_| {});
    }
}

/// When an attempt began, on the wall clock and on the monotonic clock. Detects a suspension during the attempt.
struct Awake {
    began: SystemTime,
    started: Instant,
}

impl Awake {
    fn begin(shared: &Shared) -> Self {
        Self { began: shared.now(), started: Instant::now() }
    }

    /// Whether the wall clock has moved far ahead of the monotonic clock, which stands still during a suspension.
    fn was_interrupted(&self, shared: &Shared) -> bool {
        let now = shared.now();
        skew::jump(self.began, now, self.started.elapsed()).is_some_and(Skew::is_ahead)
    }
}
