//! Says whether a pod can be cut over from the method that serves to the other one: asks both, side by side, and compares
//! who the pod is to each. What other processes of the pod use is not touched.
//!
//! For a pod that has both credential sources. `cargo run --example migrate` outside a cluster starts a local pod that has
//! both. `--different-role` and `--different-account` let the local pod's association name another one, `--denied` none at
//! all. In a cluster no local pod is started: if the pod has no credentials, it says why.
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
//! in a running pod: `kubectl exec deploy/app -- migrate`. A service can also call
//! `provider.compare()` itself. That the roles are compared takes the feature `diagnose`, with which STS is asked whose
//! credentials those are.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

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

Says whether this pod can be cut over from the credential source that serves to the other one.

  --local              compares the sources of a local pod on loopback, even if this environment configures credentials.
                       Outside a cluster this is the default if it configures none; in a cluster it is refused, as are:
  --different-role     the same, and the local pod's association names another role
  --different-account  the same, and it names a role of another account
  --denied             the same, and the local pod has no association

Exit code: 0 if it is ready to cut over, 1 if not or if there are no credentials, 64 if the arguments are wrong, 130 or 143
if SIGINT or SIGTERM came before the end.";

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

/// `None`: the pod that this program runs in.
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
