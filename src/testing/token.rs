//! Projected service account tokens: signed for real, laid out on disk as kubelet does it, rotated as kubelet does it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock;

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signing {
    /// As EKS does it.
    Rs256,
    /// As other clusters may.
    Es256,
}

/// Who the pod is.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) namespace: String,
    pub(super) service_account: String,
    pub(super) pod: String,
}

/// A cluster's token issuer: its keys are made once per process.
#[derive(Clone)]
pub(super) struct Issuer {
    pub(super) url: String,
    signing: Signing,
}

/// The claims that the stand-ins judge by.
#[derive(Deserialize)]
pub(super) struct VerifiedClaims {
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

struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Issuer {
    pub(super) fn new(url: String, signing: Signing) -> Self {
        Self { url, signing }
    }

    fn algorithm(&self) -> Algorithm {
        match self.signing {
            Signing::Rs256 => Algorithm::RS256,
            Signing::Es256 => Algorithm::ES256,
        }
    }

    fn keys(&self) -> io::Result<&'static Keys> {
        static RSA: OnceLock<Option<Keys>> = OnceLock::new();
        static EC: OnceLock<Option<Keys>> = OnceLock::new();
        let keys = match self.signing {
            Signing::Rs256 => RSA.get_or_init(rsa_keys),
            Signing::Es256 => EC.get_or_init(ec_keys),
        };
        keys.as_ref().ok_or_else(|| io::Error::other("a signing key could not be made"))
    }

    fn sign(&self, claims: &Value) -> io::Result<String> {
        let mut header = Header::new(self.algorithm());
        header.kid = Some("local".into());
        jsonwebtoken::encode(&header, claims, &self.keys()?.encoding).map_err(io::Error::other)
    }

    /// The claims, if the signature is ours. Times and audience are for the protocols to judge.
    pub(super) fn verify(&self, token: &str) -> Option<VerifiedClaims> {
        let mut validation = Validation::new(self.algorithm());
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        validation.set_issuer(&[&self.url]);
        Some(jsonwebtoken::decode(token, &self.keys().ok()?.decoding, &validation).ok()?.claims)
    }
}

fn rsa_keys() -> Option<Keys> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
    let private: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(private.as_ref()));
    Some(Keys {
        encoding: EncodingKey::from_rsa_pem(pem.as_bytes()).ok()?,
        decoding: DecodingKey::from_rsa_der(pair.public_key().as_ref()),
    })
}

fn ec_keys() -> Option<Keys> {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).ok()?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).ok()?;
    Some(Keys {
        encoding: EncodingKey::from_ec_der(document.as_ref()),
        decoding: DecodingKey::from_ec_der(pair.public_key().as_ref()),
    })
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
