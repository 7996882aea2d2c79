//! The world around a provider: its clock, its source, and what a seed does to them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::AtomicU64;

use fastrand::Rng;

use super::clocks::Clock;
use super::events::Told;
use super::*;
use crate::clock::skew::ServerTime;
use crate::refresh::cache::Current;
use crate::refresh::retry::MIN_GAP;
use crate::refresh::state::Refusal;

const ATTEMPT: Duration = secs(10);

/// The `Date` of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Date {
    Right,
    Missing,
    /// Wrong by days, so that it contradicts the expiry.
    DaysBehind,
    DaysAhead,
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
    date: Date,
    /// Since when the source works, the clock runs evenly and somebody has started a driver.
    pub(super) steady_since: SystemTime,
    /// Grows with everything that happens from outside, so that a check can tell that it saw two worlds.
    pub(super) number: u64,
}

impl Phase {
    /// Whether good credentials can be had, and recognised as such.
    pub(super) fn is_healthy(self) -> bool {
        self.fault.is_healthy() && self.date == Date::Right
    }
}

#[derive(Debug)]
pub(super) struct World {
    seed: u64,
    /// The agent, which has this machine's clock and sends no `Date`, or STS.
    source: SourceKind,
    pub(super) clock: Clock,
    pub(super) phase: Mutex<Phase>,
    last_issued: Mutex<Option<Credentials>>,
    /// When credentials end on the server's clock, by access key: those that came with a right `Date`.
    ends: Mutex<HashMap<String, SystemTime>>,
    /// Access keys that a service has refused, and that the source has not handed out again since.
    pub(super) refused: Mutex<HashSet<String>>,
    /// The total duration of all stalls.
    pub(super) stuck: Mutex<Duration>,
    /// The ends of stalls, and jumps of the clock.
    pub(super) interruptions: Mutex<Vec<Instant>>,
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

    pub(super) fn end(&self, credentials: &Credentials) -> Option<SystemTime> {
        self.ends.lock().unwrap().get(credentials.access_key_id()).copied()
    }

    pub(super) fn server_now(&self) -> SystemTime {
        match self.source {
            SourceKind::WebIdentity => self.clock.of_the_server(),
            _ => self.clock.now(),
        }
    }

    /// Converts an expiry from the server's clock as the provider should.
    fn on_this_clock(&self, phase: Phase, expiry: SystemTime) -> SystemTime {
        let offset = self.clock.offset();
        match (self.source, phase.date) {
            (SourceKind::WebIdentity, Date::Right) if offset.by() > secs(30) && expiry > self.server_now() => {
                offset.of(expiry)
            }
            _ => expiry,
        }
    }

    fn server_time(&self, phase: Phase) -> Option<ServerTime> {
        let now = self.server_now();
        let whole_seconds = now - Duration::from_nanos(now.duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into());
        let date = match phase.date {
            _ if self.source == SourceKind::PodIdentity => return None,
            Date::Missing => return None,
            Date::Right => whole_seconds,
            Date::DaysBehind => whole_seconds - 3 * DAY,
            Date::DaysAhead => whole_seconds + 3 * DAY,
        };
        Some(ServerTime { date, requested: phase.lifetime })
    }

    fn issue(&self, phase: Phase) -> Credentials {
        let now = self.server_now();
        let mut last = self.last_issued.lock().unwrap();
        if let (Fault::SameAgain, Some(same)) = (phase.fault, last.as_ref())
            && same.expiry().unwrap() > now + secs(15)
        {
            self.refused.lock().unwrap().remove(same.access_key_id());
            return same.clone();
        }
        let expiry = match phase.fault {
            Fault::IssuesExpired => now.min(self.clock.now()) - secs(1),
            _ => now + phase.lifetime,
        };
        let issued =
            Credentials::new(format!("key-{}", self.calls.load(Relaxed)), "secret", None, Some(expiry), "test");
        *last = Some(issued.clone());
        if phase.date == Date::Right {
            self.ends.lock().unwrap().insert(issued.access_key_id().to_owned(), expiry);
        }
        issued
    }
}

impl Fetch for World {
    fn kind(&self) -> SourceKind {
        self.source
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
            self.check(entry.current.is_none() || gap >= MIN_GAP, "two attempts within a second");
            self.check(self.running.fetch_add(1, Relaxed) == 0, "two attempts at once");
            let _running = RunningHere(&self.running);
            self.calls.fetch_add(1, Relaxed);
            let phase = self.phase();
            let takes = if matches!(phase.fault, Fault::Hangs) { 1000 * HOUR } else { phase.latency };
            let outcome = match timeout(limit, sleep(takes)).await {
                Err(_) => Err(Error::internal(ErrorKind::Timeout, "no answer")),
                Ok(()) => match phase.fault {
                    Fault::Fails(kind) => Err(Error::internal(kind, "scripted")),
                    _ => {
                        let server_time = self.server_time(phase);
                        Ok(Fetched { server_time, ..Fetched::new(self.issue(phase), self.source) })
                    }
                },
            };
            let now = self.clock.now();
            let usable = outcome
                .as_ref()
                .is_ok_and(|fetched| self.on_this_clock(phase, fetched.credentials.expiry().unwrap()) > now);
            // The source has only what a service has refused.
            let entry = self.shared().cache.load_full();
            let refused = entry.state().refusal != Refusal::None
                && outcome.as_ref().is_ok_and(|fetched| {
                    let same = |held: &Current| held.credentials.access_key_id() == fetched.credentials.access_key_id();
                    entry.current.as_ref().is_some_and(same)
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
        let clock = Clock::starting_at(start);
        let phase = Phase {
            fault: Fault::None,
            lifetime: HOUR,
            latency: Duration::from_millis(200),
            date: Date::Right,
            steady_since: start,
            number: 0,
        };
        let serve_expired = rng.u8(..4) > 0;
        let world = Arc::new(Self {
            seed,
            source: if rng.bool() { SourceKind::PodIdentity } else { SourceKind::WebIdentity },
            clock: clock.clone(),
            phase: Mutex::new(phase),
            last_issued: Mutex::default(),
            ends: Mutex::default(),
            refused: Mutex::default(),
            stuck: Mutex::default(),
            interruptions: Mutex::default(),
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
        let from_sts = self.source == SourceKind::WebIdentity;
        let jumps = rng.u8(..6) == 0;
        if jumps {
            tally.jumps += 1;
            let by = between(rng, secs(1), 12 * HOUR);
            let (ahead, behind) = if rng.bool() { (by, Duration::ZERO) } else { (Duration::ZERO, by) };
            self.clock.jump(ahead, behind);
            self.interruptions.lock().unwrap().push(Instant::now());
        }
        let mut phase = self.phase.lock().unwrap();
        let was_healthy = phase.is_healthy();
        phase.fault = any_fault(rng);
        // Short lives are rare, or most of the time would go by in refreshing them. STS has none.
        let short = rng.u8(..8) == 0;
        phase.lifetime = match short && !from_sts {
            true => between(rng, secs(10), HOUR / 4),
            false => between(rng, HOUR / 4, 12 * HOUR),
        };
        if from_sts {
            if matches!(phase.fault, Fault::SameAgain) {
                phase.fault = Fault::None;
            }
            phase.date = match rng.u8(..8) {
                0 => rng.choice([Date::Missing, Date::DaysBehind, Date::DaysAhead]).unwrap(),
                _ => Date::Right,
            };
        }
        phase.latency = between(rng, Duration::from_millis(1), Duration::from_millis(900));
        phase.number += 1;
        if !was_healthy || jumps {
            phase.steady_since = self.clock.now();
        }
        tally.faults += u64::from(!phase.is_healthy());
        tally.skewed += u64::from(from_sts && self.clock.offset().by() > secs(30));
    }

    /// Continues on another runtime. Its virtual time has another origin, so that the instants of the last runtime are
    /// converted. The monotonic clock of a machine does not change.
    pub(super) fn go_on(&self, stopped: Option<(SystemTime, Instant)>) {
        let Some((wall, timer)) = stopped else { return };
        let now = Instant::now();
        let moved = |then: Instant| if then > timer { now + (then - timer) } else { now - (timer - then) };
        self.clock.go_on_from(wall);
        self.interruptions.lock().unwrap().clear();
        self.shared().cache.update(|entry| {
            if let Some(Current { checked, .. }) = &mut entry.current {
                checked.timer = moved(checked.timer);
                checked.ends_by = checked.ends_by.map(moved);
            }
        });
    }

    /// A stall: time passes, and neither the provider nor its callers are polled. Callers may be polled before this function
    /// when it ends, so the end is recorded in advance.
    pub(super) async fn is_stuck(&self, by: Duration) {
        *self.stuck.lock().unwrap() += by;
        self.interruptions.lock().unwrap().push(Instant::now() + by);
        let ended = self.clock.now() + by;
        {
            let mut phase = self.phase.lock().unwrap();
            phase.number += 1;
            phase.steady_since = ended;
        }
        advance(by).await;
        self.phase.lock().unwrap().number += 1;
    }
}
