//! Prints the credentials of the pod in the format of the setting `credential_process`. With it, the AWS CLI or any AWS SDK in
//! the same pod can use this crate:
//!
//! ```ini
//! # ~/.aws/config
//! [default]
//! credential_process = /usr/local/bin/credential_process
//! ```
//!
//! Errors are printed to stderr, and the exit code is 1. The output contains secrets and is meant for programs.

#[path = "support/program.rs"]
mod program;

use std::io::Write as _;
use std::process::ExitCode;

use eks_credentials::{EksCredentialsProvider, Error};
use serde::Serialize;

const USAGE: &str = "\
usage: credential_process

Prints the credentials of this pod as JSON, for the setting `credential_process` of the AWS CLI and the AWS SDKs. It takes no
arguments.

Exit code: 0 if credentials were printed; 1 if there are no credentials; 64 if there are arguments; 130 or 143 if SIGINT or
SIGTERM ended the program early.";

fn main() -> ExitCode {
    program::run(USAGE, program::no_arguments, |(), mut signals| async move {
        signals.interrupt(run()).await.unwrap_or_else(program::Signal::exit_code)
    })
}

async fn run() -> ExitCode {
    match credentials().await {
        Ok(output) => match writeln!(std::io::stdout(), "{}", serde_json::json!(output)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => program::failed(&error),
        },
        Err(error) => program::failed(&error),
    }
}

/// The output format of a credential process. Credentials without `Expiration` never expire.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    version: u8,
    access_key_id: String,
    secret_access_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

async fn credentials() -> Result<Output, Error> {
    let credentials = EksCredentialsProvider::from_env()?.credentials().await?;
    Ok(Output {
        version: 1,
        access_key_id: credentials.access_key_id().to_owned(),
        secret_access_key: credentials.secret_access_key().to_owned(),
        session_token: credentials.session_token().map(str::to_owned),
        expiration: credentials.expiry().map(|expiry| aws_smithy_types::DateTime::from(expiry).to_string()),
        account_id: credentials.account_id().map(|account| account.as_str().to_owned()),
    })
}
