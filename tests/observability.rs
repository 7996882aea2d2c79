//! Compares the metrics of a real Prometheus exporter with the table in the documentation. Checks that the dashboard
//! and the alert rules use only documented metrics.
#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

#[path = "../examples/support/http.rs"]
mod http;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use eks_credentials::testing::{Answer, AssumableRole, LocalPod};
use eks_credentials::{AssumeRole, EksCredentialsProvider, ErrorKind};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use support::{builder, provider};

/// The type and the labels of each metric, by name.
type Table = BTreeMap<String, (String, BTreeSet<String>)>;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn documented() -> Table {
    let page = read("src/docs/observability.md");
    let rows = page.lines().filter(|line| line.starts_with("| `eks_credentials_"));
    let table = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
        (quoted(cells[1]).pop_first().unwrap(), (cells[2].to_owned(), quoted(cells[3])))
    });
    table.collect()
}

/// Starts the exporter on a free port.
fn export() -> SocketAddr {
    loop {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let duration = Matcher::Full("eks_credentials_refresh_duration_seconds".to_owned());
        let builder = PrometheusBuilder::new().with_http_listener(free).set_buckets_for_metric(duration, &[0.1, 1.0]);
        match builder.unwrap().install() {
            Ok(()) => return free,
            // Another process has taken the port since.
            Err(BuildError::FailedToCreateHTTPListener(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn scrape(exporter: SocketAddr) -> String {
    let (status, text) = http::get(exporter, "/metrics").await.unwrap();
    assert_eq!(status, 200);
    text
}

/// The value of one series, as text.
fn value<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

#[track_caller]
fn assert_values(text: &str, expected: &[(&str, &str)]) {
    for (series, expected) in expected {
        assert_eq!(value(text, &format!("eks_credentials_{series}")), Some(*expected), "{series} in\n{text}");
    }
}

/// The declared types, and the labels of all series.
fn scraped(text: &str) -> Table {
    let declared = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut table: Table = declared.map(|(name, kind)| (name.to_owned(), (kind.to_owned(), BTreeSet::new()))).collect();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(labels, _)| labels);
        let names =
            labels.into_iter().flat_map(|labels| labels.split(',')).map(|label| label.split('=').next().unwrap());
        let seen = &mut table.get_mut(base(name)).unwrap().1;
        seen.extend(names.filter(|name| *name != "le").map(str::to_owned));
    }
    table
}

/// The name of the metric of a series. A histogram has three series.
fn base(name: &str) -> &str {
    let histogram = |end| name.strip_suffix(end).filter(|base| base.ends_with("_duration_seconds"));
    ["_bucket", "_sum", "_count"].into_iter().find_map(histogram).unwrap_or(name)
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

async fn denied(pod: &LocalPod, provider: &EksCredentialsProvider) {
    pod.sts().always(Answer::refuse("AccessDenied"));
    provider.invalidate(&provider.cached().unwrap());
    assert_eq!(provider.credentials().await.unwrap_err().kind(), ErrorKind::Denied);
}

/// This is a single test, because a process has one recorder.
#[tokio::test]
async fn metrics_match_the_documentation_and_the_events() {
    support::trace();
    let exporter = export();
    let pod = LocalPod::start().await.unwrap();
    pod.sts().then(Answer::http(503, "busy"));
    let provider = provider(pod.both_env());
    provider.warm_up().await.unwrap();

    assert!(provider.compare().await.unwrap().is_ready());

    let text = scrape(exporter).await;
    assert_values(
        &text,
        &[
            ("cut_over_ready", "1"),
            ("attempts_total{source=\"irsa\",outcome=\"unavailable\"}", "1"),
            ("attempts_total{source=\"irsa\",outcome=\"ok\"}", "1"),
            ("refreshes_total{source=\"irsa\"}", "1"),
            ("refresh_duration_seconds_count{source=\"irsa\",outcome=\"ok\"}", "1"),
            ("consecutive_failures", "0"),
            ("serving{source=\"irsa\"}", "1"),
            ("serving{source=\"pod-identity\"}", "0"),
            ("waiting_callers", "0"),
        ],
    );
    let status = provider.status();
    for (name, time) in [("expiry", status.expiry), ("last_refresh", status.fetched_at)] {
        let shown: f64 = value(&text, &format!("eks_credentials_{name}_timestamp_seconds")).unwrap().parse().unwrap();
        assert!((shown - unix(time.unwrap())).abs() < 0.001, "{name}: {shown}");
    }

    // Calls that are served without waiting record no metrics.
    for _ in 0..1000 {
        provider.credentials().await.unwrap();
    }
    let in_order = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(in_order(&scrape(exporter).await), in_order(&text));

    denied(&pod, &provider).await;
    let text = scrape(exporter).await;
    let failures = ("refresh_failures_total{source=\"irsa\",kind=\"denied\"}", "1");
    assert_values(&text, &[failures, ("consecutive_failures", "1")]);
    let expiry: f64 = value(&text, "eks_credentials_expiry_timestamp_seconds").unwrap().parse().unwrap();
    assert!(expiry < unix(status.expiry.unwrap()) - 3000.0, "refused credentials count as expired");

    // At this point every metric has been recorded.
    assert_eq!(scraped(&text), documented());
    check_waiting_callers(exporter).await;
    check_assumed_role(exporter).await;
}

/// A provider for an assumed role has series of its own. Those of the pod's own credentials keep their values.
async fn check_assumed_role(exporter: SocketAddr) {
    const ROLE: &str = "arn:aws:iam::444455556666:role/reports";
    let pod = LocalPod::builder().assumable_role(AssumableRole::new(ROLE)).start().await.unwrap();
    let parent = provider(pod.irsa_env());
    parent.warm_up().await.unwrap();
    let before = scrape(exporter).await;
    let reports = parent.assume_role(AssumeRole::new(ROLE)).unwrap();
    reports.warm_up().await.unwrap();
    let text = scrape(exporter).await;
    let role = format!("role=\"{ROLE}\"");
    let own =
        |text: &str| text.lines().filter(|line| !line.contains(&role)).map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(own(&text), own(&before));
    assert_values(
        &text,
        &[
            (&format!("attempts_total{{source=\"irsa\",outcome=\"ok\",{role}}}"), "1"),
            (&format!("refreshes_total{{source=\"irsa\",{role}}}"), "1"),
            (&format!("refresh_duration_seconds_count{{source=\"irsa\",outcome=\"ok\",{role}}}"), "1"),
            (&format!("consecutive_failures{{{role}}}"), "0"),
            (&format!("serving{{source=\"irsa\",{role}}}"), "1"),
        ],
    );
    let expiry = value(&text, &format!("eks_credentials_expiry_timestamp_seconds{{{role}}}")).unwrap();
    assert!((expiry.parse::<f64>().unwrap() - unix(reports.status().expiry.unwrap())).abs() < 0.001);
    pod.sts().always(Answer::refuse("AccessDenied"));
    reports.invalidate(&reports.cached().unwrap());
    reports.credentials().await.unwrap_err();
    let failures = format!("refresh_failures_total{{source=\"irsa\",kind=\"denied\",{role}}}");
    assert_values(&scrape(exporter).await, &[(&failures, "1")]);
}

/// Waiting callers are counted until they are served or cancelled.
async fn check_waiting_callers(exporter: SocketAddr) {
    let pod = LocalPod::start().await.unwrap();
    pod.sts().always(Answer::hang());
    let provider = builder(pod.irsa_env()).build().unwrap();
    let mut calls: Vec<_> = (0..3).map(|_| tokio_test::task::spawn(provider.credentials())).collect();
    for call in &mut calls {
        tokio_test::assert_pending!(call.poll());
    }
    assert_values(&scrape(exporter).await, &[("waiting_callers", "3")]);
    drop(calls);
    assert_values(&scrape(exporter).await, &[("waiting_callers", "0")]);
}

#[test]
fn dashboard_and_rules_use_only_documented_metrics() {
    let documented = documented();
    for path in ["grafana-dashboard.json", "prometheus-rules.yaml", "prometheus-rules.test.yaml"] {
        let text = read(&format!("examples/deploy/{path}"));
        let names = text.match_indices("eks_credentials_").map(|(at, _)| {
            let end = text[at..].find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap();
            &text[at..at + end]
        });
        let names: BTreeSet<&str> = names.collect();
        assert!(names.len() > 2, "{path}: {names:?}");
        for name in names {
            assert!(documented.contains_key(base(name)), "{path} uses {name}, which docs::observability does not list");
        }
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("examples/deploy/grafana-dashboard.json")).unwrap();
    let shown = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let shown: Vec<&str> = shown.map(|target| target["expr"].as_str().unwrap()).collect();
    for name in documented.keys() {
        assert!(shown.iter().any(|query| query.contains(name.as_str())), "the dashboard does not show {name}");
    }
}
