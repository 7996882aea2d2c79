//! Plain http with hyper: no TLS, no proxy, no redirects, one connection for each request.
//!
//! A proxy is never used, because a proxy that receives the requests to the agent is a common cause of outages. See
//! "5.2 Container credentials: allowed addresses" in `docs::protocols`.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::failure::Failure;
use super::resolver::{self, AddressCheck};
use super::{BoxError, BoxFuture, Client, ConnectTimeout, Reply, Transport, reply};
use crate::error::Error;
use crate::error::problem::network::Phase;
use crate::error::problem::peer::Peer;

/// A client for plain http. `check` must accept an address before the client connects to it.
pub(crate) fn plain(check: AddressCheck, connect: ConnectTimeout) -> Client {
    Arc::new(PlainHttp { check, connect_timeout: connect.first })
}

#[derive(Debug)]
struct PlainHttp {
    check: AddressCheck,
    connect_timeout: Duration,
}

impl Transport for PlainHttp {
    fn send<'a>(&'a self, request: http::Request<Bytes>, peer: &'a Peer) -> BoxFuture<'a, Result<Reply, Error>> {
        Box::pin(async move {
            let stream = self.connect(request.uri()).await;
            let stream = stream.map_err(|error| match error.downcast_ref().map(io::Error::kind) {
                Some(io::ErrorKind::TimedOut) => Failure::timeout(Phase::Connect, Some(self.connect_timeout), error),
                _ => Failure::new(Phase::Connect, error),
            });
            let stream = stream.map_err(|failure| failure.explain(peer))?;
            exchange(stream, request, peer).await
        })
    }
}

impl PlainHttp {
    async fn connect(&self, uri: &http::Uri) -> Result<TcpStream, BoxError> {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(80);
        let addresses = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => vec![resolver::checked(self.check, host, ip)?],
            Err(_) => resolver::resolve(self.check, host).await?,
        };
        let stream = connect_to_any(&addresses, port, self.connect_timeout).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Connects to the first address that accepts a connection. The connect timeout applies to each address, and the attempt
/// timeout to all of them together.
async fn connect_to_any(addresses: &[IpAddr], port: u16, limit: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for &ip in addresses {
        match timeout(limit, TcpStream::connect(SocketAddr::new(ip, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

async fn exchange(stream: TcpStream, mut request: http::Request<Bytes>, peer: &Peer) -> Result<Reply, Error> {
    let failed = |error: hyper::Error| Failure::new(Phase::Exchange, error).explain(peer);
    in_origin_form(&mut request).map_err(|error| Failure::new(Phase::Exchange, error).explain(peer))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let mut answer = pin!(async {
        let answer = sender.send_request(request.map(Full::new)).await.map_err(failed)?;
        reply::read(answer, peer).await
    });
    // The connection is polled by this task instead of a spawned one. It therefore ends with the request, even if the attempt is
    // cancelled.
    let mut connection = pin!(Some(connection));
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            match connection.as_mut().as_pin_mut().map(|connection| connection.poll(cx)) {
                // Dropping the connection makes a request fail that has not been sent yet. Otherwise it would wait forever.
                Some(Poll::Ready(_)) => connection.set(None),
                Some(Poll::Pending) | None => return Poll::Pending,
            }
        }
    })
    .await
}

/// HTTP/1.1 requires the path alone in the request line, and the host in the header `Host` (RFC 9112, section 3.2.1).
fn in_origin_form(request: &mut http::Request<Bytes>) -> Result<(), BoxError> {
    let uri = request.uri();
    let host = HeaderValue::from_str(uri.authority().map_or("", http::uri::Authority::as_str))?;
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).parse()?;
    request.headers_mut().insert(HOST, host);
    *request.uri_mut() = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::error::problem::peer::Server;

    /// For example, a sidecar that accepts and closes connections, or an agent that restarts.
    #[tokio::test]
    async fn exchange_fails_at_once_on_a_closed_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        drop(listener.accept().await.unwrap());
        stream.readable().await.unwrap();
        let peer = Peer::new(Server::EksAgent, format!("http://{address}"), None);
        let request = http::Request::builder().uri(format!("http://{address}/v1/credentials"));
        let Err(error) = exchange(stream, request.body(Bytes::new()).unwrap(), &peer).await else {
            panic!("an answer")
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }

    /// If the backlog of a listening socket is full, Linux drops the SYN packets of new connections.
    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn plain_http_names_the_connect_timeout_that_expired() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(20)).ok();
        let queued: Vec<_> = (0..16).map_while(connect).collect();
        assert!(queued.len() < 16, "the backlog has no limit");

        let peer = Peer::new(Server::EksAgent, format!("http://{address}"), None);
        let request = http::Request::builder().uri(format!("http://{address}/v1/credentials"));
        let limit = ConnectTimeout { first: Duration::from_millis(1234), longest: Duration::from_secs(9) };
        let Err(error) = plain(|_| Ok(()), limit).send(request.body(Bytes::new()).unwrap(), &peer).await else {
            panic!("an answer")
        };
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains("did not accept a connection within 1.234s"), "{error}");
    }
}
