//! Proxies from the environment of a real process: STS goes through them, the agent never does.
//!
//! The variables are those of a process, so each case is a child: this same program, running one test that only asks.
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
/// Only the proxy knows where that is.
const STS_NAME: &str = "sts.proxied.invalid";

type Env = Vec<(String, String)>;

#[tokio::test]
#[ignore = "run by the others here, in a process whose environment they choose"]
async fn child() {
    support::trace();
    match ask().await {
        Ok(access_key_id) => println!("\nobtained {access_key_id}"),
        Err(error) => println!("\nfailed: {}", whole(&error)),
    }
}

async fn ask() -> Result<String, eks_credentials::Error> {
    let provider = EksCredentialsProvider::builder().startup_timeout(support::millis(500)).build()?;
    Ok(provider.credentials().await?.access_key_id().to_owned())
}

/// What a process with this environment, and nothing else in it, says.
async fn in_a_process_with(env: Env) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--ignored", "--nocapture"]).env_clear().envs(env);
    let output = command.kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find(|line| line.starts_with("obtained ") || line.starts_with("failed: "));
    line.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr))).to_owned()
}

/// The child got what the pod issued.
fn assert_obtained(pod: &LocalPod, said: &str) {
    let issued = said.strip_prefix("obtained ").and_then(|id| pod.ledger().get(id));
    assert!(issued.is_some(), "{said}");
}

/// Records each request's head and connects it to `upstream`, whatever it asks for; without one it hangs up.
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

    /// What must not be asked.
    async fn trap() -> Self {
        Self::start(None).await
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the requests since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

/// STS over https in front of the pod's, and an environment that finds it at `https://localhost`.
async fn sts(pod: &LocalPod) -> (Env, NamedTempFile) {
    let ca = Ca::new();
    let (sts, bundle) = (ca.in_front_of(pod.sts().address(), named("localhost")).await, ca.bundle());
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("https://localhost:{}", sts.port()));
    (with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap()), bundle)
}

#[tokio::test]
async fn the_agent_is_never_asked_through_a_proxy() {
    let pod = LocalPod::start().await.unwrap();
    let trap = Proxy::trap().await;
    let env = ALL.iter().fold(pod.pod_identity_env(), |env, name| with(env, name, &trap.url()));
    assert_obtained(&pod, &in_a_process_with(env).await);
    assert_eq!((pod.agent().requests(), trap.take()), (1, vec![]));
}

/// Also the proof that the trap catches.
#[tokio::test]
async fn each_variable_for_https_leads_sts_to_the_proxy_and_those_for_http_do_not() {
    let pod = LocalPod::start().await.unwrap();
    let (env, _bundle) = sts(&pod).await;
    let trap = Proxy::trap().await;
    for name in ALL {
        let said = in_a_process_with(with(env.clone(), name, &trap.url())).await;
        if name.eq_ignore_ascii_case("HTTP_PROXY") {
            assert_obtained(&pod, &said);
            assert_eq!(trap.take(), Vec::<String>::new(), "{name}");
        } else {
            let names_it = format!("failed: the proxy {} (from {name}), used for STS", trap.url());
            assert!(said.starts_with(&names_it) && said.contains("NO_PROXY"), "{name}: {said}");
            assert!(!trap.take().is_empty(), "{name}");
        }
    }
    assert_eq!(pod.sts().requests(), 2);
}

#[tokio::test]
async fn sts_is_reached_through_a_proxy_that_alone_can_resolve_it() {
    use base64::Engine as _;
    let pod = LocalPod::start().await.unwrap();
    let ca = Ca::new();
    let sts = ca.in_front_of(pod.sts().address(), named(STS_NAME)).await;
    let proxy = Proxy::start(Some(sts)).await;
    let bundle = ca.bundle();
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("https://{STS_NAME}"));
    let env = with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap());
    // The child's logs are watched for such a password.
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
async fn no_proxy_names_hosts_and_networks_that_are_asked_directly() {
    let pod = LocalPod::start().await.unwrap();
    let (env, _bundle) = sts(&pod).await;
    let trap = Proxy::trap().await;
    let env = with(env, "HTTPS_PROXY", &trap.url());
    for (name, value) in [
        ("NO_PROXY", "example.com, localhost"),
        ("no_proxy", ".localhost"),
        ("NO_PROXY", "*"),
        ("NO_PROXY", "*.localhost"),
        ("NO_PROXY", "example.com localhost"),
    ] {
        assert_obtained(&pod, &in_a_process_with(with(env.clone(), name, value)).await);
        assert_eq!(trap.take(), Vec::<String>::new(), "{name}={value}");
    }
    let other = in_a_process_with(with(env, "NO_PROXY", "example.com,host,127.0.0.0/8")).await;
    assert!(other.starts_with("failed: ") && !trap.take().is_empty(), "{other}");

    let ca = Ca::new();
    let (address, bundle) = (ca.in_front_of(pod.sts().address(), named("127.0.0.1")).await, ca.bundle());
    let env = with(pod.irsa_env(), "AWS_ENDPOINT_URL_STS", &format!("https://{address}"));
    let env = with(with(env, "AWS_CA_BUNDLE", bundle.path().to_str().unwrap()), "https_proxy", &trap.url());
    assert_obtained(&pod, &in_a_process_with(with(env, "no_proxy", "10.0.0.0/8,127.0.0.0/8")).await);
    assert_eq!(trap.take(), Vec::<String>::new());
}

/// A configuration that cannot work: at once, and not as one that might after some more attempts.
#[tokio::test]
async fn a_proxy_of_another_kind_is_an_error_that_says_so() {
    let pod = LocalPod::start().await.unwrap();
    let (env, _bundle) = sts(&pod).await;
    let trap = Proxy::trap().await;
    let said = in_a_process_with(with(env, "ALL_PROXY", &trap.url().replace("http", "socks5"))).await;
    assert!(said.starts_with("failed: ALL_PROXY is not an http proxy"), "{said}");
    assert_eq!((trap.take(), pod.sts().requests()), (vec![], 0));
}

/// 407, 403 and 502 need different remedies; HTTP clients tell only the first from the others.
#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_its_status() {
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
        let said = in_a_process_with(with(env.clone(), "HTTPS_PROXY", &url)).await;
        assert!(said.starts_with(&format!("failed: the proxy {url} (from HTTPS_PROXY)")), "{said}");
        assert!(said.contains(&format!("with status {status}; ")) && said.contains(remedy), "{said}");
        refusing.abort();
    }
    assert_eq!(pod.sts().requests(), 0);
}
