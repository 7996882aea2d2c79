//! Explains why a pod has no AWS credentials or the wrong ones, and what to do. Run it with `kubectl exec` or in an ephemeral
//! container; the documentation page `findings` shows how.
//!
//! It diagnoses the environment of its process. Outside a cluster, `--local` diagnoses a local pod on loopback instead, with
//! a fault of your choice.

#[cfg(feature = "testing")]
#[path = "local/doctor.rs"]
mod local;
#[cfg(not(feature = "testing"))]
#[path = "local/none.rs"]
mod local;
#[path = "support/program.rs"]
mod program;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use eks_credentials::{AssumeRole, Diagnosis, EksCredentialsProvider, Error, Severity};

const USAGE: &str = "\
usage: doctor [--json] [--assume-role ARN]... [--local [FAULT]] [--list]

Diagnoses the AWS credentials (IRSA, EKS Pod Identity) of the pod in which it runs.

  --json           prints JSON with the severity, the source and the findings
  --assume-role ARN
                   also assumes this role with the credentials of the pod. Repeat it for a chain of roles
  --local [FAULT]  diagnoses a local pod on loopback with this fault; without FAULT, a pod without faults. Refused in a cluster
  --list           lists the faults

Exit code: 0 if nothing is wrong; 1 if there are warnings; 2 if there are errors; 64 if the arguments are wrong; 130 or 143 if
SIGINT or SIGTERM ended the program early.
The output is coloured on a terminal, unless NO_COLOR is set.";

#[derive(Default)]
struct Options {
    json: bool,
    list: bool,
    /// The roles to assume, one after the other.
    roles: Vec<String>,
    /// The name of the fault of a local pod.
    local: Option<String>,
}

fn main() -> ExitCode {
    program::run(USAGE, options, |options, mut signals| async move {
        signals.interrupt(run(options)).await.unwrap_or_else(program::Signal::exit_code)
    })
}

fn options(args: &mut program::Arguments) -> Result<Options, String> {
    let mut options = Options::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => options.json = true,
            "--assume-role" => match args.next() {
                Some(arn) => options.roles.push(arn),
                None => return Err("--assume-role needs the ARN of a role".to_owned()),
            },
            "--list" => {
                // In a build without stand-ins there are no faults, so the argument is an error.
                local::list_faults()?;
                options.list = true;
            }
            "--local" => {
                program::stand_ins_for(&arg)?;
                let fault = args.next_if(|next| !next.starts_with("--")).unwrap_or_else(|| "none".to_owned());
                if !local::has_fault(&fault) {
                    return Err(format!("unknown fault {fault}: --list shows all faults"));
                }
                options.local = Some(fault);
            }
            other => return Err(program::unknown(other)),
        }
    }
    Ok(options)
}

async fn run(options: Options) -> ExitCode {
    let mut stdout = std::io::stdout();
    if options.list {
        let _ = writeln!(stdout, "{}", local::list_faults().unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let local = match &options.local {
        Some(fault) => local::diagnose(fault).await,
        None => None,
    };
    let diagnosis = match local {
        Some(diagnosis) => diagnosis,
        None => match chain(&options.roles) {
            Ok(Some(provider)) => provider.diagnose().await,
            // If the pod itself is not configured correctly, its diagnosis says so.
            Ok(None) => Diagnosis::of_env().await,
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "doctor: {error}");
                return ExitCode::from(64);
            }
        },
    };
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colored = stdout.is_terminal() && !no_color;
    // The reader may close the pipe early, as `| head` does. This is not an error.
    let _ = match options.json {
        true => writeln!(stdout, "{:#}", serde_json::json!(diagnosis)),
        false => write!(stdout, "{}", diagnosis.colored(colored)),
    };
    ExitCode::from(match diagnosis.severity() {
        Severity::Ok | Severity::Info => 0,
        Severity::Warning => 1,
        _ => 2,
    })
}

/// The provider for the last of the roles. `None` if there are no roles, or if no provider can be built for the pod itself.
fn chain(roles: &[String]) -> Result<Option<EksCredentialsProvider>, Error> {
    let Ok(mut provider) = EksCredentialsProvider::from_env() else { return Ok(None) };
    for role in roles {
        provider = provider.assume_role(AssumeRole::new(role))?;
    }
    Ok((!roles.is_empty()).then_some(provider))
}
