//! An S3 server on loopback. It accepts only credentials that the stand-ins of the local pod have issued: it verifies the
//! signature (with the crate `s3s`), the session token and the expiry.

mod uploads;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_async::time::{SystemTimeSource, TimeSource as _};
use eks_credentials::testing::{Issued, Ledger};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::uploads::UploadsOfRole;

/// The buckets and their objects.
pub(crate) const BUCKETS: [(&str, &[&str]); 2] =
    [("invoices-2026", &["2026-10.csv", "2026-11.csv"]), ("thumbnails", &["cat.webp", "dog.webp", "owl.webp"])];

/// The server. It stops when this value is dropped.
pub(crate) struct LocalS3 {
    url: String,
    accepted: AccessKeys,
    server: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl LocalS3 {
    pub(crate) async fn start(ledger: Ledger) -> Result<Self, Box<dyn std::error::Error>> {
        let folder = tempfile::Builder::new().prefix("local-s3-").tempdir()?;
        for (bucket, objects) in BUCKETS {
            fs::create_dir(folder.path().join(bucket))?;
            for object in objects {
                fs::write(folder.path().join(bucket).join(object), object)?;
            }
        }
        let files = FileSystem::new(folder.path()).map_err(|e| io::Error::other(format!("{e:?}")))?;
        let accepted = AccessKeys::default();
        let mut service = S3ServiceBuilder::new(UploadsOfRole(files));
        service.set_auth(SecretKeys(ledger.clone()));
        service.set_access(Sessions(ledger, accepted.clone()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(serve(listener, service.build()));
        Ok(Self { url, accepted, server, _folder: folder })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the number of access keys with which a request was accepted.
    #[allow(dead_code, reason = "each program uses only a part")]
    pub(crate) fn access_keys(&self) -> usize {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

type AccessKeys = Arc<Mutex<BTreeSet<String>>>;

impl Drop for LocalS3 {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            // The client may disconnect early. This is not an error of the server.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

struct SecretKeys(Ledger);

#[async_trait::async_trait]
impl S3Auth for SecretKeys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let issued = self.0.get(access_key).ok_or_else(|| s3_error!(InvalidAccessKeyId))?;
        Ok(SecretKey::from(issued.secret_access_key))
    }
}

struct Sessions(Ledger, AccessKeys);

#[async_trait::async_trait]
impl S3Access for Sessions {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let key = context.credentials().ok_or_else(|| s3_error!(AccessDenied, "the request is not signed"))?;
        let Issued { session_token, expiry, .. } =
            self.0.get(&key.access_key).ok_or_else(|| s3_error!(InvalidAccessKeyId))?;
        if sent_token(context) != Some(session_token.as_bytes()) {
            return Err(s3_error!(InvalidToken, "the session token does not belong to the access key"));
        }
        if expiry <= SystemTimeSource::new().now() {
            return Err(s3_error!(ExpiredToken, "the session has expired"));
        }
        self.1.lock().unwrap_or_else(PoisonError::into_inner).insert(key.access_key.clone());
        Ok(())
    }
}

/// The session token of a signed request is in a header, and that of a presigned URL is in the query. The tokens of the local
/// pod contain no characters that a query encodes.
fn sent_token<'a>(context: &'a S3AccessContext<'_>) -> Option<&'a [u8]> {
    let in_query = || {
        let mut parameters = context.uri().query()?.split('&').filter_map(|parameter| parameter.split_once('='));
        parameters.find(|(name, _)| *name == "X-Amz-Security-Token").map(|(_, token)| token.as_bytes())
    };
    context.headers().get("x-amz-security-token").map(|token| token.as_bytes()).or_else(in_query)
}
