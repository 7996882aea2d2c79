//! An operator of OpenDAL for S3 whose credentials come from this pod. It lists, writes and reads objects, uploads one in parts,
//! and presigns a URL.
//!
//! In a pod it uses the bucket of `--bucket` in the region of `AWS_REGION`. It writes below `eks-credentials-example/` and
//! deletes what it has written.
//!
//! Outside a cluster it starts a local pod: STS and S3 on loopback. There it refreshes the credentials three times. The
//! refreshes are not left to the schedule: reqsign, which signs for OpenDAL, signs nothing in the last 10 s of the credentials,
//! so they cannot be as short-lived as this program would need them. Then it simulates an outage of STS that lasts longer than
//! the credentials.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::Answer;
use opendal::Operator;
use opendal::services::S3;
use reqsign_core::ProvideCredentialChain;
use storage::{LocalStorage, until_error, with_causes};

const USAGE: &str = "\
usage: opendal [--bucket NAME]

Lists, writes and reads objects in S3 with the credentials of this pod.

  --bucket NAME  the bucket in AWS. Outside a cluster, a local pod is used, which has its own bucket

Exit code: 0 if everything worked; 1 if a request failed or there are no credentials; 64 if the arguments are wrong; 130 or 143
if SIGINT or SIGTERM ended the program early.";

const FOLDER: &str = "eks-credentials-example/";
const HELLO: &str = "eks-credentials-example/hello.txt";
const LARGE: &str = "eks-credentials-example/large";
/// S3 requires at least 5 MiB for each part except the last one.
const PART: usize = 5 << 20;
const URL_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// reqsign calls the provider for each request if credentials expire within 120 s. With this lifetime it notices a
/// refresh at once.
const LOCAL_LIFETIME: Duration = Duration::from_secs(100);
/// The lifetime in the simulated outage. reqsign uses the credentials for 10 s less.
const OUTAGE_LIFETIME: Duration = Duration::from_secs(13);

fn main() -> ExitCode {
    storage::run(USAGE, run_in_pod, run_locally)
}

async fn run_in_pod(provider: EksCredentialsProvider, bucket: String) -> Result<(), Box<dyn Error>> {
    let s3 = || S3::default().bucket(&bucket);
    let signing = ProvideCredentialChain::new().push(provider.reqsign_3_valid_for(URL_LIFETIME));
    let signing = Operator::new(s3().credential_provider_chain(signing))?;
    let operator = ProvideCredentialChain::new().push(provider.reqsign_3());
    let operator = Operator::new(s3().credential_provider_chain(operator))?;
    write_and_read(&operator, None).await?;
    presign(&signing).await?;
    delete(&operator).await
}

async fn run_locally() -> Result<(), Box<dyn Error>> {
    println!("Not in a pod. Starting a local pod (STS and S3 on loopback).");
    let local = LocalStorage::start().await?;
    let provider = local.provider()?;
    let s3 = || S3::default().endpoint(local.url()).region(LocalStorage::REGION).bucket(LocalStorage::BUCKET);
    let chain = ProvideCredentialChain::new().push(provider.reqsign_3());
    let operator = Operator::new(s3().credential_provider_chain(chain))?;
    let chain = ProvideCredentialChain::new().push(provider.reqsign_3_valid_for(URL_LIFETIME));
    let signing = Operator::new(s3().credential_provider_chain(chain))?;

    operator.write(HELLO, "hello from a pod").await?;
    presign(&signing).await?;
    println!("from now on credentials last {} s", LOCAL_LIFETIME.as_secs());
    local.pod().sts().set_lifetime(LOCAL_LIFETIME);
    // An operator whose signer does not keep the credentials of one hour.
    let chain = ProvideCredentialChain::new().push(provider.reqsign_3());
    let operator = Operator::new(s3().credential_provider_chain(chain))?;
    refresh(&provider).await?;
    write_and_read(&operator, Some(&provider)).await?;
    for _ in 0..2 {
        refresh(&provider).await?;
        list(&operator).await?;
    }
    println!("fetched credentials {} times", provider.status().refreshes);
    println!("S3 has accepted {} access keys", local.access_keys());
    outage(&local, &provider, &operator).await?;
    delete(&operator).await
}

/// Fetches new credentials, as after S3 has refused the current ones.
async fn refresh(provider: &EksCredentialsProvider) -> Result<(), Box<dyn Error>> {
    provider.invalidate(&provider.credentials().await?);
    provider.warm_up().await?;
    Ok(())
}

/// Writes, lists and reads. With a `provider`, refreshes its credentials between the parts of an upload.
async fn write_and_read(operator: &Operator, provider: Option<&EksCredentialsProvider>) -> Result<(), Box<dyn Error>> {
    operator.write(HELLO, "hello from a pod").await?;
    let all = operator.read(HELLO).await?.to_vec();
    let range = operator.read_with(HELLO).range(11..16).await?.to_vec();
    println!("read {:?}, and of it the range {:?}", String::from_utf8_lossy(&all), String::from_utf8_lossy(&range));
    list(operator).await?;

    let mut writer = operator.writer_with(LARGE).chunk(PART).await?;
    writer.write(vec![b'1'; PART]).await?;
    writer.write("2").await?;
    if let Some(provider) = provider {
        refresh(provider).await?;
        println!("the credentials were refreshed during an upload");
    }
    writer.close().await?;
    println!("uploaded {} bytes in two parts", operator.stat(LARGE).await?.content_length());
    Ok(())
}

async fn list(operator: &Operator) -> Result<(), Box<dyn Error>> {
    let entries = operator.list(FOLDER).await?;
    let names: Vec<_> = entries.iter().filter(|entry| entry.metadata().is_file()).map(|entry| entry.name()).collect();
    println!("objects: {}", names.join(", "));
    Ok(())
}

/// Presigns a URL, and reads the object with it, without credentials.
async fn presign(operator: &Operator) -> Result<(), Box<dyn Error>> {
    let request = operator.presign_read(HELLO, URL_LIFETIME).await?;
    // The URL contains the signature and the session token: it must not be printed.
    let response = reqwest::get(request.uri().to_string()).await.map_err(reqwest::Error::without_url)?;
    println!("a presigned URL for {} min returns {}", URL_LIFETIME.as_secs() / 60, response.status());
    Ok(())
}

/// STS fails. Requests succeed until 10 s before the credentials expire, and again after the outage.
async fn outage(
    local: &LocalStorage,
    provider: &EksCredentialsProvider,
    operator: &Operator,
) -> Result<(), Box<dyn Error>> {
    println!("STS fails from now on, and the credentials last {} s", OUTAGE_LIFETIME.as_secs());
    local.pod().sts().set_lifetime(OUTAGE_LIFETIME);
    refresh(provider).await?;
    local.pod().sts().always(Answer::http(503, "a simulated outage"));
    let (succeeded, error) = until_error(async || operator.read(HELLO).await).await?;
    println!("{succeeded} requests succeeded in the outage, then: {}", with_causes(&error));
    provider.subscribe().wait_for(|status| status.last_error.is_some()).await?;
    let reason = provider.status().last_error.ok_or("there is no last error")?;
    println!("the reason is in the status of the provider: {reason}");
    println!("STS works again");
    local.pod().sts().set_lifetime(LOCAL_LIFETIME).always(Answer::proper());
    provider.subscribe().wait_for(|status| status.last_error.is_none()).await?;
    list(operator).await
}

async fn delete(operator: &Operator) -> Result<(), Box<dyn Error>> {
    for path in [HELLO, LARGE] {
        operator.delete(path).await?;
    }
    println!("deleted what this program has written");
    Ok(())
}
