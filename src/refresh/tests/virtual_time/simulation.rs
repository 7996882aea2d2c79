//! Weeks of a pod's life in a fraction of a second, thousands of times: callers, outages, clocks and runtimes as a seed
//! has them, and at every ask the promises of the crate.
//!
//! `EKS_CREDENTIALS_SEEDS=50000` runs so many instead of a few hundred, and `EKS_CREDENTIALS_SEEDS=20000..50000` those from
//! one to before another, so that a long run can be made in parts; `EKS_CREDENTIALS_SEED=n` replays one
//! (but for the order in which tokio wakes several who wait for the same, which is its own secret).

mod clocks;
mod events;
mod promises;
mod world;

use std::ops::{AddAssign, Range};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;

use fastrand::Rng;

use self::events::Told;
use self::world::{World, between};
use super::*;
use crate::refresh::state::Refusal;

const DAY: Duration = secs(24 * 3600);

/// What a run has seen, so that nobody is reassured by one in which nothing happened.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    asks: u64,
    waits: u64,
    errors: u64,
    served_expired: u64,
    /// Asks for credentials that last.
    demands: u64,
    /// Credentials that a service has refused.
    rejections: u64,
    attempts: u64,
    faults: u64,
    jumps: u64,
    /// Phases in which the machine's clock differs from that of STS.
    skewed: u64,
    /// Stalls.
    stuck: u64,
    runtimes: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.asks += other.asks;
        self.waits += other.waits;
        self.errors += other.errors;
        self.served_expired += other.served_expired;
        self.demands += other.demands;
        self.rejections += other.rejections;
        self.attempts += other.attempts;
        self.faults += other.faults;
        self.jumps += other.jumps;
        self.skewed += other.skewed;
        self.stuck += other.stuck;
        self.runtimes += other.runtimes;
    }
}

impl World {
    /// One ask, and everything that it must not find.
    async fn ask(&self, rng: &mut Rng, tally: &mut Tally) {
        let shared = self.shared();
        if !std::mem::replace(&mut *self.asked.lock().unwrap(), true) {
            // Until now nobody has started a driver on this runtime.
            self.phase.lock().unwrap().steady_since = self.clock.now();
        }
        let (before, phase, now, asked) = (shared.cache.load_full(), self.phase(), self.clock.now(), Instant::now());
        let stuck = *self.stuck.lock().unwrap();
        let ttl = (rng.u8(..20) == 0).then(|| between(rng, secs(1), 2 * HOUR));
        let patience = if rng.u8(..10) == 0 { Duration::from_millis(50) } else { HOUR };
        let answer = match ttl {
            None => timeout(patience, shared.get(|held| held.credentials.clone())).await,
            Some(ttl) => timeout(patience, shared.get_valid_for(ttl, |held| held.credentials.clone())).await,
        };
        let stuck = *self.stuck.lock().unwrap() - stuck;
        let waited = asked.elapsed().saturating_sub(stuck);
        tally.asks += 1;
        tally.demands += u64::from(ttl.is_some());
        tally.waits += u64::from(waited > Duration::ZERO);
        if ttl.is_none() {
            self.check_wait(&before, now, phase, asked, waited);
        }
        let Ok(answer) = answer else { return };
        if self.phase().number == phase.number {
            self.check_answer(&before, now, phase, &answer, ttl, tally);
            self.check_status(&shared);
        }
        tally.errors += u64::from(answer.is_err());
        if let (Ok(credentials), 0) = (answer, rng.u8(..200)) {
            tally.rejections += 1;
            // For who waits meanwhile with these at hand it is another world: nothing is at hand any more.
            self.phase.lock().unwrap().number += 1;
            // If the source has returned them again, they are served although a service has refused them.
            let has_no_others = shared.cache.load().state().refusal == Refusal::ReturnedAgain;
            if !has_no_others {
                self.refused.lock().unwrap().insert(credentials.access_key_id().to_owned());
            }
            shared.invalidate(credentials.access_key_id());
        }
    }

    /// One runtime's life: phases, and callers at random rates in each.
    async fn live(self: Arc<Self>, rng: &mut Rng, tally: &mut Tally, until: Duration) {
        let began = Instant::now();
        (*self.last_call.lock().unwrap(), *self.asked.lock().unwrap()) = (None, false);
        while began.elapsed() < until {
            let (turned, calls) = (Instant::now(), self.calls.load(Relaxed));
            self.turn(rng, tally);
            // Credentials that were rejected in an earlier phase are still requested again.
            let refused = u64::from(self.shared().cache.load_full().state().refusal != Refusal::None);
            let mut theirs = self.pass_phase(rng, until.saturating_sub(began.elapsed())).await;
            theirs.rejections += refused;
            self.check_attempts(self.phase(), turned.elapsed(), self.calls.load(Relaxed) - calls, &theirs);
            theirs.rejections -= refused;
            *tally += theirs;
        }
    }

    /// No longer than what is left of the runtime's life, or a seed would have months instead of its weeks.
    async fn pass_phase(self: &Arc<Self>, rng: &mut Rng, left: Duration) -> Tally {
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
                    world.ask(&mut rng, &mut tally).await;
                }
                tally
            });
        }
        let mut all = Tally::default();
        if rng.u8(..16) == 0 {
            let begins = length.mul_f64(rng.f64());
            sleep(begins).await;
            self.is_stuck(between(rng, secs(1), HOUR)).await;
            all.stuck += 1;
            sleep(length - begins).await;
        } else {
            sleep(length).await;
        }
        self.check_ready();
        while let Some(done) = callers.join_next().await {
            match done {
                Ok(theirs) => all += theirs,
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            }
        }
        all
    }
}

fn simulate(seed: u64) -> Tally {
    // What the crate itself draws is the seed's too.
    fastrand::seed(seed);
    let (mut rng, mut tally) = (Rng::with_seed(seed), Tally::default());
    let told = Told::default();
    let _told = tracing::subscriber::set_default(told.clone());
    let mut left = 7 * rng.u32(1..=2) * DAY;
    let (mut world, mut stopped) = (None, None);
    while left > Duration::ZERO {
        let life = between(&mut rng, 6 * HOUR, 14 * DAY).min(left);
        left -= life;
        tally.runtimes += 1;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        stopped = Some(runtime.block_on(async {
            let world = world.get_or_insert_with(|| World::new(seed, &mut rng, told.clone()));
            world.go_on(stopped);
            Arc::clone(world).live(&mut rng, &mut tally, life).await;
            (world.clock.of_the_server(), Instant::now())
        }));
    }
    let world = world.unwrap();
    tally.attempts = world.calls.load(Relaxed);
    // The world is its own source: this breaks the circle.
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
fn no_promise_is_broken_in_any_life() {
    // With one subscriber alone, whether an event is wanted is decided by the thread that comes to it first, and kept: that
    // may be one of another test, which has none.
    let _more_than_one = [Told::default(), Told::default()].map(tracing::Dispatch::new);
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
    let lives = seeds.end - seeds.start;
    println!("{lives} lives: {total:?}");
    assert!(
        total.served_expired > 0
            && total.waits > 0
            && total.jumps > 0
            && total.skewed > 0
            && total.stuck > 0
            && total.runtimes > lives,
        "{total:?}"
    );
}
