//! The local pod of the example `readiness`, and the outage that `--outage` simulates.
#![allow(clippy::print_stdout, reason = "the output is for people")]

#[path = "../support/http.rs"]
mod http;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::{SystemTimeSource, TimeSource as _};
use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::{Answer, LocalPod};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::time::{interval, sleep};

use crate::program::Signals;
use crate::{Options, serve};

/// The lifetime of the credentials in the simulated outage. It is short, so that they expire while the program runs.
const OUTAGE_LIFETIME: Duration = Duration::from_secs(8);
/// How long the outage lasts after the credentials have expired.
const OUTAGE_AFTER_EXPIRY: Duration = Duration::from_secs(2);

/// Serves with the credentials of a local pod until a signal arrives, or with `--outage` until the simulated outage is over.
pub(crate) async fn run(
    (options, recorder, mut signals): (Options, PrometheusHandle, Signals),
) -> Result<ExitCode, Box<dyn Error>> {
    println!("Starting a local pod (STS and Pod Identity agent on loopback).");
    let pod = LocalPod::start().await?;
    if options.outage {
        pod.sts().set_lifetime(OUTAGE_LIFETIME);
    }
    let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    let listener = TcpListener::bind(options.listen.unwrap_or(([127, 0, 0, 1], 0).into())).await?;
    let address = listener.local_addr()?;
    tokio::select! {
        served = serve(listener, provider.clone(), recorder, &mut signals) => served?,
        simulated = simulate_outage(&pod, &provider, address), if options.outage => simulated?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Simulates an outage of STS that begins after the first credentials have arrived and ends after they have expired. Checks
/// and prints what a readiness probe would see.
async fn simulate_outage(
    pod: &LocalPod,
    provider: &EksCredentialsProvider,
    address: SocketAddr,
) -> Result<(), Box<dyn Error>> {
    let clock = SystemTimeSource::new();
    let mut probe = Probe { address, began: clock.now(), last: None };
    probe.wait_for(200).await?;
    let expiry = provider.status().expiry.ok_or("the credentials never expire")?;
    probe.print("STS fails from now on");
    pod.sts().always(Answer::http(503, "a simulated outage"));
    let mut ticks = interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let (before, (code, body), after) = (clock.now(), probe.request().await?, clock.now());
        let expected = if before < expiry { 200 } else { 503 };
        // If the credentials expire between the request and the answer, both statuses are correct.
        if code != expected && (before >= expiry || after < expiry) {
            return Err(format!("/readyz answered {code}, not {expected}: {body}").into());
        }
        if before > expiry + OUTAGE_AFTER_EXPIRY {
            break;
        }
    }
    probe.print("STS works again");
    pod.sts().always(Answer::proper());
    probe.wait_for(200).await?;
    println!("as expected: ready during the outage until the credentials expired, then not ready, then ready again");
    println!("/metrics says:\n{}", http::get(address, "/metrics").await?.1.trim_end());
    Ok(())
}

/// Requests `/readyz`, and prints the answer if it differs from the last one.
struct Probe {
    address: SocketAddr,
    began: SystemTime,
    last: Option<(u16, String)>,
}

impl Probe {
    async fn request(&mut self) -> Result<(u16, String), Box<dyn Error>> {
        let (code, body) = http::get(self.address, "/readyz").await?;
        let answer = (code, body.trim_end().to_owned());
        if self.last.as_ref() != Some(&answer) {
            self.print(&format!("{code} {}", answer.1));
            self.last = Some(answer);
        }
        Ok((code, body))
    }

    async fn wait_for(&mut self, expected: u16) -> Result<(), Box<dyn Error>> {
        while self.request().await?.0 != expected {
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn print(&self, what: &str) {
        let elapsed = SystemTimeSource::new().now().duration_since(self.began).unwrap_or_default();
        println!("{:5.1} s  {what}", elapsed.as_secs_f64());
    }
}
