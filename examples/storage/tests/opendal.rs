//! OpenDAL 0.59 and reqsign 3 with the credentials of a local pod, against an S3 server that verifies every signature.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eks_credentials::testing::Answer;
use eks_credentials::{EksCredentialsProvider, Error, ErrorKind};
use opendal::Operator;
use opendal::services::S3;
use reqsign_aws_v4::{Credential, RequestSigner};
use reqsign_core::{Context, ProvideCredential, ProvideCredentialChain, Signer};
use storage::{LocalStorage, with_causes};
use support::{Clock, SECRETS, provider_with, refresh, seconds};

fn operator(local: &LocalStorage, credentials: impl ProvideCredential<Credential = Credential>) -> Operator {
    let chain = ProvideCredentialChain::new().push(credentials);
    let s3 = S3::default().endpoint(local.url()).region(LocalStorage::REGION).bucket(LocalStorage::BUCKET);
    Operator::new(s3.credential_provider_chain(chain)).unwrap()
}

/// Counts the calls of reqsign.
#[derive(Debug)]
struct Counting<T>(T, Arc<AtomicU64>);

impl<T: ProvideCredential> ProvideCredential for Counting<T> {
    type Credential = T::Credential;

    async fn provide_credential(&self, context: &Context) -> reqsign_core::Result<Option<Self::Credential>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.provide_credential(context).await
    }
}

#[tokio::test]
async fn operator_lists_writes_reads_and_presigns() {
    let local = LocalStorage::start().await.unwrap();
    let operator = operator(&local, local.provider().unwrap().reqsign_3());
    operator.write("folder/object", "0123456789").await.unwrap();
    assert_eq!(operator.read("folder/object").await.unwrap().to_vec(), b"0123456789");
    assert_eq!(operator.read_with("folder/object").range(3..6).await.unwrap().to_vec(), b"345");
    assert_eq!(operator.list("folder/").await.unwrap().iter().filter(|entry| entry.metadata().is_file()).count(), 1);
    let request = operator.presign_read("folder/object", seconds(900)).await.unwrap();
    assert_eq!(reqwest::get(request.uri().to_string()).await.unwrap().status(), 200);
    operator.delete("folder/object").await.unwrap();
    assert_eq!(local.pod().sts().requests(), 1);
}

#[tokio::test]
async fn upload_continues_with_new_credentials_after_a_refresh() {
    let local = LocalStorage::start().await.unwrap();
    local.pod().sts().set_lifetime(seconds(100));
    let provider = local.provider().unwrap();
    let operator = operator(&local, provider.reqsign_3());
    let mut writer = operator.writer_with("large").chunk(5 << 20).await.unwrap();
    for part in [vec![1; 5 << 20], vec![2; 5 << 20], vec![3]] {
        writer.write(part).await.unwrap();
        refresh(&provider).await;
    }
    writer.close().await.unwrap();
    assert_eq!(operator.stat("large").await.unwrap().content_length(), (10 << 20) + 1);
    assert!(local.access_keys() >= 2);
}

/// In the last 120 s of the credentials, reqsign asks for each request.
#[tokio::test]
async fn reqsign_window_of_120_seconds_causes_no_requests_to_sts() {
    let local = LocalStorage::start().await.unwrap();
    local.pod().sts().set_lifetime(seconds(100));
    let calls = Arc::new(AtomicU64::new(0));
    let operator = operator(&local, Counting(local.provider().unwrap().reqsign_3(), Arc::clone(&calls)));
    for _ in 0..50 {
        operator.read(LocalStorage::OBJECTS[0]).await.unwrap();
    }
    assert!(calls.load(Ordering::SeqCst) >= 50, "{calls:?}");
    assert_eq!(local.pod().sts().requests(), 1);
}

/// In the last 10 s of the credentials, reqsign signs nothing.
#[tokio::test]
async fn reqsign_refusal_before_expiry_causes_no_requests_to_sts() {
    let local = LocalStorage::start().await.unwrap();
    local.pod().sts().set_lifetime(seconds(9));
    let calls = Arc::new(AtomicU64::new(0));
    let provider = local.provider().unwrap();
    let operator = operator(&local, Counting(provider.reqsign_3(), Arc::clone(&calls)));
    provider.warm_up().await.unwrap();
    local.pod().sts().always(Answer::hang());
    for _ in 0..20 {
        let error = operator.read(LocalStorage::OBJECTS[0]).await.unwrap_err();
        assert!(with_causes(&error).contains("expires before the requested operation deadline"), "{error}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 20);
    // The schedule of the provider begins the second one 2.25 s after the first one at the earliest.
    assert!(local.pod().sts().requests() <= 2);
    assert_eq!(local.access_keys(), 0);
}

#[tokio::test]
async fn credential_has_the_values_and_the_expiry_of_the_provider() {
    let local = LocalStorage::start().await.unwrap();
    let provider = local.provider().unwrap();
    let credential = provider.reqsign_3().provide_credential(&Context::new()).await.unwrap().unwrap();
    let credentials = provider.credentials().await.unwrap();
    assert_eq!(credential.access_key_id, credentials.access_key_id());
    assert_eq!(credential.secret_access_key, credentials.secret_access_key());
    assert_eq!(credential.session_token.as_deref(), credentials.session_token());
    let expiry = credential.expires_in.unwrap().as_system_time();
    let earlier = credentials.expiry().unwrap().duration_since(expiry).unwrap();
    assert!(earlier < Duration::from_millis(1), "{earlier:?}");
}

#[tokio::test]
async fn presigned_url_is_not_valid_longer_than_its_credentials() {
    let (local, clock) = (LocalStorage::start().await.unwrap(), Clock::default());
    let provider = provider_with(&local, &clock);
    let ttl = seconds(65 * 60);
    let plain = operator(&local, provider.reqsign_3());
    let error = plain.presign_read(LocalStorage::OBJECTS[0], ttl).await.unwrap_err();
    assert!(with_causes(&error).contains("expires before the requested operation deadline"), "{error}");

    // The current credentials last one hour, and new ones two hours.
    let signing = operator(&local, provider.reqsign_3_valid_for(ttl));
    clock.advance(seconds(120));
    local.pod().sts().set_lifetime(seconds(2 * 3600));
    let request = signing.presign_read(LocalStorage::OBJECTS[0], ttl).await.unwrap();
    assert_eq!(reqwest::get(request.uri().to_string()).await.unwrap().status(), 200);
    signing.presign_read(LocalStorage::OBJECTS[0], ttl).await.unwrap();
    assert_eq!(local.pod().sts().requests(), 2);
}

#[tokio::test]
async fn operator_without_credentials_reports_the_reason_in_the_status() {
    let local = LocalStorage::start().await.unwrap();
    local.pod().sts().always(Answer::refuse("AccessDenied"));
    let provider = local.provider().unwrap();
    let error = operator(&local, provider.reqsign_3()).read(LocalStorage::OBJECTS[0]).await.unwrap_err();
    assert!(with_causes(&error).contains("failed to load signing credential"), "{error}");
    assert_eq!(provider.status().last_error.unwrap().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn signer_without_a_chain_returns_the_error_of_the_provider() {
    use reqsign_core::ErrorKind as Kind;
    let local = LocalStorage::start().await.unwrap();
    let nothing = EksCredentialsProvider::builder().env([("PATH", "/bin")]).build().unwrap();
    local.pod().sts().always(Answer::refuse("AccessDenied"));
    let denied = local.provider().unwrap();
    let cases = [
        (&nothing, ErrorKind::NotConfigured, Kind::ConfigInvalid),
        (&denied, ErrorKind::Denied, Kind::PermissionDenied),
    ];
    for (provider, ours, theirs) in cases {
        let signer = Signer::new(Context::new(), provider.reqsign_3(), RequestSigner::new("es", LocalStorage::REGION));
        let (mut request, ()) = http::Request::get("https://example.com/").body(()).unwrap().into_parts();
        let error = signer.sign(&mut request, None).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (theirs, false));
        let source = error.source().unwrap().downcast_ref::<Error>().unwrap();
        assert_eq!((source.kind(), source.to_string()), (ours, error.to_string()));
    }
}

#[tokio::test]
async fn debug_of_adapter_and_credential_contains_no_secret() {
    let local = LocalStorage::start().await.unwrap();
    let adapter = local.provider().unwrap().reqsign_3();
    let credential = adapter.provide_credential(&Context::new()).await.unwrap();
    let text = format!("{adapter:?} {credential:?} {:?}", operator(&local, adapter.clone()));
    assert!(text.contains("EksCredentialsProvider"), "{text}");
    assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
}
