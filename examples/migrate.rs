//! Says whether a pod can be cut over from the method that serves to the other one: asks both, side by side, and compares
//! who the pod is to each. What other processes of the pod use is not touched.
//!
//! `cargo run --example migrate` in a pod that has both methods; anywhere else it starts a local pod that has both.
//! `--different-role` and `--different-account` let the local pod's association name another one, `--denied` none at all.
//!
//! Exit code 0: ready to cut over. 1: not, with what differs and what to do. So it can be what a pod does first, with the
//! service account and environment of the service:
//!
//! ```yaml
//! initContainers:
//!   - name: may-we-migrate
//!     image: registry.example.com/migrate:1   # this program
//!     # Without `|| true` pods that are not ready to cut over do not start.
//!     command: [sh, -c, "migrate || true"]
//! ```
//!
//! or a sidecar that says it every ten minutes (`command: [sh, -c, "while :; do migrate; sleep 600; done"]`), or a command
//! in a running pod: `kubectl exec deploy/app -- migrate`. A service that looks by itself asks for `builder().shadow(true)`
//! and reads `Status::shadow`. That the roles are compared takes the feature `diagnose`, with which STS is asked whose
//! credentials those are.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::error::Error;
use std::process::ExitCode;

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::{Answer, LocalPod};

const USAGE: &str = "usage: migrate [--different-role | --different-account | --denied]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let fault = match args.as_slice() {
        [] => None,
        [fault] if ["--different-role", "--different-account", "--denied"].contains(&fault.as_str()) => Some(fault),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(fault.map(String::as_str)).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(fault: Option<&str>) -> Result<bool, Box<dyn Error>> {
    let provider = EksCredentialsProvider::from_env()?;
    if provider.detection().is_ok() {
        return report(&provider).await;
    }
    println!("Not in a pod: neither IRSA nor EKS Pod Identity is configured in this environment.");
    println!("Starting a local pod that has both (STS and Pod Identity agent on loopback) instead.");
    let pod = match fault {
        Some("--different-role") => LocalPod::builder().associated_role_arn("arn:aws:iam::111122223333:role/another"),
        Some("--different-account") => {
            LocalPod::builder().associated_role_arn("arn:aws:iam::444455556666:role/local-pod")
        }
        _ => LocalPod::builder(),
    };
    let pod = pod.start().await?;
    if fault == Some("--denied") {
        pod.agent().always(Answer::refuse_with(
            "ResourceNotFoundException",
            "The token included in the request has no service account role association for it.",
        ));
    }
    report(&EksCredentialsProvider::builder().env(pod.both_env()).build()?).await
}

async fn report(provider: &EksCredentialsProvider) -> Result<bool, Box<dyn Error>> {
    println!("{}\n", provider.detection()?);
    let comparison = provider.compare().await?;
    println!("{comparison}");
    Ok(comparison.is_ready())
}
