//! The source fails from the 8th to the 20th second, and recovers before the first credentials expire.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use eks_credentials::testing::{Answer, LocalPod};
use tokio::time::{Instant, sleep_until};

use super::{AlwaysNew, Measured, Source};
use crate::child::{Child, Paced};
use crate::plot::{self, Curve};
use crate::report::Table;
use crate::subject::Name;

/// When the first refresh is due, counted from the first fetch: during the outage.
const DUE: Duration = Duration::from_secs(12);
const FROM: Duration = Duration::from_secs(8);
/// Two seconds before the first credentials with the shortest lifetime expire.
const UNTIL: Duration = Duration::from_secs(20);

#[derive(Clone, Copy)]
enum Fault {
    /// The source responds with status 500.
    Failing,
    /// The source refuses connections.
    Refused,
    /// The source accepts connections, and never responds.
    Hanging,
}

impl Fault {
    fn title(self) -> &'static str {
        match self {
            Self::Failing => "500",
            Self::Refused => "refused",
            Self::Hanging => "hangs",
        }
    }

    /// Length of the run: long enough to see the calls that still wait after the outage.
    fn seconds(self) -> u64 {
        match self {
            Self::Failing | Self::Refused => 30,
            Self::Hanging => 60,
        }
    }
}

async fn run_outage(name: Name, fault: Fault, source: Source) -> Result<Paced> {
    let pod = Arc::new(LocalPod::start().await?);
    let new = AlwaysNew::of(&pod, name.lifetime_due(DUE));
    let stand_in = source.stand_in(&pod);
    let mut measured = Measured::start(&Child::Paced { subject: name, seconds: fault.seconds() }, source.env(&pod))?;
    measured.warm().await?;
    let began = Instant::now();
    sleep_until(began + FROM).await;
    match fault {
        Fault::Failing => drop(stand_in.always(Answer::http(500, "out of order"))),
        Fault::Refused => stand_in.stop().await,
        Fault::Hanging => drop(stand_in.always(Answer::hang())),
    }
    sleep_until(began + UNTIL).await;
    stand_in.always(Answer::proper());
    if matches!(fault, Fault::Refused) {
        stand_in.restart().await?;
    }
    let paced = measured.result().await?;
    drop(new);
    // Requests that a client cancelled are expected here.
    let _ = (pod.agent().take_unexpected(), pod.sts().take_unexpected());
    Ok(paced)
}

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "An outage of 12 s that ends before the credentials expire; four tasks make a call every millisecond",
        &[
            "",
            "outage",
            "failed calls",
            "seconds in which calls failed or took > 100 ms",
            "slowest call, s",
            "calls without a response at the end",
        ],
    );
    for (fault, source) in [
        (Fault::Failing, Source::PodIdentity),
        (Fault::Refused, Source::PodIdentity),
        (Fault::Hanging, Source::PodIdentity),
        (Fault::Hanging, Source::Irsa),
    ] {
        let names =
            Name::ALL.into_iter().filter(|name| source == Source::PodIdentity || name.supports_the_sts_stand_in());
        // The processes mostly wait, so they can run at the same time.
        let running: Vec<_> = names.map(|name| (name, tokio::spawn(run_outage(name, fault, source)))).collect();
        let mut curves = Vec::new();
        for (name, task) in running {
            let paced = task.await??;
            table.row(vec![
                name.title().into(),
                format!("{}, {}", fault.title(), source.title()),
                paced.failed.to_string(),
                format!("{:.1}", paced.noticed_s),
                format!("{}{:.3}", if paced.unanswered > 0 { "> " } else { "" }, paced.max_us / 1e6),
                paced.unanswered.to_string(),
            ]);
            if Name::OWN.contains(&name) {
                curves.push(Curve::slowest(name.title(), &paced));
            }
        }
        // The README shows this plot. The table has the figures of the other outages.
        if let (Fault::Hanging, Source::PodIdentity) = (fault, source) {
            let title = "Slowest call in each 0.1 s, while Pod Identity hangs (grey); crosses: failed calls";
            plot::latency("outage-hangs-pod-identity.svg", title, &curves, Some((FROM, UNTIL)))?;
        }
    }
    table.note(
        "The lifetimes are chosen so that each crate begins to refresh about 12 s after its first fetch, four seconds \
         after the begin of the outage. A run takes 30 s, and 60 s when the source hangs. object_store_aws has no refresh \
         window: its credentials expire during the outage.",
    );
    Ok(table)
}
