//! Many callers before the first fetch: some wait, others cancel their calls.

use std::time::Duration;

use anyhow::Result;
use eks_credentials::testing::LocalPod;

use super::Measured;
use crate::child::{Child, Impatient};
use crate::report::{Table, median};
use crate::subject::Name;

const ROUNDS: usize = 5;

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "Many callers before the first fetch (Pod Identity)",
        &[
            "",
            "100 callers that cancel after 50 ms, the source takes 200 ms: callers with credentials after 10 s",
            "fetches",
            "10,000 callers: ms until all have credentials",
            "fetches",
        ],
    );
    for name in Name::OWN {
        let pod = LocalPod::start().await?;
        pod.agent().set_latency(Duration::from_millis(200));
        let impatient: Impatient =
            Measured::start(&Child::Impatient { subject: name }, pod.pod_identity_env())?.result().await?;
        let calls = pod.agent().requests();
        let (mut took, mut most) = (Vec::new(), 0);
        for _ in 0..ROUNDS {
            let pod = LocalPod::start().await?;
            took.push(Measured::start(&Child::Stampede { subject: name }, pod.pod_identity_env())?.result().await?);
            most = most.max(pod.agent().requests());
        }
        let served = match impatient.served {
            100 => format!("100, in {:.0} ms", impatient.took_ms),
            served => served.to_string(),
        };
        table.row(vec![
            name.title().into(),
            served,
            calls.to_string(),
            format!("{:.0}", median(&took)),
            most.to_string(),
        ]);
    }
    Ok(table)
}
