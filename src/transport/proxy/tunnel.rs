//! Finds out why a proxy does not connect to the server.
//!
//! The error of an HTTP client does not contain the status with which the proxy refused the tunnel. The status is needed for the
//! error message, because 407, 403 and 502 have different remedies. If an attempt could not connect, one more `CONNECT`
//! request is therefore sent to the proxy to read the status.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::super::url::HttpUrl;
use super::super::{BoxFuture, Client, Reply, Transport};
use super::ProxySettings;
use crate::error::Error;
use crate::error::problem::Problem;
use crate::error::problem::network::{NoAnswer, Phase, What};
use crate::error::problem::peer::Peer;

/// A proxy in the same network answers within milliseconds. The limit is short because the caller has already waited for the
/// failed attempt.
const LIMIT: Duration = Duration::from_secs(1);
/// Enough for the first line, which contains the status.
const HEAD: usize = 512;

/// A client that reaches its server through a proxy.
pub(in crate::transport) struct ThroughProxy {
    client: Client,
    proxy: ProxySettings,
    /// `sts.eu-central-1.amazonaws.com:443`
    target: String,
}

impl ThroughProxy {
    pub(in crate::transport) fn around(client: Client, proxy: ProxySettings, url: &HttpUrl) -> Client {
        Arc::new(Self { client, proxy, target: format!("{}:{}", url.host(), url.port()) })
    }

    /// The status with which the proxy refuses to connect to the server. `None` if it does not refuse, or if the request to it
    /// fails.
    async fn refusal(&self) -> Option<u16> {
        let uri = self.proxy.uri().ok()?;
        if uri.scheme_str() != Some("http") {
            return None;
        }
        let host = uri.host()?.trim_matches(['[', ']']);
        let mut stream = TcpStream::connect((host, uri.port_u16()?)).await.ok()?;
        let login = uri.authority()?.as_str().rsplit_once('@').map(|(login, _)| login);
        let login = login.map(authorization).unwrap_or_default();
        let target = &self.target;
        let request = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{}\r\n", login.as_str()));
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = Vec::with_capacity(HEAD);
        while head.len() < HEAD && !head.contains(&b'\n') && stream.read_buf(&mut head).await.ok()? > 0 {}
        let line = String::from_utf8_lossy(&head);
        let status: u16 = line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.trim().parse().ok()?;
        (300..=599).contains(&status).then_some(status)
    }

    async fn explain(&self, error: Error) -> Error {
        let Problem::NoAnswer(failed) = error.problem() else { return error };
        let unexplained = matches!(failed.what, What::NotConnected { .. }) && failed.phase == Phase::Connect;
        if !unexplained {
            return error;
        }
        match tokio::time::timeout(LIMIT, self.refusal()).await {
            Ok(Some(status)) => {
                let (peer, what) = (failed.peer.clone(), What::ProxyRefused(status));
                Error::caused_by(Problem::NoAnswer(Box::new(NoAnswer { peer, phase: Phase::Connect, what })), error)
            }
            Ok(None) | Err(_) => error,
        }
    }
}

/// The header for `Basic` authentication (RFC 7617).
fn authorization(login: &str) -> Zeroizing<String> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let decoded = |text| Zeroizing::new(percent_decode_str(text).decode_utf8_lossy().into_owned());
    let plain = Zeroizing::new(format!("{}:{}", decoded(user).as_str(), decoded(password).as_str()));
    let encoded = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
    Zeroizing::new(format!("Proxy-Authorization: Basic {}\r\n", encoded.as_str()))
}

impl Transport for ThroughProxy {
    fn send<'a>(&'a self, request: http::Request<Bytes>, peer: &'a Peer) -> BoxFuture<'a, Result<Reply, Error>> {
        Box::pin(async move {
            match self.client.send(request, peer).await {
                Err(error) => Err(self.explain(error).await),
                reply => reply,
            }
        })
    }
}

impl fmt::Debug for ThroughProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThroughProxy").field("proxy", &self.proxy).finish_non_exhaustive()
    }
}
