//! Sends an OpenTelemetry span for each attempt to fetch credentials, with OTLP over HTTP.
//!
//! `cargo run --example opentelemetry` starts a collector on loopback and prints the spans that it receives.
//! `--collector URL` (for example `http://localhost:4318`) sends the spans to another collector and is required in a cluster.
//!
//! In a pod the program fetches the credentials of the pod. Outside a cluster it starts a local pod, in which the first
//! attempt fails. The exit code is 1 if the collector on loopback does not receive the expected spans.
#![allow(clippy::print_stdout, reason = "the output is for people")]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/program.rs"]
mod program;

use std::error::Error;
use std::process::ExitCode;

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::{Answer, LocalPod};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use collector::{Collector, attribute};

const USAGE: &str = "\
usage: opentelemetry [--collector URL] [--local]

Fetches credentials once, and sends a span for each attempt with OTLP over HTTP.

  --collector URL  sends the spans to this collector, for example http://localhost:4318. Outside a cluster the default is a
                   collector on loopback, and the program prints the spans that it receives. Required in a cluster
  --local          uses a local pod on loopback, even if this environment configures credentials. Outside a cluster this is
                   the default if it configures none. Refused in a cluster

Exit code: 0 if the spans were sent; 1 if there are no credentials or the spans did not arrive; 64 if the arguments are wrong;
130 or 143 if SIGINT or SIGTERM ended the program early. Spans that have ended before the signal are sent.";

#[derive(Default)]
struct Options {
    collector: Option<String>,
    local: bool,
}

fn main() -> ExitCode {
    program::run(USAGE, options, |options, signals| async move {
        run(options, signals).await.unwrap_or_else(|error| program::failed(&*error))
    })
}

fn options(args: &mut program::Arguments) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--collector" => options.collector = Some(args.next().ok_or("--collector needs a URL")?),
            "--local" => {
                program::stand_ins_for(&arg)?;
                options.local = true;
            }
            other => return Err(program::unknown(other)),
        }
    }
    if options.collector.is_none() {
        program::stand_ins_for("the collector on loopback")
            .map_err(|why| format!("{why}; set a collector with --collector"))?;
    }
    Ok(options)
}

async fn run(options: Options, mut signals: program::Signals) -> Result<ExitCode, Box<dyn Error>> {
    let (sent_to, stand_in) = match options.collector.clone() {
        Some(url) => (url, None),
        None => {
            let collector = Collector::start().await?;
            (format!("http://{}", collector.address), Some(collector))
        }
    };
    let tracers = trace_to(&sent_to)?;
    let fetched = signals.interrupt(fetch(&options)).await;
    // This sends the remaining spans and blocks until it is done.
    let sent = tokio::task::spawn_blocking(move || tracers.shutdown()).await?;
    let expected = match fetched {
        Err(signal) => return Ok(signal.exit_code()),
        Ok(Err(code)) => return Ok(code),
        Ok(Ok(expected)) => expected?,
    };
    sent?;
    match stand_in {
        Some(collector) => show(&collector, expected)?,
        None => println!("The spans were sent to {sent_to}."),
    }
    Ok(ExitCode::SUCCESS)
}

fn show(collector: &Collector, expected: &[&str]) -> Result<(), Box<dyn Error>> {
    println!("The collector at http://{} received:", collector.address);
    let mut outcomes = Vec::new();
    for span in collector.spans() {
        let show = |name| format!("{name}={}", attribute(&span, name).unwrap_or_default());
        let fields = ["source", "attempt", "outcome", "duration_ms"].map(show);
        println!("  span {} {}", span.name, fields.join(" "));
        outcomes.push(attribute(&span, "outcome").unwrap_or_default());
    }
    match outcomes == expected {
        true => Ok(()),
        false => Err(format!("expected spans with the outcomes {expected:?}").into()),
    }
}

/// Sends the INFO spans of this crate to OpenTelemetry, with the events inside them.
fn trace_to(url: &str) -> Result<SdkTracerProvider, Box<dyn Error>> {
    let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{url}/v1/traces")).build()?;
    let tracers = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("opentelemetry-example").build())
        .build();
    let spans = tracing_opentelemetry::layer().with_tracer(tracers.tracer("eks-credentials"));
    let ours = Targets::new().with_target("eks_credentials", tracing::Level::INFO);
    tracing_subscriber::registry().with(spans.with_filter(ours)).init();
    Ok(tracers)
}

/// The expected outcomes of the spans, or the error that ended the fetch.
type Fetched = Result<&'static [&'static str], Box<dyn Error>>;

/// Fetches once. Returns an exit code if the environment configures no credentials.
async fn fetch(options: &Options) -> Result<Fetched, ExitCode> {
    if !options.local {
        if let Some(provider) = program::provider().await? {
            return Ok(fetch_from(&provider).await);
        }
        println!("Not in a pod: neither IRSA nor EKS Pod Identity is configured in this environment.");
    }
    Ok(fetch_from_local_pod().await)
}

async fn fetch_from(provider: &EksCredentialsProvider) -> Fetched {
    println!("{}", provider.detection()?);
    provider.credentials().await?;
    Ok(&["ok"])
}

async fn fetch_from_local_pod() -> Fetched {
    println!("Starting a local pod. Its STS answers the first request with 503.");
    let pod = LocalPod::start().await?;
    pod.sts().then(Answer::http(503, "a simulated outage"));
    EksCredentialsProvider::builder().env(pod.irsa_env()).build()?.credentials().await?;
    Ok(&["unavailable", "ok"])
}
