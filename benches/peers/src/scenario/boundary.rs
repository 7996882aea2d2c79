//! Refreshes while four tasks make a call every millisecond, with a source that takes 200 ms to respond.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use eks_credentials::testing::LocalPod;

use super::{AlwaysNew, Measured};
use crate::child::{Child, Paced};
use crate::plot::{self, Curve};
use crate::report::Table;
use crate::subject::Name;

const SECONDS: u64 = 40;
const LATENCY: Duration = Duration::from_millis(200);

async fn paced(name: Name, lifetime: Duration) -> Result<(Paced, u64)> {
    let pod = Arc::new(LocalPod::start().await?);
    pod.agent().set_latency(LATENCY);
    let new = AlwaysNew::of(&pod, lifetime);
    let paced = Measured::start(&Child::Paced { subject: name, seconds: SECONDS }, pod.pod_identity_env())?;
    let mut paced = paced;
    paced.warm().await?;
    let paced = paced.result().await?;
    drop(new);
    Ok((paced, pod.agent().requests()))
}

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "Across refreshes: four tasks make a call every millisecond for 40 s, the source takes 200 ms",
        &["", "fetches", "p99, ms", "p99.9, ms", "max, ms", "calls", "failed"],
    );
    let mut curves = Vec::new();
    let mut add = |title: String, paced: &Paced, fetches: u64| {
        let ms = |us: f64| format!("{:.3}", us / 1e3);
        table.row(vec![
            title,
            fetches.to_string(),
            ms(paced.p99_us),
            ms(paced.p999_us),
            ms(paced.max_us),
            paced.calls.to_string(),
            paced.failed.to_string(),
        ]);
    };
    let (calm, fetches) = paced(Name::Ours, Duration::from_secs(6 * 3600)).await?;
    add("eks-credentials, no refresh".into(), &calm, fetches);
    for name in Name::ALL {
        let (paced, fetches) = paced(name, name.lifetime_due(Duration::from_secs(8))).await?;
        add(name.title().into(), &paced, fetches);
        if Name::OWN.contains(&name) {
            curves.push(Curve::slowest(name.title(), &paced));
        }
    }
    plot::latency(
        "refreshes.svg",
        "Slowest call in each 0.1 s, across refreshes (the source takes 200 ms)",
        &curves,
        None,
    )?;
    table.note(
        "The lifetimes are chosen so that each crate begins to refresh about 8 s after a fetch. \
         object_store_aws refreshes only when they have expired. A task that waits makes no \
         other calls meanwhile. This favours crates that let callers wait.",
    );
    Ok(table)
}
