//! Projected service account tokens: signed for real, laid out on disk as kubelet does it, rotated as kubelet does it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};

use super::jws::Signing;
use crate::clock;

/// Who the pod is.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) namespace: String,
    pub(super) service_account: String,
    pub(super) pod: String,
}

/// A cluster's token issuer.
#[derive(Clone)]
pub(super) struct Issuer {
    pub(super) url: String,
    signing: Signing,
}

/// The claims that the stand-ins judge by.
#[derive(Deserialize)]
pub(super) struct VerifiedClaims {
    iss: String,
    pub(super) aud: Vec<String>,
    pub(super) exp: u64,
    pub(super) nbf: u64,
    pub(super) sub: String,
    #[serde(rename = "kubernetes.io")]
    pub(super) kubernetes: Option<Kubernetes>,
}

#[derive(Deserialize)]
pub(super) struct Kubernetes {
    pub(super) pod: Pod,
}

#[derive(Default, Deserialize)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) uid: String,
}

impl Issuer {
    pub(super) fn new(url: String, signing: Signing) -> Self {
        Self { url, signing }
    }

    fn sign(&self, claims: &Value) -> io::Result<String> {
        self.signing.sign(claims.to_string().as_bytes())
    }

    /// The claims, if this issuer signed them and is named in them. Times and audience are for the protocols to judge.
    pub(super) fn verify(&self, token: &str) -> Option<VerifiedClaims> {
        let claims: VerifiedClaims = serde_json::from_slice(&self.signing.verify(token)?).ok()?;
        (claims.iss == self.url).then_some(claims)
    }
}

/// A token file in kubelet's layout: `token → ..data/token`, `..data → ..<time>.<n>/`.
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

    /// The path for the environment variable.
    pub fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    /// Writes a new token and swaps it in as kubelet does: by renaming a symlink over `..data`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn rotate(&self) -> io::Result<()> {
        let now = clock::system_now();
        self.write(now)
    }

    /// Rotates to a token that expired `ago`: kubelet could not reach the API server.
    ///
    /// # Errors
    ///
    /// As [`rotate`](Self::rotate).
    pub fn expire(&self, ago: Duration) -> io::Result<()> {
        let lifetime = self.claims().lifetime;
        self.write(clock::system_now() - lifetime - ago)
    }

    /// Rotates to a token that was issued `ago` and has not been rotated since.
    ///
    /// # Errors
    ///
    /// As [`rotate`](Self::rotate).
    pub fn backdate(&self, ago: Duration) -> io::Result<()> {
        self.write(clock::system_now() - ago)
    }

    /// Rotates to a token that is valid only `ahead` from now: a clock that is behind that of the API server.
    ///
    /// # Errors
    ///
    /// As [`rotate`](Self::rotate).
    pub fn postdate(&self, ahead: Duration) -> io::Result<()> {
        self.write(clock::system_now() + ahead)
    }

    /// Rotates to a token for another audience.
    ///
    /// # Errors
    ///
    /// As [`rotate`](Self::rotate).
    pub fn set_audience(&self, audience: &str) -> io::Result<()> {
        self.change(|claims| claims.audience = audience.to_owned())
    }

    /// Rotates to a token of another issuer, whose keys nobody has.
    ///
    /// # Errors
    ///
    /// As [`rotate`](Self::rotate).
    pub fn set_issuer(&self, issuer: &str) -> io::Result<()> {
        self.change(|claims| claims.issuer = issuer.to_owned())
    }

    /// Rotates to a token of another service account: for a trust policy that does not match.
    ///
    /// # Errors
    ///
    /// As [`rotate`](Self::rotate).
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
            // Two tokens of the same second must differ.
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

impl std::fmt::Debug for ProjectedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProjectedToken")
            .field("path", &self.path())
            .field("audience", &self.claims().audience)
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
fn project(folder: &Path, name: &str, token: &str, rotation: u32) -> io::Result<()> {
    use std::os::unix::fs::symlink;

    let stamp = format!("..{}.{rotation}", clock::rfc3339(clock::system_now()).replace(['-', ':', 'T', 'Z'], "_"));
    let old = fs::read_link(folder.join("..data")).ok();
    fs::create_dir(folder.join(&stamp))?;
    fs::write(folder.join(&stamp).join(name), token)?;
    symlink(&stamp, folder.join("..data_tmp"))?;
    fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    match old {
        Some(old) => fs::remove_dir_all(folder.join(old)),
        None => symlink(Path::new("..data").join(name), folder.join(name)),
    }
}

/// Without symlinks the file is replaced as a whole.
#[cfg(not(unix))]
fn project(folder: &Path, name: &str, token: &str, rotation: u32) -> io::Result<()> {
    let next = folder.join(format!("..{rotation}"));
    fs::write(&next, token)?;
    fs::rename(next, folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://oidc.eks.eu-central-1.amazonaws.com/id/LOCAL";

    fn claims(iss: Option<&str>) -> Value {
        let mut claims = json!({ "aud": ["sts"], "exp": 2, "nbf": 1, "sub": "me" });
        if let Some(iss) = iss {
            claims["iss"] = iss.into();
        }
        claims
    }

    #[test]
    fn issuer_verifies_its_own_tokens() {
        for signing in [Signing::Rs256, Signing::Es256] {
            let issuer = Issuer::new(URL.to_owned(), signing);
            let verified = issuer.verify(&issuer.sign(&claims(Some(URL))).unwrap()).unwrap();
            assert_eq!((verified.aud, verified.exp, verified.nbf), (vec!["sts".to_owned()], 2, 1));
            assert_eq!((verified.sub.as_str(), verified.kubernetes.is_none()), ("me", true));
        }
    }

    /// The keys are the same for the whole process: only the claim tells the issuers apart.
    #[test]
    fn issuer_refuses_tokens_of_another_issuer_or_of_none() {
        for signing in [Signing::Rs256, Signing::Es256] {
            let issuer = Issuer::new(URL.to_owned(), signing);
            for iss in [Some("https://oidc.example.com/cluster"), Some(""), None] {
                assert!(issuer.verify(&issuer.sign(&claims(iss)).unwrap()).is_none(), "{iss:?}");
            }
        }
    }

    #[test]
    fn issuer_refuses_signed_claims_that_are_not_a_token_s() {
        let issuer = Issuer::new(URL.to_owned(), Signing::Es256);
        for claims in
            [json!({ "iss": URL }), json!([URL]), json!({ "iss": [URL], "aud": [], "exp": 2, "nbf": 1, "sub": "" })]
        {
            assert!(issuer.verify(&issuer.sign(&claims).unwrap()).is_none(), "{claims}");
        }
    }
}
