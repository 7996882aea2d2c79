//! Tests that run the example programs as processes: when they refuse to start stand-ins, how they end, and what they need.
//!
//! The programs are the examples of the development build, or those in the folder of the variable
//! `EKS_CREDENTIALS_PROGRAMS`. `.ci/run` builds the programs of the image and runs the tests `image_*` with them.
#![cfg(all(unix, feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

#[path = "../examples/support/http.rs"]
mod http;
#[path = "../examples/support/local_s3.rs"]
mod local_s3;
#[path = "programs/process.rs"]
mod process;
mod support;

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use eks_credentials::testing::{Answer, AssumableRole, LocalPod, StandIn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use local_s3::LocalS3;
use process::{Env, Process, Program, finish};
use support::{with, without};

/// The programs in the image.
const IMAGE: [&str; 4] = ["readiness", "list_buckets", "migrate", "doctor"];
const OTHERS: [&str; 4] = ["credential_process", "opensearch", "opentelemetry", "sdk_config"];

/// Returns `env` with the variable that kubelet sets in every container.
fn in_cluster(env: Env) -> Env {
    with(env, "KUBERNETES_SERVICE_HOST", "10.100.0.1")
}

/// `readiness` on a free port, in a cluster, without a folder for temporary files.
fn readiness(env: Env) -> Program {
    Program::new("readiness").args(["--listen", "127.0.0.1:0"]).env(with(in_cluster(env), "TMPDIR", "/no/such/folder"))
}

/// Returns the address that `readiness` prints.
async fn address(readiness: &mut Process) -> SocketAddr {
    let line = readiness.stdout_line("/readyz").await;
    line.split(['/', ' ']).nth(2).unwrap().parse().unwrap()
}

async fn until_ready(address: SocketAddr) {
    while http::get(address, "/readyz").await.unwrap().0 != 200 {}
}

async fn until_called(upstream: &StandIn) {
    while upstream.requests() == 0 {
        tokio::task::yield_now().await;
    }
}

async fn help_and_unknown_arguments(programs: &[&'static str]) {
    for name in programs {
        for help in ["--help", "-h"] {
            let ended = finish(Program::new(name).args([help])).await;
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{name} {help}");
            assert!(ended.stdout.starts_with(&format!("usage: {name}")), "{name}: {}", ended.stdout);
            assert!(ended.stdout.contains("Exit code: 0"), "{name}: {}", ended.stdout);
        }
        for (arg, message) in [
            (OsStr::new("--no-such-argument"), "unknown argument --no-such-argument\n"),
            (OsStr::from_bytes(b"--\xff"), "argument \"--\\xFF\" is not valid UTF-8\n"),
        ] {
            let ended = finish(Program::new(name).args([arg])).await;
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(64), ""), "{name} {arg:?}: {}", ended.stderr);
            assert!(ended.stderr.starts_with(&format!("{message}usage: {name}")), "{name}: {}", ended.stderr);
        }
    }
}

#[tokio::test]
async fn image_programs_know_help_and_reject_unknown_arguments() {
    help_and_unknown_arguments(&IMAGE).await;
}

#[tokio::test]
async fn programs_know_help_and_reject_unknown_arguments() {
    help_and_unknown_arguments(&OTHERS).await;
}

#[tokio::test]
async fn opensearch_requests_are_accepted_only_from_its_own_pod() {
    let ended = finish(Program::new("opensearch")).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let count = |text| ended.stdout.matches(text).count();
    assert_eq!((count("200 OK"), count("requests to STS: 1\n"), count("403 Forbidden")), (3, 1, 1), "{}", ended.stdout);
    let ended = finish(Program::new("opensearch").env(in_cluster(Env::new()))).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(64), ""), "{}", ended.stderr);
}

/// In this pod the webhook has injected nothing.
#[tokio::test]
async fn image_programs_explain_missing_credentials_in_a_cluster() {
    for name in ["readiness", "list_buckets", "migrate"] {
        // A variable that is set but empty counts, too.
        for host in ["10.100.0.1", ""] {
            let env = with(Env::new(), "KUBERNETES_SERVICE_HOST", host);
            let ended = finish(Program::new(name).env(env)).await;
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{name}: {}", ended.stderr);
            assert!(ended.stderr.starts_with("error: no AWS credentials are configured"), "{name}: {}", ended.stderr);
            assert!(ended.stderr.contains("ERROR   ENV-NONE"), "{name}: {}", ended.stderr);
        }
    }
    let ended = finish(Program::new("doctor").env(in_cluster(Env::new()))).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stdout.contains("ERROR   ENV-NONE"), "{}", ended.stdout);
}

#[tokio::test]
async fn image_programs_explain_an_incomplete_configuration() {
    let pod = LocalPod::start().await.unwrap();
    let incomplete = without(pod.irsa_env(), "AWS_WEB_IDENTITY_TOKEN_FILE");
    for name in ["readiness", "list_buckets", "migrate"] {
        let ended = finish(Program::new(name).env(in_cluster(incomplete.clone()))).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains("ERROR   IRSA-HALF"), "{name}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn image_doctor_examines_the_roles_of_a_chain() {
    const ROLE: &str = "arn:aws:iam::444455556666:role/reports";
    const OTHER: &str = "arn:aws:iam::777788889999:role/archive";
    let pod = LocalPod::builder().assumable_role(AssumableRole::new(ROLE)).start().await.unwrap();
    let doctor =
        |args: &[&'static str], env: Env| finish(Program::new("doctor").args(args.to_vec()).env(in_cluster(env)));
    let ended = doctor(&["--assume-role", ROLE], pod.irsa_env()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(ended.stdout.contains("ASSUME-ROLE-OK"), "{}", ended.stdout);
    let ended = doctor(&["--assume-role", ROLE, "--assume-role", OTHER], pod.irsa_env()).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stdout.contains("ERROR   ASSUME-ROLE-DENIED"), "{}", ended.stdout);
    // A pod without credentials is explained instead.
    let ended = doctor(&["--assume-role", ROLE], without(pod.irsa_env(), "AWS_ROLE_ARN")).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stdout.contains("ERROR   IRSA-HALF"), "{}", ended.stdout);
    for (args, said) in [
        (&["--assume-role"] as &[_], "--assume-role needs the ARN of a role"),
        (&["--assume-role", "arn:aws:iam::444455556666:user/x\n"], "the role ARN of AssumeRole"),
    ] {
        let ended = doctor(args, pod.irsa_env()).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(64), ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

/// Arguments that start stand-ins.
const STAND_INS: [(&str, &[&str]); 9] = [
    ("readiness", &["--local"]),
    ("readiness", &["--outage"]),
    ("list_buckets", &["--local"]),
    ("migrate", &["--local"]),
    ("migrate", &["--different-role"]),
    ("migrate", &["--different-account"]),
    ("migrate", &["--denied"]),
    ("doctor", &["--local"]),
    ("doctor", &["--local", "token-expired"]),
];

async fn assert_refused(name: &'static str, args: &[&str], env: Env) {
    let ended = finish(Program::new(name).args(args).env(env)).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(64), ""), "{name} {args:?}: {}", ended.stderr);
    assert!(ended.stderr.contains(" is refused: "), "{name} {args:?}: {}", ended.stderr);
}

/// They refuse them whether or not the pod has credentials.
#[tokio::test]
async fn image_programs_refuse_stand_ins_in_a_cluster() {
    let pod = LocalPod::start().await.unwrap();
    for (name, args) in STAND_INS {
        assert_refused(name, args, in_cluster(Env::new())).await;
        assert_refused(name, args, in_cluster(pod.both_env())).await;
    }
    assert_eq!((pod.sts().requests(), pod.agent().requests()), (0, 0));
}

/// `.ci/run` runs this test with the programs of the image. They contain no stand-ins, so they refuse these arguments outside a
/// cluster too.
#[tokio::test]
#[ignore = "needs the programs of the image, which .ci/run builds"]
async fn image_programs_have_no_stand_ins_anywhere() {
    for (name, args) in STAND_INS {
        assert_refused(name, args, Env::new()).await;
    }
    for name in ["readiness", "list_buckets", "migrate"] {
        let ended = finish(Program::new(name)).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains("ERROR   ENV-NONE"), "{name}: {}", ended.stderr);
    }
    assert_eq!(finish(Program::new("doctor").args(["--list"])).await.code, Some(64));
}

#[tokio::test]
async fn opentelemetry_starts_no_stand_in_in_a_cluster() {
    assert_refused("opentelemetry", &[], in_cluster(Env::new())).await;
    assert_refused("opentelemetry", &["--collector", "http://127.0.0.1:9", "--local"], in_cluster(Env::new())).await;
    let collector = ["--collector", "http://127.0.0.1:9"];
    let ended = finish(Program::new("opentelemetry").args(collector).env(in_cluster(Env::new()))).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("ERROR   ENV-NONE"), "{}", ended.stderr);
}

/// After SIGTERM it accepts no more connections, and answers the request that has begun.
#[tokio::test]
async fn image_readiness_answers_begun_requests_after_sigterm() {
    let pod = LocalPod::start().await.unwrap();
    let mut readiness = readiness(pod.irsa_env()).start();
    let address = address(&mut readiness).await;
    let mut begun = TcpStream::connect(address).await.unwrap();
    begun.write_all(b"GET /readyz HTTP/1.1\r\n").await.unwrap();
    // Connections are accepted in order. When this request is answered, the earlier connection has been accepted.
    until_ready(address).await;

    readiness.signal("TERM").await;
    while TcpStream::connect(address).await.is_ok() {}
    begun.write_all(b"host: pod\r\n\r\n").await.unwrap();
    let mut response = String::new();
    begun.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    let ended = readiness.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("SIGTERM received") && !ended.stderr.contains("still open"), "{}", ended.stderr);
}

/// A client that never finishes its request cannot keep the process running until kubelet kills it.
#[tokio::test]
async fn image_readiness_closes_unfinished_connections_after_sigterm() {
    let pod = LocalPod::start().await.unwrap();
    let mut readiness = readiness(pod.pod_identity_env()).start();
    let address = address(&mut readiness).await;
    let mut unfinished = TcpStream::connect(address).await.unwrap();
    unfinished.write_all(b"GET /readyz HTTP/1.1\r\n").await.unwrap();
    until_ready(address).await;
    let signalled = Instant::now();
    readiness.signal("TERM").await;
    let ended = readiness.end().await;
    assert!(signalled.elapsed() >= Duration::from_secs(5), "{:?}", signalled.elapsed());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("connections that are still open after 5s are closed"), "{}", ended.stderr);
    drop(unfinished);
}

#[tokio::test]
async fn image_list_buckets_watch_ends_on_sigterm() {
    let pod = LocalPod::start().await.unwrap();
    let s3 = LocalS3::start(pod.ledger().clone()).await.unwrap();
    let env = with(in_cluster(pod.pod_identity_env()), "AWS_ENDPOINT_URL_S3", s3.url());
    let mut list_buckets = Program::new("list_buckets").args(["--watch"]).env(env).start();
    list_buckets.stdout_line("2 buckets").await;
    list_buckets.signal("TERM").await;
    let ended = list_buckets.end().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), "SIGTERM received\n"));
}

/// Sends `signal` to a program whose request is never answered.
async fn code_after(signal: &str, name: &'static str, args: &[&str]) -> Option<i32> {
    let pod = LocalPod::start().await.unwrap();
    pod.sts().always(Answer::hang());
    pod.agent().always(Answer::hang());
    // In a cluster `opentelemetry` requires the argument `--collector`, so it runs outside a cluster here.
    let env = if name == "opentelemetry" { pod.both_env() } else { in_cluster(pod.both_env()) };
    let program = Program::new(name).args(args).env(env).start();
    until_called(pod.sts()).await;
    program.signal(signal).await;
    program.end().await.code
}

/// A program that a signal ends has no result, so its exit code must differ from the codes of results.
#[tokio::test]
async fn image_commands_exit_with_shell_codes_on_signals() {
    for name in ["list_buckets", "migrate", "doctor"] {
        assert_eq!(code_after("TERM", name, &[]).await, Some(143), "{name}");
        assert_eq!(code_after("INT", name, &[]).await, Some(130), "{name}");
    }
    assert_eq!(code_after("TERM", "list_buckets", &["--watch"]).await, Some(0));
}

#[tokio::test]
async fn commands_exit_with_shell_codes_on_sigterm() {
    for name in OTHERS {
        // In a cluster it requires the argument. No request is sent to this server.
        let args: &[&str] = if name == "opensearch" { &["--endpoint", "http://127.0.0.1:9"] } else { &[] };
        assert_eq!(code_after("TERM", name, args).await, Some(143), "{name}");
    }
}

/// The files of the local pod are removed when a signal ends the program.
#[tokio::test]
async fn list_buckets_removes_the_local_pod_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let env = with(Env::new(), "TMPDIR", folder.path().to_str().unwrap());
    let mut list_buckets = Program::new("list_buckets").args(["--local", "--watch"]).env(env).start();
    list_buckets.stdout_line("2 buckets").await;
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    assert!(files() > 0);
    list_buckets.signal("TERM").await;
    assert_eq!(list_buckets.end().await.code, Some(0));
    assert_eq!(files(), 0);
}

/// The kernel has no default action for the signals of PID 1 (pid_namespaces(7)).
#[tokio::test]
#[ignore = "needs unprivileged user namespaces; .ci/run runs it"]
async fn image_programs_end_on_sigterm_as_pid_1() {
    let pod = LocalPod::start().await.unwrap();
    let mut readiness = readiness(pod.irsa_env()).with_pid_1().start();
    let address = address(&mut readiness).await;
    until_ready(address).await;
    readiness.signal("TERM").await;
    let ended = readiness.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("SIGTERM received"), "{}", ended.stderr);

    for name in ["list_buckets", "migrate", "doctor"] {
        let pod = LocalPod::start().await.unwrap();
        pod.sts().always(Answer::hang());
        pod.agent().always(Answer::hang());
        let program = Program::new(name).env(in_cluster(pod.both_env())).with_pid_1().start();
        until_called(pod.sts()).await;
        program.signal("TERM").await;
        assert_eq!(program.end().await.code, Some(143), "{name}");
    }
}

/// As in a container with `readOnlyRootFilesystem`, no file system is writable, and `/tmp` is empty.
#[tokio::test]
#[ignore = "needs unprivileged user namespaces; .ci/run runs it"]
async fn image_programs_run_on_a_read_only_root_without_tmp() {
    let pod = LocalPod::start().await.unwrap();
    let s3 = LocalS3::start(pod.ledger().clone()).await.unwrap();
    // The folder of the tokens is below /tmp, so the test mounts it at /mnt.
    let token = pod.irsa_token().path();
    let folder = token.ancestors().find(|folder| folder.parent() == Some(&std::env::temp_dir())).unwrap();
    let mounted = |(name, value): (String, String)| (name, value.replace(folder.to_str().unwrap(), "/mnt"));
    let env: Env = in_cluster(pod.both_env()).into_iter().map(mounted).collect();
    let env = with(env, "AWS_ENDPOINT_URL_S3", s3.url());
    let program = |name| Program::new(name).env(env.clone()).on_read_only_root(folder);

    let ended = finish(program("list_buckets")).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("2 buckets: invoices-2026, thumbnails"), "{}", ended.stdout);
    let ended = finish(program("doctor")).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(ended.stdout.contains("IDENTITY-OK"), "{}", ended.stdout);

    let mut readiness = program("readiness").args(["--listen", "127.0.0.1:0"]).start();
    let address = address(&mut readiness).await;
    until_ready(address).await;
    let (code, metrics) = http::get(address, "/metrics").await.unwrap();
    assert!(code == 200 && metrics.contains("eks_credentials_"), "{metrics}");
    readiness.signal("TERM").await;
    assert_eq!(readiness.end().await.code, Some(0));
}
