//! An outage that outlives the credentials. How long does it take from the recovery of the source to the first good call?

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use eks_credentials::testing::{Answer, LocalPod};
use tokio::time::{Instant, sleep_until};

use super::{AlwaysNew, Measured};
use crate::child::{Change, Child};
use crate::report::{Table, median};
use crate::subject::Name;

const LIFETIME: Duration = Duration::from_secs(10);
const FROM: Duration = Duration::from_secs(12);
/// Long enough for every backoff to reach its longest delay.
const OUTAGE: Duration = Duration::from_secs(90);
/// The longest delay that is measured.
const AFTER: Duration = Duration::from_secs(45);
const ROUNDS: usize = 5;

/// Seconds from the recovery to the first call that returned credentials which had not expired (infinity if there was none), and
/// the requests to the source during the outage.
async fn recovery(name: Name) -> Result<(f64, f64)> {
    let pod = Arc::new(LocalPod::start().await?);
    let new = AlwaysNew::of(&pod, LIFETIME);
    let seconds = (FROM + OUTAGE + AFTER).as_secs();
    let mut measured = Measured::start(&Child::Watch { subject: name, seconds }, pod.pod_identity_env())?;
    measured.warm().await?;
    let began = Instant::now();
    sleep_until(began + FROM).await;
    pod.agent().always(Answer::http(500, "out of order"));
    let before = pod.agent().requests();
    sleep_until(began + FROM + OUTAGE).await;
    pod.agent().always(Answer::proper());
    let requests = (pod.agent().requests() - before) as f64;
    let recovered = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let changes: Vec<Change> = measured.result().await?;
    drop(new);
    let good = changes.iter().find(|change| {
        let at = UNIX_EPOCH + Duration::from_millis(change.at_ms);
        let issued = change.access_key_id.as_deref().and_then(|key| pod.ledger().get(key));
        change.at_ms >= recovered && issued.is_some_and(|issued| issued.expiry > at)
    });
    Ok((good.map_or(f64::INFINITY, |change| (change.at_ms - recovered) as f64 / 1e3), requests))
}

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "An outage of 90 s (status 500, Pod Identity) that outlives the credentials: s from the recovery to the first good call",
        &["", "median", "slowest", "requests to the source during the outage (median)"],
    );
    // The processes mostly wait, so they can run at the same time.
    let running: Vec<_> = Name::WITH_ADAPTERS
        .into_iter()
        .map(|name| (name, (0..ROUNDS).map(|_| tokio::spawn(recovery(name))).collect::<Vec<_>>()))
        .collect();
    for (name, rounds) in running {
        let (mut seconds, mut requests) = (Vec::new(), Vec::new());
        for round in rounds {
            let (recovered, sent) = round.await??;
            seconds.push(recovered);
            requests.push(sent);
        }
        let shown = |s: f64| if s.is_finite() { format!("{s:.1}") } else { format!("> {}", AFTER.as_secs()) };
        let slowest = seconds.iter().copied().fold(0.0, f64::max);
        table.row(vec![
            name.title().into(),
            shown(median(&seconds)),
            shown(slowest),
            format!("{:.0}", median(&requests)),
        ]);
    }
    table.note(
        "Five rounds. A call every 50 ms. The credentials last 10 s. A good call returns credentials that have not expired. aws-config, \
         object_store, object_store_aws and reqsign send a request for each call without valid credentials, so they recover with the \
         next call, and the source gets a request for each call of each client during the outage. This crate sends a request after a \
         backoff of up to 30 s.",
    );
    Ok(table)
}
