//! One day of a fleet, event by event.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, SystemTime};

use crate::error::verdict::Verdict;
use crate::refresh::schedule;
use crate::refresh::state::{Failure, Policy, State, Validity};

/// When the outage begins.
pub(crate) const NOON: Duration = Duration::from_hours(12);
const MINUTES: usize = 24 * 60;
/// What the provider does unless it is told otherwise.
const POLICY: Policy = Policy { advisory_window: None, startup_timeout: Duration::from_secs(20), serve_expired: true };

pub(crate) struct Fleet {
    pub(crate) pods: u32,
    pub(crate) lifetime: Duration,
    pub(crate) outage: Duration,
    pub(crate) rollout: Duration,
}

/// When a pod fetches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The schedule of this crate.
    Ours,
    /// The same, with every random number a half.
    Fixed,
    /// The SDK's lazy cache: 5–10 s before expiry, and after a failure with the next request, a second later.
    Sdk,
}

impl Rule {
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Fixed, Self::Sdk];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Ours => "eks-credentials",
            Self::Fixed => "the same without jitter",
            Self::Sdk => "SDK lazy cache",
        }
    }

    fn random(self, random: &mut fastrand::Rng) -> f64 {
        if self == Self::Fixed { 0.5 } else { random.f64() }
    }

    /// When a pod fetches next that has fetched now.
    fn next(self, state: &State, now: SystemTime, random: &mut fastrand::Rng) -> Option<SystemTime> {
        match self {
            Self::Ours | Self::Fixed => schedule::next_fetch(state, now),
            Self::Sdk if state.failure.is_some() => now.checked_add(Duration::from_secs(1)),
            Self::Sdk => {
                let early = Duration::from_secs(5).mul_f64(1.0 + random.f64());
                state.validity?.expiry?.checked_sub(early)
            }
        }
    }
}

pub(crate) struct Day {
    /// Calls in each minute of the day.
    pub(crate) calls: Vec<u32>,
    /// Pods whose credentials expired before they got others.
    pub(crate) ran_out: u32,
    rollout: usize,
    outage: std::ops::Range<usize>,
}

impl Day {
    pub(crate) fn of(fleet: &Fleet, rule: Rule) -> Self {
        // The same day for the same fleet.
        let mut random = fastrand::Rng::with_seed(2026);
        let midnight = SystemTime::UNIX_EPOCH;
        let (noon, end) = (midnight + NOON, midnight + Duration::from_hours(24));
        let outage = noon..noon + fleet.outage;
        let mut pods = vec![State::default(); fleet.pods as usize];
        let mut due: BinaryHeap<_> =
            (0..pods.len()).map(|pod| Reverse((midnight + fleet.rollout.mul_f64(random.f64()), pod))).collect();
        let mut calls = vec![0; MINUTES];
        let mut ran_out = 0;
        while let Some(Reverse((now, pod))) = due.pop().filter(|Reverse((now, _))| *now < end) {
            let state = &mut pods[pod];
            calls[minute(now, midnight)] += 1;
            let number = rule.random(&mut random);
            if outage.contains(&now) {
                let was_usable = state.failure.is_none_or(|failure| failure.without_credentials == 0);
                state.failure = Some(Failure::new(state, now, Verdict::TRANSIENT, number));
                ran_out += u32::from(was_usable && !state.is_usable(now));
            } else {
                let expiry = now + fleet.lifetime;
                let validity = Validity::new(&POLICY, state, now, Some(expiry), number);
                *state = State { validity: Some(validity), ..State::default() };
            }
            due.extend(rule.next(state, now, &mut random).map(|at| Reverse((at, pod))));
        }
        let outage = minute(outage.start, midnight)..minute(outage.end, midnight);
        Self { calls, ran_out, rollout: minute(midnight + fleet.rollout, midnight) + 1, outage }
    }

    /// Of a day without an outage, as its first half shows it.
    pub(crate) fn mean(&self) -> f64 {
        let quiet = &self.calls[self.rollout..self.outage.start];
        f64::from(quiet.iter().sum::<u32>()) / quiet.len() as f64
    }

    pub(crate) fn peak_before(&self) -> u32 {
        peak(&self.calls[self.rollout..self.outage.start])
    }

    pub(crate) fn peak_in_outage(&self) -> u32 {
        peak(&self.calls[self.outage.clone()])
    }

    pub(crate) fn peak_after(&self) -> u32 {
        peak(&self.calls[self.outage.end..])
    }
}

fn minute(time: SystemTime, midnight: SystemTime) -> usize {
    usize::try_from(crate::clock::since(time, midnight).as_secs() / 60).expect("a day has few minutes").min(MINUTES - 1)
}

fn peak(calls: &[u32]) -> u32 {
    calls.iter().copied().max().unwrap_or_default()
}
