//! A service with the endpoints `/readyz` and `/metrics`.
//!
//! It is ready when it has credentials that have not expired. During an outage of STS or of the agent it therefore stays ready
//! until the current credentials expire.
//!
//! In a pod it listens on port 8080, or on the address of `--listen`. If the pod has no credentials, it prints the reason, and
//! the exit code is 1. On SIGTERM it accepts no more connections, and it ends when the requests in progress are answered.
//!
//! ```yaml
//! readinessProbe:
//!   httpGet: { path: /readyz, port: 8080 }
//! ```
//!
//! Outside a cluster, `cargo run --example readiness` starts a local pod. `--outage` also simulates an outage: STS fails before
//! the first refresh, the credentials expire, and STS recovers. During the outage the program requests `/readyz` ten times per
//! second. The status must be 200 until the expiry, 503 after it, and 200 after the recovery; otherwise the exit code is 1. At
//! the end it prints the metrics.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the output is for people")]

#[cfg(feature = "testing")]
#[path = "local/readiness.rs"]
mod local;
#[cfg(not(feature = "testing"))]
#[path = "local/none.rs"]
mod local;
#[path = "support/program.rs"]
mod program;

use std::error::Error;
use std::future::IntoFuture as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use eks_credentials::{EksCredentialsProvider, Health, Status};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

const USAGE: &str = "\
usage: readiness [--listen ADDRESS] [--local] [--outage]

Serves /readyz and /metrics for the credentials of this pod, until SIGTERM or SIGINT.

  --listen ADDRESS  the address to listen on. Default: 0.0.0.0:8080; with a local pod, a free port of 127.0.0.1
  --local           uses a local pod on loopback, even if this environment configures credentials. Outside a cluster this is
                    the default if it configures none. Refused in a cluster
  --outage          like --local, but simulates an outage of STS and then ends. The exit code is 1 if an answer of /readyz
                    was wrong

Exit code: 0 if a signal ended the program; 1 if there are no credentials or it cannot serve; 64 if the arguments are wrong.";
/// The shortest bucket fits a healthy agent on the node. The longest one is the default startup timeout, 20 s.
const BUCKETS: [f64; 10] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 20.0];
/// How long after SIGTERM requests in progress and idle connections may stay open. This is well below the default
/// `terminationGracePeriodSeconds`, 30 s, after which kubelet kills the process.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Options {
    listen: Option<SocketAddr>,
    local: bool,
    outage: bool,
}

fn main() -> ExitCode {
    program::run(USAGE, options, |options, signals| async move {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
        run(options, signals).await.unwrap_or_else(|error| program::failed(&*error))
    })
}

fn options(args: &mut program::Arguments) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--local" | "--outage" => {
                program::stand_ins_for(&arg)?;
                options.local = true;
                options.outage |= arg == "--outage";
            }
            "--listen" => {
                let address = args.next().ok_or("--listen needs an address, for example 0.0.0.0:8080")?;
                options.listen = Some(address.parse().map_err(|e| format!("--listen {address}: {e}"))?);
            }
            other => return Err(program::unknown(other)),
        }
    }
    Ok(options)
}

async fn run(options: Options, mut signals: program::Signals) -> Result<ExitCode, Box<dyn Error>> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("eks_credentials_refresh_duration_seconds".to_owned()), &BUCKETS)?
        .install_recorder()?;
    if !options.local {
        let provider = match signals.interrupt(program::provider()).await {
            Ok(Ok(provider)) => provider,
            Ok(Err(code)) => return Ok(code),
            Err(_) => return Ok(ExitCode::SUCCESS),
        };
        if let Some(provider) = provider {
            let address = options.listen.unwrap_or(([0, 0, 0, 0], 8080).into());
            serve(TcpListener::bind(address).await?, provider, recorder, &mut signals).await?;
            return Ok(ExitCode::SUCCESS);
        }
        println!("Not in a pod: neither IRSA nor EKS Pod Identity is configured in this environment.");
    }
    local::run((options, recorder, signals)).await
}

#[derive(Clone)]
struct Service {
    provider: EksCredentialsProvider,
    recorder: PrometheusHandle,
}

/// Serves until a signal arrives. Then it accepts no more connections, and returns when the requests in progress are answered.
async fn serve(
    listener: TcpListener,
    provider: EksCredentialsProvider,
    recorder: PrometheusHandle,
    signals: &mut program::Signals,
) -> Result<(), Box<dyn Error>> {
    let address = listener.local_addr()?;
    println!("http://{address}/readyz and http://{address}/metrics");
    // This call starts the refresh task. Afterwards credentials are fetched and refreshed without calls.
    let first = provider.clone();
    tokio::spawn(async move { first.warm_up().await });
    let service = Service { provider, recorder };
    let metrics = |State(service): State<Service>| async move { service.recorder.render() };
    let routes = axum::Router::new().route("/readyz", get(readyz)).route("/metrics", get(metrics)).with_state(service);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let mut serving = pin!(serving.into_future());
    match signals.interrupt(&mut serving).await {
        Ok(served) => served?,
        Err(signal) => {
            eprintln!("{} received: no more connections are accepted", signal.name());
            drop(stop);
            match timeout(DRAIN_TIMEOUT, serving).await {
                Ok(served) => served?,
                Err(_) => eprintln!("connections that are still open after {DRAIN_TIMEOUT:?} are closed"),
            }
        }
    }
    Ok(())
}

async fn readyz(State(Service { provider, .. }): State<Service>) -> (StatusCode, String) {
    let status = provider.status();
    let code = if status.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, describe(&status))
}

fn describe(status: &Status) -> String {
    let source = status.source.map_or_else(|| "no source".to_owned(), |source| source.to_string());
    let expiry = status.expiry.map_or_else(|| "forever".to_owned(), |at| format!("until {}", rfc3339(at)));
    let error = status.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    match status.health {
        Health::Ready => format!("ready: credentials from {source}, valid {expiry}\n"),
        Health::Degraded => {
            format!("ready: credentials from {source}, valid {expiry}; the last refresh failed{error}\n")
        }
        Health::Expired => format!("not ready: the credentials were valid {expiry}{error}\n"),
        Health::Starting => "not ready: no credentials have been fetched yet\n".to_owned(),
        _ => format!("not ready: there are no credentials{error}\n"),
    }
}

fn rfc3339(time: SystemTime) -> String {
    aws_smithy_types::DateTime::from_secs(aws_smithy_types::DateTime::from(time).secs()).to_string()
}
