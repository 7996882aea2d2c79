//! Many clients start while the source throttles every request for five seconds. None of them may ask the node for its role.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Result;
use eks_credentials::testing::{Answer, LocalPod};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::{Measured, Source};
use crate::child::{Child, Start};
use crate::report::Table;
use crate::subject::Name;

const THROTTLED: Duration = Duration::from_secs(5);

/// Counts connections to the instance metadata service, and closes them.
struct Metadata {
    url: String,
    connections: Arc<AtomicU64>,
}

impl Metadata {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let connections = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Relaxed);
            }
        });
        Ok(Self { url, connections })
    }
}

async fn start(name: Name, source: Source) -> Result<Vec<String>> {
    let (pod, metadata) = (Arc::new(LocalPod::start().await?), Metadata::start().await?);
    let stand_in = source.stand_in(&pod);
    stand_in.always(match source {
        Source::Irsa => Answer::refuse_with("Throttling", "Rate exceeded"),
        Source::PodIdentity => Answer::refuse("ThrottlingException"),
    });
    let mut env = source.env(&pod);
    // The names in the SDK and reqsign, and in object_store.
    for name in ["AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_METADATA_ENDPOINT"] {
        env.push((name.into(), metadata.url.clone()));
    }
    env.push(("AWS_EC2_METADATA_DISABLED".into(), "false".into()));
    let measured = Measured::start(&Child::Start { subject: name }, env)?;
    sleep(THROTTLED).await;
    let throttled = stand_in.requests();
    stand_in.always(Answer::proper());
    let Start { failed, took_s } = measured.result().await?;
    Ok(vec![
        name.title().into(),
        source.title().into(),
        metadata.connections.load(Relaxed).to_string(),
        throttled.to_string(),
        format!("{took_s:.1}"),
        failed.to_string(),
    ])
}

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "50 clients start at once, each with a provider of its own, while the source throttles every request for 5 s",
        &[
            "",
            "source",
            "requests to the instance metadata",
            "requests to the source while it throttled",
            "s until the last client had credentials",
            "failed calls",
        ],
    );
    for source in [Source::Irsa, Source::PodIdentity] {
        for name in Name::WITH_ADAPTERS {
            if source == Source::PodIdentity || name.supports_the_sts_stand_in() {
                table.row(start(name, source).await?);
            }
        }
    }
    table.note(
        "A client repeats a failed call after 100 ms. The stand-in for the instance metadata closes every connection: on a node it \
         would have returned the role of the node. With IRSA, object_store and reqsign cannot be measured: see the cold start.",
    );
    Ok(table)
}
