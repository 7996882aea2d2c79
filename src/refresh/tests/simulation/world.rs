//! The world around a provider: its clock, its source, and what a seed does to them.

use std::fmt;
use std::sync::atomic::AtomicU64;

use fastrand::Rng;

use super::events::Told;
use super::*;
use crate::refresh::cache::Held;
use crate::refresh::schedule;

const ATTEMPT: Duration = secs(10);

/// The wall clock: virtual time, continued over the runtimes, and jumps.
#[derive(Clone, Debug)]
pub(super) struct Clock(Arc<Mutex<(SystemTime, Instant)>>);

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        let (base, since) = *self.0.lock().unwrap();
        base + since.elapsed()
    }
}

impl Clock {
    pub(super) fn set(&self, to: SystemTime) {
        *self.0.lock().unwrap() = (to, Instant::now());
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    None,
    /// The agent's cache: the same credentials until 15 s are left.
    SameAgain,
    Fails(ErrorKind),
    Hangs,
    IssuesExpired,
}

impl Fault {
    pub(super) fn is_healthy(self) -> bool {
        matches!(self, Self::None | Self::SameAgain)
    }
}

/// What the seed has decided for now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    pub(super) fault: Fault,
    pub(super) lifetime: Duration,
    latency: Duration,
    /// Since when the source works, the clock runs evenly and somebody has started a driver.
    pub(super) steady_since: SystemTime,
    /// Grows with everything that happens from outside, so that a check can tell that it saw two worlds.
    pub(super) number: u64,
}

#[derive(Debug)]
pub(super) struct World {
    seed: u64,
    pub(super) clock: Clock,
    pub(super) phase: Mutex<Phase>,
    last_issued: Mutex<Option<Credentials>>,
    /// The starts of attempts, those of the present runtime.
    pub(super) last_call: Mutex<Option<Instant>>,
    pub(super) last_failed: Mutex<bool>,
    /// Whether anybody has asked on the present runtime.
    pub(super) asked: Mutex<bool>,
    pub(super) calls: AtomicU64,
    running: AtomicU32,
    pub(super) shared: Mutex<Option<Arc<Shared>>>,
    pub(super) serve_expired: bool,
    /// What operators have been told.
    pub(super) told: Told,
}

impl World {
    pub(super) fn phase(&self) -> Phase {
        *self.phase.lock().unwrap()
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.lock().unwrap().clone().unwrap()
    }

    #[track_caller]
    pub(super) fn check(&self, holds: bool, what: impl fmt::Display) {
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
                Err(_) => Err(Error::internal(ErrorKind::Timeout, "no answer")),
                Ok(()) => match phase.fault {
                    Fault::Fails(kind) => Err(Error::internal(kind, "scripted")),
                    _ => Ok(Fetched::new(self.issue(phase), SourceKind::PodIdentity)),
                },
            };
            let now = self.clock.now();
            let usable = outcome.as_ref().is_ok_and(|fetched| fetched.credentials.expiry().unwrap() > now);
            // The source has only what a service has refused.
            let entry = self.shared().cache.load_full();
            let refused = entry.state.refusal != schedule::Refusal::None
                && outcome.as_ref().is_ok_and(|fetched| {
                    let same = |held: &Held| held.credentials.access_key_id() == fetched.credentials.access_key_id();
                    entry.held.as_ref().is_some_and(same)
                });
            *self.last_failed.lock().unwrap() = !usable || refused;
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
pub(super) fn between(rng: &mut Rng, least: Duration, most: Duration) -> Duration {
    let (least, most) = (least.as_secs_f64().ln(), most.as_secs_f64().ln());
    Duration::from_secs_f64((least + (most - least) * rng.f64()).exp())
}

fn any_fault(rng: &mut Rng) -> Fault {
    use ErrorKind::{Denied, InvalidResponse, Refused, Throttled, TokenFile, TokenRejected, Unavailable};
    match rng.u8(..16) {
        0..6 => Fault::None,
        6 | 7 => Fault::SameAgain,
        8 | 9 => Fault::Hangs,
        10 => Fault::IssuesExpired,
        _ => Fault::Fails(
            rng.choice([Denied, TokenFile, TokenRejected, Refused, Throttled, Unavailable, InvalidResponse]).unwrap(),
        ),
    }
}

impl World {
    pub(super) fn new(seed: u64, rng: &mut Rng, told: Told) -> Arc<Self> {
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
            told,
        });
        let source: Arc<dyn Fetch> = world.clone();
        let shared = Shared::new(
            Ok(source),
            Policy { serve_expired, ..POLICY },
            Some(SharedTimeSource::new(clock)),
            Place::Callers,
        );
        *world.shared.lock().unwrap() = Some(Arc::new(shared));
        world
    }

    /// The next phase: another fault or none, now and then another time of day.
    pub(super) fn turn(&self, rng: &mut Rng, tally: &mut Tally) {
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
        // Short lives are rare, or most of the time would go by in refreshing them.
        phase.lifetime =
            if rng.u8(..8) == 0 { between(rng, secs(10), HOUR / 4) } else { between(rng, HOUR / 4, 12 * HOUR) };
        phase.latency = between(rng, Duration::from_millis(1), Duration::from_millis(900));
        phase.number += 1;
        if !was_healthy || jumped != now {
            phase.steady_since = jumped;
        }
        tally.faults += u64::from(!phase.fault.is_healthy());
    }
}
