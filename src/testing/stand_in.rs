//! The handle of a stand-in, with which a test controls it.

mod protocol;
mod server;
mod state;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(super) use self::protocol::{Protocol, Reuse, Verdict};
use self::state::Shared;
use super::answer::Answer;
use super::ledger::{Issued, Ledger};

/// A server on loopback that stands in for STS or for the EKS Pod Identity agent.
///
/// [`LocalPod::sts`](super::LocalPod::sts) and [`LocalPod::agent`](super::LocalPod::agent) return it. It answers one request
/// on each connection and then closes the connection.
///
/// The methods that change its behaviour return `&Self`, so calls can be chained:
///
/// ```
/// use std::time::Duration;
///
/// use eks_credentials::testing::{Answer, LocalPod};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let pod = LocalPod::start().await?;
/// pod.sts().then(Answer::refuse("Throttling")).set_lifetime(Duration::from_secs(900));
/// # Ok(()) }
/// ```
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    serve: Box<dyn Fn(TcpListener) -> JoinHandle<()> + Send + Sync>,
    /// `None` while it is stopped.
    server: Mutex<Option<JoinHandle<()>>>,
}

impl StandIn {
    pub(super) async fn start<P: Protocol>(
        name: &'static str,
        address: SocketAddr,
        ledger: Ledger,
        protocol: impl FnOnce(SocketAddr) -> P,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(name, P::LIFETIME, ledger));
        let (served, protocol) = (Arc::clone(&shared), Arc::new(protocol(address)));
        let serve = move |listener| tokio::spawn(server::serve(listener, Arc::clone(&served), Arc::clone(&protocol)));
        let server = Mutex::new(Some(serve(listener)));
        Ok(Self { address, shared, serve: Box::new(serve), server })
    }

    /// Returns the address on which the stand-in listens. It stays the same after [`restart`](Self::restart).
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// assert!(pod.sts().address().ip().is_loopback());
    /// # Ok(()) }
    /// ```
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds an answer to the script. Each scripted answer is used for one request, in the order in which they were added.
    ///
    /// When the script is empty, the answer of [`always`](Self::always) is used. A request that a correct client does not
    /// send also takes an answer from the script, but it is rejected whatever the answer is.
    ///
    /// ```
    /// use eks_credentials::EksCredentialsProvider;
    /// use eks_credentials::testing::{Answer, LocalPod};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// pod.sts().then(Answer::http(500, "")).then(Answer::http(503, ""));
    ///
    /// let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// provider.credentials().await?;
    /// assert_eq!(pod.sts().requests(), 3);
    /// # Ok(()) }
    /// ```
    pub fn then(&self, answer: Answer) -> &Self {
        self.shared.state().script.push_back(answer);
        self
    }

    /// Sets the answer to every request for which [`then`](Self::then) has no scripted answer. Default:
    /// [`Answer::proper`].
    ///
    /// ```
    /// use eks_credentials::testing::{Answer, LocalPod};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.sts().always(Answer::http(503, "outage"));
    /// // ... test the outage ...
    /// pod.sts().always(Answer::proper());
    /// # Ok(()) }
    /// ```
    pub fn always(&self, answer: Answer) -> &Self {
        self.shared.state().always = answer;
        self
    }

    /// Sets the lifetime of the credentials that are issued from now on. Defaults: 1 hour for STS, 6 hours for the agent.
    ///
    /// This clears the cache of the agent: credentials that were issued before are not returned again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.sts().set_lifetime(Duration::from_secs(900));
    /// # Ok(()) }
    /// ```
    pub fn set_lifetime(&self, lifetime: Duration) -> &Self {
        let mut state = self.shared.state();
        state.lifetime = lifetime;
        state.last = None;
        drop(state);
        self
    }

    /// Sets how long the stand-in waits before each answer, including scripted answers. Default: zero.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.agent().set_latency(Duration::from_millis(200));
    /// # Ok(()) }
    /// ```
    pub fn set_latency(&self, latency: Duration) -> &Self {
        self.shared.state().latency = latency;
        self
    }

    /// Sets the difference between the clock of the stand-in and the clock of this machine, in seconds. A positive value
    /// means that the clock of the stand-in is ahead. Default: zero.
    ///
    /// The stand-in uses its clock for the header `Date`, to validate tokens, and for the expiry of credentials.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.sts().set_clock_offset(-300); // five minutes behind
    /// # Ok(()) }
    /// ```
    pub fn set_clock_offset(&self, seconds: i64) -> &Self {
        self.shared.state().clock_offset = seconds;
        self
    }

    /// Issues the credentials that `issuer` returns, instead of random ones. They can come from another STS, for example.
    ///
    /// If `issuer` returns an error, the stand-in refuses the request. The two strings of the error are its code and its
    /// message.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use eks_credentials::EksCredentialsProvider;
    /// use eks_credentials::testing::{Issued, LocalPod};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// pod.sts().issue_with(|| async {
    ///     Ok(Issued { access_key_id: "ASIAEXAMPLE".to_owned(), ..Issued::random(Duration::from_secs(900)) })
    /// });
    ///
    /// let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// assert_eq!(provider.credentials().await?.access_key_id(), "ASIAEXAMPLE");
    /// # Ok(()) }
    /// ```
    pub fn issue_with<F>(&self, issuer: impl Fn() -> F + Send + Sync + 'static) -> &Self
    where
        F: Future<Output = Result<Issued, (String, String)>> + Send + 'static,
    {
        self.shared.state().issuer = Some(Arc::new(move || Box::pin(issuer())));
        self
    }

    /// Stops the stand-in, as if its process had ended. Open connections are closed, and new connections are refused.
    ///
    /// Returns when the port is no longer open. Does nothing if the stand-in is already stopped.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.agent().stop().await;
    /// assert!(std::net::TcpStream::connect(pod.agent().address()).is_err());
    /// # Ok(()) }
    /// ```
    pub async fn stop(&self) {
        let server = self.server().take();
        if let Some(server) = server {
            server.abort();
            // The only result is the error that the task was aborted.
            let _ = server.await;
        }
    }

    /// Starts the stand-in again at the same address, on the current tokio runtime. Stops it first if it is running.
    ///
    /// As with a real restart, the cache of the agent is empty afterwards. Answers, settings and counts do not change.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.agent().stop().await;
    /// pod.agent().restart().await?;
    /// assert!(std::net::TcpStream::connect(pod.agent().address()).is_ok());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the port cannot be bound, for example because another process uses it now.
    pub async fn restart(&self) -> io::Result<()> {
        self.stop().await;
        self.shared.state().last = None;
        let listener = TcpListener::bind(self.address).await?;
        *self.server() = Some((self.serve)(listener));
        Ok(())
    }

    fn server(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of HTTP requests that have arrived, whatever their answers were.
    ///
    /// ```
    /// use eks_credentials::EksCredentialsProvider;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// provider.credentials().await?;
    /// provider.credentials().await?; // from memory
    /// assert_eq!(pod.sts().requests(), 1);
    /// # Ok(()) }
    /// ```
    pub fn requests(&self) -> u64 {
        self.shared.state().requests
    }

    /// Returns the highest number of requests that were in progress at the same time.
    ///
    /// ```
    /// use eks_credentials::EksCredentialsProvider;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let (first, second) = tokio::join!(provider.credentials(), provider.credentials());
    /// assert_eq!(first?.access_key_id(), second?.access_key_id());
    /// assert_eq!(pod.sts().most_at_once(), 1);
    /// # Ok(()) }
    /// ```
    pub fn most_at_once(&self) -> u64 {
        self.shared.state().most_at_once
    }

    /// Returns one line for each request that a correct client does not send, and removes these records.
    ///
    /// A [`LocalPod`](super::LocalPod) that is dropped while such records exist panics.
    ///
    /// ```
    /// use std::io::{Read as _, Write as _};
    ///
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// let address = pod.sts().address();
    /// let client = tokio::task::spawn_blocking(move || {
    ///     let mut stream = std::net::TcpStream::connect(address)?;
    ///     stream.write_all(b"GET / HTTP/1.1\r\nhost: sts\r\n\r\n")?;
    ///     stream.read_to_end(&mut Vec::new())
    /// });
    /// client.await.expect("the client does not panic")?;
    /// assert_eq!(pod.sts().take_unexpected(), ["STS: GET /, not POST /"]);
    /// # Ok(()) }
    /// ```
    pub fn take_unexpected(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.state().unexpected)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(server) = self.server().take() {
            server.abort();
        }
    }
}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandIn")
            .field("name", &self.shared.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
