//! The token file gets another token, while its modification time and its length stay the same.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use eks_credentials::testing::LocalPod;
use tokio::time::sleep;

use super::{Measured, Source};
use crate::child::{Change, Child};
use crate::report::Table;
use crate::subject::Name;

/// With the old token, which has expired.
const BEFORE: Duration = Duration::from_secs(5);
const SECONDS: u64 = 45;

async fn rotation(name: Name, source: Source) -> Result<Vec<String>> {
    let pod = Arc::new(LocalPod::start().await?);
    let token = match source {
        Source::Irsa => pod.irsa_token(),
        Source::PodIdentity => pod.agent_token(),
    };
    token.expire(Duration::from_secs(3600))?;
    let old = std::fs::metadata(token.path())?;
    let mut measured = Measured::start(&Child::Watch { subject: name, seconds: SECONDS }, source.env(&pod))?;
    measured.warm().await?;
    sleep(BEFORE).await;
    token.rotate()?;
    File::options().append(true).open(token.path())?.set_modified(old.modified()?)?;
    let rotated = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let new = std::fs::metadata(token.path())?;
    ensure!((new.modified()?, new.len()) == (old.modified()?, old.len()), "the files can be distinguished");
    let changes: Vec<Change> = measured.result().await?;
    let served = changes.iter().find(|change| change.access_key_id.is_some());
    let after = served.map(|change| format!("{:.1}", change.at_ms.saturating_sub(rotated) as f64 / 1e3));
    Ok(vec![name.title().into(), source.title().into(), after.unwrap_or_else(|| "not within 40 s".to_owned())])
}

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "An expired token is replaced with a valid one of the same length and modification time: s until credentials",
        &["", "source", "s"],
    );
    let mut running = Vec::new();
    for source in [Source::Irsa, Source::PodIdentity] {
        for name in Name::WITH_ADAPTERS.into_iter().filter(|name| *name != Name::ObjectStoreAws) {
            if source == Source::PodIdentity || name.supports_the_sts_stand_in() {
                running.push(tokio::spawn(rotation(name, source)));
            }
        }
    }
    for row in running {
        table.row(row.await??);
    }
    table.note(
        "A call every 50 ms, for 5 s with the expired token and 40 s with the valid one. object_store_aws is not built without \
         credentials.",
    );
    Ok(table)
}
