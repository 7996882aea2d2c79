//! Proxies in the environment of a real process: they are used for STS, and never for the agent.
//!
//! Each case needs its own environment variables, so it runs in a child process. The child is this test program, which runs one
//! test that only calls the provider.
#![cfg(all(feature = "irsa", feature = "pod-identity", feature = "__tls"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::LocalPod;
use support::ca::{Ca, named};
use support::{whole, with};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

const ALL: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// A name that only the proxy can resolve.
const STS_NAME: &str = "sts.proxied.invalid";

type Env = Vec<(String, String)>;

#[tokio::test]
#[ignore = "the other tests run it in a child process with their environment"]
async fn child() {
    support::trace();
    match fetch().await {
        Ok(access_key_id) => println!("\nobtained {access_key_id}"),
        Err(error) => println!("\nfailed: {}", whole(&error)),
    }
}

async fn fetch() -> Result<String, eks_credentials::Error> {
    let provider = EksCredentialsProvider::builder().startup_timeout(support::millis(500)).build()?;
    Ok(provider.credentials().await?.access_key_id().to_owned())
}

/// The output of a child process with exactly this environment.
async fn in_a_process_with(env: Env) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--ignored", "--nocapture"]).env_clear().envs(env);
    let output = command.kill_on_drop(true).output().await.unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let line = printed.lines().find(|line| line.starts_with("obtained ") || line.starts_with("failed: "));
    line.unwrap_or_else(|| panic!("{printed}{}", String::from_utf8_lossy(&output.stderr))).to_owned()
}

/// Asserts that the child received credentials that the pod issued.
fn assert_obtained(pod: &LocalPod, printed: &str) {
    let issued = printed.strip_prefix("obtained ").and_then(|id| pod.ledger().get(id));
    assert!(issued.is_some(), "{printed}");
}

/// A proxy that records the head of each request and connects the client to `upstream`, whatever the request is. Without
/// `upstream` it closes the connection.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(upstream: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut client = BufReader::new(client);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && client.read_line(&mut head).await.is_ok_and(|n| n > 0) {}
                seen.lock().unwrap().push(head);
                let Some(upstream) = upstream else { continue };
                let mut upstream = TcpStream::connect(upstream).await.unwrap();
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut upstream).await;
            }
        });
        Self { address, heads }
    }

    /// A proxy that must not receive any request.
    async fn without_upstream() -> Self {
        Self::start(None).await
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the requests since the previous call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

/// Starts an https server in front of the pod's STS. Returns an environment with its URL, `https://localhost:<port>`.
async fn sts(pod: &LocalPod) -> (Env, NamedTempFile) {
    let ca = Ca::new();
    let (sts, bundle) = (ca.in_front_of(pod.sts().address(), named("localhost")).await, ca.bundle());
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("https://localhost:{}", sts.port()));
    (with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap()), bundle)
}

#[tokio::test]
async fn proxy_is_never_used_for_the_agent() {
    let pod = LocalPod::start().await.unwrap();
    let proxy = Proxy::without_upstream().await;
    let env = ALL.iter().fold(pod.pod_identity_env(), |env, name| with(env, name, &proxy.url()));
    assert_obtained(&pod, &in_a_process_with(env).await);
    assert_eq!((pod.agent().requests(), proxy.take()), (1, vec![]));
}

/// This test also shows that the proxy records requests.
#[tokio::test]
async fn proxy_variables_for_https_apply_to_sts_and_http_ones_do_not() {
    let pod = LocalPod::start().await.unwrap();
    let (env, _bundle) = sts(&pod).await;
    let proxy = Proxy::without_upstream().await;
    for name in ALL {
        let printed = in_a_process_with(with(env.clone(), name, &proxy.url())).await;
        if name.eq_ignore_ascii_case("HTTP_PROXY") {
            assert_obtained(&pod, &printed);
            assert_eq!(proxy.take(), Vec::<String>::new(), "{name}");
        } else {
            let names_it = format!("failed: the proxy {} (from {name}), used for STS", proxy.url());
            assert!(printed.starts_with(&names_it) && printed.contains("NO_PROXY"), "{name}: {printed}");
            assert!(!proxy.take().is_empty(), "{name}");
        }
    }
    assert_eq!(pod.sts().requests(), 2);
}

#[tokio::test]
async fn proxy_resolves_the_host_name_of_sts() {
    use base64::Engine as _;
    let pod = LocalPod::start().await.unwrap();
    let ca = Ca::new();
    let sts = ca.in_front_of(pod.sts().address(), named(STS_NAME)).await;
    let proxy = Proxy::start(Some(sts)).await;
    let bundle = ca.bundle();
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("https://{STS_NAME}"));
    let env = with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap());
    // The child fails if its log contains this password.
    let url = proxy.url().replace("http://", "http://me:local-secret-password@");
    let login = base64::engine::general_purpose::STANDARD.encode("me:local-secret-password");
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        assert_obtained(&pod, &in_a_process_with(with(env.clone(), name, &url)).await);
        let heads = proxy.take();
        assert!(heads.len() == 1 && heads[0].starts_with(&format!("CONNECT {STS_NAME}:443 HTTP/1.1\r\n")), "{heads:?}");
        assert!(heads[0].to_lowercase().contains(&format!("basic {login}").to_lowercase()), "{heads:?}");
    }
    assert_eq!(pod.sts().requests(), 4);
}

#[tokio::test]
async fn no_proxy_hosts_and_networks_are_reached_directly() {
    let pod = LocalPod::start().await.unwrap();
    let (env, _bundle) = sts(&pod).await;
    let proxy = Proxy::without_upstream().await;
    let env = with(env, "HTTPS_PROXY", &proxy.url());
    for (name, value) in [
        ("NO_PROXY", "example.com, localhost"),
        ("no_proxy", ".localhost"),
        ("NO_PROXY", "*"),
        ("NO_PROXY", "*.localhost"),
        ("NO_PROXY", "example.com localhost"),
    ] {
        assert_obtained(&pod, &in_a_process_with(with(env.clone(), name, value)).await);
        assert_eq!(proxy.take(), Vec::<String>::new(), "{name}={value}");
    }
    let other = in_a_process_with(with(env, "NO_PROXY", "example.com,host,127.0.0.0/8")).await;
    assert!(other.starts_with("failed: ") && !proxy.take().is_empty(), "{other}");

    let ca = Ca::new();
    let (address, bundle) = (ca.in_front_of(pod.sts().address(), named("127.0.0.1")).await, ca.bundle());
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("https://{address}"));
    let env = with(with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap()), "https_proxy", &proxy.url());
    assert_obtained(&pod, &in_a_process_with(with(env, "no_proxy", "10.0.0.0/8,127.0.0.0/8")).await);
    assert_eq!(proxy.take(), Vec::<String>::new());
}

/// The configuration cannot work, so the call fails at once and without attempts.
#[tokio::test]
async fn proxy_with_an_unsupported_scheme_is_an_error() {
    let pod = LocalPod::start().await.unwrap();
    let (env, _bundle) = sts(&pod).await;
    let proxy = Proxy::without_upstream().await;
    let printed = in_a_process_with(with(env, "ALL_PROXY", &proxy.url().replace("http", "socks5"))).await;
    assert!(printed.starts_with("failed: ALL_PROXY is not an http proxy"), "{printed}");
    assert_eq!((proxy.take(), pod.sts().requests()), (vec![], 0));
}

/// 407, 403 and 502 need different remedies. The errors of HTTP clients distinguish only the first one.
#[tokio::test]
async fn proxy_error_has_the_status_of_a_refused_tunnel() {
    let pod = LocalPod::start().await.unwrap();
    let (env, _bundle) = sts(&pod).await;
    for (status, remedy) in [
        (407, "set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT"),
        (403, "allow CONNECT to localhost:"),
        (502, "check the proxy's log: usually the proxy could not reach localhost:"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let refusing = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut client = BufReader::new(client);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && client.read_line(&mut head).await.is_ok_and(|n| n > 0) {}
                assert!(head.starts_with("CONNECT localhost:"), "{head}");
                let refusal = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n");
                client.write_all(refusal.as_bytes()).await.unwrap();
            }
        });
        let printed = in_a_process_with(with(env.clone(), "HTTPS_PROXY", &url)).await;
        assert!(printed.starts_with(&format!("failed: the proxy {url} (from HTTPS_PROXY)")), "{printed}");
        assert!(printed.contains(&format!("with status {status}; ")) && printed.contains(remedy), "{printed}");
        refusing.abort();
    }
    assert_eq!(pod.sts().requests(), 0);
}
