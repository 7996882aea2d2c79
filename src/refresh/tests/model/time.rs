//! A model of time, which advances from one timer to the next.
//!
//! There are two modes, which find different errors:
//!
//! - *Patient*: time advances only when no task can run. After a lost wake-up, time passes until a timer replaces it, and the
//!   test sees that.
//! - *Hasty*: time can advance at any moment, as if each task could be delayed for as long as any timer takes. This covers
//!   the cases in which a task is replaced because it seems to hang, but is still running.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

/// No test waits for this long unless a task hangs.
const LONGEST_TEST: Duration = Duration::from_hours(12);
/// The task id of the clock, which is the first task that a test spawns.
const CLOCK: usize = 1;

thread_local! {
    /// Shuttle runs all tasks of an execution on one thread. `Clock::start` resets the timers before each execution.
    static TIMERS: RefCell<Timers> = RefCell::default();
}

#[derive(Default)]
struct Timers {
    now: Duration,
    waiting: BTreeMap<(Duration, u64), Waker>,
    next: u64,
    clock: Option<Waker>,
    settling: bool,
}

fn with<T>(access: impl FnOnce(&mut Timers) -> T) -> T {
    TIMERS.with(|timers| access(&mut timers.borrow_mut()))
}

/// How long the test has been running.
pub(crate) fn now() -> Duration {
    with(|timers| timers.now)
}

/// The task that moves time.
pub(crate) struct Clock;

impl Clock {
    /// Must be called first in each execution.
    pub(crate) fn start() {
        with(|timers| *timers = Timers::default());
        drop(shuttle::future::spawn(async {
            assert_eq!(shuttle::current::me(), TaskId::from(CLOCK), "start the clock first");
            loop {
                poll_fn(Self::tick).await;
                shuttle::future::yield_now().await;
            }
        }));
    }

    /// Switches to patient mode for the rest of this execution, and waits. The other tasks complete what they can do in
    /// this time.
    pub(crate) async fn settle(pause: Duration) {
        with(|timers| timers.settling = true);
        sleep(pause).await;
    }

    fn tick(context: &mut Context<'_>) -> Poll<()> {
        let waker = with(|timers| {
            let Some(((at, _), waker)) = timers.waiting.pop_first() else {
                timers.clock = Some(context.waker().clone());
                return None;
            };
            timers.now = timers.now.max(at);
            Some(waker)
        });
        assert!(now() < LONGEST_TEST, "a task hangs");
        match waker {
            Some(waker) => {
                waker.wake();
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    }
}

/// A scheduler in hasty mode for a number of timers, and in patient mode after that.
#[derive(Debug)]
pub(crate) struct TimeScheduler<S> {
    schedule: S,
    hasty: usize,
    left: usize,
}

impl<S> TimeScheduler<S> {
    pub(crate) fn patient(schedule: S) -> Self {
        Self { schedule, hasty: 0, left: 0 }
    }

    pub(crate) fn hasty(schedule: S, timers: usize) -> Self {
        Self { schedule, hasty: timers, left: 0 }
    }
}

impl<S: Scheduler> Scheduler for TimeScheduler<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.left = self.hasty;
        self.schedule.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let clock = TaskId::from(CLOCK);
        let others: Vec<&Task> = runnable.iter().filter(|task| task.id() != clock).copied().collect();
        let patient = self.left == 0 || with(|timers| timers.settling);
        let choice = if patient && !others.is_empty() { &others[..] } else { runnable };
        let next = self.schedule.next_task(choice, current, is_yielding);
        if next == Some(clock) {
            self.left = self.left.saturating_sub(1);
        }
        next
    }

    fn next_u64(&mut self) -> u64 {
        self.schedule.next_u64()
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        now() - self.0
    }

    pub(crate) fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    pub(crate) fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

pub(crate) struct Sleep {
    until: Duration,
    timer: Option<u64>,
}

pub(crate) fn sleep(duration: Duration) -> Sleep {
    Sleep { until: now().saturating_add(duration), timer: None }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        with(|timers| {
            if timers.now >= until {
                return Poll::Ready(());
            }
            let id = *self.timer.get_or_insert(timers.next);
            timers.next = timers.next.max(id + 1);
            timers.waiting.insert((until, id), context.waker().clone());
            if let Some(clock) = timers.clock.take() {
                clock.wake();
            }
            Poll::Pending
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            with(|timers| timers.waiting.remove(&(self.until, timer)));
        }
    }
}

#[derive(Debug)]
pub(crate) struct Elapsed;

/// Like tokio's `timeout`, it polls the task first. A task that is ready when the time ends has succeeded.
pub(crate) fn timeout<T>(
    duration: Duration,
    task: impl Future<Output = T>,
) -> impl Future<Output = Result<T, Elapsed>> {
    let end = sleep(duration);
    async {
        let (mut task, mut end) = (pin!(task), pin!(end));
        poll_fn(|context| match task.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Ok(outcome)),
            Poll::Pending => end.as_mut().poll(context).map(|()| Err(Elapsed)),
        })
        .await
    }
}
