//! A day of a fleet, pod by pod on virtual time. Pods do not affect each other: the source has no limit here.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use crate::clock;
use crate::error::verdict::Verdict;
use crate::refresh::schedule;
use crate::refresh::state::{Failure, Policy, State, Validity};

/// When the first outage begins. What comes before it is the same in all days of a rule.
pub(crate) const NOON: Duration = Duration::from_hours(12);
/// How long a day goes on after the beginning of its outage.
const AFTERNOON: Duration = Duration::from_hours(12);
const MIDNIGHT: SystemTime = SystemTime::UNIX_EPOCH;
/// The default settings of the provider.
const POLICY: Policy = Policy { advisory_window: None, startup_timeout: Duration::from_secs(20), serve_expired: true };

pub(crate) struct Fleet {
    pub(crate) pods: u32,
    pub(crate) lifetime: Duration,
    pub(crate) outage: Duration,
    pub(crate) rollout: Duration,
}

impl Fleet {
    /// When the outages begin: from noon on, spread evenly over one lifetime of the credentials.
    ///
    /// A fleet that was started together repeats its calls once in a lifetime. What an outage does depends on the time
    /// between it and these calls, and that time is different for each rule. So each rule gets an outage at every phase
    /// of its cycle: the outages begin half their length apart, as far as 48 outages allow it.
    pub(crate) fn outages(&self) -> Vec<Duration> {
        let half = self.outage.max(Duration::from_mins(1)).as_secs_f64() / 2.0;
        let number = (self.lifetime.as_secs_f64() / half).ceil().clamp(2.0, 48.0) as u32;
        (0..number).map(|phase| NOON + self.lifetime * phase / number).collect()
    }
}

/// When a pod fetches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The schedule of this crate.
    Ours,
    /// The same schedule, with 0.5 instead of every random number.
    Fixed,
    /// The lazy identity cache of the SDK: 5–10 s before expiry, and after a failure with the next request, 1 s later.
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

    /// The next fetch of a pod that has fetched at `now`.
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

/// A day with one outage.
pub(crate) struct Day {
    /// Calls in each minute.
    pub(crate) calls: Vec<u32>,
    /// Pods whose credentials expired before a refresh succeeded.
    pub(crate) ran_out: u32,
    /// In minutes, as the index of `calls`.
    pub(crate) outage: Range<usize>,
    quiet: Range<usize>,
}

impl Day {
    /// The day with the outage that begins at `begin`. The same options always give the same day.
    pub(crate) fn of(fleet: &Fleet, rule: Rule, begin: Duration) -> Self {
        let outage = MIDNIGHT + begin..MIDNIGHT + begin + fleet.outage;
        let end = outage.start + AFTERNOON;
        let mut day = Self {
            calls: vec![0; minute(end) + 1],
            ran_out: 0,
            // The minute in which the outage ends belongs to it.
            outage: minute(outage.start)..minute(outage.end + Duration::from_secs(59)),
            quiet: minute(MIDNIGHT + fleet.rollout) + 1..minute(MIDNIGHT + NOON),
        };
        for pod in 0..fleet.pods {
            let mut random = fastrand::Rng::with_seed(pod.into());
            let mut state = State::default();
            let mut next = Some(MIDNIGHT + fleet.rollout.mul_f64(random.f64()));
            while let Some(now) = next.filter(|&now| now < end) {
                day.calls[minute(now)] += 1;
                let number = rule.random(&mut random);
                if outage.contains(&now) {
                    let was_usable = state.failure.is_none_or(|failure| failure.without_credentials == 0);
                    state.failure = Some(Failure::new(&state, now, Verdict::TRANSIENT, number));
                    day.ran_out += u32::from(was_usable && !state.is_usable(now));
                } else {
                    let validity = Validity::new(&POLICY, &state, now, Some(now + fleet.lifetime), number);
                    state = State { validity: Some(validity), ..State::default() };
                }
                next = rule.next(&state, now, &mut random);
            }
        }
        day
    }

    /// Calls per minute before noon.
    pub(crate) fn mean(&self) -> f64 {
        let quiet = &self.calls[self.quiet.clone()];
        f64::from(quiet.iter().sum::<u32>()) / quiet.len() as f64
    }

    pub(crate) fn peak_before(&self) -> u32 {
        peak(&self.calls[self.quiet.clone()])
    }

    pub(crate) fn peak_in_outage(&self) -> u32 {
        peak(&self.calls[self.outage.clone()])
    }

    pub(crate) fn peak_after(&self) -> u32 {
        peak(&self.calls[self.outage.end..])
    }
}

fn minute(time: SystemTime) -> usize {
    usize::try_from(clock::since(time, MIDNIGHT).as_secs() / 60).expect("a few days have few minutes")
}

fn peak(calls: &[u32]) -> u32 {
    calls.iter().copied().max().unwrap_or_default()
}
