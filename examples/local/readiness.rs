//! The local pod of `readiness`, and the outage that `--outage` plays on it.
#![allow(clippy::print_stdout, reason = "a program for people")]

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

/// In the outage that is played credentials live this long, so that their end can be seen.
const PLAYED_LIFETIME: Duration = Duration::from_secs(8);
/// For so long after expiry the outage goes on.
const PLAYED_REST: Duration = Duration::from_secs(2);

/// Serves the credentials of a local pod until a signal comes, or with `--outage` until the outage has been played.
pub(crate) async fn run(
    (options, recorder, mut signals): (Options, PrometheusHandle, Signals),
) -> Result<ExitCode, Box<dyn Error>> {
    println!("Starting a local pod (STS and Pod Identity agent on loopback) instead.");
    let pod = LocalPod::start().await?;
    if options.outage {
        pod.sts().set_lifetime(PLAYED_LIFETIME);
    }
    let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    let listener = TcpListener::bind(options.listen.unwrap_or(([127, 0, 0, 1], 0).into())).await?;
    let address = listener.local_addr()?;
    tokio::select! {
        served = serve(listener, provider.clone(), recorder, &mut signals) => served?,
        played = play(&pod, &provider, address), if options.outage => played?,
    }
    Ok(ExitCode::SUCCESS)
}

/// An outage of STS from the first credentials until after their expiry, as a probe sees it.
async fn play(pod: &LocalPod, provider: &EksCredentialsProvider, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let clock = SystemTimeSource::new();
    let mut probe = Probe { address, began: clock.now(), last: None };
    probe.until(200).await?;
    let expiry = provider.status().expiry.ok_or("credentials that never expire")?;
    probe.say("STS fails from now on");
    pod.sts().always(Answer::http(503, "a simulated outage"));
    let mut ticks = interval(Duration::from_millis(100));
    loop {
        ticks.tick().await;
        let (before, (code, body), after) = (clock.now(), probe.look().await?, clock.now());
        let expected = if before < expiry { 200 } else { 503 };
        // The moment of expiry itself may lie between question and answer.
        if code != expected && (before >= expiry || after < expiry) {
            return Err(format!("/readyz answered {code}, not {expected}: {body}").into());
        }
        if before > expiry + PLAYED_REST {
            break;
        }
    }
    probe.say("STS works again");
    pod.sts().always(Answer::proper());
    probe.until(200).await?;
    println!("ready through the outage until the credentials expired, not ready after, ready again: as it should be");
    println!("/metrics says:\n{}", http::get(address, "/metrics").await?.1.trim_end());
    Ok(())
}

/// Looks at `/readyz`, and prints what it says when that changes.
struct Probe {
    address: SocketAddr,
    began: SystemTime,
    last: Option<(u16, String)>,
}

impl Probe {
    async fn look(&mut self) -> Result<(u16, String), Box<dyn Error>> {
        let (code, body) = http::get(self.address, "/readyz").await?;
        let answer = (code, body.trim_end().to_owned());
        if self.last.as_ref() != Some(&answer) {
            self.say(&format!("{code} {}", answer.1));
            self.last = Some(answer);
        }
        Ok((code, body))
    }

    async fn until(&mut self, expected: u16) -> Result<(), Box<dyn Error>> {
        while self.look().await?.0 != expected {
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    fn say(&self, what: &str) {
        let elapsed = SystemTimeSource::new().now().duration_since(self.began).unwrap_or_default();
        println!("{:5.1} s  {what}", elapsed.as_secs_f64());
    }
}
