//! Each attempt to fetch credentials as an OpenTelemetry span, sent by OTLP over http.
//!
//! `cargo run --example opentelemetry` starts a collector on loopback and prints what has arrived there; `--collector URL`
//! (as `http://localhost:4318`) sends to one that is there. In a pod it fetches that one's credentials; anywhere else those
//! of a local pod, where the first attempt meets an outage. Exit code 1 if the collector on loopback did not get the spans.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

#[path = "support/collector.rs"]
mod collector;

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

const USAGE: &str = "usage: opentelemetry [--collector URL]";

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let url = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => None,
        ["--collector", url] => Some((*url).to_owned()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: Option<String>) -> Result<(), Box<dyn Error>> {
    let collector = Collector::start().await?;
    let sent_to = url.clone().unwrap_or_else(|| format!("http://{}", collector.address));
    let tracers = trace_to(&sent_to)?;
    let expected = fetch().await?;
    // Sends what is left; blocks while it does.
    tokio::task::spawn_blocking(move || tracers.shutdown()).await??;
    if url.is_some() {
        println!("The spans were sent to {sent_to}.");
        return Ok(());
    }
    println!("The collector at {sent_to} got:");
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

/// This crate's spans at INFO go to OpenTelemetry; events inside them come along.
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

/// The outcomes that the spans must tell.
async fn fetch() -> Result<&'static [&'static str], Box<dyn Error>> {
    let provider = EksCredentialsProvider::from_env()?;
    if let Ok(detection) = provider.detection() {
        println!("{detection}");
        provider.credentials().await?;
        return Ok(&["ok"]);
    }
    println!("Not in a pod: neither IRSA nor EKS Pod Identity is configured in this environment.");
    println!("Starting a local pod instead, whose STS answers 503 at first.");
    let pod = LocalPod::start().await?;
    pod.sts().then(Answer::http(503, "an outage that is played"));
    EksCredentialsProvider::builder().env(pod.irsa_env()).build()?.credentials().await?;
    Ok(&["unavailable", "ok"])
}
