//! Writes and reads a table of Delta Lake (delta-rs) in S3 with the credentials of this pod.
//!
//! In a pod it uses the bucket of `--bucket` in the region of `AWS_REGION`, and a new table below `eks-credentials-example/`. It
//! does not delete the table.
//!
//! Outside a cluster it starts a local pod: STS and S3 on loopback. The credentials of the local pod last 4 s, so that they are
//! refreshed three times while the program writes. Then it simulates an outage of STS, during which it writes once more.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use deltalake_core::DeltaTable;
use deltalake_core::arrow::array::{Array as _, Int64Array, RecordBatch};
use deltalake_core::arrow::datatypes::{DataType, Field, Schema};
use deltalake_core::kernel::{DataType as DeltaType, PrimitiveType};
use deltalake_core::logstore::{StorageConfig, default_logstore};
use deltalake_core::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake_core::writer::{DeltaWriter as _, RecordBatchWriter};
use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::Answer;
use object_store_0_13::aws::{AmazonS3, AmazonS3Builder};
use object_store_0_13::prefix::PrefixStore;
use object_store_0_13::{ObjectStore, ObjectStoreExt as _};
use storage::{LocalStorage, next_refresh, until_error, with_causes};
use url::Url;

const USAGE: &str = "\
usage: delta [--bucket NAME]

Writes and reads a table of Delta Lake in S3 with the credentials of this pod.

  --bucket NAME  the bucket in AWS. Outside a cluster, a local pod is used, which has its own bucket

Exit code: 0 if everything worked; 1 if a request failed or there are no credentials; 64 if the arguments are wrong; 130 or 143
if SIGINT or SIGTERM ended the program early.";

const ROWS: i64 = 1000;
/// The lifetime of the local pod's credentials.
const LOCAL_LIFETIME: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    storage::run(USAGE, run_in_pod, run_locally)
}

async fn run_in_pod(provider: EksCredentialsProvider, bucket: String) -> Result<(), Box<dyn Error>> {
    let s3 = AmazonS3Builder::from_env().with_bucket_name(&bucket);
    let mut table = create(s3.with_credentials(provider.object_store_0_13()).build()?, &bucket).await?;
    append(&mut table).await?;
    read(&table).await
}

async fn run_locally() -> Result<(), Box<dyn Error>> {
    println!(
        "Not in a pod. Starting a local pod (STS and S3 on loopback), with credentials that last {LOCAL_LIFETIME:?}."
    );
    let local = LocalStorage::start().await?;
    local.pod().sts().set_lifetime(LOCAL_LIFETIME);
    let provider = local.provider()?;
    let store = AmazonS3Builder::new()
        .with_endpoint(local.url())
        .with_allow_http(true)
        .with_region(LocalStorage::REGION)
        .with_bucket_name(LocalStorage::BUCKET)
        .with_credentials(provider.object_store_0_13())
        .build()?;

    let mut table = create(store, LocalStorage::BUCKET).await?;
    append(&mut table).await?;
    for _ in 0..3 {
        next_refresh(&provider).await?;
        append(&mut table).await?;
    }
    println!("fetched credentials {} times", provider.status().refreshes);
    println!("S3 has accepted {} access keys", local.access_keys());

    println!("STS fails from now on");
    local.pod().sts().always(Answer::http(503, "a simulated outage"));
    append(&mut table).await?;
    let (_, error) = until_error(async || table.update_state().await).await?;
    println!("until the credentials expire, then: {}", with_causes(&error));
    println!("STS works again");
    local.pod().sts().always(Answer::proper());
    provider.subscribe().wait_for(|status| status.is_ready()).await?;
    append(&mut table).await?;
    read(&table).await
}

/// Creates an empty table with one column. Its commits are conditional writes, so S3 needs no lock table.
async fn create(store: AmazonS3, bucket: &str) -> Result<DeltaTable, Box<dyn Error>> {
    let folder = format!("eks-credentials-example/{}", std::process::id());
    let location = Url::parse(&format!("s3://{bucket}/{folder}/"))?;
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let prefixed = Arc::new(PrefixStore::new(Arc::clone(&store), folder));
    let table = DeltaTable::new(default_logstore(prefixed, store, &location, &StorageConfig::default()));
    let table = table.create().with_column("id", DeltaType::Primitive(PrimitiveType::Long), false, None).await?;
    println!("created the table {location}");
    Ok(table)
}

/// Appends rows in one commit.
async fn append(table: &mut DeltaTable) -> Result<(), Box<dyn Error>> {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let rows = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(0..ROWS))])?;
    let mut writer = RecordBatchWriter::for_table(table)?;
    writer.write(rows).await?;
    let version = writer.flush_and_commit(table).await?;
    println!("appended {ROWS} rows: version {version}");
    Ok(())
}

/// Loads the latest version, and reads all of its files.
async fn read(table: &DeltaTable) -> Result<(), Box<dyn Error>> {
    let mut table = DeltaTable::new(table.log_store());
    table.load().await?;
    let files: Vec<_> = table.snapshot()?.log_data().iter().map(|file| file.object_store_path()).collect();
    let mut rows = 0;
    for path in &files {
        let file = table.object_store().get(path).await?.bytes().await?;
        for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
            rows += batch?.column(0).len();
        }
    }
    let version = table.version().unwrap_or_default();
    println!("read version {version}: {rows} rows in {} files", files.len());
    Ok(())
}
