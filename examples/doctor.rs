//! Finds out why a pod has no AWS credentials or the wrong ones, and prints what to do. Run it in the pod with `kubectl
//! exec` or in an ephemeral container; the documentation page `findings` describes both.
//! Outside of a pod, it diagnoses the current environment. With `--local`, it diagnoses a local pod with a fault
//! instead. `--local` is refused in a cluster.
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

use eks_credentials::{Diagnosis, Severity};

const USAGE: &str = "\
usage: doctor [--json] [--local [FAULT]] [--list]

Diagnoses the AWS credentials (IRSA, EKS Pod Identity) of the pod in which it runs.

  --json           prints JSON for programs: severity, source, findings
  --local [FAULT]  diagnoses a local pod with this fault instead, or a healthy one without FAULT. Refused in a cluster
  --list           lists the faults

Exit code: 0 if there are no warnings and no errors, 1 if there are warnings, 2 if there are errors, 64 if an argument
is wrong, 130 or 143 if SIGINT or SIGTERM ended the program.
The output has colours on a terminal, unless NO_COLOR is set.";

#[derive(Default)]
struct Options {
    json: bool,
    list: bool,
    /// The name of a fault.
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
            "--list" => {
                // A build without local pods refuses the argument.
                local::list_faults()?;
                options.list = true;
            }
            "--local" => {
                program::stand_ins_for(&arg)?;
                let fault = args.next_if(|next| !next.starts_with("--")).unwrap_or_else(|| "none".to_owned());
                if !local::has_fault(&fault) {
                    return Err(format!("there is no fault {fault}: see --list"));
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
        None => Diagnosis::of_env().await,
    };
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colored = stdout.is_terminal() && !no_color;
    // Errors are ignored: a reader such as `head` may close the pipe early.
    let _ = match options.json {
        true => writeln!(stdout, "{:#}", serde_json::json!(diagnosis)),
        false => write!(stdout, "{}", diagnosis.colored(colored)),
    };
    ExitCode::from(match diagnosis.severity() {
        Severity::Ok | Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Error => 2,
    })
}
