//! A thousand clients one after the other. Each is built, makes one call, and is dropped.

use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;
use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::LocalPod;

use super::Measured;
use crate::child::Child;
use crate::front::Sts;
use crate::report::Table;
use crate::subject::{ObjectStore, Ours, Reqsign, Sdk, Subject};

const CLIENTS: u32 = 1_000;

/// How a client gets its credentials.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Wiring {
    OursAlone,
    OursRegistry,
    OursHeld,
    OursClone,
    SdkAlone,
    SdkConfig,
    ObjectStoreAlone,
    ObjectStoreShared,
    ObjectStoreOurs,
    ObjectStoreAwsAlone,
    ObjectStoreAwsShared,
    ReqsignAlone,
    ReqsignShared,
    ReqsignOurs,
}

impl Wiring {
    fn title(self) -> &'static str {
        match self {
            Self::OursAlone => "eks-credentials, `from_env()` for each client",
            Self::OursRegistry => "eks-credentials, `shared()` for each client",
            Self::OursHeld => "eks-credentials, the same, and the program keeps one clone",
            Self::OursClone => "eks-credentials, a clone of one provider",
            Self::SdkAlone => "aws-config, `load_defaults` for each client",
            Self::SdkConfig => "aws-config, one `SdkConfig`",
            Self::ObjectStoreAlone => "object_store, own provider, `from_env()` for each store",
            Self::ObjectStoreShared => "object_store, own provider of one store",
            Self::ObjectStoreOurs => {
                "object_store, this crate's adapter of `shared()`, and the program keeps one clone"
            }
            Self::ObjectStoreAwsAlone => "object_store, object_store_aws, `init` for each store",
            Self::ObjectStoreAwsShared => "object_store, object_store_aws, one `AwsCredentials`",
            Self::ReqsignAlone => "reqsign, own provider, a new signer for each client",
            Self::ReqsignShared => "reqsign, own provider, clones of one signer",
            Self::ReqsignOurs => "reqsign, this crate's adapter of `shared()`, and the program keeps one clone",
        }
    }
}

/// Runs in the measured process. Returns the milliseconds of all clients together.
pub(crate) async fn measure(wiring: Wiring) -> Result<f64> {
    let shared = EksCredentialsProvider::shared;
    let began = Instant::now();
    match wiring {
        Wiring::OursAlone => each(async || Ok(Ours(EksCredentialsProvider::from_env()?))).await?,
        Wiring::OursRegistry => each(async || Ok(Ours(shared()?))).await?,
        Wiring::OursHeld => {
            let _held = shared()?;
            each(async || Ok(Ours(shared()?))).await?;
        }
        Wiring::OursClone => {
            let provider = EksCredentialsProvider::from_env()?;
            each(async || Ok(Ours(provider.clone()))).await?;
        }
        Wiring::SdkAlone => each(Sdk::from_env).await?,
        Wiring::SdkConfig => {
            let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
            each(async || Sdk::new(&config)).await?;
        }
        Wiring::ObjectStoreAlone => each(async || ObjectStore::from_env()).await?,
        Wiring::ObjectStoreShared => {
            let first = ObjectStore::from_env()?;
            each(async || ObjectStore::with(first.credentials())).await?;
        }
        Wiring::ObjectStoreOurs => {
            let _held = shared()?;
            each(async || ObjectStore::with(shared()?.object_store_0_14())).await?;
        }
        Wiring::ObjectStoreAwsAlone => each(ObjectStore::aws).await?,
        Wiring::ObjectStoreAwsShared => {
            let first = ObjectStore::aws().await?;
            each(async || ObjectStore::with(first.credentials())).await?;
        }
        Wiring::ReqsignAlone => each(async || Ok(Reqsign::from_env())).await?,
        Wiring::ReqsignShared => {
            let first = Reqsign::from_env();
            each(async || Ok(first.clone())).await?;
        }
        Wiring::ReqsignOurs => {
            let _held = shared()?;
            each(async || Ok(Reqsign::with(shared()?.reqsign_3()))).await?;
        }
    }
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

async fn each<S: Subject>(build: impl AsyncFn() -> Result<S>) -> Result<()> {
    for _ in 0..CLIENTS {
        build().await?.call().await?;
    }
    Ok(())
}

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "1,000 clients one after the other: each is built, makes one call, and is dropped (IRSA)",
        &["", "requests to STS", "ms for all clients"],
    );
    for wiring in Wiring::value_variants() {
        let pod = LocalPod::start().await?;
        let sts = Sts::before(pod.sts().address()).await?;
        let child = Child::Clients { wiring: *wiring };
        let took: f64 = Measured::start(&child, sts.env(pod.irsa_env()))?.result().await?;
        table.row(vec![wiring.title().into(), sts.requests().to_string(), format!("{took:.0}")]);
    }
    table.note(
        "A client gets credentials and sends no request to a service. A store of object_store builds an HTTP client, with \
         every provider.",
    );
    Ok(table)
}
