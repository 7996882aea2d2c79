//! Simulates one or two weeks of a pod for each seed. The seed decides on callers, outages, clocks and runtimes. The
//! guarantees of the crate are checked at each call.
//!
//! `EKS_CREDENTIALS_SEEDS=50000` runs 50,000 seeds instead of 200. `EKS_CREDENTIALS_SEEDS=20000..50000` runs a range of
//! seeds, so that a long run can be divided. `EKS_CREDENTIALS_SEED=n` repeats one seed. The order in which tokio wakes
//! several waiting tasks is not part of the seed.

mod clocks;
mod events;
mod guarantees;
mod phase;
mod source;
mod world;

use std::ops::{AddAssign, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use aws_smithy_async::time::TimeSource as _;
use fastrand::Rng;
use tokio::time::{Instant, sleep, timeout};

use self::events::EventCounter;
use self::phase::between;
use self::world::World;
use super::bench::{HOUR, secs};
use crate::refresh::state::Refusal;

const DAY: Duration = secs(24 * 3600);

/// What happened in a run. A run in which nothing happened must not pass.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    calls: u64,
    waits: u64,
    errors: u64,
    served_expired: u64,
    /// Calls for credentials with a minimum validity.
    valid_for_calls: u64,
    /// Credentials that a service has refused.
    invalidations: u64,
    attempts: u64,
    faults: u64,
    jumps: u64,
    /// Phases in which the local clock differs from the clock of STS.
    skewed: u64,
    stalls: u64,
    runtimes: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.waits += other.waits;
        self.errors += other.errors;
        self.served_expired += other.served_expired;
        self.valid_for_calls += other.valid_for_calls;
        self.invalidations += other.invalidations;
        self.attempts += other.attempts;
        self.faults += other.faults;
        self.jumps += other.jumps;
        self.skewed += other.skewed;
        self.stalls += other.stalls;
        self.runtimes += other.runtimes;
    }
}

impl World {
    /// Makes one call and checks its result.
    async fn call(&self, rng: &mut Rng, tally: &mut Tally) {
        let shared = self.shared();
        if !std::mem::replace(&mut *self.called.lock().unwrap(), true) {
            // Before this call there was no refresh task on this runtime.
            self.phase.lock().unwrap().steady_since = self.clock.now();
        }
        let (before, phase, now, began) = (shared.cache.load_full(), self.phase(), self.clock.now(), Instant::now());
        let stalled = *self.stalled.lock().unwrap();
        let ttl = (rng.u8(..20) == 0).then(|| between(rng, secs(1), 2 * HOUR));
        let patience = if rng.u8(..10) == 0 { Duration::from_millis(50) } else { HOUR };
        let result = match ttl {
            None => timeout(patience, shared.get(|current| current.credentials.clone())).await,
            Some(ttl) => timeout(patience, shared.get_valid_for(ttl, |current| current.credentials.clone())).await,
        };
        let stalled = *self.stalled.lock().unwrap() - stalled;
        let waited = began.elapsed().saturating_sub(stalled);
        tally.calls += 1;
        tally.valid_for_calls += u64::from(ttl.is_some());
        tally.waits += u64::from(waited > Duration::ZERO);
        if ttl.is_none() {
            self.check_wait(&before, now, phase, began, waited);
        }
        let Ok(result) = result else { return };
        if self.phase().number == phase.number {
            self.check_result(&before, now, phase, &result, ttl, tally);
            self.check_status(&shared);
        }
        tally.errors += u64::from(result.is_err());
        if let (Ok(credentials), 0) = (result, rng.u8(..200)) {
            tally.invalidations += 1;
            // A new phase, because callers that are waiting can no longer get the current credentials.
            self.phase.lock().unwrap().number += 1;
            // If the source has returned them again, they are served although a service has refused them.
            let has_no_others = shared.cache.load().state().refusal == Refusal::ReturnedAgain;
            if !has_no_others {
                self.refused.lock().unwrap().insert(credentials.access_key_id().to_owned());
            }
            shared.invalidate(credentials.access_key_id());
        }
    }

    /// Runs phases on one runtime, with callers at random rates in each phase.
    async fn run(self: Arc<Self>, rng: &mut Rng, tally: &mut Tally, duration: Duration) {
        let began = Instant::now();
        (*self.last_attempt.lock().unwrap(), *self.called.lock().unwrap()) = (None, false);
        while began.elapsed() < duration {
            let (phase_began, attempts) = (Instant::now(), self.attempts.load(Relaxed));
            self.next_phase(rng, tally);
            // The source is still called again because of credentials that were refused in an earlier phase.
            let refused = u64::from(self.shared().cache.load_full().state().refusal != Refusal::None);
            let mut in_phase = self.run_phase(rng, duration.saturating_sub(began.elapsed())).await;
            in_phase.invalidations += refused;
            let attempts = self.attempts.load(Relaxed) - attempts;
            self.check_attempts(self.phase(), phase_began.elapsed(), attempts, &in_phase);
            in_phase.invalidations -= refused;
            *tally += in_phase;
        }
    }

    /// A phase does not outlast its runtime by much, so that a seed takes weeks and not months.
    async fn run_phase(self: &Arc<Self>, rng: &mut Rng, left: Duration) -> Tally {
        let phase = self.phase();
        let longest = match phase.is_healthy() {
            true => (100 * phase.lifetime).min(left),
            false if rng.u8(..16) == 0 => DAY,
            false => HOUR,
        };
        let length = between(rng, secs(5), longest.max(secs(10)));
        let pace = between(rng, Duration::from_millis(10), 6 * HOUR).max(length / 30);
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..rng.u8(1..=3) {
            let (world, mut rng) = (Arc::clone(self), Rng::with_seed(rng.u64(..)));
            callers.spawn(async move {
                let mut tally = Tally::default();
                let began = Instant::now();
                while began.elapsed() < length {
                    sleep(pace.mul_f64(2.0 * rng.f64())).await;
                    world.call(&mut rng, &mut tally).await;
                }
                tally
            });
        }
        let mut all = Tally::default();
        if rng.u8(..16) == 0 {
            let begins = length.mul_f64(rng.f64());
            sleep(begins).await;
            self.stall(between(rng, secs(1), HOUR)).await;
            all.stalls += 1;
            sleep(length - begins).await;
        } else {
            sleep(length).await;
        }
        self.check_ready();
        while let Some(ended) = callers.join_next().await {
            match ended {
                Ok(tally) => all += tally,
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            }
        }
        all
    }
}

fn simulate(seed: u64) -> Tally {
    // The random numbers of the crate itself depend on the seed too.
    fastrand::seed(seed);
    let (mut rng, mut tally) = (Rng::with_seed(seed), Tally::default());
    let events = EventCounter::default();
    let _subscribed = tracing::subscriber::set_default(events.clone());
    let mut left = 7 * rng.u32(1..=2) * DAY;
    let (mut world, mut stopped) = (None, None);
    while left > Duration::ZERO {
        let duration = between(&mut rng, 6 * HOUR, 14 * DAY).min(left);
        left -= duration;
        tally.runtimes += 1;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        stopped = Some(runtime.block_on(async {
            let world = world.get_or_insert_with(|| World::new(seed, &mut rng, events.clone()));
            world.continue_on_new_runtime(stopped);
            Arc::clone(world).run(&mut rng, &mut tally, duration).await;
            (world.clock.of_the_server(), Instant::now())
        }));
    }
    let world = world.unwrap();
    tally.attempts = world.attempts.load(Relaxed);
    // The provider refers to its source, which is the world. This ends the cycle of references.
    world.shared.lock().unwrap().take().unwrap().close();
    tally
}

#[allow(clippy::disallowed_methods, reason = "a setting of the test, not of the crate")]
fn from_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn seeds() -> Range<u64> {
    let seeds = from_env("EKS_CREDENTIALS_SEEDS").unwrap_or_else(|| "200".to_owned());
    let (first, end) = seeds.split_once("..").unwrap_or(("0", &seeds));
    first.parse().unwrap()..end.parse().unwrap()
}

#[test]
fn simulation_keeps_every_guarantee() {
    // With a single subscriber, `tracing` caches whether an event is enabled for the thread that logs it first. That
    // can be a thread of another test, which has no subscriber. With more than one subscriber, it asks the subscriber
    // of each thread.
    let _more_than_one = [EventCounter::default(), EventCounter::default()].map(tracing::Dispatch::new);
    if let Some(seed) = from_env("EKS_CREDENTIALS_SEED") {
        println!("{:?}", simulate(seed.parse().unwrap()));
        return;
    }
    let seeds = seeds();
    let next = AtomicU64::new(seeds.start);
    let share = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= seeds.end {
                return tally;
            }
            tally += simulate(seed);
        }
    };
    let mut total = Tally::default();
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
        handles.into_iter().for_each(|handle| total += handle.join().unwrap());
    });
    let simulations = seeds.end - seeds.start;
    println!("{simulations} simulations: {total:?}");
    assert!(
        total.served_expired > 0
            && total.waits > 0
            && total.jumps > 0
            && total.skewed > 0
            && total.stalls > 0
            && total.runtimes > simulations,
        "{total:?}"
    );
}
