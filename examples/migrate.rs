//! Reports whether a pod that has both credential sources is ready to cut over from one to the other. It fetches credentials
//! from both sources and compares them. It does not change what other processes of the pod use.
//!
//! Outside a cluster, `cargo run --example migrate` starts a local pod that has both sources. With `--different-role` or
//! `--different-account` the association of the local pod has another role. With `--denied` it has no association. In a
//! cluster no local pod is started: if the pod has no credentials, the program prints the reason.
//!
//! The exit code is 0 if the pod is ready to cut over. It is 1 if it is not; the output lists the differences and what to
//! do. The program can run in an init container with the service account and the environment of the service:
//!
//! ```yaml
//! initContainers:
//!   - name: migrate
//!     image: registry.example.com/migrate:1   # this program
//!     # Without `|| true`, a pod that is not ready to cut over does not start.
//!     command: [sh, -c, "migrate || true"]
//! ```
//!
//! It can also run in a sidecar every ten minutes (`command: [sh, -c, "while :; do migrate; sleep 600; done"]`), or as a
//! command in a running pod: `kubectl exec deploy/app -- migrate`. A service can also call `provider.compare()` itself.
//! Comparing the roles requires the feature `diagnose`, because it calls `GetCallerIdentity` of STS.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the output is for people")]

#[cfg(feature = "testing")]
#[path = "local/migrate.rs"]
mod local;
#[cfg(not(feature = "testing"))]
#[path = "local/none.rs"]
mod local;
#[path = "support/program.rs"]
mod program;

use std::error::Error;
use std::process::ExitCode;

use eks_credentials::EksCredentialsProvider;

const USAGE: &str = "\
usage: migrate [--local | --different-role | --different-account | --denied]

Reports whether this pod is ready to cut over from the credential source in use to the other one.

  --local              compares the sources of a local pod on loopback, even if this environment configures credentials.
                       Outside a cluster this is the default if it configures none
  --different-role     like --local; the association of the local pod has another role
  --different-account  like --local; the association has a role in another account
  --denied             like --local; the local pod has no association

In a cluster, all of these arguments are refused.

Exit code: 0 if the pod is ready to cut over; 1 if it is not, or if there are no credentials; 64 if the arguments are wrong;
130 or 143 if SIGINT or SIGTERM ended the program early.";

/// The association of the local pod.
#[derive(Clone, Copy, PartialEq)]
enum Association {
    SameRole,
    DifferentRole,
    DifferentAccount,
    Denied,
}

fn main() -> ExitCode {
    program::run(USAGE, association, |association, mut signals| async move {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
        signals.interrupt(run(association)).await.unwrap_or_else(program::Signal::exit_code)
    })
}

/// Returns `None` if the program compares the sources of the pod in which it runs.
fn association(args: &mut program::Arguments) -> Result<Option<Association>, String> {
    let Some(arg) = args.next() else { return Ok(None) };
    let association = match arg.as_str() {
        "--local" => Association::SameRole,
        "--different-role" => Association::DifferentRole,
        "--different-account" => Association::DifferentAccount,
        "--denied" => Association::Denied,
        other => return Err(program::unknown(other)),
    };
    program::stand_ins_for(&arg)?;
    Ok(Some(association))
}

async fn run(association: Option<Association>) -> ExitCode {
    let compared = match association {
        Some(association) => local::run(association).await,
        None => match program::provider().await {
            Ok(Some(provider)) => report(&provider).await,
            Ok(None) => {
                println!("Not in a pod: neither IRSA nor EKS Pod Identity is configured in this environment.");
                local::run(Association::SameRole).await
            }
            Err(code) => return code,
        },
    };
    match compared {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => program::failed(&*error),
    }
}

async fn report(provider: &EksCredentialsProvider) -> Result<bool, Box<dyn Error>> {
    println!("{}\n", provider.detection()?);
    let comparison = provider.compare().await?;
    println!("{comparison}");
    Ok(comparison.is_ready())
}
