//! An `object_store` 0.14 whose credentials come from this pod. It lists, writes and reads objects, uploads one in parts,
//! and signs a URL.
//!
//! In a pod it uses the bucket of `--bucket` in the region of `AWS_REGION`. It writes below `eks-credentials-example/` and
//! deletes what it has written.
//!
//! Outside a cluster it starts a local pod: STS and S3 on loopback. The credentials of the local pod last 4 s, so that
//! they are refreshed three times while the program runs. Then it simulates an outage of STS that lasts longer than the
//! credentials.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::Answer;
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{MultipartUpload as _, ObjectStore as _, ObjectStoreExt as _};
use storage::{LocalStorage, next_refresh, until_error, with_causes};

const USAGE: &str = "\
usage: object_store [--bucket NAME]

Lists, writes and reads objects in S3 with the credentials of this pod.

  --bucket NAME  the bucket in AWS. Outside a cluster, a local pod is used, which has its own bucket

Exit code: 0 if everything worked; 1 if a request failed or there are no credentials; 64 if the arguments are wrong; 130 or 143
if SIGINT or SIGTERM ended the program early.";

const FOLDER: &str = "eks-credentials-example";
/// S3 requires at least 5 MiB for each part except the last one.
const PART: usize = 5 << 20;
const URL_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// Longer than the credentials of the local pod.
const TOO_LONG: Duration = Duration::from_secs(2 * 3600);
/// The lifetime of the local pod's credentials after the first ones.
const LOCAL_LIFETIME: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    storage::run(USAGE, run_in_pod, run_locally)
}

async fn run_in_pod(provider: EksCredentialsProvider, bucket: String) -> Result<(), Box<dyn Error>> {
    let s3 = AmazonS3Builder::from_env().with_bucket_name(bucket);
    let store = s3.clone().with_credentials(provider.object_store_0_14()).build()?;
    let signing = s3.with_credentials(provider.object_store_0_14_valid_for(URL_LIFETIME)).build()?;
    write_and_read(&store, None).await?;
    sign(&signing).await?;
    delete(&store).await
}

async fn run_locally() -> Result<(), Box<dyn Error>> {
    println!("Not in a pod. Starting a local pod (STS and S3 on loopback).");
    let local = LocalStorage::start().await?;
    let provider = local.provider()?;
    let s3 = AmazonS3Builder::new()
        .with_endpoint(local.url())
        .with_allow_http(true)
        .with_region(LocalStorage::REGION)
        .with_bucket_name(LocalStorage::BUCKET);
    let store = s3.clone().with_credentials(provider.object_store_0_14()).build()?;
    let signing = s3.clone().with_credentials(provider.object_store_0_14_valid_for(URL_LIFETIME)).build()?;
    let too_long = s3.with_credentials(provider.object_store_0_14_valid_for(TOO_LONG)).build()?;

    store.put(&path("hello.txt"), "hello from a pod".into()).await?;
    sign(&signing).await?;
    match too_long.signed_url(http::Method::GET, &path("hello.txt"), TOO_LONG).await {
        Ok(_) => return Err("a URL was signed that ends after its credentials".into()),
        Err(error) => println!("a URL for {} min is not signed: {}", TOO_LONG.as_secs() / 60, with_causes(&error)),
    }

    println!("from now on credentials last {} s", LOCAL_LIFETIME.as_secs());
    local.pod().sts().set_lifetime(LOCAL_LIFETIME);
    provider.invalidate(&provider.credentials().await?);
    write_and_read(&store, Some(&provider)).await?;
    // Together with the one above these are three scheduled refreshes.
    for _ in 0..2 {
        next_refresh(&provider).await?;
        list(&store).await?;
    }
    println!("fetched credentials {} times", provider.status().refreshes);
    println!("S3 has accepted {} access keys", local.access_keys());
    outage(&local, &provider, &store).await?;
    delete(&store).await
}

/// Writes, lists and reads. With a `provider`, waits for its next refresh between the parts of an upload.
async fn write_and_read(store: &AmazonS3, provider: Option<&EksCredentialsProvider>) -> Result<(), Box<dyn Error>> {
    store.put(&path("hello.txt"), "hello from a pod".into()).await?;
    let all = store.get(&path("hello.txt")).await?.bytes().await?;
    let range = store.get_range(&path("hello.txt"), 11..16).await?;
    println!("read {:?}, and of it the range {:?}", String::from_utf8_lossy(&all), String::from_utf8_lossy(&range));
    list(store).await?;

    let mut upload = store.put_multipart(&path("large")).await?;
    upload.put_part(Bytes::from(vec![b'1'; PART]).into()).await?;
    if let Some(provider) = provider {
        next_refresh(provider).await?;
        println!("the credentials were refreshed between two parts of an upload");
    }
    upload.put_part("2".into()).await?;
    upload.complete().await?;
    println!("uploaded {} bytes in two parts", store.head(&path("large")).await?.size);
    Ok(())
}

async fn list(store: &AmazonS3) -> Result<(), Box<dyn Error>> {
    let objects: Vec<_> = store.list(Some(&Path::from(FOLDER))).try_collect().await?;
    let names: Vec<_> = objects.iter().filter_map(|object| object.location.filename()).collect();
    println!("objects: {}", names.join(", "));
    Ok(())
}

/// Signs a URL, and reads the object with it, without credentials.
async fn sign(store: &AmazonS3) -> Result<(), Box<dyn Error>> {
    let url = store.signed_url(http::Method::GET, &path("hello.txt"), URL_LIFETIME).await?;
    // The URL contains the signature and the session token: it must not be printed.
    let response = reqwest::get(url).await.map_err(reqwest::Error::without_url)?;
    println!("a signed URL for {} min returns {}", URL_LIFETIME.as_secs() / 60, response.status());
    Ok(())
}

/// STS fails. Requests succeed until the credentials expire, and again after the outage.
async fn outage(
    local: &LocalStorage,
    provider: &EksCredentialsProvider,
    store: &AmazonS3,
) -> Result<(), Box<dyn Error>> {
    println!("STS fails from now on");
    local.pod().sts().always(Answer::http(503, "a simulated outage"));
    let (succeeded, error) = until_error(async || store.get(&path("hello.txt")).await).await?;
    println!("{succeeded} requests succeeded in the outage, until the credentials expired: {}", with_causes(&error));
    let reason = provider.status().last_error.ok_or("there is no last error")?;
    println!("the reason is in the status of the provider: {reason}");
    println!("STS works again");
    local.pod().sts().always(Answer::proper());
    provider.subscribe().wait_for(|status| status.is_ready()).await?;
    list(store).await
}

async fn delete(store: &AmazonS3) -> Result<(), Box<dyn Error>> {
    for name in ["hello.txt", "large"] {
        store.delete(&path(name)).await?;
    }
    println!("deleted what this program has written");
    Ok(())
}

fn path(name: &str) -> Path {
    Path::from_iter([FOLDER, name])
}
