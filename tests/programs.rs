//! The example programs as kubelet sees them: how they begin without credentials, and how they end.
#![cfg(all(unix, feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

/// `cargo test` builds the examples before the tests run.
fn program(name: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join(name));
    // Not even a place for temporary files.
    command.env_clear().env("TMPDIR", "/nowhere");
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The webhook has injected nothing. A local pod would make this one ready with credentials that nobody accepts.
#[test]
fn in_a_cluster_missing_credentials_are_an_error_with_what_to_do_and_no_local_pod() {
    for (name, arguments) in [("list_buckets", &[][..]), ("readiness", &[]), ("readiness", &["--outage"])] {
        let output = program(name).args(arguments).env("KUBERNETES_SERVICE_HOST", "10.100.0.1").output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("ENV-NONE") && said.contains("KUBERNETES_SERVICE_HOST"), "{said}");
        assert!(!said.contains("Starting a local pod"), "{said}");
    }
}

#[test]
fn usage_is_printed_and_a_wrong_argument_is_an_error() {
    for name in ["list_buckets", "readiness"] {
        let output = program(name).arg("--help").output().unwrap();
        assert!(output.status.success() && text(&output).starts_with("usage: "), "{}", text(&output));
        let output = program(name).arg("--no-such-thing").output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{}", text(&output));
        assert!(text(&output).contains("unknown argument --no-such-thing"), "{}", text(&output));
    }
}

#[test]
fn sigterm_ends_a_service_in_good_order() {
    let env = [
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/app"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token"),
        ("AWS_REGION", "eu-central-1"),
    ];
    let mut service = program("readiness");
    service.args(["--listen", "127.0.0.1:0"]).envs(env).stderr(Stdio::piped());
    let mut service = service.spawn().unwrap();
    // Its first failure is logged once it runs, and by then it listens for signals.
    let mut log = BufReader::new(service.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("token")));
    let id = service.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(service.wait().unwrap().code(), Some(0));
}
