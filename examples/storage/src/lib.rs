//! What the examples and tests of this package share: the arguments, and a local pod with S3 on loopback. Its doctests compile
//! the pages of `eks-credentials` about object storage.

#[path = "../../support/local_s3.rs"]
mod local_s3;
#[path = "../../support/program.rs"]
mod program;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::LocalPod;
use local_s3::{BUCKETS, LocalS3};
use tokio::time::{interval, timeout};

/// How long an outage is simulated at most. The credentials of the examples expire earlier.
const LONGEST_OUTAGE: Duration = Duration::from_secs(60);

/// Runs a program. In a pod it runs `in_pod` with the provider of the environment and the bucket of `--bucket`. Where nothing is
/// configured and stand-ins may be started, it runs `locally`.
pub fn run(
    usage: &str,
    in_pod: impl AsyncFnOnce(EksCredentialsProvider, String) -> Result<(), Box<dyn Error>>,
    locally: impl AsyncFnOnce() -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    program::run(usage, bucket, |bucket, mut signals| async move {
        let work = async {
            match program::provider().await {
                Ok(Some(provider)) => {
                    let bucket = bucket.ok_or("this environment configures credentials, so --bucket is required")?;
                    in_pod(provider, bucket).await?;
                }
                Ok(None) => locally().await?,
                Err(code) => return Ok(code),
            }
            Ok::<_, Box<dyn Error>>(ExitCode::SUCCESS)
        };
        match signals.interrupt(work).await {
            Ok(Ok(code)) => code,
            Ok(Err(error)) => program::failed(&*error),
            Err(signal) => signal.exit_code(),
        }
    })
}

fn bucket(args: &mut program::Arguments) -> Result<Option<String>, String> {
    match args.next().as_deref() {
        None => Ok(None),
        Some("--bucket") => args.next().map(Some).ok_or_else(|| "--bucket needs a name".to_owned()),
        Some(other) => Err(program::unknown(other)),
    }
}

/// A local pod, and an S3 server that accepts only the credentials of this pod.
pub struct LocalStorage {
    pod: LocalPod,
    s3: LocalS3,
}

impl LocalStorage {
    /// The bucket of the examples and tests.
    pub const BUCKET: &str = BUCKETS[0].0;
    /// The objects that it contains.
    pub const OBJECTS: &[&str] = BUCKETS[0].1;
    /// The region of the local pod.
    pub const REGION: &str = "eu-central-1";

    pub async fn start() -> Result<Self, Box<dyn Error>> {
        let pod = LocalPod::start().await?;
        let s3 = LocalS3::start(pod.ledger().clone()).await?;
        Ok(Self { pod, s3 })
    }

    /// A new provider with IRSA.
    pub fn provider(&self) -> Result<EksCredentialsProvider, eks_credentials::Error> {
        EksCredentialsProvider::builder().env(self.pod.irsa_env()).build()
    }

    pub fn pod(&self) -> &LocalPod {
        &self.pod
    }

    /// The address of the S3 server.
    pub fn url(&self) -> &str {
        self.s3.url()
    }

    /// The number of access keys with which the S3 server has accepted a request.
    pub fn access_keys(&self) -> usize {
        self.s3.access_keys()
    }
}

/// Waits until the provider has refreshed its credentials once more.
pub async fn next_refresh(provider: &EksCredentialsProvider) -> Result<(), Box<dyn Error>> {
    let mut changes = provider.subscribe();
    let refreshes = changes.borrow_and_update().refreshes;
    changes.wait_for(|status| status.refreshes > refreshes).await?;
    Ok(())
}

/// Repeats a request until it fails. Returns how often it has succeeded, and the error.
pub async fn until_error<T, E>(mut request: impl AsyncFnMut() -> Result<T, E>) -> Result<(u32, E), Box<dyn Error>> {
    let repeat = async {
        let mut ticks = interval(Duration::from_millis(100));
        let mut succeeded = 0;
        loop {
            ticks.tick().await;
            match request().await {
                Ok(_) => succeeded += 1,
                Err(error) => return (succeeded, error),
            }
        }
    };
    timeout(LONGEST_OUTAGE, repeat).await.map_err(|_| "requests succeed although the credentials have expired".into())
}

/// An error and its causes, without those that repeat the text before them.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let because = error.to_string();
        if !text.contains(&because) {
            text = format!("{text}\n    caused by: {because}");
        }
        cause = error.source();
    }
    text
}

/// Compiles the code of the pages.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../src/docs/object_store.md")]
    struct ObjectStore;
    #[doc = include_str!("../../../src/docs/opendal.md")]
    struct Opendal;
}
