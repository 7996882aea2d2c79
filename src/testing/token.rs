//! Projected service account tokens: JWTs in files, with the layout and the rotation of kubelet.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::issuer::{Issuer, Subject};
use super::projection::project;
use crate::clock;

/// A service account token in a file.
///
/// [`LocalPod::irsa_token`](super::LocalPod::irsa_token) and [`LocalPod::agent_token`](super::LocalPod::agent_token) return it.
/// On Unix the file is a symbolic link, as kubelet writes it: `token → ..data/token`, `..data → ..<time>.<n>/`.
///
/// A token changes only when one of the methods below is called. Each of them replaces the file atomically.
pub struct ProjectedToken {
    folder: PathBuf,
    name: &'static str,
    issuer: Issuer,
    claims: Mutex<Claims>,
    rotations: AtomicU32,
}

#[derive(Clone)]
struct Claims {
    subject: Subject,
    audience: String,
    issuer: String,
    lifetime: Duration,
}

impl ProjectedToken {
    pub(super) fn new(
        folder: PathBuf,
        name: &'static str,
        audience: &str,
        issuer: Issuer,
        subject: Subject,
        lifetime: Duration,
    ) -> io::Result<Arc<Self>> {
        fs::create_dir_all(&folder)?;
        let claims = Claims { subject, audience: audience.to_owned(), issuer: issuer.url.clone(), lifetime };
        let token = Self { folder, name, issuer, claims: Mutex::new(claims), rotations: AtomicU32::new(0) };
        token.rotate()?;
        Ok(Arc::new(token))
    }

    /// Returns the path of the file. The environment of the pod contains it.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// assert!(pod.irsa_token().path().is_file());
    /// # Ok(()) }
    /// ```
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    /// Replaces the token with a new one, as kubelet does: on Unix it renames a symbolic link to `..data`.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// let before = std::fs::read(pod.irsa_token().path())?;
    /// pod.irsa_token().rotate()?;
    /// assert_ne!(std::fs::read(pod.irsa_token().path())?, before);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the token file cannot be written or the token cannot be signed.
    pub fn rotate(&self) -> io::Result<()> {
        let now = clock::system_now();
        self.write(now)
    }

    /// Replaces the token with one that expired `ago`. This happens if kubelet cannot reach the API server for a long time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use eks_credentials::testing::LocalPod;
    /// use eks_credentials::{EksCredentialsProvider, ErrorKind};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// pod.irsa_token().expire(Duration::from_secs(60))?;
    ///
    /// let provider = EksCredentialsProvider::builder()
    ///     .env(pod.irsa_env())
    ///     .startup_timeout(Duration::from_millis(100))
    ///     .build()?;
    /// let error = provider.credentials().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TokenRejected);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the token file cannot be written or the token cannot be signed.
    pub fn expire(&self, ago: Duration) -> io::Result<()> {
        let lifetime = self.claims().lifetime;
        self.write(clock::system_now() - lifetime - ago)
    }

    /// Replaces the token with one that was issued `ago`. This simulates a token that kubelet has not rotated.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.irsa_token().backdate(Duration::from_secs(23 * 3600))?; // still valid for 1 hour
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the token file cannot be written or the token cannot be signed.
    pub fn backdate(&self, ago: Duration) -> io::Result<()> {
        self.write(clock::system_now() - ago)
    }

    /// Replaces the token with one that becomes valid `ahead` from now. This simulates a clock that is behind the clock of the
    /// API server.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.agent_token().postdate(Duration::from_secs(300))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the token file cannot be written or the token cannot be signed.
    pub fn postdate(&self, ahead: Duration) -> io::Result<()> {
        self.write(clock::system_now() + ahead)
    }

    /// Replaces the token with one for another audience. Later rotations keep this audience.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.irsa_token().set_audience("https://kubernetes.default.svc")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the token file cannot be written or the token cannot be signed.
    pub fn set_audience(&self, audience: &str) -> io::Result<()> {
        self.change(|claims| claims.audience = audience.to_owned())
    }

    /// Replaces the token with one whose claim `iss` names another issuer. The stand-ins reject it. Later rotations keep this
    /// issuer.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::start().await?;
    /// pod.irsa_token().set_issuer("https://oidc.example.com/other-cluster")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the token file cannot be written or the token cannot be signed.
    pub fn set_issuer(&self, issuer: &str) -> io::Result<()> {
        self.change(|claims| claims.issuer = issuer.to_owned())
    }

    /// Replaces the token with one of another service account. The role does not trust it, and it has no association. Later
    /// rotations keep this service account.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    /// use eks_credentials::{EksCredentialsProvider, ErrorKind};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pod = LocalPod::start().await?;
    /// pod.irsa_token().impersonate("default", "intruder")?;
    ///
    /// let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    /// let error = provider.credentials().await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Denied);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the token file cannot be written or the token cannot be signed.
    pub fn impersonate(&self, namespace: &str, service_account: &str) -> io::Result<()> {
        self.change(|claims| {
            claims.subject.namespace = namespace.to_owned();
            claims.subject.service_account = service_account.to_owned();
        })
    }

    fn change(&self, change: impl FnOnce(&mut Claims)) -> io::Result<()> {
        change(&mut self.claims.lock().unwrap_or_else(PoisonError::into_inner));
        self.rotate()
    }

    fn claims(&self) -> Claims {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, issued_at: SystemTime) -> io::Result<()> {
        let Claims { subject, audience, issuer, lifetime } = self.claims();
        let issued = issued_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let rotation = self.rotations.fetch_add(1, Ordering::Relaxed);
        let Subject { namespace, service_account, pod } = &subject;
        let token = self.issuer.sign(&json!({
            "aud": [audience],
            "exp": issued + lifetime.as_secs(),
            "iat": issued,
            "nbf": issued,
            "iss": issuer,
            // Otherwise two tokens that are issued in the same second would be equal.
            "jti": format!("local-{rotation}"),
            "kubernetes.io": {
                "namespace": namespace,
                "node": { "name": "local-node", "uid": "00000000-0000-4000-8000-000000000001" },
                "pod": { "name": pod, "uid": "00000000-0000-4000-8000-000000000002" },
                "serviceaccount": { "name": service_account, "uid": "00000000-0000-4000-8000-000000000003" },
            },
            "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
        }))?;
        project(&self.folder, self.name, &token, rotation)
    }
}

impl fmt::Debug for ProjectedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectedToken")
            .field("path", &self.path())
            .field("audience", &self.claims().audience)
            .finish_non_exhaustive()
    }
}
