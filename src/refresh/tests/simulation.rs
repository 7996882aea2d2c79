//! Weeks of a pod's life in a fraction of a second, thousands of times: callers, outages, clocks and runtimes as a seed
//! has them, and at every ask the promises of the crate.
//!
//! `EKS_CREDENTIALS_SEEDS=50000` runs so many instead of a few hundred; `EKS_CREDENTIALS_SEED=n` replays one.

use std::ops::AddAssign;
use std::sync::atomic::AtomicU64;
use std::thread;

use fastrand::Rng;

use super::*;
use crate::refresh::cache::Entry;
use crate::refresh::schedule;

const DAY: Duration = secs(24 * 3600);
const ATTEMPT: Duration = secs(10);
/// After the end of a fault: an attempt that still hangs, the longest backoff, the smallest gap, and an answer.
const RECOVERY: Duration = secs(10 + 30 + 1 + 1);
/// A cold flight, the gap before it, and the grace before a dead driver is replaced.
const LONGEST_WAIT: Duration = secs(1 + 20 + 2 + 2);

/// The wall clock: virtual time, continued over the runtimes, and jumps.
#[derive(Clone, Debug)]
struct Clock(Arc<Mutex<(SystemTime, Instant)>>);

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        let (base, since) = *self.0.lock().unwrap();
        base + since.elapsed()
    }
}

impl Clock {
    fn set(&self, to: SystemTime) {
        *self.0.lock().unwrap() = (to, Instant::now());
    }
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// The agent's cache: the same credentials until 15 s are left.
    SameAgain,
    Fails(ErrorKind),
    Hangs,
    IssuesExpired,
}

impl Fault {
    fn is_healthy(self) -> bool {
        matches!(self, Self::None | Self::SameAgain)
    }
}

/// What the seed has decided for now.
#[derive(Clone, Copy, Debug)]
struct Phase {
    fault: Fault,
    lifetime: Duration,
    latency: Duration,
    /// Since when the source works, the clock runs evenly and somebody has started a driver.
    steady_since: SystemTime,
    /// Grows with everything that happens from outside, so that a check can tell that it saw two worlds.
    number: u64,
}

#[derive(Debug)]
struct World {
    seed: u64,
    clock: Clock,
    phase: Mutex<Phase>,
    last_issued: Mutex<Option<Credentials>>,
    /// The starts of attempts, those of the present runtime.
    last_call: Mutex<Option<Instant>>,
    last_failed: Mutex<bool>,
    /// Whether anybody has asked on the present runtime.
    asked: Mutex<bool>,
    calls: AtomicU64,
    running: AtomicU32,
    shared: Mutex<Option<Arc<Shared>>>,
    serve_expired: bool,
}

/// What a run has seen, so that nobody is reassured by one in which nothing happened.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    asks: u64,
    waits: u64,
    errors: u64,
    served_expired: u64,
    attempts: u64,
    faults: u64,
    jumps: u64,
    runtimes: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.asks += other.asks;
        self.waits += other.waits;
        self.errors += other.errors;
        self.served_expired += other.served_expired;
        self.attempts += other.attempts;
        self.faults += other.faults;
        self.jumps += other.jumps;
        self.runtimes += other.runtimes;
    }
}

impl World {
    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap()
    }

    fn shared(&self) -> Arc<Shared> {
        self.shared.lock().unwrap().clone().unwrap()
    }

    #[track_caller]
    fn check(&self, holds: bool, what: &str) {
        if !holds {
            let entry = self.shared().cache.load_full();
            panic!(
                "EKS_CREDENTIALS_SEED={}: {what}\n{:?}\nnow {:?}\n{entry:#?}",
                self.seed,
                self.phase(),
                self.clock.now()
            );
        }
    }

    fn issue(&self, phase: Phase) -> Credentials {
        let now = self.clock.now();
        let mut last = self.last_issued.lock().unwrap();
        if let (Fault::SameAgain, Some(same)) = (phase.fault, last.as_ref())
            && same.expiry().unwrap() > now + secs(15)
        {
            return same.clone();
        }
        let expiry = if matches!(phase.fault, Fault::IssuesExpired) { now - secs(1) } else { now + phase.lifetime };
        let issued =
            Credentials::new(format!("key-{}", self.calls.load(Relaxed)), "secret", None, Some(expiry), "test");
        *last = Some(issued.clone());
        issued
    }
}

impl Fetch for World {
    fn kind(&self) -> SourceKind {
        SourceKind::PodIdentity
    }

    fn attempt_timeout(&self) -> Duration {
        ATTEMPT
    }

    fn fetch(&self, limit: Duration) -> BoxFuture<'_, Result<Fetched, Error>> {
        Box::pin(async move {
            let entry = self.shared().cache.load_full();
            let last_call = self.last_call.lock().unwrap().replace(Instant::now());
            // Only a cold start retries sooner.
            let gap = last_call.map_or(secs(1), |last| last.elapsed());
            self.check(entry.held.is_none() || gap >= schedule::MIN_GAP, "two attempts within a second");
            self.check(self.running.fetch_add(1, Relaxed) == 0, "two attempts at once");
            let _running = RunningHere(&self.running);
            self.calls.fetch_add(1, Relaxed);
            let phase = self.phase();
            let takes = if matches!(phase.fault, Fault::Hangs) { 1000 * HOUR } else { phase.latency };
            let outcome = match timeout(limit, sleep(takes)).await {
                Err(_) => Err(Error::new(ErrorKind::Timeout, "no answer")),
                Ok(()) => match phase.fault {
                    Fault::Fails(kind) => Err(Error::new(kind, "scripted")),
                    _ => Ok(Fetched { credentials: self.issue(phase), source: SourceKind::PodIdentity }),
                },
            };
            let now = self.clock.now();
            let usable = outcome.as_ref().is_ok_and(|fetched| fetched.credentials.expiry().unwrap() > now);
            *self.last_failed.lock().unwrap() = !usable;
            outcome
        })
    }
}

struct RunningHere<'a>(&'a AtomicU32);

impl Drop for RunningHere<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Spread evenly over the orders of magnitude.
fn between(rng: &mut Rng, least: Duration, most: Duration) -> Duration {
    let (least, most) = (least.as_secs_f64().ln(), most.as_secs_f64().ln());
    Duration::from_secs_f64((least + (most - least) * rng.f64()).exp())
}

fn any_fault(rng: &mut Rng) -> Fault {
    use ErrorKind::{Denied, InvalidResponse, Throttled, TokenFile, TokenRejected, Unavailable};
    match rng.u8(..16) {
        0..6 => Fault::None,
        6 | 7 => Fault::SameAgain,
        8 | 9 => Fault::Hangs,
        10 => Fault::IssuesExpired,
        _ => Fault::Fails(
            rng.choice([Denied, TokenFile, TokenRejected, Throttled, Unavailable, InvalidResponse]).unwrap(),
        ),
    }
}

impl World {
    fn new(seed: u64, rng: &mut Rng) -> Arc<Self> {
        let start = UNIX_EPOCH + secs(1_800_000_000);
        let clock = Clock(Arc::new(Mutex::new((start, Instant::now()))));
        let phase = Phase {
            fault: Fault::None,
            lifetime: HOUR,
            latency: Duration::from_millis(200),
            steady_since: start,
            number: 0,
        };
        let serve_expired = rng.u8(..4) > 0;
        let world = Arc::new(Self {
            seed,
            clock: clock.clone(),
            phase: Mutex::new(phase),
            last_issued: Mutex::default(),
            last_call: Mutex::default(),
            last_failed: Mutex::default(),
            asked: Mutex::default(),
            calls: AtomicU64::new(0),
            running: AtomicU32::new(0),
            shared: Mutex::default(),
            serve_expired,
        });
        let source: Arc<dyn Fetch> = world.clone();
        let shared = Shared::new(Ok(source), Policy { serve_expired, ..POLICY }, SharedTimeSource::new(clock));
        *world.shared.lock().unwrap() = Some(Arc::new(shared));
        world
    }

    /// The next phase: another fault or none, now and then another time of day.
    fn turn(&self, rng: &mut Rng, tally: &mut Tally) {
        let now = self.clock.now();
        let mut jumped = now;
        if rng.u8(..6) == 0 {
            tally.jumps += 1;
            let by = between(rng, secs(1), 12 * HOUR);
            jumped = if rng.bool() { now + by } else { now - by };
        }
        self.clock.set(jumped);
        let mut phase = self.phase.lock().unwrap();
        let was_healthy = phase.fault.is_healthy();
        phase.fault = any_fault(rng);
        phase.lifetime = between(rng, secs(10), 12 * HOUR);
        phase.latency = between(rng, Duration::from_millis(1), Duration::from_millis(900));
        phase.number += 1;
        if !was_healthy || jumped != now {
            phase.steady_since = jumped;
        }
        tally.faults += u64::from(!phase.fault.is_healthy());
    }

    /// One ask, and everything that it must not find.
    async fn ask(&self, rng: &mut Rng, tally: &mut Tally) {
        let shared = self.shared();
        if !std::mem::replace(&mut *self.asked.lock().unwrap(), true) {
            // Until now nobody has started a driver on this runtime.
            self.phase.lock().unwrap().steady_since = self.clock.now();
        }
        let (before, phase, now, asked) = (shared.cache.load_full(), self.phase(), self.clock.now(), Instant::now());
        let ttl = (rng.u8(..20) == 0).then(|| between(rng, secs(1), 2 * HOUR));
        let patience = if rng.u8(..10) == 0 { Duration::from_millis(50) } else { HOUR };
        let answer = match ttl {
            None => timeout(patience, shared.get(|held| held.credentials.clone())).await,
            Some(ttl) => timeout(patience, shared.get_valid_for(ttl, |held| held.credentials.clone())).await,
        };
        let waited = asked.elapsed();
        tally.asks += 1;
        tally.waits += u64::from(waited > Duration::ZERO);
        if ttl.is_none() {
            self.check_wait(&before, now, phase, waited);
        }
        let Ok(answer) = answer else { return };
        if self.phase().number == phase.number {
            self.check_answer(&before, now, phase, &answer, ttl, tally);
            self.check_status(&shared);
        }
        tally.errors += u64::from(answer.is_err());
        if let (Ok(credentials), 0) = (answer, rng.u8(..200)) {
            shared.invalidate(credentials.access_key_id());
        }
    }

    /// Rules 2 and 3.
    fn check_wait(&self, before: &Entry, now: SystemTime, phase: Phase, waited: Duration) {
        self.check(waited <= LONGEST_WAIT, &format!("a caller waited {waited:?}"));
        if self.phase().number != phase.number || !before.state.is_usable(now) {
            return;
        }
        let mandatory = before.state.validity.unwrap().mandatory_at.unwrap();
        let untried = before.state.last_attempt.is_none_or(|at| at < mandatory);
        let allowed = if now >= mandatory && untried { secs(1) } else { Duration::ZERO };
        // What it waits for may itself be the end of what is at hand; then it waits for the flight like everybody.
        let expired = !before.state.is_usable(now + allowed);
        self.check(
            expired || waited <= allowed,
            &format!("a caller waited {waited:?} with usable credentials at hand"),
        );
    }

    /// Rules 4 and 5.
    fn check_answer(
        &self,
        before: &Entry,
        asked: SystemTime,
        phase: Phase,
        answer: &Result<Credentials, Error>,
        ttl: Option<Duration>,
        tally: &mut Tally,
    ) {
        let now = self.clock.now();
        let usable_before = before.state.is_usable(asked);
        self.check(!usable_before || ttl.is_some() || answer.is_ok(), "an error in spite of usable credentials");
        if let Ok(credentials) = answer {
            let expiry = credentials.expiry().unwrap();
            self.check(ttl.is_none_or(|ttl| expiry > now + ttl), "credentials that do not last as long as was asked");
            if expiry <= now {
                tally.served_expired += 1;
                let error = self.shared().cache.load().error.clone();
                let papered = self.serve_expired && error.is_some_and(|error| error.is_transient());
                self.check(papered, "expired credentials without a recoverable failure");
            }
        }
        let steady = asked.duration_since(phase.steady_since).unwrap_or_default();
        if phase.fault.is_healthy() && steady >= RECOVERY && ttl.is_none() {
            let fresh = answer.as_ref().is_ok_and(|credentials| credentials.expiry().unwrap() > now);
            self.check(
                fresh,
                &format!(
                    "nothing fresh {steady:?} after the last fault, asked {asked:?}: {answer:?}, before: {before:#?}"
                ),
            );
        }
        // Never asked for before, refused by a service, or after a denial, they are renewed at an ask.
        let driven = before.held.is_some() && !before.rejected && before.error.as_ref().is_none_or(Error::is_transient);
        let expiry = before.state.validity.and_then(|validity| validity.expiry).filter(|&expiry| expiry <= asked);
        if let (true, true, Some(expiry)) = (phase.fault.is_healthy(), driven, expiry) {
            let healthy_before = expiry.duration_since(phase.steady_since).unwrap_or_default();
            self.check(
                healthy_before < secs(30),
                &format!("expired after {healthy_before:?} of a healthy source, asked {asked:?}: {before:#?}"),
            );
        }
    }

    fn check_status(&self, shared: &Shared) {
        let (status, entry) = (shared.status(), shared.cache.load_full());
        let now = self.clock.now();
        self.check(status.is_ready() == entry.state.is_usable(now), "the status is wrong about readiness");
        if entry.state.flight.is_none() && entry.flights_ended > 0 {
            self.check(
                status.last_error.is_some() == *self.last_failed.lock().unwrap(),
                "the status is wrong about errors",
            );
            let seen = shared.changes.borrow().clone();
            self.check(seen.refreshes == status.refreshes, "subscribers have not heard of a refresh");
            self.check(
                seen.consecutive_failures == status.consecutive_failures,
                "subscribers have not heard of a failure",
            );
        }
    }

    /// One runtime's life: phases, and callers at random rates in each.
    async fn live(self: Arc<Self>, rng: &mut Rng, tally: &mut Tally, until: Duration) {
        let began = Instant::now();
        (*self.last_call.lock().unwrap(), *self.asked.lock().unwrap()) = (None, false);
        while began.elapsed() < until {
            self.turn(rng, tally);
            let longest = if self.phase().fault.is_healthy() || rng.u8(..8) == 0 { 3 * DAY } else { 3 * HOUR };
            let length = between(rng, secs(1), longest);
            let pace = between(rng, Duration::from_millis(10), 6 * HOUR).max(length / 100);
            let mut callers = tokio::task::JoinSet::new();
            for _ in 0..rng.u8(1..=3) {
                let (world, mut rng) = (Arc::clone(&self), Rng::with_seed(rng.u64(..)));
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
            sleep(length).await;
            while let Some(done) = callers.join_next().await {
                match done {
                    Ok(theirs) => *tally += theirs,
                    Err(failed) => std::panic::resume_unwind(failed.into_panic()),
                }
            }
        }
    }
}

fn simulate(seed: u64) -> Tally {
    // What the crate itself draws is the seed's too.
    fastrand::seed(seed);
    let (mut rng, mut tally) = (Rng::with_seed(seed), Tally::default());
    let mut left = 7 * rng.u32(1..=3) * DAY;
    let (mut world, mut stopped) = (None, None);
    while left > Duration::ZERO {
        let life = between(&mut rng, HOUR, 14 * DAY).min(left);
        left -= life;
        tally.runtimes += 1;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        stopped = Some(runtime.block_on(async {
            let world = world.get_or_insert_with(|| World::new(seed, &mut rng));
            // Every runtime's virtual time begins anew, the wall clock goes on.
            world.clock.set(stopped.unwrap_or_else(|| world.clock.now()));
            Arc::clone(world).live(&mut rng, &mut tally, life).await;
            world.clock.now()
        }));
    }
    let world = world.unwrap();
    tally.attempts = world.calls.load(Relaxed);
    // The world is its own source: this breaks the circle.
    world.shared.lock().unwrap().take().unwrap().close();
    tally
}

#[allow(clippy::disallowed_methods, reason = "a setting of the test, not of the crate")]
fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
fn no_promise_is_broken_in_any_life() {
    if let Some(seed) = from_env("EKS_CREDENTIALS_SEED") {
        println!("{:?}", simulate(seed));
        return;
    }
    let seeds = from_env("EKS_CREDENTIALS_SEEDS").unwrap_or(200);
    let next = AtomicU64::new(0);
    let share = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= seeds {
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
    println!("{seeds} lives: {total:?}");
    assert!(total.served_expired > 0 && total.waits > 0 && total.jumps > 0 && total.runtimes > seeds, "{total:?}");
}
