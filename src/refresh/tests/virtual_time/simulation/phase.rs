//! Phases of a simulation: what the source and the clocks do for a while.

use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource as _;
use fastrand::Rng;
use tokio::time::Instant;

use super::super::bench::{HOUR, secs};
use super::Tally;
use super::world::World;
use crate::error::ErrorKind;
use crate::source_kind::SourceKind;

/// The `Date` header of the responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Date {
    Right,
    Missing,
    /// Three days too early, which contradicts the expiry.
    DaysBehind,
    /// Three days too late, which contradicts the expiry.
    DaysAhead,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    None,
    /// The cache of the agent: it returns the same credentials until 15 s before their expiry.
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

/// What the seed has chosen for the current phase.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    pub(super) fault: Fault,
    pub(super) lifetime: Duration,
    pub(super) latency: Duration,
    pub(super) date: Date,
    /// The time since which the source works, the clock runs evenly and there is a refresh task.
    pub(super) steady_since: SystemTime,
    /// Grows with each event outside the provider. A check that began before such an event must be skipped after it.
    pub(super) number: u64,
}

impl Phase {
    /// Whether the source returns valid credentials that the provider can recognize as valid.
    pub(super) fn is_healthy(self) -> bool {
        self.fault.is_healthy() && self.date == Date::Right
    }
}

/// Returns a random duration that is uniform on a logarithmic scale.
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
    /// Starts the next phase, with another fault or none. Sometimes the clock jumps.
    pub(super) fn next_phase(&self, rng: &mut Rng, tally: &mut Tally) {
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
        // Short lifetimes are rare, because they need many refreshes. STS does not issue them.
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
}
