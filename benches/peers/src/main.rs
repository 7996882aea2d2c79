//! Compares `eks-credentials` with other crates that provide credentials. One command measures all of them on one machine,
//! in one run, and writes the tables and plots of `results/`.
//!
//! ```sh
//! benches/weight/measure                                    # once: builds the programs for the cold start
//! cargo run --release --manifest-path benches/peers/Cargo.toml
//! ```

mod child;
mod front;
#[path = "../../../examples/support/local_s3.rs"]
mod local_s3;
mod plot;
mod report;
mod scenario;
mod subject;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use crate::report::{Table, results};
use crate::scenario::{boundary, clients, cold, crowd, long_outage, outage, rotation, s3, throttled, warm};

#[derive(Parser)]
struct Arguments {
    /// Run only these scenarios, and keep the results of the others. Default: all.
    scenarios: Vec<Scenario>,
    #[command(subcommand)]
    child: Option<Internal>,
}

#[derive(Subcommand)]
enum Internal {
    /// The measured processes, which this program starts itself.
    #[command(hide = true)]
    Child {
        #[command(subcommand)]
        child: child::Child,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Scenario {
    Warm,
    Boundary,
    Outage,
    Crowd,
    Cold,
    S3,
    Throttled,
    Clients,
    #[value(name = "long_outage")]
    LongOutage,
    Rotation,
}

impl Scenario {
    async fn run(self) -> Result<Vec<Table>> {
        Ok(match self {
            Self::Warm => vec![warm::run().await?],
            Self::Boundary => vec![boundary::run().await?],
            Self::Outage => vec![outage::run().await?],
            Self::Crowd => vec![crowd::run().await?],
            Self::Cold => cold::run().await?,
            Self::S3 => vec![s3::run().await?],
            Self::Throttled => vec![throttled::run().await?],
            Self::Clients => vec![clients::run().await?],
            Self::LongOutage => vec![long_outage::run().await?],
            Self::Rotation => vec![rotation::run().await?],
        })
    }

    fn file(self) -> String {
        format!("{}.md", self.to_possible_value().expect("none is skipped").get_name())
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let Arguments { scenarios, child } = Arguments::parse();
    if let Some(Internal::Child { child }) = child {
        return child.run().await;
    }
    let scenarios = if scenarios.is_empty() { Scenario::value_variants().to_vec() } else { scenarios };
    for scenario in scenarios {
        let tables = scenario.run().await?;
        let text = tables.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        println!("{text}");
        std::fs::write(results(&scenario.file()), text)?;
    }
    Ok(())
}
