//! Prints the pod's credentials as the AWS CLI's `credential_process` wants them, so that the CLI or any AWS SDK in the
//! same pod can use this crate:
//!
//! ```ini
//! # ~/.aws/config
//! [default]
//! credential_process = /usr/local/bin/credential_process
//! ```
//!
//! Errors go to stderr, with exit code 1. The output holds secrets: it is for a program to read.

#[path = "support/program.rs"]
mod program;

use std::io::Write as _;
use std::process::ExitCode;

use eks_credentials::{EksCredentialsProvider, Error};
use serde::Serialize;

const USAGE: &str = "\
usage: credential_process

Prints the pod's credentials in the format of the AWS CLI's `credential_process`. It takes no arguments.

Exit code: 0 with credentials on stdout, 1 if there are none, 64 if there are arguments, 130 or 143 if SIGINT or SIGTERM
came before the end.";

fn main() -> ExitCode {
    program::run(USAGE, program::no_arguments, |(), mut signals| async move {
        signals.interrupt(run()).await.unwrap_or_else(program::Signal::exit_code)
    })
}

async fn run() -> ExitCode {
    match credentials().await {
        Ok(answer) => match writeln!(std::io::stdout(), "{}", serde_json::json!(answer)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => program::failed(&error),
        },
        Err(error) => program::failed(&error),
    }
}

/// The CLI's format. Without an `Expiration` it takes credentials for everlasting.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
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

async fn credentials() -> Result<Answer, Error> {
    let credentials = EksCredentialsProvider::from_env()?.credentials().await?;
    Ok(Answer {
        version: 1,
        access_key_id: credentials.access_key_id().to_owned(),
        secret_access_key: credentials.secret_access_key().to_owned(),
        session_token: credentials.session_token().map(str::to_owned),
        expiration: credentials.expiry().map(|expiry| aws_smithy_types::DateTime::from(expiry).to_string()),
        account_id: credentials.account_id().map(|account| account.as_str().to_owned()),
    })
}
