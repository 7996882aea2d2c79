//! Many callers on cold credentials: patient ones, and ones that give up.

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
        "Crowds on cold credentials (Pod Identity)",
        &[
            "",
            "100 callers who give up after 50 ms, upstream 200 ms: served in 10 s",
            "upstream calls",
            "10,000 callers: ms until all are served",
            "upstream calls",
        ],
    );
    for name in Name::ALL {
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
