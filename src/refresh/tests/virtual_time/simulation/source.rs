//! The credential source of a simulation.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_smithy_async::time::TimeSource as _;
use tokio::time::{Instant, sleep, timeout};

use super::super::bench::{HOUR, secs};
use super::DAY;
use super::phase::{Date, Fault, Phase};
use super::world::World;
use crate::clock::skew::ServerTime;
use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::refresh::cache::Current;
use crate::refresh::retry::MIN_GAP;
use crate::refresh::state::Refusal;
use crate::refresh::{BoxFuture, Fetch};
use crate::source_kind::SourceKind;

/// The time limit of an attempt.
const ATTEMPT: Duration = secs(10);

impl World {
    pub(super) fn server_now(&self) -> SystemTime {
        match self.source {
            SourceKind::WebIdentity => self.clock.of_the_server(),
            _ => self.clock.now(),
        }
    }

    /// Converts an expiry from the clock of the server to the local clock, as the provider should.
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
        let key = format!("key-{}", self.attempts.load(Relaxed));
        let issued = Credentials::new(key, "secret", None, Some(expiry), "test");
        *last = Some(issued.clone());
        if phase.date == Date::Right {
            self.server_expiries.lock().unwrap().insert(issued.access_key_id().to_owned(), expiry);
        }
        issued
    }

    /// Whether the provider should count this outcome as a failed refresh.
    fn is_failure(&self, phase: Phase, outcome: &Result<Fetched, Error>) -> bool {
        let Ok(fetched) = outcome else { return true };
        let is_expired = self.on_this_clock(phase, fetched.credentials.expiry().unwrap()) <= self.clock.now();
        let entry = self.shared().cache.load_full();
        let same = |current: &Current| current.credentials.access_key_id() == fetched.credentials.access_key_id();
        let is_refused = entry.state().refusal != Refusal::None && entry.current.as_ref().is_some_and(same);
        is_expired || is_refused
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
            let last_attempt = self.last_attempt.lock().unwrap().replace(Instant::now());
            // Only a cold start retries sooner.
            let gap = last_attempt.map_or(secs(1), |last| last.elapsed());
            self.check(entry.current.is_none() || gap >= MIN_GAP, "two attempts within a second");
            self.check(self.running.fetch_add(1, Relaxed) == 0, "two attempts at the same time");
            let _running = Running(&self.running);
            self.attempts.fetch_add(1, Relaxed);
            let phase = self.phase();
            let latency = if matches!(phase.fault, Fault::Hangs) { 1000 * HOUR } else { phase.latency };
            let outcome = match timeout(limit, sleep(latency)).await {
                Err(_) => Err(Error::internal(ErrorKind::Timeout, "no response")),
                Ok(()) => match phase.fault {
                    Fault::Fails(kind) => Err(Error::internal(kind, "scripted")),
                    _ => {
                        let server_time = self.server_time(phase);
                        Ok(Fetched { server_time, ..Fetched::new(self.issue(phase), self.source) })
                    }
                },
            };
            *self.last_failed.lock().unwrap() = self.is_failure(phase, &outcome);
            outcome
        })
    }
}

/// Counts an attempt as running until it is dropped.
struct Running<'a>(&'a AtomicU32);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
