//! A thousand short-lived clients in one process.

use anyhow::Result;
use eks_credentials::testing::LocalPod;

use super::Measured;
use crate::child::{Child, Clients};
use crate::report::Table;
use crate::subject::Name;

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "1,000 short-lived clients in one process, 50 at a time (Pod Identity)",
        &["", "requests to the source", "s", "failed calls"],
    );
    for name in [Name::Ours, Name::Sdk, Name::ObjectStore, Name::ObjectStoreAws, Name::Reqsign] {
        let pod = LocalPod::start().await?;
        let measured = Measured::start(&Child::Clients { subject: name }, pod.pod_identity_env())?;
        let Clients { failed, took_s } = measured.result().await?;
        table.row(vec![
            name.title().into(),
            pod.agent().requests().to_string(),
            format!("{took_s:.1}"),
            failed.to_string(),
        ]);
    }
    table.note(
        "Each client is built from the environment, makes one call and is dropped. For eks-credentials it is built from \
         `EksCredentialsProvider::shared()`, and the program keeps one reference. The other crates have nothing of this kind: a \
         program has to pass its configuration to all clients itself.",
    );
    Ok(table)
}
