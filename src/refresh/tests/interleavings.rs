//! The real `Shared`, `Cache` and driver under shuttle: in every order of events that its schedulers come upon, nobody
//! hangs, nobody is served twice, and nobody who was replaced or closed writes anything.
//!
//! `RUSTFLAGS='--cfg shuttle' cargo test --lib --target-dir target/shuttle interleavings`. Each scenario runs under two
//! schedulers: random, which is broad, and PCT, which finds every bug that takes three reversals or fewer with a
//! known probability. The schedules are the same each time: `SHUTTLE_RANDOM_SEED=n` takes others,
//! `EKS_CREDENTIALS_INTERLEAVINGS=n` more of them. What is small enough is searched exhaustively. A failure prints its
//! schedule, for [`shuttle::replay`].
//!
//! In patient time (see [`Clock`]) "at once" means that no time passes at all: a wake-up that is lost costs what the
//! timer takes that mends it, and is seen.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

use super::model::{Clock, Runtime, Timekeeper, now, sleep, timeout};
use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::refresh::cache::{Cache, Entry};
use crate::refresh::shared::{Place, Shared};
use crate::refresh::state::{Policy, Refusal};
use crate::refresh::{BoxFuture, Fetch};
use crate::source_kind::SourceKind;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
/// Longer than any interleaving takes to come to rest, shorter than it takes to refresh.
const A_WHILE: Duration = Duration::from_mins(1);
/// As many as a flight takes to be given up, and some.
const HASTY_TIMERS: usize = 40;

/// How many interleavings each scheduler tries.
fn interleavings() -> usize {
    std::env::vars()
        .find(|(name, _)| name == "EKS_CREDENTIALS_INTERLEAVINGS")
        .map_or(20_000, |(_, n)| n.parse().unwrap())
}

fn run(schedule: impl Scheduler + 'static, scenario: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // The driver's future alone is some ten kilobytes, and its panics format.
    config.stack_size = 0x4_0000;
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    Runner::new(schedule, config).run(scenario);
}

fn in_time(scenario: impl AsyncFn() + Send + Sync + 'static) -> impl Fn() + Send + Sync + 'static {
    move || {
        // Shuttle must see the same execution whenever it makes the same choices.
        fastrand::seed(1);
        Clock::start();
        shuttle::future::block_on(async {
            scenario().await;
            // Nobody is torn down by shuttle in the middle of something.
            Clock::rest(A_WHILE).await;
        });
    }
}

/// Time passes only when there is nothing else to do.
fn patiently(scenario: impl AsyncFn() + Copy + Send + Sync + 'static) {
    let n = interleavings();
    run(Timekeeper::patient(RandomScheduler::new_from_seed(0, n)), in_time(scenario));
    run(Timekeeper::patient(PctScheduler::new_from_seed(0, 4, n)), in_time(scenario));
}

/// Any task may be held up for as long as any timer takes.
fn hastily(scenario: impl AsyncFn() + Copy + Send + Sync + 'static) {
    let n = interleavings();
    run(Timekeeper::hasty(RandomScheduler::new_from_seed(0, n), HASTY_TIMERS), in_time(scenario));
    run(Timekeeper::hasty(PctScheduler::new_from_seed(0, 4, n), HASTY_TIMERS), in_time(scenario));
}

fn exhaustively(scenario: fn()) {
    run(DfsScheduler::new(None, false), scenario);
}

/// Lets the others do more or less of what they are about.
async fn dawdle() {
    for _ in 0..thread_rng().gen_range(0..60) {
        shuttle::future::yield_now().await;
    }
}

/// Wall time that never jumps: what jumps do is a matter of `schedule`.
#[derive(Debug)]
struct Wall;

impl TimeSource for Wall {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000) + now()
    }
}

#[derive(Debug, Default)]
struct Upstream {
    latency: Mutex<Duration>,
    calls: AtomicU64,
    running: AtomicU64,
    most_at_once: AtomicU64,
}

struct Running<'a>(&'a Upstream);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

impl Fetch for Upstream {
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
            // Also an answer that takes no time lets others run before it.
            shuttle::future::yield_now().await;
            if timeout(limit, sleep(latency)).await.is_err() {
                return Err(Error::internal(ErrorKind::Timeout, "no answer"));
            }
            let expiry = Some(Wall.now() + HOUR);
            let credentials = Credentials::new(format!("key-{n}"), "secret", None, expiry, "test");
            Ok(Fetched::new(credentials, SourceKind::PodIdentity))
        })
    }
}

/// As the provider: the last one closes.
struct Provider {
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Provider {
    fn new() -> Arc<Self> {
        Self::with(20 * SECOND)
    }

    fn with(startup_timeout: Duration) -> Arc<Self> {
        let policy = Policy { advisory_window: None, startup_timeout, serve_expired: true };
        let upstream = Arc::new(Upstream::default());
        let source: Arc<dyn Fetch> = upstream.clone();
        let shared = Arc::new(Shared::new(Ok(source), policy, Some(SharedTimeSource::new(Wall)), Place::Callers));
        Arc::new(Self { shared, upstream })
    }

    /// One caller, who holds the provider for as long as he asks.
    fn ask(self: &Arc<Self>) -> impl Future<Output = Result<u64, Error>> + Send + use<> {
        let provider = Arc::clone(self);
        async move { provider.shared.get(|held| number(&held.credentials)).await }
    }

    fn invalidate(self: &Arc<Self>, n: u64) -> impl Future<Output = ()> + Send + use<> {
        let provider = Arc::clone(self);
        async move { provider.shared.invalidate(&format!("key-{n}")) }
    }

    fn calls(&self) -> u64 {
        self.upstream.calls.load(Relaxed)
    }

    fn most_at_once(&self) -> u64 {
        self.upstream.most_at_once.load(Relaxed)
    }

    fn set_latency(&self, latency: Duration) {
        *self.upstream.latency.lock().unwrap() = latency;
    }
}

/// Which call brought these credentials.
fn number(credentials: &Credentials) -> u64 {
    credentials.access_key_id().trim_start_matches("key-").parse().unwrap()
}

fn held(shared: &Shared) -> Option<u64> {
    shared.cache.load().current.as_ref().map(|held| number(&held.credentials))
}

#[test]
fn cold_callers_of_two_runtimes_are_served_at_once_by_one_call() {
    patiently(async || {
        let (provider, first, second) = (Provider::new(), Runtime::new(), Runtime::new());
        let callers = [first.spawn(provider.ask()), first.spawn(provider.ask()), second.spawn(provider.ask())];
        for caller in callers {
            assert_eq!(caller.await.unwrap().unwrap(), 0);
        }
        assert_eq!((provider.calls(), now()), (1, Duration::ZERO));
    });
}

#[test]
fn a_caller_cancelled_at_any_moment_takes_no_wake_up_along() {
    patiently(async || {
        let (provider, runtime) = (Provider::new(), Runtime::new());
        let leader = runtime.spawn(provider.ask());
        let followers = [runtime.spawn(provider.ask()), runtime.spawn(provider.ask())];
        dawdle().await;
        leader.abort();
        for follower in followers {
            assert_eq!(follower.await.unwrap().unwrap(), 0);
        }
        assert_eq!((provider.calls(), now()), (1, Duration::ZERO));
    });
}

#[test]
fn callers_cancelled_all_at_once_leave_their_flight_to_the_next() {
    patiently(async || {
        let (provider, runtime) = (Provider::new(), Runtime::new());
        let cancelled = [runtime.spawn(provider.ask()), runtime.spawn(provider.ask())];
        dawdle().await;
        cancelled.iter().for_each(|caller| caller.abort());
        assert_eq!(runtime.spawn(provider.ask()).await.unwrap().unwrap(), 0);
        assert_eq!((provider.calls(), now()), (1, Duration::ZERO));
    });
}

/// Longer than the gap between two attempts, so that nothing but the goodbye of the driver says when to go on.
#[test]
fn a_runtime_that_ends_in_a_fetch_hands_it_over_at_once() {
    patiently(async || {
        let (provider, first, second) = (Provider::new(), Runtime::new(), Runtime::new());
        provider.set_latency(HOUR);
        drop(first.spawn(provider.ask()));
        sleep(SECOND / 2).await;
        let waiting = [second.spawn(provider.ask()), second.spawn(provider.ask())];
        // Between two looks of those who wait.
        sleep(5 * SECOND + SECOND / 4).await;
        provider.set_latency(Duration::ZERO);
        drop(first);
        for caller in waiting {
            assert_eq!(caller.await.unwrap().unwrap(), 1);
        }
        assert_eq!((provider.calls(), now()), (2, 5 * SECOND + 3 * SECOND / 4));
        assert_eq!(provider.most_at_once(), 1);
    });
}

/// A driver that was never polled says no goodbye: then it is missed within a second, and the gap may come on top.
#[test]
fn a_runtime_that_ends_at_any_moment_strands_nobody() {
    patiently(async || {
        let (provider, first, second) = (Provider::new(), Runtime::new(), Runtime::new());
        drop(first.spawn(provider.ask()));
        let waiting = [second.spawn(provider.ask()), second.spawn(provider.ask())];
        dawdle().await;
        drop(first);
        for caller in waiting {
            caller.await.unwrap().unwrap();
        }
        assert!(now() <= 2 * SECOND, "{:?}", now());
        assert!(provider.calls() <= 2, "{} calls", provider.calls());
        assert_eq!(provider.most_at_once(), 1);
    });
}

#[test]
fn callers_who_find_the_driver_gone_at_once_start_one_between_them() {
    patiently(async || {
        let (provider, first) = (Provider::new(), Runtime::new());
        assert_eq!(first.spawn(provider.ask()).await.unwrap().unwrap(), 0);
        drop(first);
        sleep(2 * HOUR).await;
        let (second, third) = (Runtime::new(), Runtime::new());
        let callers = [second.spawn(provider.ask()), third.spawn(provider.ask()), third.spawn(provider.ask())];
        for caller in callers {
            assert_eq!(caller.await.unwrap().unwrap(), 1);
        }
        assert_eq!((provider.calls(), now()), (2, 2 * HOUR));
    });
}

/// Once as it looks at the clock by itself, and once between two looks.
#[test]
fn a_driver_at_rest_is_woken_at_once() {
    patiently(async || {
        let (provider, runtime) = (Provider::new(), Runtime::new());
        assert_eq!(runtime.spawn(provider.ask()).await.unwrap().unwrap(), 0);
        let mut elapsed = Duration::ZERO;
        for (n, pause) in [(1, 120 * SECOND), (2, 70 * SECOND)] {
            sleep(pause).await;
            elapsed += pause;
            // Nothing lasts so long: each forces a flight, and both are refused what it brings.
            let both = [(); 2].map(|()| {
                let provider = Arc::clone(&provider);
                runtime.spawn(async move { provider.shared.get_valid_for(2 * HOUR, |_| ()).await })
            });
            for caller in both {
                assert_eq!(caller.await.unwrap().unwrap_err().kind(), ErrorKind::LifetimeTooShort);
            }
            assert_eq!((held(&provider.shared), now()), (Some(n), elapsed));
        }
    });
}

#[test]
fn what_was_refused_is_served_to_nobody_who_asks_later_whatever_lands_meanwhile() {
    patiently(async || {
        let (provider, runtime) = (Provider::new(), Runtime::new());
        assert_eq!(runtime.spawn(provider.ask()).await.unwrap().unwrap(), 0);
        sleep(2 * A_WHILE).await;
        // Nothing lasts so long: it forces a flight, and is refused what it brings.
        let longer = Arc::clone(&provider);
        let forcing = runtime.spawn(async move { longer.shared.get_valid_for(2 * HOUR, |_| ()).await });
        let (refusing, asking) = (provider.invalidate(0), provider.ask());
        let refused = runtime.spawn(async move {
            refusing.await;
            asking.await
        });
        let third = runtime.spawn(provider.ask());
        let renewed = refused.await.unwrap().unwrap();
        assert_ne!(renewed, 0, "a service has refused them");
        third.await.unwrap().unwrap();
        assert_eq!(forcing.await.unwrap().unwrap_err().kind(), ErrorKind::LifetimeTooShort);
        // A refusal of those from before touches those that came.
        runtime.spawn(provider.invalidate(0)).await.unwrap();
        let newest = runtime.spawn(provider.ask()).await.unwrap().unwrap();
        assert!(newest >= renewed);
        assert_eq!(now(), 2 * A_WHILE);
        Clock::rest(A_WHILE).await;
        // Who refuses the old ones as the new land does not refuse those, and who forces a flight as one lands has it.
        assert_eq!((provider.calls(), provider.most_at_once()), (2, 1));
        let entry = provider.shared.cache.load_full();
        assert!(
            entry.state().in_progress.is_none() && !entry.state().forced && entry.state().refusal == Refusal::None,
            "{entry:?}"
        );
    });
}

/// The last provider goes with a cancelled caller or by itself, and finds the driver anywhere.
#[test]
fn the_last_provider_leaves_nothing_behind_whatever_the_driver_is_about() {
    patiently(async || {
        let (provider, runtime) = (Provider::new(), Runtime::new());
        let (shared, upstream) = (Arc::clone(&provider.shared), Arc::clone(&provider.upstream));
        let callers = [runtime.spawn(provider.ask()), runtime.spawn(provider.ask())];
        drop(provider);
        dawdle().await;
        callers.iter().for_each(|caller| caller.abort());
        // Sooner than a driver that was not ended would find out.
        Clock::rest(SECOND).await;
        assert_eq!(held(&shared), None, "a secret that nobody will wipe");
        assert_eq!(Arc::strong_count(&shared), 1, "the driver lives on");
        assert_eq!(Arc::strong_count(&upstream), 2);
        assert!(upstream.calls.load(Relaxed) <= 1);
    });
}

/// Callers give drivers up that are alive, at any of their steps, and others end with their runtime.
#[test]
fn a_driver_that_was_replaced_publishes_nothing_more() {
    hastily(async || {
        let provider = Provider::with(Duration::ZERO);
        let (first, second) = (Runtime::new(), Runtime::new());
        let callers = [first.spawn(provider.ask()), second.spawn(provider.ask())];
        let reader = {
            let shared = Arc::clone(&provider.shared);
            second.spawn(async move {
                let mut newest = None;
                for _ in 0..40 {
                    let now = held(&shared);
                    assert!(now >= newest, "{now:?} after {newest:?}");
                    newest = now;
                    shuttle::future::yield_now().await;
                }
                newest
            })
        };
        for caller in callers {
            // In so much haste also the time limit of an attempt may be over before it began.
            if let Err(error) = caller.await.unwrap() {
                assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            }
        }
        let newest = reader.await.unwrap();
        Clock::rest(A_WHILE).await;
        assert!(held(&provider.shared) >= newest);
        drop(first);
        let last = second.spawn(provider.ask()).await.unwrap();
        assert!(last.is_ok_and(|last| Some(last) >= newest));
        let shared = Arc::clone(&provider.shared);
        drop(provider);
        Clock::rest(A_WHILE).await;
        assert_eq!((held(&shared), Arc::strong_count(&shared)), (None, 1));
    });
}

#[test]
fn no_change_of_the_cache_is_lost_or_seen_by_halves_in_any_order() {
    exhaustively(|| {
        let cache = Arc::new(Cache::default());
        let add = |cache: &Cache| {
            cache.update(|entry| {
                entry.refreshes_ended += 1;
                entry.refreshes += 1;
            });
        };
        let writer = shuttle::thread::spawn({
            let cache = Arc::clone(&cache);
            move || add(&cache)
        });
        let reader = shuttle::thread::spawn({
            let cache = Arc::clone(&cache);
            move || {
                let entry = cache.load_full();
                assert_eq!(entry.refreshes_ended, entry.refreshes);
            }
        });
        add(&cache);
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!((cache.load().refreshes_ended, cache.load().refreshes), (2, 2));
    });
}

#[test]
fn the_cache_takes_nothing_from_a_driver_that_was_replaced_or_closed_in_any_order() {
    exhaustively(|| {
        let cache = Arc::new(Cache::default());
        let epoch = cache.next_epoch();
        let replaced = shuttle::thread::spawn({
            let cache = Arc::clone(&cache);
            move || cache.update_as(epoch, |entry| entry.refreshes = 1)
        });
        // As `close` does.
        let next = cache.next_epoch();
        cache.update(|entry| *entry = Entry::default());
        assert_eq!(cache.load().refreshes, 0);
        assert!(cache.update_as(next, |entry| entry.refreshes = 2));
        replaced.join().unwrap();
        assert_eq!(cache.load().refreshes, 2);
    });
}
