//! `object_store` 0.13 and 0.14 with the credentials of a local pod, against an S3 server that verifies every signature.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use eks_credentials::testing::Answer;
use eks_credentials::{Error, ErrorKind};
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use http::Method;
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredentialProvider};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{MultipartUpload as _, ObjectStore as _, ObjectStoreExt as _};
use storage::LocalStorage;
use support::{Clock, SECRETS, provider_with, refresh, replaced, seconds};
use url::Url;

fn store(local: &LocalStorage, credentials: AwsCredentialProvider) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(local.url())
        .with_allow_http(true)
        .with_region(LocalStorage::REGION)
        .with_bucket_name(LocalStorage::BUCKET)
        .with_credentials(credentials)
        .build()
        .unwrap()
}

fn kind(error: &object_store::Error) -> Option<ErrorKind> {
    let object_store::Error::Generic { store: "S3", source } = error else { return None };
    source.downcast_ref::<Error>().map(Error::kind)
}

/// The access key id in a signed URL.
fn access_key_id(url: &Url) -> String {
    let (_, scope) = url.query_pairs().find(|(name, _)| name == "X-Amz-Credential").unwrap();
    scope.split('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn store_lists_writes_and_reads() {
    let local = LocalStorage::start().await.unwrap();
    let provider = local.provider().unwrap();
    let store = store(&local, provider.object_store_0_14());
    let path = Path::from("folder/object");

    store.put(&path, "0123456789".into()).await.unwrap();
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "0123456789");
    assert_eq!(store.get_range(&path, 3..6).await.unwrap(), "345");
    let listed: Vec<_> = store.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
    assert_eq!(listed.len(), LocalStorage::OBJECTS.len() + 1, "{listed:?}");
    store.delete(&path).await.unwrap();
    assert!(matches!(store.head(&path).await, Err(object_store::Error::NotFound { .. })));
    assert_eq!(local.pod().sts().requests(), 1);
}

#[tokio::test]
async fn store_of_version_0_13_lists_writes_and_reads() {
    use object_store_0_13::{ObjectStore as _, ObjectStoreExt as _};
    let local = LocalStorage::start().await.unwrap();
    let store = object_store_0_13::aws::AmazonS3Builder::new()
        .with_endpoint(local.url())
        .with_allow_http(true)
        .with_region(LocalStorage::REGION)
        .with_bucket_name(LocalStorage::BUCKET)
        .with_credentials(local.provider().unwrap().object_store_0_13())
        .build()
        .unwrap();
    let path = object_store_0_13::path::Path::from("object");
    store.put(&path, "0123456789".into()).await.unwrap();
    assert_eq!(store.get_range(&path, 3..6).await.unwrap(), "345");
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), LocalStorage::OBJECTS.len() + 1);
}

#[tokio::test]
async fn upload_continues_with_new_credentials_after_expiry() {
    let local = LocalStorage::start().await.unwrap();
    local.pod().sts().set_lifetime(seconds(4));
    let provider = local.provider().unwrap();
    let store = store(&local, provider.object_store_0_14());
    let path = Path::from("large");

    let mut upload = store.put_multipart(&path).await.unwrap();
    upload.put_part(Bytes::from(vec![1; 5 << 20]).into()).await.unwrap();
    replaced(&provider).await;
    upload.put_part(Bytes::from_static(&[2]).into()).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(store.head(&path).await.unwrap().size, (5 << 20) + 1);
    assert!(local.access_keys() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_stores_share_one_upstream_request() {
    let local = LocalStorage::start().await.unwrap();
    local.pod().sts().set_latency(std::time::Duration::from_millis(200));
    let provider = local.provider().unwrap();
    let stores: Vec<_> = (0..100).map(|_| store(&local, provider.object_store_0_14())).collect();
    let path = Path::from(LocalStorage::OBJECTS[0]);
    let got = join_all(stores.iter().map(|store| store.get(&path))).await;
    assert!(got.iter().all(Result::is_ok));
    provider.object_store_0_13().get_credential().await.unwrap();
    assert_eq!((local.pod().sts().requests(), local.access_keys()), (1, 1));
}

#[tokio::test]
async fn adapter_returns_one_arc_until_the_next_refresh() {
    let local = LocalStorage::start().await.unwrap();
    let provider = local.provider().unwrap();
    let (new, old) = (provider.object_store_0_14(), provider.object_store_0_13());

    let (first, first_old) = (new.get_credential().await.unwrap(), old.get_credential().await.unwrap());
    let credentials = provider.credentials().await.unwrap();
    assert_eq!(first.key_id, credentials.access_key_id());
    assert_eq!(first.secret_key, credentials.secret_access_key());
    assert_eq!(first.token.as_deref(), credentials.session_token());
    assert_eq!(first_old.key_id, credentials.access_key_id());
    assert_eq!(first_old.secret_key, credentials.secret_access_key());
    assert_eq!(first_old.token.as_deref(), credentials.session_token());
    assert!(Arc::ptr_eq(&first, &new.get_credential().await.unwrap()));
    assert!(Arc::ptr_eq(&first_old, &old.get_credential().await.unwrap()));

    refresh(&provider).await;
    let second = new.get_credential().await.unwrap();
    assert_eq!(second.key_id, provider.credentials().await.unwrap().access_key_id());
    assert_ne!(second.key_id, first.key_id);
    assert!(Arc::ptr_eq(&second, &new.get_credential().await.unwrap()));
}

#[tokio::test]
async fn adapter_serves_pod_identity_too() {
    let local = LocalStorage::start().await.unwrap();
    let env = local.pod().pod_identity_env();
    let provider = eks_credentials::EksCredentialsProvider::builder().env(env).build().unwrap();
    let path = Path::from(LocalStorage::OBJECTS[0]);
    store(&local, provider.object_store_0_14()).get(&path).await.unwrap();
    assert_eq!((local.pod().agent().requests(), local.pod().sts().requests()), (1, 0));
}

#[tokio::test]
async fn signed_url_is_not_valid_longer_than_its_credentials() {
    let (local, clock) = (LocalStorage::start().await.unwrap(), Clock::default());
    let provider = provider_with(&local, &clock);
    let path = Path::from(LocalStorage::OBJECTS[0]);
    let (ttl, sts) = (seconds(65 * 60), local.pod().sts());
    let expiry = |url: &Url| local.pod().ledger().get(&access_key_id(url)).unwrap().expiry;
    let ends = || aws_smithy_async::time::TimeSource::now(&Clock::default()) + ttl;

    // Without `valid_for`, the URL ends with the credentials.
    let plain = store(&local, provider.object_store_0_14());
    let url = plain.signed_url(Method::GET, &path, ttl).await.unwrap();
    assert!(expiry(&url) < ends());

    // The current credentials last one hour, and new ones two hours.
    let signing = store(&local, provider.object_store_0_14_valid_for(ttl));
    clock.advance(seconds(120));
    sts.set_lifetime(seconds(2 * 3600));
    let url = signing.signed_url(Method::GET, &path, ttl).await.unwrap();
    assert!(expiry(&url) > ends());
    assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
    signing.signed_url(Method::GET, &path, ttl).await.unwrap();
    assert_eq!(sts.requests(), 2);

    // New ones last no longer.
    let too_long = store(&local, provider.object_store_0_14_valid_for(seconds(3 * 3600)));
    let error = too_long.signed_url(Method::GET, &path, seconds(3 * 3600)).await.unwrap_err();
    assert_eq!(kind(&error), Some(ErrorKind::LifetimeTooShort), "{error}");
}

#[tokio::test]
async fn outage_fails_no_request_while_credentials_are_valid() {
    let local = LocalStorage::start().await.unwrap();
    local.pod().sts().set_lifetime(seconds(4));
    let provider = local.provider().unwrap();
    let store = store(&local, provider.object_store_0_14());
    let path = Path::from(LocalStorage::OBJECTS[0]);
    store.get(&path).await.unwrap();

    local.pod().sts().always(Answer::http(503, "an outage"));
    provider.subscribe().wait_for(|status| status.consecutive_failures > 0).await.unwrap();
    store.get(&path).await.unwrap();
    local.pod().sts().set_lifetime(seconds(3600)).always(Answer::proper());
    provider.subscribe().wait_for(|status| status.refreshes == 2).await.unwrap();
    store.get(&path).await.unwrap();
    assert_eq!(local.access_keys(), 2);
}

#[tokio::test]
async fn store_returns_the_error_of_the_provider_at_once() {
    let local = LocalStorage::start().await.unwrap();
    local.pod().sts().always(Answer::refuse("AccessDenied"));
    let provider = local.provider().unwrap();
    let path = Path::from(LocalStorage::OBJECTS[0]);
    let error = store(&local, provider.object_store_0_14()).get(&path).await.unwrap_err();
    assert_eq!(kind(&error), Some(ErrorKind::Denied), "{error}");
    let error = provider.object_store_0_13().get_credential().await.unwrap_err();
    assert!(matches!(error, object_store_0_13::Error::Generic { store: "S3", source } if source.is::<Error>()));
    assert_eq!((local.pod().sts().requests(), local.access_keys()), (1, 0));
}

#[tokio::test]
async fn debug_of_adapter_and_store_contains_no_secret() {
    let local = LocalStorage::start().await.unwrap();
    let adapter = local.provider().unwrap().object_store_0_14();
    let credential = adapter.get_credential().await.unwrap();
    let text = format!("{adapter:?} {credential:?} {:?}", store(&local, Arc::clone(&adapter)));
    assert!(text.contains("IRSA") || text.contains("WebIdentity"), "{text}");
    assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
}
