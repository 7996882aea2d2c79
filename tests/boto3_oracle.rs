//! Compares this crate with botocore, the core of boto3.
//!
//! In the same environment both must use the same credential source and the same account, and fail for the same reasons.
//!
//! ```text
//! python -m venv /tmp/venv && /tmp/venv/bin/pip install boto3
//! EKS_CREDENTIALS_VENV=/tmp/venv cargo test --test boto3_oracle -- --ignored --nocapture
//! ```

#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod support;

use std::path::Path;
use std::process::Stdio;

use eks_credentials::testing::LocalPod;
use eks_credentials::{Error, ErrorKind};
use serde::Deserialize;
use support::{builder, with, without};
use tokio::process::Command;

const ROLE_ARN: &str = "AWS_ROLE_ARN";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const AGENT_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const AGENT_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

const ACCOUNT: &str = "444455556666";
const ROLE: &str = "arn:aws:iam::444455556666:role/oracle";

const IRSA: &str = "irsa";
const POD_IDENTITY: &str = "pod-identity";

type Env = Vec<(String, String)>;

#[tokio::test]
#[ignore = "needs boto3 in the venv at $EKS_CREDENTIALS_VENV"]
async fn botocore_finds_the_same_source_and_account() {
    let pod = LocalPod::builder().role_arn(ROLE).start().await.unwrap();
    let (irsa, agent) = (pod.irsa_env(), pod.pod_identity_env());
    let cases = [
        ("IRSA", irsa.clone(), IRSA),
        ("Pod Identity", agent.clone(), POD_IDENTITY),
        ("both", pod.both_env(), IRSA),
        ("a role ARN alone, and Pod Identity", with(agent.clone(), ROLE_ARN, ROLE), POD_IDENTITY),
        ("an empty path of a token file, and Pod Identity", with(pod.both_env(), TOKEN_FILE, ""), POD_IDENTITY),
        ("the agent's token file alone, and IRSA", [irsa, without(agent, AGENT_URI)].concat(), IRSA),
    ];
    for (case, env, source) in cases {
        let ours = ours(env.clone()).await.unwrap();
        let theirs = botocore(env).await;
        println!("{case}: ours {ours:?}, botocore {theirs:?}");
        let Answer::Found(theirs) = theirs else { panic!("{case}: botocore found nothing") };
        for found in [&ours, &theirs] {
            assert_eq!((found.source.as_str(), found.account.as_str()), (source, ACCOUNT), "{case}");
            assert!(pod.ledger().get(&found.access_key).is_some(), "{case}");
        }
        // The agent returns cached credentials to both. STS issues new ones for each request.
        assert_eq!(ours.access_key == theirs.access_key, source == POD_IDENTITY, "{case}");
    }
}

#[tokio::test]
#[ignore = "needs boto3 in the venv at $EKS_CREDENTIALS_VENV"]
async fn botocore_fails_for_the_same_reasons() {
    let pod = LocalPod::start().await.unwrap();
    let stranger = LocalPod::start().await.unwrap();
    stranger.irsa_token().impersonate("default", "stranger").unwrap();
    stranger.agent_token().impersonate("default", "stranger").unwrap();
    let (irsa, agent) = (pod.irsa_env(), pod.pod_identity_env());
    let invalid = ErrorKind::InvalidConfiguration;
    let cases = [
        ("nothing is set", vec![], ErrorKind::NotConfigured, "no credentials found"),
        (
            "IRSA without its token file",
            with(irsa.clone(), TOKEN_FILE, "/nowhere"),
            ErrorKind::TokenFile,
            "FileNotFoundError",
        ),
        (
            "Pod Identity without its token file",
            with(agent.clone(), AGENT_TOKEN_FILE, "/nowhere"),
            ErrorKind::TokenFile,
            "FileNotFoundError",
        ),
        ("a token file without a role ARN", without(irsa.clone(), ROLE_ARN), invalid, "InvalidConfigError"),
        (
            "a token file without a role ARN, and Pod Identity",
            without(pod.both_env(), ROLE_ARN),
            invalid,
            "InvalidConfigError",
        ),
        ("a role ARN without a token file", without(irsa, TOKEN_FILE), invalid, "no credentials found"),
        (
            "a public address",
            with(agent.clone(), AGENT_URI, "http://8.8.8.8/v1/credentials"),
            invalid,
            "Unsupported host",
        ),
        (
            "the node's metadata",
            with(agent.clone(), AGENT_URI, "http://169.254.169.254/v1/credentials"),
            invalid,
            "Unsupported host",
        ),
        (
            "an address close to that of the agent",
            with(agent, AGENT_URI, "http://[fd00:ec2::24]/v1/credentials"),
            invalid,
            "Unsupported host",
        ),
        ("a subject that the role does not trust", stranger.irsa_env(), ErrorKind::Denied, "(AccessDenied)"),
        (
            "a subject without an association",
            stranger.pod_identity_env(),
            ErrorKind::Denied,
            "(ResourceNotFoundException)",
        ),
    ];
    for (case, env, kind, botocore_error) in cases {
        let ours = ours(env.clone()).await.expect_err(case);
        let theirs = botocore(env).await;
        let Answer::Refused { error } = theirs else { panic!("{case}: botocore found {theirs:?}") };
        println!("{case}\n  ours:     {ours}\n  botocore: {error}");
        assert_eq!(ours.kind(), kind, "{case}");
        assert!(error.contains(botocore_error), "{case}");
    }
    // The stand-ins of `pod` received no requests: nothing is sent if the configuration is missing or not allowed.
    assert_eq!((pod.sts().requests(), pod.agent().requests()), (0, 0));
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Answer {
    Found(Found),
    Refused { error: String },
}

#[derive(Debug, Deserialize)]
struct Found {
    #[serde(rename = "method")]
    source: String,
    account: String,
    access_key: String,
}

async fn ours(env: Env) -> Result<Found, Error> {
    let provider = builder(env).build()?;
    let credentials = provider.credentials().await?;
    Ok(Found {
        source: provider.status().source.unwrap().as_str().to_owned(),
        account: credentials.account_id().unwrap().as_str().to_owned(),
        access_key: credentials.access_key_id().to_owned(),
    })
}

async fn botocore(env: Env) -> Answer {
    let venv =
        std::env::var_os("EKS_CREDENTIALS_VENV").expect("EKS_CREDENTIALS_VENV must be the path of a venv with boto3");
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(Path::new(&venv).join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boto3/oracle.py"))
        .env_clear()
        // Without the configuration of this machine: no profile and no instance role.
        .env("HOME", home.path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(env)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut answer: Answer = serde_json::from_slice(&output.stdout).unwrap();
    if let Answer::Found(Found { source, .. }) = &mut answer {
        *source = match source.as_str() {
            "assume-role-with-web-identity" => IRSA.to_owned(),
            "container-role" => POD_IDENTITY.to_owned(),
            other => panic!("unknown method of botocore: {other}"),
        };
    }
    answer
}
