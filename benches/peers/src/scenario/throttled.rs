//! Fifty clients start while STS throttles every request, on a node with instance metadata.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use eks_credentials::testing::{Answer, LocalPod};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Measured;
use crate::child::{Child, announce};
use crate::front::{Imds, Sts};
use crate::report::Table;
use crate::subject::{Name, Subject};

const CLIENTS: u64 = 50;
const THROTTLED: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(45);
/// The pause of a client after a failed call.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Serialize, Deserialize)]
pub(crate) struct Started {
    served: u64,
    failed: u64,
    last_s: f64,
}

/// Runs in the measured process. Each client is built from the environment, as if it were the only one in its pod.
pub(crate) async fn measure<S, F>(build: impl Fn() -> F + Send + Sync + 'static) -> Result<Started>
where
    S: Subject,
    F: Future<Output = Result<S>> + Send,
{
    announce()?;
    let (build, began) = (Arc::new(build), Instant::now());
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let build = Arc::clone(&build);
        clients.spawn(async move {
            let (mut client, mut failed) = (None, 0_u64);
            let served = timeout(LIMIT, async {
                while call(&mut client, &*build).await.is_err() {
                    failed += 1;
                    sleep(PAUSE).await;
                }
                began.elapsed()
            });
            (served.await.ok(), failed)
        });
    }
    let clients = clients.join_all().await;
    Ok(Started {
        served: clients.iter().filter(|(served, _)| served.is_some()).count() as u64,
        failed: clients.iter().map(|(_, failed)| failed).sum(),
        last_s: clients.iter().filter_map(|(served, _)| *served).max().unwrap_or_default().as_secs_f64(),
    })
}

/// Makes a call with the client, which it builds if that has not succeeded before.
pub(crate) async fn call<S, F>(client: &mut Option<S>, build: impl Fn() -> F) -> Result<()>
where
    S: Subject,
    F: Future<Output = Result<S>>,
{
    let built = match client.take() {
        Some(built) => built,
        None => build().await?,
    };
    client.insert(built).call().await.map(drop)
}

async fn start(name: Name) -> Result<(Started, u64, u64)> {
    let pod = LocalPod::start().await?;
    let (sts, imds) = (Sts::before(pod.sts().address()).await?, Imds::start().await?);
    pod.sts().always(Answer::refuse("Throttling"));
    let mut env = sts.env(pod.irsa_env());
    env.push(("AWS_EC2_METADATA_DISABLED".into(), "false".into()));
    // The second variable is the one of object_store.
    env.extend(["AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_METADATA_ENDPOINT"].map(|n| (n.into(), imds.url.clone())));
    let mut measured = Measured::start(&Child::Throttled { subject: name }, env)?;
    measured.warm().await?;
    sleep(THROTTLED).await;
    pod.sts().always(Answer::proper());
    Ok((measured.result().await?, sts.requests(), imds.requests()))
}

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "50 clients start at once while STS responds with `Throttling` (status 400) for 5 s; the node has instance metadata",
        &[
            "",
            "requests to IMDS",
            "requests to STS",
            "failed calls",
            "clients with credentials",
            "seconds until the last client has credentials",
        ],
    );
    for name in Name::ALL {
        let (started, sts, imds) = start(name).await?;
        table.row(vec![
            name.title().into(),
            imds.to_string(),
            sts.to_string(),
            started.failed.to_string(),
            started.served.to_string(),
            format!("{:.1}", started.last_s),
        ]);
    }
    table.note(
        "IRSA. All clients are in one process, and each has its own provider. A client repeats a failed call after 200 ms, \
         for at most 45 s. A request to IMDS means that the client tries to get the role of the node. The benchmark sends \
         requests for 169.254.169.254, which reqsign does not let a program configure, to the stand-in for IMDS.",
    );
    Ok(table)
}
