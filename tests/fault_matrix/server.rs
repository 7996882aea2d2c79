//! A server that sends a fixed sequence of bytes, and records every request that a correct client does not send.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use eks_credentials::SourceKind;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::support;

/// What the server does with a connection.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// No server listens.
    Refused,
    /// The connection is reset before the request is read.
    ResetUnread,
    /// The request is read, these steps follow, and the connection is closed.
    Play(Vec<Step>),
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// One byte at a time, with this pause before each.
    Drip(Vec<u8>, Duration),
    /// This number of spaces, in chunks of 16 KiB, until the client closes the connection.
    Spaces(usize),
    Pause(Duration),
    /// A redirect to another server. The client must not follow it, because the request contains the token.
    Redirect(u16),
    /// A response with this status that quotes the token from the request.
    Echo(u16),
    /// Sends nothing until the client closes the connection.
    Hang,
    /// RST instead of FIN.
    Reset,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
    elsewhere: JoinHandle<()>,
    /// Reserves the port after the server has stopped.
    _port: TcpSocket,
}

struct Shared {
    source: SourceKind,
    address: SocketAddr,
    elsewhere: SocketAddr,
    tls: Option<TlsAcceptor>,
    state: Mutex<State>,
}

struct State {
    answer: Fault,
    requests: u64,
    unexpected: Vec<String>,
}

impl Server {
    pub(crate) async fn start(source: SourceKind, tls: Option<TlsAcceptor>, answer: Fault) -> Self {
        let port = reusable((Ipv4Addr::LOCALHOST, 0).into());
        let address = port.local_addr().unwrap();
        let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let state = State { answer, requests: 0, unexpected: Vec::new() };
        let (there, state) = (elsewhere.local_addr().unwrap(), Mutex::new(state));
        let shared = Arc::new(Shared { source, address, elsewhere: there, tls, state });
        let listener = reusable(address).listen(64).unwrap();
        Self {
            address,
            server: Some(tokio::spawn(serve(listener, Arc::clone(&shared)))),
            elsewhere: tokio::spawn(redirect_target(elsewhere, Arc::clone(&shared))),
            shared,
            _port: port,
        }
    }

    /// Changes the response, and resets the number of requests.
    pub(crate) async fn answer(&mut self, answer: Fault) {
        if matches!(answer, Fault::Refused) {
            let server = self.server.take().unwrap();
            server.abort();
            // The listener is closed when the task has ended.
            let _ = server.await;
        }
        let mut state = self.shared.state();
        (state.answer, state.requests) = (answer, 0);
    }

    /// The number of requests. `None` if the server was stopped.
    pub(crate) fn requests(&self) -> Option<u64> {
        self.server.as_ref().map(|_| self.shared.state().requests)
    }

    pub(crate) fn unexpected(&self) -> Vec<String> {
        self.shared.state().unexpected.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.elsewhere.abort();
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Counts a request, and returns how to respond to it.
    fn next(&self) -> Fault {
        let mut state = self.state();
        state.requests += 1;
        state.answer.clone()
    }

    /// Records the request if a correct client does not send it.
    fn check(&self, request: &str) {
        let Self { source, address, .. } = self;
        let expected = match source {
            SourceKind::WebIdentity => [
                "POST / HTTP/1.1\r\n".to_owned(),
                "Action=AssumeRoleWithWebIdentity".into(),
                "&WebIdentityToken=eyJ".into(),
            ],
            _ => [
                "GET /v1/credentials HTTP/1.1\r\n".to_owned(),
                format!("\r\nhost: {address}\r\n"),
                "\r\nauthorization: eyJ".into(),
            ],
        };
        if let Some(lacking) = expected.iter().find(|part| !request.contains(*part)) {
            self.state().unexpected.push(format!("a request without {lacking:?}"));
        }
    }
}

fn reusable(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // When this task ends, the set is dropped, which closes all connections.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// The target of redirects.
async fn redirect_target(listener: TcpListener, shared: Arc<Shared>) {
    while listener.accept().await.is_ok() {
        shared.state().unexpected.push("a redirect was followed".to_owned());
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let fault = shared.state().answer.clone();
    if matches!(fault, Fault::ResetUnread) {
        // Waits for the request: if the reset arrives before the request is sent, clients report different errors.
        let _ = stream.peek(&mut [0]).await;
        shared.next();
        return stream.set_zero_linger().unwrap();
    }
    match &shared.tls {
        None => exchange(stream, &shared).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => exchange(stream, &shared).await,
            // A client with a short timeout may close the connection during the handshake.
            Err(_) => drop(shared.next()),
        },
    }
}

/// TCP, or TLS over TCP.
trait Wire: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

async fn exchange(mut stream: impl Wire, shared: &Shared) {
    let Some(request) = support::read_request(&mut stream).await else { return };
    shared.check(&request);
    if let Fault::Play(steps) = shared.next() {
        // Errors are ignored, because the client may close the connection early.
        let _ = play(&mut stream, &steps, &request, shared.elsewhere).await;
    }
}

async fn play(stream: &mut impl Wire, steps: &[Step], request: &str, elsewhere: SocketAddr) -> std::io::Result<()> {
    for step in steps {
        match step {
            Step::Send(bytes) => stream.write_all(bytes).await?,
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    sleep(*pause).await;
                    stream.write_all(&[*byte]).await?;
                }
            }
            Step::Spaces(count) => {
                for _ in 0..count.div_ceil(16 * 1024) {
                    stream.write_all(&[b' '; 16 * 1024]).await?;
                }
            }
            Step::Pause(pause) => sleep(*pause).await,
            Step::Redirect(status) => {
                let head = format!("HTTP/1.1 {status} X\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
            }
            Step::Echo(status) => {
                let token =
                    request.split_inclusive(['=', ' ']).find(|part| part.starts_with("eyJ")).unwrap_or_default();
                let token = token.split(['&', '\r']).next().unwrap_or_default();
                let answer = support::http(*status, "text/plain", &format!("I do not like {token}"));
                stream.write_all(answer.as_bytes()).await?;
            }
            Step::Hang => while stream.read(&mut [0; 64]).await? > 0 {},
            Step::Reset => return stream.tcp().set_zero_linger(),
        }
    }
    stream.shutdown().await
}
