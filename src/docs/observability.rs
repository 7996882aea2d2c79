//! What can be watched, and how: metrics, spans, events, and the answer to a readiness probe.
//!
//! # Metrics
//!
//! With the feature `metrics` the provider records through the [`metrics`](https://docs.rs/metrics) facade, for whichever
//! exporter the program installs; without one, and without the feature, nothing is recorded. Install it before the first
//! ask for credentials: what was recorded earlier is lost. Only the refreshing task records, and callers that wait: a
//! request that is served at once does not.
//!
//! | metric | type | labels | what it is |
//! |---|---|---|---|
//! | `eks_credentials_refreshes_total` | counter | `source` | successful refreshes |
//! | `eks_credentials_refresh_failures_total` | counter | `source`, `kind` | failed refreshes; a cold start counts its retries as one |
//! | `eks_credentials_attempts_total` | counter | `source`, `outcome` | requests for credentials, those of a cold start one by one |
//! | `eks_credentials_refresh_duration_seconds` | histogram | `source`, `outcome` | how long a refresh took, a cold start with its retries and the pauses between them |
//! | `eks_credentials_expiry_timestamp_seconds` | gauge | | when the current credentials expire, in Unix time; `+Inf` if never |
//! | `eks_credentials_last_refresh_timestamp_seconds` | gauge | | when they were fetched, in Unix time |
//! | `eks_credentials_consecutive_failures` | gauge | | failed refreshes since the last success |
//! | `eks_credentials_serving` | gauge | `source` | 1 for the source of the current credentials, 0 for the other one |
//! | `eks_credentials_shadow_success` | gauge | `source` | with [`shadow(true)`](crate::Builder::shadow): 1 if the source that does not serve granted credentials too, 0 if it failed |
//! | `eks_credentials_waiting_callers` | gauge | | callers that are waiting for credentials now |
//!
//! | label | values |
//! |---|---|
//! | `source` | `irsa`, `pod-identity` ([`SourceKind::as_str`](crate::SourceKind::as_str)): of a success where the credentials came from, of a failure the preferred one |
//! | `kind` | [`ErrorKind::as_str`](crate::ErrorKind::as_str): `denied`, `token-file`, `throttled`, `unavailable`, `timeout`, … |
//! | `outcome` | `ok`, or the kind |
//!
//! Seconds to expiry and age are differences that Prometheus makes, so that they are right at any moment, and also if the
//! process hangs:
//!
//! ```promql
//! eks_credentials_expiry_timestamp_seconds - time()         # seconds to expiry; negative once expired
//! time() - eks_credentials_last_refresh_timestamp_seconds   # age of the current credentials
//! ```
//!
//! Gauges of credentials appear with the first ones. The exporter of `metrics-exporter-prometheus` writes the durations as a
//! summary, unless it is given buckets (`set_buckets_for_metric`), which can be added up over pods: the example `readiness`
//! does so. Providers of one process share all series: counters and waiting callers add up, the other gauges are those of
//! the provider that refreshed last, and stay when it is dropped. One provider for a process is enough in any case
//! that needs one role.
//!
//! `examples/deploy/` has a Grafana dashboard and Prometheus alert rules over these names: credentials that expire within
//! five minutes, that have expired, refreshes that have been failing for fifteen minutes, and a second method that would not
//! work.
//!
//! # Spans and events
//!
//! Around each attempt there is the [`tracing`] span `fetch_credentials`, at INFO:
//!
//! | field | what it is |
//! |---|---|
//! | `source` | the preferred source: `irsa`, `pod-identity` |
//! | `attempt` | 1, and at a cold start the number of the attempt |
//! | `outcome` | `ok`, or the kind of the error as in the metrics |
//! | `duration_ms` | how long it took |
//!
//! For OpenTelemetry, `tracing-opentelemetry` makes a span of it with these fields as attributes; a fallback is an event in
//! it. The example `opentelemetry` sends them by OTLP, and shows what a collector gets. The span has no parent: a refresh
//! belongs to no request.
//!
//! Events are on the front page of this documentation.
//!
//! # Readiness
//!
//! [`Status::is_ready`](crate::Status::is_ready) is the answer for a readiness probe: true from the first credentials until
//! they expire, through any outage, and again when they are renewed. The example `readiness` serves it as `/readyz`, and
//! `--outage` plays an outage on a local pod. As a *liveness* probe it would be wrong: a restart ends no outage of STS, and
//! throws away credentials that are still valid.
