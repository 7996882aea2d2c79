//! Host names in a container credentials URI, with the machine's real resolver. Whatever a name server answers, and even if its
//! next answer differs, the token is only sent to addresses for which plain http is allowed.
//!
//! Each test has its own network ([`namespace`]), with a name server that the test controls and a server that listens at every
//! address.
#![cfg(all(feature = "pod-identity", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod namespace;
mod support;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use eks_credentials::{EksCredentialsProvider, ErrorKind};
use namespace::{Network, V4, V6};
use support::{builder, http, whole};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

/// Addresses of this machine for which plain http is not allowed.
const OTHER_V4: &str = "192.0.2.1";
const OTHER_V6: &str = "2001:db8::1";
const DOCUMENT: &str = r#"{"AccessKeyId":"ASIALOCALA","SecretAccessKey":"local-secret-a","Token":"local-session-a",
                           "Expiration":"2099-01-01T00:00:00Z"}"#;

#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn host_name_with_one_forbidden_address_is_refused() {
    namespace::run("host_name_with_one_forbidden_address_is_refused", async |network| {
        let world = World::start(&network).await;
        for (addresses, culprit) in [
            ([V4, OTHER_V4], OTHER_V4),
            ([OTHER_V4, "127.0.0.1"], OTHER_V4),
            (["127.0.0.1", OTHER_V6], OTHER_V6),
            ([V6, OTHER_V6], OTHER_V6),
        ] {
            world.name("mixed.test", &[&addresses]);
            let error = provider("mixed.test").credentials().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfiguration, "{}", whole(&error));
            assert!(error.to_string().contains(&format!("\"mixed.test\" resolves to {culprit}")), "{error}");
            assert_eq!(world.connected(), Vec::<IpAddr>::new(), "{addresses:?}");
        }
        world.name("agent.test", &[&[V4, V6]]);
        provider("agent.test").warm_up().await.unwrap();
        assert!([[V4], [V6]].contains(&[world.connected()[0].to_string().as_str()]));
    });
}

#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn host_name_without_an_address_is_a_transient_error() {
    namespace::run("host_name_without_an_address_is_a_transient_error", async |network| {
        let world = World::start(&network).await;
        world.name("empty.test", &[&[]]);
        for name in ["empty.test", "unknown.test"] {
            let provider = provider(name);
            let error = provider.credentials().await.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true), "{}", whole(&error));
            assert!(error.to_string().contains(&format!("the host name \"{name}\" could not be resolved")), "{error}");
            // Now the name has an address, so the next attempt succeeds.
            world.name(name, &[&[V4]]);
            provider.subscribe().wait_for(eks_credentials::Status::is_ready).await.unwrap();
            assert_eq!(world.connected(), [V4.parse::<IpAddr>().unwrap()]);
        }
    });
}

/// DNS rebinding: the client connects to the address that was checked, and the next fetch checks the addresses again.
#[test]
#[ignore = "needs unshare, ip and nft: .ci/run runs it"]
fn host_name_that_changes_is_checked_for_each_connection() {
    namespace::run("host_name_that_changes_is_checked_for_each_connection", async |network| {
        let world = World::start(&network).await;
        world.name("rebinding.test", &[&["127.0.0.1"], &[OTHER_V4]]);
        let provider = provider("rebinding.test");
        let first = provider.credentials().await.unwrap();
        assert_eq!(world.connected(), [IpAddr::from([127, 0, 0, 1])]);

        provider.invalidate(&first);
        let error = provider.credentials().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfiguration, "{}", whole(&error));
        assert!(error.to_string().contains(OTHER_V4), "{error}");
        assert_eq!(world.connected(), Vec::<IpAddr>::new());
    });
}

fn provider(host: &str) -> EksCredentialsProvider {
    let env = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{host}/x")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "local-secret-token".to_owned()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
    builder(env).startup_timeout(support::millis(500)).build().unwrap()
}

/// The answers for a name, one for each query. The last one is repeated.
type Answers = VecDeque<Vec<IpAddr>>;

/// A name server, and a credentials server at port 80 of every address.
#[derive(Clone, Default)]
struct World {
    names: Arc<Mutex<HashMap<String, Answers>>>,
    connected: Arc<Mutex<Vec<IpAddr>>>,
}

impl World {
    async fn start(network: &Network) -> Self {
        support::trace();
        for address in [format!("{OTHER_V4}/32"), format!("{OTHER_V6}/128")] {
            network.add_address(&address);
        }
        network.name_server("127.0.0.1");
        let world = Self::default();
        let everywhere = TcpListener::bind("[::]:80").await.unwrap();
        tokio::spawn(world.clone().serve(everywhere));
        let queries = UdpSocket::bind("127.0.0.1:53").await.unwrap();
        tokio::spawn(world.clone().resolve(queries));
        world
    }

    fn name(&self, name: &str, answers: &[&[&str]]) {
        let parse = |addresses: &&[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.names.lock().unwrap().insert(name.to_owned(), answers.iter().map(parse).collect());
    }

    /// The addresses that received a connection since the previous call.
    fn connected(&self) -> Vec<IpAddr> {
        std::mem::take(&mut self.connected.lock().unwrap())
    }

    async fn serve(self, listener: TcpListener) {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            self.connected.lock().unwrap().push(stream.local_addr().unwrap().ip().to_canonical());
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(http(200, "application/json", DOCUMENT).as_bytes()).await;
        }
    }

    async fn resolve(self, socket: UdpSocket) {
        let mut query = [0; 512];
        loop {
            let (_, client) = socket.recv_from(&mut query).await.unwrap();
            socket.send_to(&self.answer(&query), client).await.unwrap();
        }
    }

    /// A response of RFC 1035: the id and the question of the query, then the addresses of the requested type.
    fn answer(&self, query: &[u8]) -> Vec<u8> {
        const A: u8 = 1;
        let (mut name, mut at) = (Vec::new(), 12);
        while query[at] > 0 {
            let label = &query[at + 1..=at + usize::from(query[at])];
            name.push(String::from_utf8_lossy(label).into_owned());
            at += label.len() + 1;
        }
        let (question, kind) = (&query[12..at + 5], query[at + 2]);
        let addresses = self.next(&name.join("."), kind == A);
        let status = if addresses.is_some() { 0x80 } else { 0x83 };
        let addresses: Vec<IpAddr> =
            addresses.unwrap_or_default().into_iter().filter(|ip| ip.is_ipv4() == (kind == A)).collect();
        let count = u8::try_from(addresses.len()).unwrap();
        let mut answer = [&query[..2], &[0x81, status, 0, 1, 0, count, 0, 0, 0, 0], question].concat();
        for ip in addresses {
            let bytes = match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            // The name of the question, the type, the class IN, and a time to live of zero.
            answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, u8::try_from(bytes.len()).unwrap()]);
            answer.extend(bytes);
        }
        answer
    }

    /// `None` if the name does not exist. Each lookup has one query for IPv4, and this query consumes an answer.
    fn next(&self, name: &str, use_up: bool) -> Option<Vec<IpAddr>> {
        let mut names = self.names.lock().unwrap();
        let answers = names.get_mut(name)?;
        if use_up && answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    }
}
