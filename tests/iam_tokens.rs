//! IAM tokens are those of botocore and of the signer library of MSK, byte for byte, and show their secrets nowhere.
//!
//! `iam_tokens/cases.json` contains the credentials, the time and the arguments, and `iam_tokens/tokens.txt` the tokens of
//! botocore. An ignored test compares with botocore itself, also for random credentials, and updates the tokens:
//!
//! ```text
//! python -m venv /tmp/venv && /tmp/venv/bin/pip install boto3 aws-msk-iam-sasl-signer-python
//! EKS_CREDENTIALS_VENV=/tmp/venv cargo test --test iam_tokens -- --ignored
//! ```

#![cfg(all(feature = "iam-tokens", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_smithy_async::time::StaticTimeSource;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use eks_credentials::testing::{Answer, Issued, LocalPod};
use eks_credentials::{EksCredentialsProvider, Error, ErrorKind, IamToken, IamTokenGenerator, IamTokens};
use serde::{Deserialize, Serialize};
use support::{builder, leaked, with, without};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Semaphore;

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Input {
    time: u64,
    access_key: String,
    secret_key: String,
    token: String,
    cases: Vec<Case>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Case {
    region: String,
    /// `X-Amz-Expires`. If it is less than the service's normal value, the credentials expire after this time.
    expires: u64,
    #[serde(flatten)]
    service: Service,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "service", rename_all = "snake_case")]
enum Service {
    Rds { host: String, port: u16, user: String },
    Dsql { host: String },
    DsqlAdmin { host: String },
    Elasticache { cache: String, user: String },
    ElasticacheServerless { cache: String, user: String },
    Memorydb { cluster: String, user: String },
    Msk,
    Eks { cluster: String },
}

impl Case {
    fn generator(&self, tokens: &IamTokens) -> IamTokenGenerator {
        let generator = match &self.service {
            Service::Rds { host, port, user } => tokens.rds(host, *port, user),
            Service::Dsql { host } => tokens.dsql(host),
            Service::DsqlAdmin { host } => tokens.dsql_admin(host),
            Service::Elasticache { cache, user } => tokens.elasticache(cache, user),
            Service::ElasticacheServerless { cache, user } => tokens.elasticache_serverless(cache, user),
            Service::Memorydb { cluster, user } => tokens.memorydb(cluster, user),
            Service::Msk => tokens.msk(),
            Service::Eks { cluster } => tokens.eks(cluster),
        };
        generator.unwrap()
    }

    /// `X-Amz-Expires` and the life of the token, if the credentials do not end earlier.
    fn normal(&self) -> (u64, u64) {
        if matches!(self.service, Service::Eks { .. }) { (60, 14 * 60) } else { (15 * 60, 15 * 60) }
    }

    /// How long the token lives and how long the credentials are valid, in seconds.
    fn lives(&self) -> (u64, u64) {
        let (url, token) = self.normal();
        if self.expires == url { (token, 3600) } else { (self.expires, self.expires) }
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/iam_tokens").join(name)
}

fn input() -> Input {
    serde_json::from_str(&std::fs::read_to_string(file("cases.json")).unwrap()).unwrap()
}

/// A provider at the time of `input` whose source issues its credentials. Half a second is not in any signature.
async fn provider(pod: &LocalPod, input: &Input, valid_for: u64) -> EksCredentialsProvider {
    let now = UNIX_EPOCH + Duration::from_secs(input.time);
    let issued = Issued {
        access_key_id: input.access_key.clone(),
        secret_access_key: input.secret_key.clone(),
        session_token: input.token.clone(),
        expiry: now + Duration::from_secs(valid_for),
    };
    pod.agent().restart().await.unwrap();
    pod.agent().issue_with(move || std::future::ready(Ok(issued.clone())));
    let clock = StaticTimeSource::new(now + Duration::from_millis(500));
    builder(pod.pod_identity_env()).time_source(clock).build().unwrap()
}

/// The tokens of this crate, after a comparison of their ends with the expected ones.
async fn ours(input: &Input) -> Vec<String> {
    let pod = LocalPod::start().await.unwrap();
    let mut tokens = Vec::new();
    for case in &input.cases {
        let (life, valid_for) = case.lives();
        let generator = case.generator(&provider(&pod, input, valid_for).await.iam_tokens().region(&case.region));
        let token = generator.token().await.unwrap();
        assert_eq!(token.expires_at(), UNIX_EPOCH + Duration::from_secs(input.time + life), "{case:?}");
        assert_eq!(token.expires_at_millis(), i64::try_from(1000 * (input.time + life)).unwrap());
        assert_eq!(generator.try_token().unwrap().as_str(), token.as_str(), "{case:?}");
        tokens.push(token.as_str().to_owned());
    }
    tokens
}

/// Compares the tokens, except for the name of the library in those of MSK.
#[track_caller]
fn assert_same(input: &Input, ours: &[String], theirs: &[String]) {
    assert_eq!((ours.len(), theirs.len()), (input.cases.len(), input.cases.len()));
    for (case, (ours, theirs)) in input.cases.iter().zip(ours.iter().zip(theirs)) {
        if !matches!(case.service, Service::Msk) {
            assert_eq!(ours, theirs, "{case:?}");
            continue;
        }
        let (ours, theirs) = (decoded(ours), decoded(theirs));
        let version = env!("CARGO_PKG_VERSION");
        let (signed, agent) = ours.split_once("&User-Agent=").unwrap();
        assert_eq!(agent, format!("eks-credentials%2F{version}"));
        assert_eq!(Some(signed), theirs.split_once("&User-Agent=").map(|(signed, _)| signed), "{case:?}");
    }
}

fn decoded(base64: &str) -> String {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(base64).unwrap()).unwrap()
}

#[tokio::test]
async fn iam_tokens_are_those_of_botocore() {
    support::trace();
    let input = input();
    let theirs: Vec<_> = std::fs::read_to_string(file("tokens.txt")).unwrap().lines().map(str::to_owned).collect();
    assert_same(&input, &ours(&input).await, &theirs);
}

#[tokio::test]
#[ignore = "needs boto3 and aws-msk-iam-sasl-signer-python in the venv at $EKS_CREDENTIALS_VENV"]
async fn botocore_signs_the_same_iam_tokens() {
    let input = input();
    let theirs = botocore(&input).await;
    support::bless_or_compare(&file("tokens.txt"), &format!("{}\n", theirs.join("\n")));
    assert_same(&input, &ours(&input).await, &theirs);
    for _ in 0..5 {
        let input = random(&input);
        assert_same(&input, &ours(&input).await, &botocore(&input).await);
    }
}

/// The same arguments with random credentials, times, users and remaining validity.
fn random(input: &Input) -> Input {
    let text = |length| std::iter::repeat_with(|| fastrand::char('!'..='\u{2ff}')).take(length).collect::<String>();
    let key = Issued::random(Duration::ZERO);
    let mut input = Input {
        time: fastrand::u64(1_577_836_800..1_893_456_000),
        access_key: key.access_key_id,
        secret_key: format!("{}/+", key.secret_access_key),
        token: format!("{}/+={}&%", key.session_token, fastrand::alphanumeric()),
        cases: input.cases.clone(),
    };
    for case in &mut input.cases {
        case.expires = fastrand::u64(1..=case.normal().0);
        match &mut case.service {
            Service::Rds { user, .. }
            | Service::Elasticache { user, .. }
            | Service::ElasticacheServerless { user, .. }
            | Service::Memorydb { user, .. } => *user = text(12),
            Service::Dsql { .. } | Service::DsqlAdmin { .. } | Service::Msk | Service::Eks { .. } => {}
        }
    }
    input
}

async fn botocore(input: &Input) -> Vec<String> {
    let venv =
        std::env::var_os("EKS_CREDENTIALS_VENV").expect("EKS_CREDENTIALS_VENV must be the path of a venv with boto3");
    let mut python = Command::new(Path::new(&venv).join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boto3/iam_tokens.py"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(&serde_json::to_vec(input).unwrap()).await.unwrap();
    let output = python.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// As in the callback of a C library: no runtime is entered on the thread.
#[test]
fn try_token_works_on_a_thread_without_a_runtime() {
    support::trace();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pod = runtime.block_on(LocalPod::start()).unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let gated = Arc::clone(&gate);
    pod.agent().issue_with(move || {
        let gate = Arc::clone(&gated);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(Issued::random(Duration::from_secs(3600)))
        }
    });
    let provider = builder(pod.pod_identity_env()).region("eu-central-1").build().unwrap();
    let mut changes = provider.subscribe();
    let generator = provider.iam_tokens().msk().unwrap();
    let first = generator.try_token().unwrap_err();
    assert_eq!(first.kind(), ErrorKind::Unavailable, "{first}");
    // The call has started the refresh task, whose request has no answer until now.
    gate.add_permits(1);
    runtime.block_on(changes.wait_for(|status| status.is_ready())).unwrap();
    assert!(decoded(generator.try_token().unwrap().as_str()).starts_with("https://kafka.eu-central-1.amazonaws.com/"));
}

#[tokio::test]
async fn iam_token_needs_credentials_and_returns_their_error() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    pod.agent().always(Answer::refuse("AccessDeniedException"));
    let provider = builder(pod.pod_identity_env()).region("eu-central-1").build().unwrap();
    let generator = provider.iam_tokens().eks("a").unwrap();
    assert_eq!(generator.token().await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(generator.try_token().unwrap_err().kind(), ErrorKind::Denied);
    let nowhere = builder(vec![]).region("eu-central-1").build().unwrap();
    let generator = nowhere.iam_tokens().eks("a").unwrap();
    assert_eq!(generator.token().await.unwrap_err().kind(), ErrorKind::NotConfigured);
    assert_eq!(generator.try_token().unwrap_err().kind(), ErrorKind::NotConfigured);
}

#[tokio::test]
async fn iam_tokens_use_the_region_of_the_pod_unless_one_is_given() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let env = with(without(pod.pod_identity_env(), "AWS_DEFAULT_REGION"), "AWS_REGION", "us-east-2");
    let region_in = async |tokens: IamTokens| -> Result<String, Error> {
        let token = tokens.dsql("a.dsql.on.aws")?.token().await?;
        let scope = token.as_str().split_once("X-Amz-Credential=").unwrap().1;
        Ok(scope.split("%2F").nth(2).unwrap().to_owned())
    };
    let from_env = builder(env.clone()).build().unwrap();
    assert_eq!(region_in(from_env.iam_tokens()).await.unwrap(), "us-east-2");
    assert_eq!(region_in(from_env.iam_tokens().region("eu-west-1")).await.unwrap(), "eu-west-1");
    let from_builder = builder(env.clone()).region("eu-west-2").build().unwrap();
    assert_eq!(region_in(from_builder.iam_tokens()).await.unwrap(), "eu-west-2");

    let none = builder(without(env, "AWS_REGION")).build().unwrap();
    for (tokens, part) in [
        (none.iam_tokens(), "one is needed for the signature of an IAM token"),
        (from_env.iam_tokens().region("eu-central-1a"), "\"eu-central-1a\" is an availability zone"),
        (from_env.iam_tokens().region(""), "the region given to iam_tokens() is empty"),
    ] {
        let error = tokens.msk().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn iam_token_debug_output_and_errors_show_no_secret() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    let provider = builder(pod.pod_identity_env()).region("eu-central-1").build().unwrap();
    let tokens = provider.iam_tokens();
    for case in input().cases {
        let generator = case.generator(&tokens);
        let token: IamToken = generator.token().await.unwrap();
        let signature = match token.as_str().split_once("X-Amz-Signature=") {
            Some((_, signature)) => signature.to_owned(),
            None => token.as_str()[token.as_str().len() - 40..].to_owned(),
        };
        let printed = format!("{token:?} {token:#?} {generator:?} {generator:#?} {tokens:?}");
        assert!(printed.contains("IamToken { expires_at: \"2"), "{printed}");
        assert_eq!(leaked(&printed), None, "{printed}");
        assert!(!printed.contains(&signature) && !printed.contains("X-Amz"), "{printed}");
    }
    for (result, part) in [
        (tokens.rds("postgres://app:hunter2@db.example/x", 5432, "app"), "the host given to rds(..) contains"),
        (tokens.rds("db.example", 5432, ""), "the user given to rds(..) is empty"),
        (tokens.dsql("hunter2@a"), "the host given to dsql(..) contains"),
        (tokens.dsql_admin("hunter2@a"), "the host given to dsql_admin(..) contains"),
        (tokens.elasticache("hunter2.cache.example", "app"), "the replication group given to elasticache(..) contains"),
        (
            tokens.elasticache_serverless("hunter2:6379", "app"),
            "the cache given to elasticache_serverless(..) contains",
        ),
        (tokens.memorydb("hunter2:6379", "app"), "the cluster given to memorydb(..) contains"),
        (tokens.eks("hunter2:x"), "the cluster given to eks(..) contains"),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
        assert!(error.to_string().contains(part) && !format!("{error:?}").contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn iam_token_expires_with_the_credentials() {
    support::trace();
    let pod = LocalPod::start().await.unwrap();
    pod.agent().set_lifetime(Duration::from_secs(100));
    let provider = builder(pod.pod_identity_env()).region("eu-central-1").build().unwrap();
    let generator = provider.iam_tokens().rds("db.example", 5432, "app").unwrap();
    let token = generator.token().await.unwrap();
    let expiry = provider.credentials().await.unwrap().expiry().unwrap();
    let before = expiry.duration_since(token.expires_at()).unwrap();
    assert!(before < Duration::from_secs(1), "{before:?}");
}

/// If the local clock is wrong, the signature has the time of STS, and the end of the token is a local time.
#[cfg(all(feature = "irsa", feature = "__tls"))]
#[tokio::test]
async fn iam_token_is_signed_with_the_time_of_sts() {
    use aws_smithy_async::time::{SystemTimeSource, TimeSource as _};
    use aws_smithy_types::DateTime;
    use aws_smithy_types::date_time::Format;
    use support::ca::{Ca, named};
    let ca = Ca::new();
    let bundle = ca.bundle();
    for (offset, corrected) in [(3600, 3600), (-3600, -3600), (20, 0)] {
        let pod = LocalPod::start().await.unwrap();
        pod.sts().set_clock_offset(offset);
        let sts = ca.in_front_of(pod.sts().address(), named("localhost")).await;
        let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("https://localhost:{}", sts.port()));
        let env = with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap());
        let generator = builder(env).build().unwrap().iam_tokens().rds("db.example.com", 5432, "app").unwrap();
        let token = generator.token().await.unwrap();
        let now = i64::try_from(SystemTimeSource::new().now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let date = token.as_str().split("X-Amz-Date=").nth(1).unwrap().get(..16).unwrap();
        let [year, month, day, hour, minute, second] =
            [0..4, 4..6, 6..8, 9..11, 11..13, 13..15].map(|part| &date[part]);
        let date = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
        let signed = DateTime::from_str(&date, Format::DateTime).unwrap().secs();
        assert!((signed - now - corrected).abs() <= 3, "{offset}: signed at {date}");
        let lasts = token.expires_at_millis() / 1000 - now;
        assert!((890..=900).contains(&lasts), "{offset}: {lasts} s");
    }
}
