//! The source fails for so long that the credentials expire, and recovers when the delays between attempts have grown.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use eks_credentials::testing::{Answer, LocalPod};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{AlwaysNew, Measured};
use crate::child::{Child, announce};
use crate::report::Table;
use crate::subject::{NO_EXPIRED, Name, Subject};

/// reqsign refuses credentials in their last 10 s.
const LIFETIME: Duration = Duration::from_secs(15);
const FROM: Duration = Duration::from_secs(3);
/// At least 42 s of it after the expiry.
const OUTAGE: Duration = Duration::from_secs(57);
const AFTERWARDS: Duration = Duration::from_secs(40);
const PERIOD: Duration = Duration::from_millis(50);

#[derive(Serialize, Deserialize)]
pub(crate) struct Calls {
    /// When the calls that got credentials returned, in seconds of Unix time.
    served: Vec<f64>,
    failed: u64,
}

/// Runs in the measured process.
pub(crate) async fn measure<S: Subject>(subject: S) -> Result<Calls> {
    subject.call().await?;
    announce()?;
    let (began, mut calls) = (Instant::now(), Calls { served: Vec::new(), failed: 0 });
    while began.elapsed() < FROM + OUTAGE + AFTERWARDS {
        sleep(PERIOD).await;
        match subject.call().await {
            Ok(_) => calls.served.push(unix_seconds()),
            Err(_) => calls.failed += 1,
        }
    }
    Ok(calls)
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

async fn outage(name: Name) -> Result<(Calls, f64)> {
    let pod = Arc::new(LocalPod::start().await?);
    let new = AlwaysNew::of(&pod, LIFETIME);
    let mut env = pod.pod_identity_env();
    env.push((NO_EXPIRED.into(), "1".into()));
    let mut measured = Measured::start(&Child::LongOutage { subject: name }, env)?;
    measured.warm().await?;
    sleep(FROM).await;
    pod.agent().always(Answer::http(500, "out of order"));
    sleep(OUTAGE).await;
    let recovered = unix_seconds();
    pod.agent().always(Answer::proper());
    let calls = measured.result().await?;
    drop(new);
    Ok((calls, recovered))
}

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "An outage of 57 s (status 500) that outlives the credentials by at least 42 s; a call every 50 ms",
        &["", "failed calls", "seconds from the recovery of the source to the first call with credentials"],
    );
    // The processes mostly wait, so they can run at the same time.
    let running = Name::ALL.map(|name| (name, tokio::spawn(outage(name))));
    for (name, task) in running {
        let (calls, recovered) = task.await??;
        let first = calls.served.iter().find(|at| **at > recovered);
        table.row(vec![
            name.title().into(),
            calls.failed.to_string(),
            first.map_or("> 40".into(), |at| format!("{:.1}", at - recovered)),
        ]);
    }
    table.note(
        "Pod Identity, credentials of 15 s. This crate is configured with `serve_expired(false)`: by default its calls return \
         expired credentials in an outage and do not fail. The delay between its attempts after expiry is random and at \
         most 30 s. The other crates fetch again with each call. A call of object_store retries by itself, so few fail.",
    );
    Ok(table)
}
