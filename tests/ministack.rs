//! Tests with MiniStack, a local AWS emulator that is independent of this crate.
//!
//! Its STS checks the token against a trust policy. Its S3 verifies the signature, the session token, the permissions and the
//! expiry of every request.
//!
//! ```text
//! python -m venv /tmp/venv && /tmp/venv/bin/pip install ministack boto3
//! EKS_CREDENTIALS_VENV=/tmp/venv cargo test --test ministack -- --ignored --nocapture
//! ```

#![cfg(all(feature = "irsa", feature = "pod-identity", feature = "sdk-config"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a test")]

mod support;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::{Credentials, Region, retry::RetryConfig};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use eks_credentials::testing::{Issued, LocalPod};
use eks_credentials::{AssumeRole, BehaviorVersion, EksCredentialsProvider, ErrorKind, SourceKind};
use support::provider;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval, sleep, timeout};

const ISSUER: &str = "https://oidc.eks.eu-central-1.amazonaws.com/id/LOCAL";
const SUBJECT: &str = "system:serviceaccount:default:local";
const ACCOUNT: &str = "111122223333";
const ROLE: &str = "arn:aws:iam::111122223333:role/local-pod";
const BUCKET: &str = "pods";
const KEYS: [&str; 3] = ["one", "three", "two"];

/// The lifetime of sessions. It is much shorter than with the real STS, so many sessions end during a test of one minute.
const SESSION: Duration = Duration::from_secs(8);
/// The latency of a refresh. It is long enough to show in the latency of a call that waits for a refresh.
const ISSUE_LATENCY: Duration = Duration::from_millis(500);
const LOAD: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_millis(50);

#[tokio::test]
#[ignore = "needs MiniStack (PyPI ministack, boto3) in the venv at $EKS_CREDENTIALS_VENV"]
async fn irsa_reads_s3() {
    let aws = MiniStack::start().await;
    let pod = LocalPod::start().await.unwrap();
    let provider = provider(aws.env(pod.irsa_env(), aws.address));
    assert_role_permissions(&provider, "default-local-7d9f8b6c5-x2x1z").await;
    assert_eq!(provider.status().source, Some(SourceKind::WebIdentity));
    assert_eq!(pod.sts().requests(), 0, "the stand-in received a request for MiniStack");
}

#[tokio::test]
#[ignore = "needs MiniStack (PyPI ministack, boto3) in the venv at $EKS_CREDENTIALS_VENV"]
async fn pod_identity_reads_s3() {
    let aws = MiniStack::start().await;
    let pod = LocalPod::start().await.unwrap();
    let issued = aws.issue_through_agent(&pod, Duration::from_secs(3600));
    let provider = provider(aws.env(pod.pod_identity_env(), aws.address));
    assert_role_permissions(&provider, "eks-local").await;
    assert_eq!(provider.status().source, Some(SourceKind::PodIdentity));
    assert_eq!((pod.agent().requests(), issued.get()), (1, 1));
}

#[tokio::test]
#[ignore = "needs MiniStack (PyPI ministack, boto3) in the venv at $EKS_CREDENTIALS_VENV"]
async fn irsa_denied_error_names_token_claims_and_role() {
    let aws = MiniStack::start().await;
    let pod = LocalPod::start().await.unwrap();
    pod.irsa_token().impersonate("default", "intruder").unwrap();
    let env = aws.env(pod.irsa_env(), aws.address);

    let error = provider(env.clone()).credentials().await.unwrap_err();
    println!("another subject: {error}");
    assert_eq!(error.kind(), ErrorKind::Denied);
    let message = error.to_string();
    for part in [&format!("iss={ISSUER}"), "sub=system:serviceaccount:default:intruder", "aud=sts.amazonaws.com", ROLE]
    {
        assert!(message.contains(part), "{part} is not in: {message}");
    }

    // With the right subject it succeeds, so the subject was the only reason.
    pod.irsa_token().impersonate("default", "local").unwrap();
    provider(env).credentials().await.unwrap();
}

/// MiniStack checks the signature, the trust policy with its external ID, and the policy of the pod's role.
#[tokio::test]
#[ignore = "needs MiniStack (PyPI ministack, boto3) in the venv at $EKS_CREDENTIALS_VENV"]
async fn assume_role_reads_s3_if_the_trust_policy_allows_it() {
    const CHAINED: &str = "arn:aws:iam::111122223333:role/chained";
    let aws = MiniStack::start().await;
    let pod = LocalPod::start().await.unwrap();
    aws.issue_through_agent(&pod, Duration::from_secs(3600));
    let role = || AssumeRole::new(CHAINED).session_name("billing");
    for env in [pod.irsa_env(), pod.pod_identity_env()] {
        let parent = provider(aws.env(env, aws.address));
        let chained = parent.assume_role(role().external_id("example")).unwrap();
        assert_eq!(list(&s3(&chained)).await.unwrap(), KEYS);
        let sts = aws_sdk_sts::Client::new(&chained.sdk_config(BehaviorVersion::latest()).build());
        let caller = sts.get_caller_identity().send().await.unwrap();
        assert_eq!(caller.arn(), Some("arn:aws:sts::111122223333:assumed-role/chained/billing"));

        for refused in [role(), role().external_id("other"), role().external_id("example").tag("team", "billing")] {
            let error = parent.assume_role(refused).unwrap().credentials().await.unwrap_err();
            println!("{error}");
            assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, Some("AccessDenied")), "{error}");
        }
    }
    assert_eq!(pod.sts().requests(), 0, "the stand-in received a request for MiniStack");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MiniStack (PyPI ministack, boto3) in the venv at $EKS_CREDENTIALS_VENV"]
async fn irsa_renews_sessions_of_8_s_under_load() {
    let aws = MiniStack::start().await;
    let pod = LocalPod::start().await.unwrap();
    let sts = ShortSessions::in_front_of(aws.address).await;
    let provider = provider(aws.env(pod.irsa_env(), sts.address));
    assert_no_call_fails("IRSA", &aws, &provider, || sts.calls.get()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MiniStack (PyPI ministack, boto3) in the venv at $EKS_CREDENTIALS_VENV"]
async fn pod_identity_renews_sessions_of_8_s_under_load() {
    let aws = MiniStack::start().await;
    let pod = LocalPod::start().await.unwrap();
    let issued = aws.issue_through_agent(&pod, SESSION);
    pod.agent().set_latency(ISSUE_LATENCY);
    let provider = provider(aws.env(pod.pod_identity_env(), aws.address));
    assert_no_call_fails("Pod Identity", &aws, &provider, || pod.agent().requests()).await;
    assert_eq!(pod.agent().requests(), issued.get(), "the agent returned credentials of an earlier session");
    assert_eq!(pod.agent().most_at_once(), 1);
}

/// A client without retries, so every refused request is an error.
fn s3(provider: &EksCredentialsProvider) -> aws_sdk_s3::Client {
    let config = provider.sdk_config(BehaviorVersion::latest()).build();
    let config =
        aws_sdk_s3::config::Builder::from(&config).force_path_style(true).retry_config(RetryConfig::disabled());
    aws_sdk_s3::Client::from_conf(config.build())
}

/// Returns the keys in the bucket, or the code of the error.
async fn list(s3: &aws_sdk_s3::Client) -> Result<Vec<String>, String> {
    match s3.list_objects_v2().bucket(BUCKET).send().await {
        Ok(page) => Ok(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned).collect()),
        Err(e) => Err(e.code().map_or_else(|| DisplayErrorContext(&e).to_string(), str::to_owned)),
    }
}

async fn assert_role_permissions(provider: &EksCredentialsProvider, session_name: &str) {
    let s3 = s3(provider);
    let buckets = s3.list_buckets().send().await.unwrap();
    assert_eq!(buckets.buckets().iter().filter_map(|bucket| bucket.name()).collect::<Vec<_>>(), [BUCKET]);
    assert_eq!(list(&s3).await.unwrap(), KEYS);
    let object = s3.get_object().bucket(BUCKET).key("one").send().await.unwrap();
    assert_eq!(object.body.collect().await.unwrap().to_vec(), b"one");
    let denied = s3.put_object().bucket(BUCKET).key("four").send().await.unwrap_err();
    assert_eq!(denied.code(), Some("AccessDenied"));

    let sts = aws_sdk_sts::Client::new(&provider.sdk_config(BehaviorVersion::latest()).build());
    let caller = sts.get_caller_identity().send().await.unwrap();
    assert_eq!(caller.arn(), Some(format!("arn:aws:sts::{ACCOUNT}:assumed-role/local-pod/{session_name}").as_str()));
    let credentials = provider.credentials().await.unwrap();
    assert_eq!(credentials.account_id().map(|account| account.as_str()), caller.account());
}

/// Calls S3 for one minute while a session ends every 8 s. A second client keeps its first credentials.
async fn assert_no_call_fails(
    source: &str,
    aws: &MiniStack,
    provider: &EksCredentialsProvider,
    fetched: impl Fn() -> u64,
) {
    let client = s3(provider);
    let first = provider.credentials().await.unwrap();
    let began = Instant::now();
    let ((mut latencies, failures), refusal) = tokio::join!(load(&client), first_refusal(aws, &first));
    let fetches = fetched();

    latencies.sort();
    let at = |percent: usize| latencies[latencies.len() * percent / 100];
    println!(
        "{source}: {} S3 calls in {:.1?}, {} failed; p50 {:.1?}, p99 {:.1?}, max {:.1?}; {fetches} STS calls of \
         {ISSUE_LATENCY:?}; credentials kept by a client were refused after {:.1?}: {}",
        latencies.len(),
        began.elapsed(),
        failures.len(),
        at(50),
        at(99),
        latencies.last().unwrap(),
        refusal.0,
        refusal.1,
    );
    assert!(failures.is_empty(), "{failures:?}");
    // No caller waits for a refresh. Otherwise about a tenth of all calls would be slow.
    assert!(at(99) < ISSUE_LATENCY / 2, "{:?}", at(99));
    // A session has 7–8 s when it arrives, and the refresh begins in the third quarter of this time. With the latency of a
    // refresh, the time between two refreshes is 4–6.5 s.
    assert!((9..=17).contains(&fetches), "{fetches}");
    // Every fetch succeeds, including one that may still be in progress.
    let mut changes = provider.subscribe();
    let succeeded = changes.wait_for(|status| status.refreshes == fetched());
    timeout(4 * ISSUE_LATENCY, succeeded).await.expect("no attempt fails").unwrap();
}

/// Makes twenty calls per second. Each call has its own task, so a slow call does not delay others.
async fn load(s3: &aws_sdk_s3::Client) -> (Vec<Duration>, Vec<String>) {
    let mut ticks = interval(PERIOD);
    let mut calls = JoinSet::new();
    for _ in 0..LOAD.as_millis() / PERIOD.as_millis() {
        ticks.tick().await;
        let s3 = s3.clone();
        calls.spawn(async move {
            let began = Instant::now();
            let outcome = list(&s3).await;
            (began.elapsed(), outcome)
        });
    }
    let (latencies, outcomes): (Vec<_>, Vec<_>) = calls.join_all().await.into_iter().unzip();
    let wrong = |outcome| match outcome {
        Ok(keys) if keys == KEYS => None,
        Ok(keys) => Some(format!("{keys:?}")),
        Err(code) => Some(code),
    };
    (latencies, outcomes.into_iter().filter_map(wrong).collect())
}

/// Returns when and with which code MiniStack refuses these credentials. This proves that sessions really end.
async fn first_refusal(aws: &MiniStack, credentials: &Credentials) -> (Duration, String) {
    let began = Instant::now();
    let client = aws.s3_with(credentials);
    let mut ticks = interval(Duration::from_millis(100));
    let refused = async {
        loop {
            ticks.tick().await;
            if let Err(code) = list(&client).await {
                return (began.elapsed(), code);
            }
        }
    };
    let (after, code) =
        timeout(2 * SESSION, refused).await.expect("the session must end, otherwise this test proves nothing");
    assert!(after > SESSION / 2, "{after:?}: {code}");
    // MiniStack removes an expired session when a new one begins. Then the code is `InvalidAccessKeyId`.
    assert!(["ExpiredToken", "InvalidAccessKeyId"].contains(&code.as_str()), "{code}");
    (after, code)
}

/// Counts the requests for new sessions.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl Counter {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A MiniStack process for one test, with the role, its permissions and the bucket.
struct MiniStack {
    address: SocketAddr,
    // The order of the fields matters: the server ends before its folder is removed.
    _server: Server,
    _home: TempDir,
}

/// The process of MiniStack. It is killed when this value is dropped, even if the test fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        // Waits for the process, so it does not stay a zombie.
        let _ = self.0.wait();
    }
}

impl MiniStack {
    async fn start() -> Self {
        let home = tempfile::Builder::new().prefix("ministack-").tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let log = home.path().join("log");
        let output = File::create(&log).unwrap();
        let server = isolated(&venv("ministack"), home.path())
            .envs([("AUTH", "true"), ("SERVICES", "s3,sts,iam"), ("BIND_HOST", "127.0.0.1")])
            .env("GATEWAY_PORT", address.port().to_string())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .as_std_mut()
            .spawn();
        let mut server = Server(server.unwrap());
        let mut ticks = interval(Duration::from_millis(50));
        let ready = timeout(Duration::from_secs(60), async {
            while !is_ready(address).await {
                assert!(server.0.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(&log).unwrap());
                ticks.tick().await;
            }
        });
        ready.await.expect("MiniStack is ready within one minute");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ministack/setup.py");
        let setup = isolated(&venv("python"), home.path())
            .arg(script)
            .args([&format!("http://{address}"), ROLE, ISSUER, SUBJECT, BUCKET])
            .args(KEYS)
            .output();
        let setup = setup.await.unwrap();
        assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
        Self { address, _server: server, _home: home }
    }

    /// Returns the environment of a pod that uses this MiniStack, and STS at the address `sts`.
    fn env(&self, mut pod: Vec<(String, String)>, sts: SocketAddr) -> Vec<(String, String)> {
        pod.push(("AWS_ENDPOINT_URL".into(), format!("http://{}", self.address)));
        pod.push(("AWS_ENDPOINT_URL_STS".into(), format!("http://{sts}")));
        pod
    }

    /// Returns a client that always uses these credentials.
    fn s3_with(&self, credentials: &Credentials) -> aws_sdk_s3::Client {
        let (id, secret) = (credentials.access_key_id(), credentials.secret_access_key());
        let kept = Credentials::new(id, secret, credentials.session_token().map(str::to_owned), None, "kept");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{}", self.address))
            .region(Region::new("eu-central-1"))
            .credentials_provider(kept)
            .force_path_style(true)
            .retry_config(RetryConfig::disabled());
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// Makes the stand-in for the agent return sessions of MiniStack. The sessions come from `AssumeRole`, with the
    /// permissions of the service that the role trusts.
    fn issue_through_agent(&self, pod: &LocalPod, session: Duration) -> Counter {
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{}", self.address))
            .region(Region::new("eu-central-1"))
            // In MiniStack, the access key ID of an account's root user is the account ID. Root may act as any service.
            .credentials_provider(Credentials::new(ACCOUNT, "test", None, None, "root"));
        let sts = aws_sdk_sts::Client::from_conf(config.build());
        let issued = Counter::default();
        let counter = issued.clone();
        let seconds = i32::try_from(session.as_secs()).unwrap();
        pod.agent().issue_with(move || {
            counter.count();
            let request =
                sts.assume_role().role_arn(ROLE).role_session_name("eks-local").duration_seconds(seconds).send();
            async move {
                let internal = |message: String| ("InternalServerException".to_owned(), message);
                let output = request.await.map_err(|e| match e.code() {
                    Some(code) => (format!("{code}Exception"), DisplayErrorContext(e).to_string()),
                    None => internal(DisplayErrorContext(e).to_string()),
                })?;
                let keys = output.credentials.ok_or_else(|| internal("no credentials".to_owned()))?;
                Ok(Issued {
                    access_key_id: keys.access_key_id,
                    secret_access_key: keys.secret_access_key,
                    session_token: keys.session_token,
                    expiry: SystemTime::try_from(keys.expiration).map_err(|e| internal(e.to_string()))?,
                })
            }
        });
        issued
    }
}

fn venv(program: &str) -> PathBuf {
    let venv = std::env::var_os("EKS_CREDENTIALS_VENV")
        .expect("EKS_CREDENTIALS_VENV must be the path of a venv with ministack and boto3");
    Path::new(&venv).join("bin").join(program)
}

/// Returns a command that cannot find profiles or credentials of this machine, or the state of an earlier run.
fn isolated(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs([("HOME", home), ("TMPDIR", home)]).current_dir(home);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn is_ready(address: SocketAddr) -> bool {
    let request = async {
        let mut status = [0; 12];
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /_ministack/ready HTTP/1.1\r\nhost: ministack\r\nconnection: close\r\n\r\n").await?;
        stream.read_exact(&mut status).await?;
        io::Result::Ok(status == *b"HTTP/1.1 200")
    };
    request.await.unwrap_or(false)
}

/// A slow proxy for the STS of MiniStack that makes every session short.
///
/// The real STS does not allow sessions of less than 15 minutes, so this crate cannot request a short one.
struct ShortSessions {
    address: SocketAddr,
    calls: Counter,
    server: JoinHandle<()>,
}

impl ShortSessions {
    async fn in_front_of(sts: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Counter::default();
        let counter = calls.clone();
        let server = tokio::spawn(async move {
            let mut relays = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                counter.count();
                // If relaying fails, the refresh fails, and the test detects it.
                relays.spawn(relay(client, sts));
            }
        });
        Self { address, calls, server }
    }
}

impl Drop for ShortSessions {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Relays one request to STS and its response. Adds `DurationSeconds` to the request.
async fn relay(mut client: TcpStream, sts: SocketAddr) -> io::Result<()> {
    let (head, mut body) = read_request(&mut client).await?;
    body.extend_from_slice(format!("&DurationSeconds={}", SESSION.as_secs()).as_bytes());
    let mut request: Vec<&str> = head.lines().filter(|line| header(line, "content-length").is_none()).collect();
    let length = format!("content-length: {}", body.len());
    request.extend([length.as_str(), "connection: close", "", ""]);
    sleep(ISSUE_LATENCY).await;
    let mut sts = TcpStream::connect(sts).await?;
    sts.write_all(request.join("\r\n").as_bytes()).await?;
    sts.write_all(&body).await?;
    tokio::io::copy(&mut sts, &mut client).await?;
    client.shutdown().await
}

/// Returns the request line with the headers, and the body.
async fn read_request(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head.lines().find_map(|line| header(line, "content-length")?.parse().ok()).unwrap_or(0);
            if bytes.len() - (end + 4) >= length {
                return Ok((head, bytes.split_off(end + 4)));
            }
        }
        if client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Returns the value if the line is this header.
fn header<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = line.split_once(':')?;
    found.eq_ignore_ascii_case(name).then_some(value.trim())
}
