//! A call that returns current credentials. One process measures all subjects in turn, round by round, so that other load
//! on the machine affects all of them.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use eks_credentials::testing::LocalPod;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::Measured;
use crate::child::Child;
use crate::report::{Table, median, ratio};
use crate::subject::{Cached, Floor, Name, ObjectStore, Ours, Peek, ProvidedFloor, Reqsign, Sdk, Subject};

const TASKS: [usize; 3] = [1, 2, 64];
/// The number of threads of the runtime in the measured process.
const THREADS: usize = 2;
const ROUNDS: usize = 31;
/// Calls of all tasks together.
const CALLS: usize = 64 * 1024;

/// One subject: nanoseconds per call, for each number of tasks and each round, and allocations per call.
#[derive(Serialize, Deserialize)]
pub(crate) struct Warm {
    title: String,
    nanos: Vec<Vec<f64>>,
    allocations: u64,
}

/// Runs in the measured process.
pub(crate) async fn measure() -> Result<Vec<Warm>> {
    let ours = Arc::new(Ours::from_env()?);
    let floor = Arc::new(Floor::new(ours.call().await?)?);
    let (provided, peek) = (Arc::new(ProvidedFloor(Arc::clone(&floor))), Arc::new(Peek(ours.0.clone())));
    let identities = Arc::new(Cached::ours(&ours.0)?);
    let (sdk, object_store) = (Arc::new(Sdk::from_env().await?), Arc::new(ObjectStore::from_env()?));
    let reqsign = Arc::new(Reqsign::from_env());
    let (object_store_ours, reqsign_ours) = (Arc::new(ObjectStore::ours()?), Arc::new(Reqsign::ours()?));
    let object_store_aws = Arc::new(ObjectStore::aws().await?);
    let mut all = vec![
        begin("floor", &floor).await?,
        begin("floor as `ProvideCredentials`", &provided).await?,
        begin("eks-credentials, `cached()`", &peek).await?,
        begin("eks-credentials as `ProvideCredentials`", &ours).await?,
        begin("eks-credentials, its identity cache", &identities).await?,
        begin(Name::Sdk.title(), &sdk).await?,
        begin(Name::ObjectStore.title(), &object_store).await?,
        begin(Name::ObjectStoreOurs.title(), &object_store_ours).await?,
        begin(Name::ObjectStoreAws.title(), &object_store_aws).await?,
        begin(Name::Reqsign.title(), &reqsign).await?,
        begin(Name::ReqsignOurs.title(), &reqsign_ours).await?,
    ];
    for _ in 0..ROUNDS {
        for (column, tasks) in TASKS.into_iter().enumerate() {
            let round = [
                nanos(&floor, tasks).await,
                nanos(&provided, tasks).await,
                nanos(&peek, tasks).await,
                nanos(&ours, tasks).await,
                nanos(&identities, tasks).await,
                nanos(&sdk, tasks).await,
                nanos(&object_store, tasks).await,
                nanos(&object_store_ours, tasks).await,
                nanos(&object_store_aws, tasks).await,
                nanos(&reqsign, tasks).await,
                nanos(&reqsign_ours, tasks).await,
            ];
            for (warm, nanos) in all.iter_mut().zip(round) {
                warm.nanos[column].push(nanos);
            }
        }
    }
    Ok(all)
}

/// The first call fetches. The second one, which is measured, returns current credentials.
async fn begin<S: Subject>(title: &str, subject: &Arc<S>) -> Result<Warm> {
    subject.call().await?;
    let counted = allocation_counter::measure(|| {
        let result = std::pin::pin!(subject.call()).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(result.is_ready(), "{title} let the call wait");
    });
    Ok(Warm { title: title.into(), nanos: vec![Vec::new(); TASKS.len()], allocations: counted.count_total })
}

/// Nanoseconds that a thread spends on one call.
async fn nanos<S: Subject>(subject: &Arc<S>, tasks: usize) -> f64 {
    let mut running = JoinSet::new();
    let began = Instant::now();
    for _ in 0..tasks {
        let subject = Arc::clone(subject);
        running.spawn(async move {
            for _ in 0..CALLS / tasks {
                drop(black_box(subject.call().await));
            }
        });
    }
    running.join_all().await;
    began.elapsed().as_nanos() as f64 * tasks.min(THREADS) as f64 / CALLS as f64
}

pub(crate) async fn run() -> Result<Table> {
    let pod = LocalPod::start().await?;
    let warm: Vec<Warm> = Measured::start(&Child::Warm, pod.pod_identity_env())?.result().await?;
    let mut table = Table::new(
        "A call that returns current credentials: ns per call, medians (× the floor of the same round)",
        &["", "1 task", "2 tasks", "64 tasks", "allocations"],
    );
    for subject in &warm {
        let mut row = vec![subject.title.clone()];
        for (nanos, floor) in subject.nanos.iter().zip(&warm[0].nanos) {
            let against: Vec<f64> = nanos.iter().zip(floor).map(|(mine, floor)| mine / floor).collect();
            row.push(format!("{:.0} ({})", median(nanos), ratio(median(&against))));
        }
        row.push(subject.allocations.to_string());
        table.row(row);
    }
    table.note(
        "Two threads. The floor loads an `ArcSwap`, reads the clock and clones the credentials. The one allocation of the \
         identity cache is in the SDK: it clones an `Identity` that contains the account.",
    );
    Ok(table)
}
