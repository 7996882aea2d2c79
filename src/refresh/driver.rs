//! The one task that fetches. Its life: sleep until the schedule or a caller says so, fly, publish, sleep again.
//!
//! Being the only caller of the source, it makes single flight hold by construction. It belongs to no caller: one that
//! is cancelled cancels nothing.

mod shadow;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tracing::{Instrument as _, field};

use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::problem::{Problem, Runtime};
use crate::refresh::cache::{Entry, Epoch, Held};
use crate::refresh::schedule::{self, Decision, Failure, Flight, Validity};
use crate::refresh::shared::Shared;
use crate::refresh::sync::{Instant, sleep, timeout};
use crate::refresh::{Fetch, Fetched, metrics};
use crate::verdict::Delay;

/// Sleeping is monotonic and expiry is wall time: after a suspension, or when the clock is set, the two disagree. So no
/// sleep is longer than this before the wall clock is read again. With it the last 30 s before expiry are enough to
/// renew in also if the clock has jumped there and nobody asks.
const RECHECK: Duration = Duration::from_secs(20);

/// Drives until it is aborted (the last provider went), replaced, or its runtime ends. A panic, as of a runtime without
/// I/O, is an error for those who wait; nobody would end their waiting otherwise.
pub(crate) async fn drive(shared: Arc<Shared>, epoch: Epoch) {
    let Ok(source) = shared.source.clone() else { return };
    let driver = Driver { shared, epoch, source };
    metrics::describe();
    loop {
        let mut life = pin!(shadow::beside(live(&driver), driver.look_at_the_other()));
        let panicked = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| life.as_mut().poll(context))) {
            Ok(life) => life.map(|()| false),
            Err(_) => Poll::Ready(true),
        });
        if !panicked.await {
            return;
        }
        driver.fail(Problem::NoRuntime(Runtime::Panicked).into());
        sleep(schedule::MIN_GAP).await;
    }
}

async fn live(driver: &Driver) {
    let now = driver.shared.now();
    driver.publish(|entry| entry.state.take_over(now));
    let mut asked = true;
    let mut reported_expiry = None;
    loop {
        let entry = driver.shared.cache.load_full();
        let now = driver.shared.now();
        driver.report_expiry(&entry, now, &mut reported_expiry);
        let next = schedule::next_fetch(&entry.state, now);
        if next.is_some_and(|at| at <= now) || (asked && driver.is_wanted(&entry, now)) {
            asked = false;
            if !driver.fly(&entry).await {
                return;
            }
            continue;
        }
        let expiry = entry.state.validity.and_then(|validity| validity.expiry).filter(|&at| at > now);
        let until = [next, expiry].into_iter().flatten().map(|at| schedule::since(at, now)).min();
        let pause = until.unwrap_or(RECHECK).min(RECHECK);
        asked = timeout(pause, driver.shared.nudge.notified()).await.is_ok();
    }
}

struct Driver {
    shared: Arc<Shared>,
    epoch: Epoch,
    source: Arc<dyn Fetch>,
}

impl Driver {
    /// Whether a caller that asks now would ask for a flight.
    fn is_wanted(&self, entry: &Entry, now: SystemTime) -> bool {
        use Decision::{ServeAndNudge, Wait, WaitBriefly};
        matches!(schedule::decide(&self.shared.policy, &entry.state, now), ServeAndNudge | WaitBriefly | Wait)
    }

    /// One flight, from accepting it to publishing its outcome; false if this driver was replaced meanwhile.
    async fn fly(&self, before: &Entry) -> bool {
        let began = self.shared.now();
        let flight = Flight { began, deadline: schedule::after(began, self.shared.flight_budget()) };
        if !self.publish(|entry| entry.state.flight = Some(flight)) {
            return false;
        }
        let last_start = {
            let mut task = self.shared.task();
            task.set_flight(self.epoch, Some(Instant::now()));
            task.last_start
        };
        if let Some(last_start) = last_start {
            sleep(schedule::MIN_GAP.saturating_sub(last_start.elapsed())).await;
        }
        // Only the first flight is patient: later ones have an error to answer with, and a schedule.
        let started = Instant::now();
        let is_first = before.state.failure.is_none_or(|failure| failure.verdict.delay == Delay::Hold);
        let cold = before.held.is_none() && is_first;
        let outcome = if cold {
            self.fetch_patiently().await
        } else {
            let longest = self.source.attempt_timeout();
            self.fetch(1, schedule::attempt_limit(&before.state, self.shared.now(), longest)).await
        };
        metrics::duration(self.source.kind(), &outcome, started.elapsed());
        match outcome {
            Ok(fetched) => self.succeed(fetched),
            Err(error) => self.fail(error),
        }
    }

    /// A cold start: the agent may come up after the pod, STS may throttle a whole deployment. Transient failures are
    /// retried inside the startup budget, so that a caller sees credentials a little later instead of an error.
    async fn fetch_patiently(&self) -> Result<Fetched, Error> {
        let (started, budget) = (Instant::now(), self.shared.policy.startup_timeout);
        let mut last_error: Option<Error> = None;
        let mut retry = 0_u32;
        loop {
            let limit = budget.saturating_sub(started.elapsed()).min(self.source.attempt_timeout());
            let error = match self.fetch(retry.saturating_add(1), limit).await {
                Err(error) if error.verdict().retries_cold_start => error,
                outcome => return outcome,
            };
            // That the budget cut the last attempt short explains less than why those before it failed.
            let cut_short = error.kind() == ErrorKind::Timeout && limit < self.source.attempt_timeout();
            let error = last_error.filter(|_| cut_short).unwrap_or(error);
            let pause = schedule::cold_retry(retry, fastrand::f64());
            if started.elapsed().saturating_add(pause) >= budget {
                return Err(error);
            }
            last_error = Some(error);
            retry = retry.saturating_add(1);
            sleep(pause).await;
        }
    }

    /// One attempt, in its span.
    async fn fetch(&self, attempt: u32, limit: Duration) -> Result<Fetched, Error> {
        let started = Instant::now();
        self.shared.task().last_start = Some(started);
        let now = self.shared.now();
        self.publish(|entry| entry.state.last_attempt = Some(now));
        let source = self.source.kind().as_str();
        let span = tracing::info_span!(
            "fetch_credentials",
            source,
            attempt,
            outcome = field::Empty,
            duration_ms = field::Empty
        );
        let outcome =
            self.source.fetch(limit).instrument(span.clone()).await.and_then(|fetched| self.not_expired(fetched));
        span.record("duration_ms", u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        span.record("outcome", outcome.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok"));
        metrics::attempt(self.source.kind(), &outcome);
        outcome
    }

    /// An agent may hand out expired credentials in an outage of EKS Auth: a failed refresh, not a success.
    fn not_expired(&self, fetched: Fetched) -> Result<Fetched, Error> {
        let now = self.shared.now();
        match fetched.credentials.expiry() {
            Some(expiry) if expiry <= now => Err(Problem::Expired { source: fetched.source, expiry, now }.into()),
            _ => Ok(fetched),
        }
    }

    fn succeed(&self, fetched: Fetched) -> bool {
        let now = self.shared.now();
        let before = self.shared.cache.load_full();
        let expiry = fetched.credentials.expiry();
        let validity = Validity::new(&self.shared.policy, &before.state, now, expiry, fastrand::f64());
        self.announce(&before, &fetched);
        metrics::refreshed(fetched.source);
        self.land(now, |entry| {
            entry.state.validity = Some(validity);
            entry.state.failure = None;
            entry.error = None;
            entry.state.rejected = false;
            entry.refreshes = entry.refreshes.saturating_add(1);
            entry.held = Some(Held::new(fetched, entry.refreshes));
        })
    }

    fn fail(&self, error: Error) -> bool {
        let now = self.shared.now();
        let random = fastrand::f64();
        let landed = self.land(now, |entry| {
            entry.state.failure = Some(Failure::new(&entry.state, now, error.verdict(), random));
            entry.error = Some(error.clone());
        });
        self.complain(&error);
        metrics::failed(self.source.kind(), error.kind());
        landed
    }

    /// Ends the flight for everybody who waits for it.
    fn land(&self, now: SystemTime, outcome: impl FnOnce(&mut Entry)) -> bool {
        let landed = self.publish(|entry| {
            outcome(entry);
            entry.state.flight = None;
            entry.state.forced = false;
            entry.flights_ended = entry.flights_ended.saturating_add(1);
        });
        if landed {
            self.shared.task().set_flight(self.epoch, None);
            self.tell(now);
        }
        landed
    }

    fn publish(&self, change: impl FnOnce(&mut Entry)) -> bool {
        self.shared.cache.update_as(self.epoch, change)
    }

    fn tell(&self, now: SystemTime) {
        let status = self.shared.cache.load().status(now, Some(self.source.kind()));
        metrics::status(&status);
        self.shared.changes.send_replace(status);
    }

    /// INFO on what an operator wants to see once: the first credentials, another source, the end of an outage.
    fn announce(&self, before: &Entry, fetched: &Fetched) {
        let source = fetched.source.as_str();
        let expiry = expiry_text(&fetched.credentials);
        match &before.held {
            None => tracing::info!(source, expiry, "first credentials"),
            Some(held) if held.source != fetched.source => {
                tracing::info!(
                    source,
                    previous = held.source.as_str(),
                    expiry,
                    "credentials come from another source now"
                );
            }
            Some(_) if before.error.is_some() => tracing::info!(source, expiry, "credentials are refreshed again"),
            Some(_) => tracing::debug!(source, expiry, "credentials refreshed"),
        }
    }

    fn complain(&self, error: &Error) {
        let source = self.source.kind().as_str();
        let entry = self.shared.cache.load();
        let usable = entry.state.is_usable(self.shared.now());
        let serves_expired = self.shared.policy.may_serve_expired(&entry.state);
        let serving = match (&entry.held, usable) {
            (Some(held), true) => format!("the credentials at hand are valid until {}", expiry_text(&held.credentials)),
            (Some(held), false) if serves_expired => {
                format!("serving credentials that expired at {}", expiry_text(&held.credentials))
            }
            _ => "there are no credentials to serve".to_owned(),
        };
        if error.is_transient() && entry.held.is_some() && (usable || serves_expired) {
            tracing::warn!(source, %error, serving, "refreshing credentials failed");
        } else {
            tracing::error!(source, %error, serving, "fetching credentials failed");
        }
    }

    /// ERROR (WARN if a service has refused them) and a new `Status`, once for each set of credentials that ran out.
    fn report_expiry(&self, entry: &Entry, now: SystemTime, reported: &mut Option<SystemTime>) {
        let Some(expiry) = entry.state.validity.and_then(|validity| validity.expiry) else { return };
        if now < expiry || *reported == Some(expiry) {
            return;
        }
        *reported = Some(expiry);
        let source = entry.held.as_ref().map_or(self.source.kind(), |held| held.source).as_str();
        if entry.state.rejected {
            tracing::warn!(source, "a service has refused the credentials: they count as expired");
        } else {
            tracing::error!(
                source,
                expiry = clock::rfc3339(expiry),
                "credentials have expired and are not renewed yet"
            );
        }
        self.tell(now);
    }
}

/// The driver ends, perhaps with its runtime: those who wait for it must look after themselves.
impl Drop for Driver {
    fn drop(&mut self) {
        let in_charge = self.publish(|entry| {
            entry.state.flight = None;
            entry.state.orphaned = true;
        });
        if in_charge {
            self.shared.task().dismiss(self.epoch);
        }
        self.shared.changes.send_modify(|_| {});
    }
}

fn expiry_text(credentials: &Credentials) -> String {
    credentials.expiry().map_or_else(|| "never".to_owned(), clock::rfc3339)
}
