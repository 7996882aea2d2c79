//! A service's `/readyz` and `/metrics`: ready from the first credentials until they expire, through any outage.
//!
//! In a pod: `cargo run --example readiness`, on port 8080, or `--listen ADDRESS`. Anywhere else it starts a local pod and
//! says so. In a Kubernetes cluster it never does: there, missing credentials are an error that says what is missing.
//!
//! ```yaml
//! readinessProbe:
//!   httpGet: { path: /readyz, port: 8080 }
//! ```
//!
//! `--outage` plays one on a local pod and looks at `/readyz` ten times a second meanwhile: STS fails before the first
//! refresh, the credentials expire, STS comes back. Exit code 1 if the answers were not 200 until expiry, 503 after it,
//! and 200 in the end. Then it prints a scrape.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

#[path = "support/http.rs"]
mod http;
#[path = "support/pod.rs"]
mod pod;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::{SystemTimeSource, TimeSource as _};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use eks_credentials::testing::{Answer, LocalPod};
use eks_credentials::{EksCredentialsProvider, Health, Status};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::time::{interval, sleep};

const USAGE: &str = "usage: readiness [--outage] [--listen ADDRESS] [--help]";
/// The exit code for wrong arguments, of `sysexits.h`.
const EX_USAGE: u8 = 64;
/// From a healthy agent on the node to a cold start that used its whole budget.
const BUCKETS: [f64; 10] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 20.0];
/// In the outage that is played credentials live this long, so that their end can be seen.
const PLAYED_LIFETIME: Duration = Duration::from_secs(8);
/// For so long after expiry the outage goes on.
const PLAYED_REST: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Options {
    outage: bool,
    listen: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(what) => {
            eprintln!("{what}\n{USAGE}");
            return ExitCode::from(EX_USAGE);
        }
    };
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `None`: only the usage is wanted.
fn options() -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--outage" => options.outage = true,
            "--listen" => {
                let address = args.next().ok_or("--listen needs an address, as 0.0.0.0:8080")?;
                options.listen = Some(address.parse().map_err(|e| format!("--listen {address}: {e}"))?);
            }
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(Some(options))
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("eks_credentials_refresh_duration_seconds".to_owned()), &BUCKETS)?
        .install_recorder()?;
    let provider = EksCredentialsProvider::from_env()?;
    if provider.detection().is_ok() {
        if options.outage {
            return Err("--outage is played on a local pod, and this one has credentials of its own".into());
        }
        let address = options.listen.unwrap_or(([0, 0, 0, 0], 8080).into());
        return serve(TcpListener::bind(address).await?, provider, recorder).await;
    }
    pod::refuse_stand_in_in_a_cluster().await?;
    println!("Not in a pod: neither IRSA nor EKS Pod Identity is configured in this environment.");
    println!("Starting a local pod (STS and Pod Identity agent on loopback) instead.");
    let pod = LocalPod::start().await?;
    if options.outage {
        pod.sts().set_lifetime(PLAYED_LIFETIME);
    }
    let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    let listener = TcpListener::bind(options.listen.unwrap_or(([127, 0, 0, 1], 0).into())).await?;
    let address = listener.local_addr()?;
    println!("http://{address}/readyz and http://{address}/metrics");
    tokio::select! {
        served = serve(listener, provider.clone(), recorder) => served,
        played = play(&pod, &provider, address), if options.outage => played,
    }
}

#[derive(Clone)]
struct Service {
    provider: EksCredentialsProvider,
    recorder: PrometheusHandle,
}

async fn serve(
    listener: TcpListener,
    provider: EksCredentialsProvider,
    recorder: PrometheusHandle,
) -> Result<(), Box<dyn Error>> {
    // The first request for credentials. From then on they are fetched and refreshed without any.
    let first = provider.clone();
    tokio::spawn(async move { first.warm_up().await });
    let service = Service { provider, recorder };
    let metrics = |State(service): State<Service>| async move { service.recorder.render() };
    let routes = axum::Router::new().route("/readyz", get(readyz)).route("/metrics", get(metrics)).with_state(service);
    Ok(axum::serve(listener, routes).with_graceful_shutdown(pod::told_to_end()).await?)
}

async fn readyz(State(Service { provider, .. }): State<Service>) -> (StatusCode, String) {
    let status = provider.status();
    let code = if status.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, describe(&status))
}

/// One line.
fn describe(status: &Status) -> String {
    let source = status.source.map_or_else(|| "nowhere".to_owned(), |source| source.to_string());
    let expiry = status.expiry.map_or_else(|| "for ever".to_owned(), |at| format!("until {}", rfc3339(at)));
    let error = status.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    match status.health {
        Health::Ready => format!("ready: credentials from {source}, valid {expiry}\n"),
        Health::Degraded => {
            format!("ready: credentials from {source}, valid {expiry}; the last refresh failed{error}\n")
        }
        Health::Expired => format!("not ready: credentials were valid {expiry}{error}\n"),
        Health::Starting => "not ready: no credentials have been fetched yet\n".to_owned(),
        _ => format!("not ready: there are no credentials{error}\n"),
    }
}

fn rfc3339(time: SystemTime) -> String {
    aws_smithy_types::DateTime::from_secs(aws_smithy_types::DateTime::from(time).secs()).to_string()
}

/// An outage of STS from the first credentials until after their expiry, as a probe sees it.
async fn play(pod: &LocalPod, provider: &EksCredentialsProvider, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let clock = SystemTimeSource::new();
    let mut probe = Probe { address, began: clock.now(), last: None };
    probe.until(200).await?;
    let expiry = provider.status().expiry.ok_or("credentials that never expire")?;
    probe.say("STS fails from now on");
    pod.sts().always(Answer::http(503, "an outage that is played"));
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
