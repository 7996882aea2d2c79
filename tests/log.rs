//! The log events that an operator needs, and that each of them appears once. The test sets a global subscriber, so it
//! needs its own process: a subscriber for one thread can lose events while other threads have none.
#![cfg(all(feature = "irsa", feature = "__tls"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::io::{self, Write};
use std::sync::Mutex;
use std::time::Duration;

use eks_credentials::Health;
use eks_credentials::testing::{Answer, LocalPod};
use support::ca::{Ca, named};
use support::{builder, millis, with};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The events since the last call.
fn logged() -> Vec<String> {
    let text = String::from_utf8(std::mem::take(&mut *LOG.lock().unwrap())).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_logged_once(log: &[String], event: &str) -> usize {
    let at: Vec<_> = (0..log.len()).filter(|&n| log[n].starts_with(event)).collect();
    assert_eq!(at.len(), 1, "{event}: {log:#?}");
    at[0]
}

#[tokio::test]
async fn log_contains_each_important_event_once() {
    let subscriber = tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false);
    subscriber.with_writer(|| Log).init();
    let pod = LocalPod::start().await.unwrap();

    // A cold start that fails. There is a warning before its time limit is reached.
    pod.sts().always(Answer::http(503, "down"));
    let cold = builder(pod.irsa_env()).startup_timeout(millis(500)).build().unwrap();
    cold.credentials().await.unwrap_err();
    let log = logged();
    let first = assert_logged_once(&log, " WARN the first attempt to fetch credentials failed, retrying ");
    let last = assert_logged_once(&log, "ERROR fetching credentials failed ");
    assert!(first < last && log[first].contains("503"), "{log:#?}");
    assert!(pod.sts().requests() > 1);
    drop(cold);

    // A local clock that is wrong and stays wrong.
    pod.sts().always(Answer::proper()).set_clock_offset(300);
    let ca = Ca::new();
    let (sts, bundle) = (ca.in_front_of(pod.sts().address(), named("localhost")).await, ca.bundle());
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("https://localhost:{}", sts.port()));
    let skewed = builder(with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap())).build().unwrap();
    logged();
    let credentials = skewed.credentials().await.unwrap();
    let log = logged();
    let clock = assert_logged_once(&log, " WARN the local clock differs from the clock of STS: ");
    assert!(log[clock].contains(" s behind"), "{log:#?}");
    assert_logged_once(&log, " INFO fetched the first credentials ");
    // Credentials that a service refuses several times.
    skewed.invalidate(&credentials);
    skewed.invalidate(&credentials);
    assert_ne!(skewed.credentials().await.unwrap(), credentials);
    skewed.invalidate(&credentials);
    let log = logged();
    assert!(!log.iter().any(|line| line.contains("clock")), "{log:#?}");
    assert_logged_once(&log, " WARN a service has refused the credentials: they are treated as expired ");
    drop(skewed);

    // Credentials that expire in an outage, and the end of the outage.
    pod.sts().set_clock_offset(0).set_lifetime(Duration::from_secs(1));
    let short = builder(pod.irsa_env()).build().unwrap();
    let mut status = short.subscribe();
    short.credentials().await.unwrap();
    pod.sts().always(Answer::http(503, "down"));
    status.wait_for(|status| status.health == Health::Expired).await.unwrap();
    pod.sts().always(Answer::proper()).set_lifetime(Duration::from_secs(3600));
    status.wait_for(|status| status.health == Health::Ready).await.unwrap();
    let log = logged();
    let expired = assert_logged_once(&log, "ERROR credentials have expired and have not been refreshed yet ");
    let refreshed = assert_logged_once(&log, " INFO credentials refreshed after failures ");
    assert!(expired < refreshed, "{log:#?}");
}
