//! The source fails from the 8th to the 20th second, and is well again before the first credentials expire.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use eks_credentials::testing::{Answer, LocalPod};
use tokio::time::{Instant, sleep_until};

use super::{AlwaysNew, Measured, Method};
use crate::child::{Child, Paced};
use crate::plot::{self, Curve};
use crate::report::Table;
use crate::subject::Name;

/// Of the first credentials, counted from their fetch: the 12th second, in the outage.
const DUE: Duration = Duration::from_secs(12);
const FROM: Duration = Duration::from_secs(8);
/// Two seconds before the shortest-lived of the first credentials expire.
const UNTIL: Duration = Duration::from_secs(20);

#[derive(Clone, Copy)]
enum Fault {
    /// Status 500.
    Failing,
    /// Nobody listens.
    Refused,
    /// Connections are accepted, and never answered.
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

    /// Long enough to see what is still waiting when everything is well again.
    fn seconds(self) -> u64 {
        match self {
            Self::Failing | Self::Refused => 30,
            Self::Hanging => 60,
        }
    }
}

async fn endure(name: Name, fault: Fault, method: Method) -> Result<Paced> {
    let pod = Arc::new(LocalPod::start().await?);
    let new = AlwaysNew::of(&pod, name.lifetime_due(DUE));
    let stand_in = method.stand_in(&pod);
    let mut measured = Measured::start(&Child::Paced { subject: name, seconds: fault.seconds() }, method.env(&pod))?;
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
    // What hung up in the middle of a request is no concern here.
    let _ = (pod.agent().take_unexpected(), pod.sts().take_unexpected());
    Ok(paced)
}

pub(crate) async fn run() -> Result<Table> {
    let mut table = Table::new(
        "An outage of 12 s that ends before the credentials expire; four tasks ask every millisecond",
        &[
            "",
            "outage",
            "failed asks",
            "seconds in which asks failed or took > 100 ms",
            "slowest ask, s",
            "never answered",
        ],
    );
    for (fault, method) in [
        (Fault::Failing, Method::PodIdentity),
        (Fault::Refused, Method::PodIdentity),
        (Fault::Hanging, Method::PodIdentity),
        (Fault::Hanging, Method::Irsa),
    ] {
        let names =
            Name::ALL.into_iter().filter(|name| method == Method::PodIdentity || name.can_ask_the_sts_stand_in());
        // They mostly wait, so they may do it side by side.
        let running: Vec<_> = names.map(|name| (name, tokio::spawn(endure(name, fault, method)))).collect();
        let mut curves = Vec::new();
        for (name, endured) in running {
            let paced = endured.await??;
            table.row(vec![
                name.title().into(),
                format!("{}, {}", fault.title(), method.title()),
                paced.failed.to_string(),
                format!("{:.1}", paced.noticed_s),
                format!("{}{:.3}", if paced.unanswered > 0 { "> " } else { "" }, paced.max_us / 1e6),
                paced.unanswered.to_string(),
            ]);
            curves.push(Curve::slowest(name.title(), &paced));
        }
        let file = format!("outage-{}-{}.svg", fault.title(), method.title().to_lowercase().replace(' ', "-"));
        let title =
            format!("The slowest ask of each 0.1 s; crosses: failed asks ({}, {})", fault.title(), method.title());
        plot::latency(&file, &title, &curves, Some((FROM, UNTIL)))?;
    }
    table.note(
        "Lifetimes are chosen so that each is due to refresh about 12 s after its first fetch, four seconds into the \
         outage. A run of 30 s; of 60 s where the source hangs.",
    );
    Ok(table)
}
