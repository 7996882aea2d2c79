//! The one task that fetches. Its life: sleep until the schedule or a caller says so, fly, publish, sleep again.
//!
//! Being the only caller of the source, it makes single flight hold by construction. It belongs to no caller: one that
//! is cancelled cancels nothing.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tracing::{Instrument as _, field};

use crate::clock;
use crate::clock::skew::{self, Skew};
use crate::error::problem::{Problem, Runtime};
use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::refresh::cache::{Entry, Epoch, Held};
use crate::refresh::schedule::{self, Decision, Failure, Flight, Policy, Refusal, Validity};
use crate::refresh::shared::Shared;
use crate::refresh::sync::{Instant, sleep, timeout};
use crate::refresh::{Fetch, metrics};

/// Sleeping is monotonic and expiry is wall time: after a suspension, or when the clock is set, the two disagree. So no
/// sleep is longer than this before the wall clock is read again. With it the last 30 s before expiry are enough to
/// renew in also if the clock has jumped there and nobody asks.
const RECHECK: Duration = Duration::from_secs(20);

/// For how long after their expiry credentials of the EKS agent are worth trying: as long as a session of EKS Auth lasts.
const PAST_EXPIRY_MAX: Duration = Duration::from_hours(6);

/// Drives until it is aborted (the last provider went), replaced, or its runtime ends. A panic, as of a runtime without
/// I/O, is an error for those who wait; nobody would end their waiting otherwise.
pub(crate) async fn drive(shared: Arc<Shared>, epoch: Epoch) {
    let Ok(source) = shared.source.clone() else { return };
    let driver = Driver { shared, epoch, source };
    metrics::describe();
    loop {
        let mut life = pin!(live(&driver));
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
        let jumped = |held: &Held| skew::jump(held.judged.at, now, held.judged.timer.elapsed()).is_some();
        if entry.held.as_ref().is_some_and(jumped) {
            driver.judge_again(now);
            continue;
        }
        let next = schedule::next_fetch(&entry.state, now);
        if next.is_some_and(|at| at <= now) || (asked && driver.is_wanted(&entry, now)) {
            asked = false;
            if !driver.fly(&entry).await {
                return;
            }
            continue;
        }
        let expiry = entry.state.validity.and_then(|validity| validity.expiry).filter(|&at| at > now);
        let until = [next, expiry].into_iter().flatten().map(|at| clock::since(at, now)).min();
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
        if !self.begin_flight(self.shared.now()) {
            return false;
        }
        let last_start = self.shared.task().last_start;
        if let Some(last_start) = last_start {
            sleep(schedule::MIN_GAP.saturating_sub(last_start.elapsed())).await;
        }
        // Only the first flight is patient: later ones have an error to answer with, and a schedule.
        let started = Instant::now();
        let cold = before.held.is_none() && before.state.failure.is_none();
        let outcome = loop {
            let awake = Awake::begin(&self.shared);
            let outcome = if cold {
                self.fetch_patiently().await
            } else {
                let longest = self.source.attempt_timeout();
                self.fetch(1, schedule::attempt_limit(&before.state, self.shared.now(), longest)).await
            };
            if outcome.is_ok() || !awake.was_interrupted(&self.shared) {
                break outcome;
            }
            // The machine slept in the middle of the attempt, so that its failure says nothing about the source.
            sleep(schedule::MIN_GAP).await;
            if !self.begin_flight(self.shared.now()) {
                return false;
            }
        };
        metrics::duration(self.source.kind(), &outcome, started.elapsed());
        match outcome {
            Ok(fetched) => self.succeed(fetched),
            Err(error) => self.fail(error),
        }
    }

    fn begin_flight(&self, began: SystemTime) -> bool {
        let flight = Flight { began, deadline: clock::after(began, self.shared.flight_budget()) };
        self.shared.task().set_flight(self.epoch, Some(Instant::now()));
        self.publish(|entry| entry.state.flight = Some(flight))
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
                // Credentials that have just expired may have come with it. They are better than to go on waiting.
                Err(error) if error.verdict().retries_cold_start && self.shared.cache.load().held.is_none() => error,
                outcome => return outcome,
            };
            if retry == 0 {
                let source = self.source.kind().as_str();
                tracing::warn!(source, %error, "the first attempt to fetch credentials failed: it is repeated");
            }
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
        let outcome = self.source.fetch(limit).instrument(span.clone()).await;
        let outcome = outcome.and_then(|fetched| self.not_expired(self.correct_expiry(fetched)));
        span.record("duration_ms", u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        span.record("outcome", outcome.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok"));
        metrics::attempt(self.source.kind(), &outcome);
        outcome
    }

    /// Corrects the expiry for the difference between the clocks, and reports a difference that is new.
    fn correct_expiry(&self, fetched: Fetched) -> Fetched {
        let before = self.shared.cache.load_full();
        let (fetched, skew) = fetched.on_clock(self.shared.now());
        let Some(skew) = skew else { return fetched };
        if skew.matters() && !before.skew.is_some_and(Skew::matters) {
            tracing::warn!(
                clock = %skew,
                "this machine's clock differs from that of STS: the expiry of credentials is corrected; synchronise the clock"
            );
        }
        self.publish(|entry| entry.skew = Some(skew));
        fetched
    }

    /// The wall clock has jumped since the expiry was compared with it, so that the comparison may be wrong: new credentials
    /// are fetched. Until they arrive, a clock that was set back does not prolong the life of the current ones, if the server
    /// said how long they last. A clock that has gone ahead shortens their life, because the machine may have been suspended.
    fn judge_again(&self, now: SystemTime) {
        self.publish(|entry| {
            (entry.skew, entry.state.forced) = (None, true);
            let Some(held) = &mut entry.held else { return };
            let early = held.judge_again(now);
            entry.state.validity = entry.state.validity.map(|validity| validity.earlier(early));
        });
    }

    /// An agent may hand out expired credentials in an outage of EKS Auth: a failed refresh, not a success. AWS may still
    /// honour them, so that they are kept if there is nothing better, and used as expired ones are in an outage.
    fn not_expired(&self, fetched: Fetched) -> Result<Fetched, Error> {
        let now = self.shared.now();
        let Some(expiry) = fetched.credentials.expiry().filter(|&expiry| expiry <= now) else { return Ok(fetched) };
        let error = Problem::Expired { source: fetched.source, expiry, now }.into();
        let is_recent = clock::since(now, expiry) <= PAST_EXPIRY_MAX;
        if fetched.is_statically_stable && self.shared.policy.serve_expired && is_recent {
            self.publish(|entry| {
                let known = entry.held.as_ref();
                let is_later = entry.state.validity.is_none_or(|held| held.expiry.is_some_and(|held| held < expiry));
                let nothing_better = is_later || entry.state.refusal == Refusal::Refused;
                let refused = entry.state.refusal != Refusal::None && is_same(known, &fetched);
                if nothing_better && !refused {
                    let validity = Validity::new(&self.shared.policy, &entry.state, now, Some(expiry), 0.0);
                    (entry.state.validity, entry.state.refusal) = (Some(validity), Refusal::None);
                    entry.held = Some(Held::new(fetched, entry.refreshes, now));
                }
            });
        }
        Err(error)
    }

    fn succeed(&self, fetched: Fetched) -> bool {
        let now = self.shared.now();
        let before = self.shared.cache.load_full();
        let expiry = fetched.credentials.expiry();
        let validity = Validity::new(&self.shared.policy, &before.state, now, expiry, fastrand::f64());
        if before.state.refusal != Refusal::None && is_same(before.held.as_ref(), &fetched) {
            return self.take_again(fetched, validity);
        }
        self.announce(&before, &fetched);
        metrics::refreshed(fetched.source);
        let outcome = |entry: &mut Entry| {
            entry.state.validity = Some(validity);
            entry.state.failure = None;
            entry.error = None;
            entry.state.refusal = Refusal::None;
            entry.refreshes = entry.refreshes.saturating_add(1);
            entry.held = Some(Held::new(fetched, entry.refreshes, now));
        };
        self.land(now, outcome, || ())
    }

    /// The source has only the credentials that a service has refused. They are served, because the service may have been
    /// wrong, and asked for again less and less often.
    fn take_again(&self, fetched: Fetched, validity: Validity) -> bool {
        let (now, random) = (self.shared.now(), fastrand::f64());
        let error = Error::from(Problem::RefusedAgain { source: fetched.source });
        let outcome = |entry: &mut Entry| {
            entry.state.failure =
                Some(Failure::handed_out_again(&entry.state, &validity, now, error.verdict(), random));
            entry.state.validity = Some(validity);
            entry.state.refusal = Refusal::HandedOutAgain;
            entry.error = Some(error.clone());
            entry.held = Some(Held::new(fetched, entry.refreshes, now));
        };
        self.land(now, outcome, || self.complain(&error))
    }

    fn fail(&self, error: Error) -> bool {
        let now = self.shared.now();
        let random = fastrand::f64();
        let outcome = |entry: &mut Entry| {
            entry.state.failure = Some(Failure::new(&entry.state, now, error.verdict(), random));
            entry.error = Some(error.clone());
        };
        self.land(now, outcome, || self.complain(&error))
    }

    /// Ends the flight for everybody who waits for it, after `report` has said what came of it.
    fn land(&self, now: SystemTime, outcome: impl FnOnce(&mut Entry), report: impl FnOnce()) -> bool {
        let landed = self.publish(|entry| {
            outcome(entry);
            entry.state.flight = None;
            entry.state.forced = false;
            entry.flights_ended = entry.flights_ended.saturating_add(1);
        });
        report();
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
        metrics::failed(self.source.kind(), error.kind());
        let source = self.source.kind().as_str();
        let entry = self.shared.cache.load();
        let serving = serving(&self.shared.policy, &entry, self.shared.now());
        if let (Some(serving), true) = (&serving, error.is_transient()) {
            tracing::warn!(source, %error, serving, "refreshing credentials failed");
        } else {
            let serving = serving.as_deref().unwrap_or("there are no credentials to serve");
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
        if entry.state.refusal == Refusal::Refused {
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

/// Whether these are the credentials at hand.
fn is_same(held: Option<&Held>, fetched: &Fetched) -> bool {
    held.is_some_and(|held| held.credentials.access_key_id() == fetched.credentials.access_key_id())
}

/// Since when an attempt runs, on the wall clock and on the timers'.
struct Awake {
    began: SystemTime,
    started: Instant,
}

impl Awake {
    fn begin(shared: &Shared) -> Self {
        Self { began: shared.now(), started: Instant::now() }
    }

    /// Whether the wall clock has gone far ahead of the timers, which stand still in a suspension.
    fn was_interrupted(&self, shared: &Shared) -> bool {
        let now = shared.now();
        skew::jump(self.began, now, self.started.elapsed()).is_some_and(Skew::is_ahead)
    }
}

/// Which credentials callers get although the refresh failed, as text for operators. `None`: they get an error.
pub(super) fn serving(policy: &Policy, entry: &Entry, now: SystemTime) -> Option<String> {
    let expiry = entry.held.as_ref().map(|held| expiry_text(&held.credentials))?;
    if entry.state.is_usable(now) {
        Some(format!("the current credentials are valid until {expiry}"))
    } else {
        policy.may_serve_expired(&entry.state).then(|| format!("serving credentials that expired at {expiry}"))
    }
}

fn expiry_text(credentials: &Credentials) -> String {
    credentials.expiry().map_or_else(|| "never".to_owned(), clock::rfc3339)
}
