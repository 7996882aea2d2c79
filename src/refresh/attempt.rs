//! Fetching from the source: a single attempt, or the attempts of a cold start.

use std::time::Duration;

use tracing::{Instrument as _, field};

use crate::clock;
use crate::clock::skew::Skew;
use crate::error::problem::Problem;
use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::refresh::cache::Current;
use crate::refresh::driver::Driver;
use crate::refresh::metrics;
use crate::refresh::retry;
use crate::refresh::state::{Refusal, Validity};
use crate::refresh::sync::{Instant, sleep};

/// Credentials from the EKS agent are used for up to this time after their expiry. It is the session length of EKS
/// Auth.
const PAST_EXPIRY_MAX: Duration = Duration::from_hours(6);

impl Driver {
    /// Fetches at a cold start. Retries transient failures until the startup timeout, because the agent can start after
    /// the pod, and STS can throttle a whole deployment. The first callers then wait a little longer instead of getting
    /// an error.
    pub(super) async fn fetch_with_retries(&self) -> Result<Fetched, Error> {
        let (started, budget) = (Instant::now(), self.shared.policy.startup_timeout);
        let mut last_error: Option<Error> = None;
        let mut retry = 0_u32;
        loop {
            let limit = budget.saturating_sub(started.elapsed()).min(self.source.attempt_timeout());
            let error = match self.attempt(retry.saturating_add(1), limit).await {
                // The attempt may have stored credentials that have just expired. Callers get those without more
                // waiting.
                Err(error) if error.verdict().retries_cold_start && self.shared.cache.load().current.is_none() => error,
                outcome => return outcome,
            };
            if retry == 0 {
                let source = self.source.kind().as_str();
                tracing::warn!(source, role = self.source.role_arn(), %error, "the first attempt to fetch credentials failed, retrying");
            }
            // If the startup timeout cut this attempt short, the error of an earlier attempt explains more.
            let cut_short = error.kind() == ErrorKind::Timeout && limit < self.source.attempt_timeout();
            let error = last_error.filter(|_| cut_short).unwrap_or(error);
            let pause = retry::cold_retry(retry, fastrand::f64());
            if started.elapsed().saturating_add(pause) >= budget {
                return Err(error);
            }
            last_error = Some(error);
            retry = retry.saturating_add(1);
            sleep(pause).await;
        }
    }

    /// Makes one attempt, in its own span.
    pub(super) async fn attempt(&self, attempt: u32, limit: Duration) -> Result<Fetched, Error> {
        let started = Instant::now();
        self.shared.task().last_start = Some(started);
        let now = self.shared.now();
        self.publish(|entry| entry.last_attempt = Some(now));
        let source = self.source.kind().as_str();
        let span = tracing::info_span!(
            "fetch_credentials",
            source,
            role = self.source.role_arn(),
            attempt,
            outcome = field::Empty,
            duration_ms = field::Empty
        );
        let outcome = self.source.fetch(limit).instrument(span.clone()).await;
        let outcome = outcome.and_then(|fetched| self.not_expired(self.correct_expiry(fetched)));
        span.record("duration_ms", u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        span.record("outcome", outcome.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok"));
        metrics::attempt(self.source.as_ref(), &outcome);
        outcome
    }

    /// Corrects the expiry by the difference between the clocks. Logs the difference when it first exceeds the limit.
    fn correct_expiry(&self, fetched: Fetched) -> Fetched {
        let before = self.shared.cache.load_full();
        let (fetched, skew) = fetched.on_clock(self.shared.now());
        let Some(skew) = skew else { return fetched };
        if skew.matters() && !before.skew.is_some_and(Skew::matters) {
            tracing::warn!(
                role = self.source.role_arn(),
                clock = %skew,
                "the local clock differs from the clock of STS: the expiry of the credentials was corrected; synchronize the local clock"
            );
        }
        self.publish(|entry| entry.skew = Some(skew));
        fetched
    }

    /// Turns expired credentials into an error. The agent can return expired credentials in an outage of EKS Auth, and
    /// AWS may still accept them. They are therefore stored if there are no better ones, and served like other expired
    /// credentials in an outage.
    fn not_expired(&self, fetched: Fetched) -> Result<Fetched, Error> {
        let now = self.shared.now();
        let Some(expiry) = fetched.credentials.expiry().filter(|&expiry| expiry <= now) else { return Ok(fetched) };
        let error = Problem::Expired { source: fetched.source, expiry, now }.into();
        let is_recent = clock::since(now, expiry) <= PAST_EXPIRY_MAX;
        if fetched.is_statically_stable && self.shared.policy.serve_expired && is_recent {
            self.publish(|entry| {
                let is_better = entry.current.as_ref().is_none_or(|current| {
                    let is_later = current.validity.expiry.is_some_and(|at| at < expiry);
                    let is_refused = current.refusal != Refusal::None && current.is_same(&fetched);
                    (is_later || current.refusal == Refusal::Refused) && !is_refused
                });
                if is_better {
                    let validity = Validity::new(&self.shared.policy, &entry.state(), now, Some(expiry), 0.0);
                    entry.current = Some(Current::new(fetched, validity, Refusal::None, entry.refreshes));
                }
            });
        }
        Err(error)
    }
}
