//! Metrics, recorded through the `metrics` facade. They are documented in `src/docs/observability.md`.
//!
//! Only the refresh task and waiting callers record metrics. A call that is served without waiting records nothing.
//! Times are recorded as timestamps, as Prometheus recommends, because a number of seconds to expiry would be outdated
//! when it is read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Label, Unit, counter, gauge, histogram};

use crate::error::{Error, ErrorKind};
use crate::fetched::Fetched;
use crate::refresh::Fetch;
use crate::refresh::status::Status;
use crate::source_kind::SourceKind;

const REFRESHES: &str = "eks_credentials_refreshes_total";
const FAILURES: &str = "eks_credentials_refresh_failures_total";
const ATTEMPTS: &str = "eks_credentials_attempts_total";
const DURATION: &str = "eks_credentials_refresh_duration_seconds";
const EXPIRY: &str = "eks_credentials_expiry_timestamp_seconds";
const LAST_REFRESH: &str = "eks_credentials_last_refresh_timestamp_seconds";
const CONSECUTIVE: &str = "eks_credentials_consecutive_failures";
const SERVING: &str = "eks_credentials_serving";
const CUT_OVER_READY: &str = "eks_credentials_cut_over_ready";
const WAITING: &str = "eks_credentials_waiting_callers";

/// Describes the metrics to the recorder that is installed at this time.
pub(crate) fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!(REFRESHES, "Successful refreshes.");
    describe_counter!(FAILURES, "Failed refreshes, by the kind of the error. A cold start counts its retries as one.");
    describe_counter!(ATTEMPTS, "Requests for credentials, by outcome: ok, or the kind of the error.");
    describe_histogram!(DURATION, Unit::Seconds, "How long a refresh took; a cold start with all its retries.");
    describe_gauge!(EXPIRY, Unit::Seconds, "When the current credentials expire, in Unix time; +Inf: never.");
    describe_gauge!(LAST_REFRESH, Unit::Seconds, "When the current credentials were fetched, in Unix time.");
    describe_gauge!(CONSECUTIVE, "Failed refreshes since the last success.");
    describe_gauge!(SERVING, "Whether the current credentials came from this source.");
    describe_gauge!(CUT_OVER_READY, "Whether the last comparison found the other source ready to be used instead.");
    describe_gauge!(WAITING, "Callers that are waiting for credentials.");
}

/// Counts one attempt. If the source falls back to the other one within it, both requests count as one attempt.
pub(crate) fn attempt(source: &dyn Fetch, outcome: &Result<Fetched, Error>) {
    counter!(ATTEMPTS, of(source, outcome)).increment(1);
}

pub(crate) fn duration(source: &dyn Fetch, outcome: &Result<Fetched, Error>, took: Duration) {
    histogram!(DURATION, of(source, outcome)).record(took);
}

pub(crate) fn refreshed(source: SourceKind, role_arn: Option<&str>) {
    counter!(REFRESHES, labels(role_arn, &[("source", source.as_str())])).increment(1);
}

pub(crate) fn failed(source: &dyn Fetch, kind: ErrorKind) {
    let own = [("source", source.kind().as_str()), ("kind", kind.as_str())];
    counter!(FAILURES, labels(source.role_arn(), &own)).increment(1);
}

/// Sets the gauges, whenever a new status is published.
pub(crate) fn status(status: &Status) {
    let role_arn = status.assumed_role.as_deref();
    gauge!(CONSECUTIVE, labels(role_arn, &[])).set(status.consecutive_failures);
    if let Some(fetched_at) = status.fetched_at {
        gauge!(LAST_REFRESH, labels(role_arn, &[])).set(unix(fetched_at));
        gauge!(EXPIRY, labels(role_arn, &[])).set(status.expiry.map_or(f64::INFINITY, unix));
        for source in [SourceKind::WebIdentity, SourceKind::PodIdentity] {
            let labels = labels(role_arn, &[("source", source.as_str())]);
            gauge!(SERVING, labels).set(u8::from(status.source == Some(source)));
        }
    }
}

/// Records the result of the last comparison of both sources.
pub(crate) fn cut_over_ready(ready: bool) {
    gauge!(CUT_OVER_READY).set(u8::from(ready));
}

/// Counts a caller as waiting until this value is dropped, which also happens when the caller is cancelled.
pub(crate) struct Waiting;

impl Waiting {
    pub(crate) fn begin() -> Self {
        gauge!(WAITING).increment(1);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        gauge!(WAITING).decrement(1);
    }
}

/// The labels of an outcome.
fn of(source: &dyn Fetch, outcome: &Result<Fetched, Error>) -> Vec<Label> {
    let used = outcome.as_ref().map_or(source.kind(), |fetched| fetched.source);
    let name = outcome.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok");
    labels(source.role_arn(), &[("source", used.as_str()), ("outcome", name)])
}

/// The labels of a series. A provider for an assumed role has its own series, with the label `role`. Otherwise it would
/// overwrite those of the pod's own credentials.
fn labels(role_arn: Option<&str>, own: &[(&'static str, &'static str)]) -> Vec<Label> {
    let own = own.iter().map(|(name, value)| Label::from_static_parts(name, value));
    own.chain(role_arn.map(|role_arn| Label::new("role", role_arn.to_owned()))).collect()
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
