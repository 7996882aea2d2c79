//! The schedulers, the clock and the provider that the scenarios use.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

use super::super::model::{Clock, TimeScheduler, now, sleep, timeout};
use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::refresh::shared::{Place, Shared};
use crate::refresh::state::Policy;
use crate::refresh::{BoxFuture, Fetch};
use crate::source_kind::SourceKind;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);
/// In this time every interleaving completes its work, and no scheduled refresh begins.
pub(super) const A_WHILE: Duration = Duration::from_mins(1);
/// More timers than it takes to replace the task of an overdue refresh.
const HASTY_TIMERS: usize = 40;

/// The number of interleavings that each scheduler tries.
fn interleavings() -> usize {
    std::env::vars()
        .find(|(name, _)| name == "EKS_CREDENTIALS_INTERLEAVINGS")
        .map_or(20_000, |(_, n)| n.parse().unwrap())
}

fn run(schedule: impl Scheduler + 'static, scenario: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // The future of the refresh task alone takes about ten kilobytes, and formatting its panics needs more.
    config.stack_size = 0x4_0000;
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    Runner::new(schedule, config).run(scenario);
}

fn with_clock(scenario: impl AsyncFn() + Send + Sync + 'static) -> impl Fn() + Send + Sync + 'static {
    move || {
        // For shuttle, the same choices must lead to the same execution.
        fastrand::seed(1);
        Clock::start();
        shuttle::future::block_on(async {
            scenario().await;
            // Lets all tasks complete before shuttle drops them.
            Clock::settle(A_WHILE).await;
        });
    }
}

/// Runs a scenario in patient mode: time advances only when no task can run.
pub(super) fn patiently(scenario: impl AsyncFn() + Copy + Send + Sync + 'static) {
    let n = interleavings();
    run(TimeScheduler::patient(RandomScheduler::new_from_seed(0, n)), with_clock(scenario));
    run(TimeScheduler::patient(PctScheduler::new_from_seed(0, 4, n)), with_clock(scenario));
}

/// Runs a scenario in hasty mode: any task can be delayed for as long as any timer takes.
pub(super) fn hastily(scenario: impl AsyncFn() + Copy + Send + Sync + 'static) {
    let n = interleavings();
    run(TimeScheduler::hasty(RandomScheduler::new_from_seed(0, n), HASTY_TIMERS), with_clock(scenario));
    run(TimeScheduler::hasty(PctScheduler::new_from_seed(0, 4, n), HASTY_TIMERS), with_clock(scenario));
}

/// Runs a scenario in every possible order.
pub(super) fn exhaustively(scenario: fn()) {
    run(DfsScheduler::new(None, false), scenario);
}

/// Lets the other tasks run for a random number of steps.
pub(super) async fn yield_randomly() {
    for _ in 0..thread_rng().gen_range(0..60) {
        shuttle::future::yield_now().await;
    }
}

/// A wall clock that never jumps. The tests of `schedule` cover jumps.
#[derive(Debug)]
struct WallClock;

impl TimeSource for WallClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000) + now()
    }
}

/// The credential source. It returns new credentials after a latency.
#[derive(Debug, Default)]
pub(super) struct Source {
    latency: Mutex<Duration>,
    pub(super) calls: AtomicU64,
    running: AtomicU64,
    most_at_once: AtomicU64,
}

/// Counts an attempt as running until it is dropped.
struct Running<'a>(&'a Source);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

impl Fetch for Source {
    fn kind(&self) -> SourceKind {
        SourceKind::PodIdentity
    }

    fn attempt_timeout(&self) -> Duration {
        10 * SECOND
    }

    fn fetch(&self, limit: Duration) -> BoxFuture<'_, Result<Fetched, Error>> {
        Box::pin(async move {
            let n = self.calls.fetch_add(1, Relaxed);
            self.most_at_once.fetch_max(self.running.fetch_add(1, Relaxed) + 1, Relaxed);
            let _running = Running(self);
            let latency = *self.latency.lock().unwrap();
            // Other tasks can run before a response even if its latency is zero.
            shuttle::future::yield_now().await;
            if timeout(limit, sleep(latency)).await.is_err() {
                return Err(Error::internal(ErrorKind::Timeout, "no response"));
            }
            let expiry = Some(WallClock.now() + HOUR);
            let credentials = Credentials::new(format!("key-{n}"), "secret", None, expiry, "test");
            Ok(Fetched::new(credentials, SourceKind::PodIdentity))
        })
    }
}

/// Closes the shared state when the last reference is dropped, like `EksCredentialsProvider`.
pub(super) struct Provider {
    pub(super) shared: Arc<Shared>,
    pub(super) source: Arc<Source>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Provider {
    pub(super) fn new() -> Arc<Self> {
        Self::with(20 * SECOND)
    }

    pub(super) fn with(startup_timeout: Duration) -> Arc<Self> {
        let policy = Policy { advisory_window: None, startup_timeout, serve_expired: true };
        let source = Arc::new(Source::default());
        let fetch: Arc<dyn Fetch> = source.clone();
        let shared = Arc::new(Shared::new(Ok(fetch), policy, Some(SharedTimeSource::new(WallClock)), Place::Callers));
        Arc::new(Self { shared, source })
    }

    /// Makes one call, which holds a reference to the provider until it ends.
    pub(super) fn call(self: &Arc<Self>) -> impl Future<Output = Result<u64, Error>> + Send + use<> {
        let provider = Arc::clone(self);
        async move { provider.shared.get(|current| number(&current.credentials)).await }
    }

    pub(super) fn invalidate(self: &Arc<Self>, n: u64) -> impl Future<Output = ()> + Send + use<> {
        let provider = Arc::clone(self);
        async move { provider.shared.invalidate(&format!("key-{n}")) }
    }

    pub(super) fn calls(&self) -> u64 {
        self.source.calls.load(Relaxed)
    }

    pub(super) fn most_at_once(&self) -> u64 {
        self.source.most_at_once.load(Relaxed)
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        *self.source.latency.lock().unwrap() = latency;
    }
}

/// The number of the attempt that returned these credentials.
fn number(credentials: &Credentials) -> u64 {
    credentials.access_key_id().trim_start_matches("key-").parse().unwrap()
}

/// The number of the current credentials.
pub(super) fn current(shared: &Shared) -> Option<u64> {
    shared.cache.load().current.as_ref().map(|current| number(&current.credentials))
}
