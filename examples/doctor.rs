//! Says why a pod has no AWS credentials, or the wrong ones, and what to do: `kubectl exec` it, or give it to an ephemeral
//! container (how: the documentation page `findings`).
//!
//! Anywhere else it diagnoses the environment as it is, or with `--local` a pod on loopback with a fault.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

#[path = "support/faults.rs"]
mod faults;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use eks_credentials::{Diagnosis, Severity};

const USAGE: &str = "\
usage: doctor [--json] [--local [FAULT]] [--list]

Diagnoses the AWS credentials (IRSA, EKS Pod Identity) of the pod that it runs in.

  --json           for programs: severity, source, findings
  --local [FAULT]  diagnoses a local pod with this fault instead; without FAULT, a healthy one
  --list           lists the faults

Exit code: 0 if nothing is wrong, 1 if there are warnings, 2 if there are errors, 64 if the arguments are wrong.
Colours on a terminal, unless NO_COLOR is set.";

#[derive(Default)]
struct Options {
    json: bool,
    list: bool,
    /// The name of a fault.
    local: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(what) => return misused(&what),
    };
    if options.list {
        for fault in faults::all() {
            println!("{:<46} {}", fault.name, fault.finds);
        }
        return ExitCode::SUCCESS;
    }
    let diagnosis = match &options.local {
        None => Diagnosis::of_env().await,
        Some(name) => match faults::all().into_iter().find(|fault| fault.name == name) {
            Some(fault) => fault.diagnose().await,
            None => return misused(&format!("there is no fault {name}: see --list")),
        },
    };
    let mut stdout = std::io::stdout();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colored = stdout.is_terminal() && !no_color;
    // Who reads it may have read enough: `| head` is no reason to fail.
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

/// `None`: help is asked for.
fn options(args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut args = args.peekable();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => options.json = true,
            "--list" => options.list = true,
            "--local" => {
                options.local = Some(args.next_if(|next| !next.starts_with("--")).unwrap_or_else(|| "none".to_owned()));
            }
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(Some(options))
}

fn misused(what: &str) -> ExitCode {
    eprintln!("{what}\n{USAGE}");
    ExitCode::from(64)
}
