//! The example programs, and how much of a program that uses a storage library concerns credentials.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "outside/object_store.rs"]
mod outside_object_store;
#[path = "outside/opendal.rs"]
mod outside_opendal;

use std::process::Command;

use object_store::ObjectStoreExt as _;
use storage::LocalStorage;

/// Runs a program outside of a cluster. Returns what it prints.
fn run(program: &str) -> String {
    let keeps = |name: &str| !name.starts_with("AWS_") && !name.starts_with("KUBERNETES_");
    let env = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(keeps));
    let ran = Command::new(program).env_clear().envs(env).output().unwrap();
    let (printed, errors) = (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap());
    assert!(ran.status.success(), "{printed}{errors}");
    for secret in ["local-secret-", "local-session-", "X-Amz-Signature"] {
        assert!(!printed.contains(secret) && !errors.contains(secret), "{program} prints {secret}");
    }
    printed
}

#[track_caller]
fn assert_prints(printed: &str, expected: &[&str]) {
    let mut rest = printed;
    for text in expected {
        let found = rest.find(text);
        rest = &rest[found.unwrap_or_else(|| panic!("after the earlier texts there is no {text:?} in:\n{printed}"))..];
    }
}

#[test]
fn object_store_example_survives_refreshes_and_an_outage() {
    let printed = run(env!("CARGO_BIN_EXE_object_store"));
    assert_prints(
        &printed,
        &[
            "a signed URL for 15 min returns 200",
            "a URL for 120 min is not signed",
            "objects: hello.txt",
            "the credentials were refreshed between two parts",
            "uploaded 5242881 bytes in two parts",
            "requests succeeded in the outage",
            "ExpiredToken",
            "STS works again",
            "objects: hello.txt, large",
            "deleted",
        ],
    );
}

#[test]
fn opendal_example_survives_refreshes_and_an_outage() {
    let printed = run(env!("CARGO_BIN_EXE_opendal"));
    assert_prints(
        &printed,
        &[
            "a presigned URL for 15 min returns 200",
            "objects: hello.txt",
            "uploaded 5242881 bytes in two parts",
            "S3 has accepted 5 access keys",
            "requests succeeded in the outage",
            "expires before the requested operation deadline",
            "STS works again",
            "objects: hello.txt, large",
            "deleted",
        ],
    );
}

#[test]
fn delta_example_writes_and_reads_across_refreshes_and_an_outage() {
    let printed = run(env!("CARGO_BIN_EXE_delta"));
    assert_prints(
        &printed,
        &["version 4", "fetched credentials", "version 5", "ExpiredToken", "version 6", "6000 rows in 6 files"],
    );
}

#[tokio::test]
async fn outside_programs_need_at_most_five_lines_for_credentials() {
    let local = LocalStorage::start().await.unwrap();
    let provider = local.provider().unwrap();
    let store = outside_object_store::store(local.url(), &provider).unwrap();
    store.head(&LocalStorage::OBJECTS[0].into()).await.unwrap();
    let operator = outside_opendal::operator(local.url(), &provider).unwrap();
    operator.stat(LocalStorage::OBJECTS[0]).await.unwrap();

    let about_credentials =
        |line: &&str| ["eks_credentials", "provider", "ProvideCredentialChain"].iter().any(|word| line.contains(word));
    for program in [include_str!("outside/object_store.rs"), include_str!("outside/opendal.rs")] {
        let lines: Vec<_> = program.lines().filter(about_credentials).collect();
        assert!((1..=5).contains(&lines.len()), "{lines:#?}");
    }
}
