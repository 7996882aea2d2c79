//! What an operator reads in the log, and how often. This needs a process of its own: a subscriber that is set for one thread
//! may lose events while other threads have none.
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
fn said() -> Vec<String> {
    let text = String::from_utf8(std::mem::take(&mut *LOG.lock().unwrap())).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_said_once(said: &[String], event: &str) -> usize {
    let at: Vec<_> = (0..said.len()).filter(|&n| said[n].starts_with(event)).collect();
    assert_eq!(at.len(), 1, "{event}: {said:#?}");
    at[0]
}

#[tokio::test]
async fn what_an_operator_must_know_is_logged_at_once_and_once() {
    let subscriber = tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false);
    subscriber.with_writer(|| Log).init();
    let pod = LocalPod::start().await.unwrap();

    // A cold start that fails: there is a warning before its time limit is reached.
    pod.sts().always(Answer::http(503, "down"));
    let cold = builder(pod.irsa_env()).startup_timeout(millis(500)).build().unwrap();
    cold.credentials().await.unwrap_err();
    let log = said();
    let first = assert_said_once(&log, " WARN the first attempt to fetch credentials failed: it is repeated ");
    let last = assert_said_once(&log, "ERROR fetching credentials failed ");
    assert!(first < last && log[first].contains("503"), "{log:#?}");
    assert!(pod.sts().requests() > 1);
    drop(cold);

    // A clock that is wrong and is not corrected.
    pod.sts().always(Answer::proper()).set_clock_offset(300);
    let ca = Ca::new();
    let (sts, bundle) = (ca.in_front_of(pod.sts().address(), named("localhost")).await, ca.bundle());
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("https://localhost:{}", sts.port()));
    let skewed = builder(with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap())).build().unwrap();
    said();
    let credentials = skewed.credentials().await.unwrap();
    let log = said();
    let clock = assert_said_once(&log, " WARN this machine's clock differs from that of STS: ");
    assert!(log[clock].contains(" s behind"), "{log:#?}");
    assert_said_once(&log, " INFO first credentials ");
    // Credentials that a service refuses several times.
    skewed.invalidate(&credentials);
    skewed.invalidate(&credentials);
    assert_ne!(skewed.credentials().await.unwrap(), credentials);
    skewed.invalidate(&credentials);
    let log = said();
    assert!(!log.iter().any(|line| line.contains("clock")), "{log:#?}");
    assert_said_once(&log, " WARN a service has refused the credentials: they count as expired ");
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
    let log = said();
    let expired = assert_said_once(&log, "ERROR credentials have expired and are not renewed yet ");
    let renewed = assert_said_once(&log, " INFO credentials are refreshed again ");
    assert!(expired < renewed, "{log:#?}");
}
