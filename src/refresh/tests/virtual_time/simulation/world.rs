//! The environment of a provider in a simulation: its clock, its source, and the state of the current phase.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_smithy_async::time::{SharedTimeSource, TimeSource as _};
use fastrand::Rng;
use tokio::time::{Instant, advance};

use super::super::bench::{HOUR, POLICY, secs};
use super::clocks::Clock;
use super::events::EventCounter;
use super::phase::{Date, Fault, Phase};
use crate::refresh::Fetch;
use crate::refresh::cache::Current;
use crate::refresh::shared::{Place, Shared};
use crate::refresh::state::Policy;
use crate::source_kind::SourceKind;

#[derive(Debug)]
pub(super) struct World {
    seed: u64,
    /// STS, or the agent, which uses the local clock and sends no `Date`.
    pub(super) source: SourceKind,
    pub(super) clock: Clock,
    pub(super) phase: Mutex<Phase>,
    pub(super) last_issued: Mutex<Option<Credentials>>,
    /// The expiry on the clock of the server by access key, for credentials that came with a correct `Date`.
    pub(super) server_expiries: Mutex<HashMap<String, SystemTime>>,
    /// The access keys that a service has refused and that the source has not returned again since.
    pub(super) refused: Mutex<HashSet<String>>,
    /// The total duration of all stalls.
    pub(super) stalled: Mutex<Duration>,
    /// The ends of stalls, and the jumps of the clock.
    pub(super) interruptions: Mutex<Vec<Instant>>,
    /// The start of the last attempt on the current runtime.
    pub(super) last_attempt: Mutex<Option<Instant>>,
    pub(super) last_failed: Mutex<bool>,
    /// Whether there was a call on the current runtime.
    pub(super) called: Mutex<bool>,
    pub(super) attempts: AtomicU64,
    /// The attempts that are running.
    pub(super) running: AtomicU32,
    pub(super) shared: Mutex<Option<Arc<Shared>>>,
    pub(super) serve_expired: bool,
    pub(super) events: EventCounter,
}

impl World {
    pub(super) fn new(seed: u64, rng: &mut Rng, events: EventCounter) -> Arc<Self> {
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
            server_expiries: Mutex::default(),
            refused: Mutex::default(),
            stalled: Mutex::default(),
            interruptions: Mutex::default(),
            last_attempt: Mutex::default(),
            last_failed: Mutex::default(),
            called: Mutex::default(),
            attempts: AtomicU64::new(0),
            running: AtomicU32::new(0),
            shared: Mutex::default(),
            serve_expired,
            events,
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

    pub(super) fn phase(&self) -> Phase {
        *self.phase.lock().unwrap()
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.lock().unwrap().clone().unwrap()
    }

    /// The expiry of these credentials on the clock of the server, if it is known.
    pub(super) fn server_expiry(&self, credentials: &Credentials) -> Option<SystemTime> {
        self.server_expiries.lock().unwrap().get(credentials.access_key_id()).copied()
    }

    /// Panics with the seed and the state of the world if `holds` is false.
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

    /// Continues on a new runtime. Its virtual time has another origin, so the instants of the last runtime are
    /// converted. The monotonic clock of a real machine does not change with the runtime.
    pub(super) fn continue_on_new_runtime(&self, stopped: Option<(SystemTime, Instant)>) {
        let Some((wall, timer)) = stopped else { return };
        let now = Instant::now();
        let moved = |then: Instant| if then > timer { now + (then - timer) } else { now - (timer - then) };
        self.clock.continue_from(wall);
        self.interruptions.lock().unwrap().clear();
        self.shared().cache.update(|entry| {
            if let Some(Current { checked, .. }) = &mut entry.current {
                checked.timer = moved(checked.timer);
                checked.ends_by = checked.ends_by.map(moved);
            }
        });
    }

    /// Lets time pass without polling the provider or its callers. When the stall ends, callers can be polled before
    /// this function, so its end is recorded in advance.
    pub(super) async fn stall(&self, by: Duration) {
        *self.stalled.lock().unwrap() += by;
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
