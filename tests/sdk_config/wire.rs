//! The requests of S3 and DynamoDB clients with each of the two configurations.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use eks_credentials::testing::LocalPod;
use eks_credentials::{BehaviorVersion, EksCredentialsProvider};

use crate::child::run;

/// The prefix of the lines that the child prints for its parent.
const MARK: &str = "@sent ";

/// Records every request, and responds with an error that clients retry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<String>>>);

/// Parts that differ between two equivalent requests.
const VARYING: [&str; 4] = ["authorization", "amz-sdk-invocation-id", "x-amz-date", "x-amz-security-token"];

impl Recorder {
    pub(crate) fn client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl HttpConnector for Recorder {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut headers: Vec<_> = request.headers().iter().collect();
        headers.sort();
        let mut line = format!("{} {}", request.method(), request.uri());
        for (name, value) in headers.into_iter().filter(|(name, _)| !VARYING.contains(name)) {
            line.push_str(&format!(" {name}: {}", value.split(" ttl=").next().unwrap()));
        }
        // From the signature, only the region and the service are kept.
        let scope = request.headers().get("authorization").and_then(|value| value.split('/').nth(2));
        line.push_str(&format!(" signed for: {}", scope.unwrap_or("nothing")));
        self.0.lock().unwrap().push(line);
        let mut response = HttpResponse::new(500.try_into().unwrap(), SdkBody::empty());
        response.headers_mut().insert("content-length", "0");
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// All requests of three operations, of which every attempt fails.
async fn sent(config: &SdkConfig, recorder: &Recorder) -> Vec<String> {
    let s3 = aws_sdk_s3::Client::new(config);
    let body = ByteStream::from_static(b"hello");
    let _ = s3.put_object().bucket("thumbnails").key("cat.webp").body(body).send().await;
    let _ = s3.get_object().bucket("thumbnails").key("cat.webp").send().await;
    let _ = s3.get_object().bucket("express--use1-az4--x-s3").key("cat.webp").send().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(config);
    let _ = dynamodb.describe_table().table_name("songs").send().await;
    recorder.take()
}

#[tokio::test]
#[ignore = "the other tests run it as a child process with its own environment"]
async fn child() {
    let provider = EksCredentialsProvider::from_env().unwrap();
    provider.warm_up().await.unwrap();
    // There is no I/O after this line, so with paused time the retry delays end at once.
    tokio::time::pause();
    let recorder = Recorder::default();
    let loaded = aws_config::defaults(BehaviorVersion::latest())
        .credentials_provider(provider.clone())
        .http_client(recorder.client())
        .load()
        .await;
    let ours = provider.sdk_config(BehaviorVersion::latest()).http_client(recorder.client()).build();
    // The test harness has already written a part of this line.
    println!();
    for config in [loaded, ours] {
        println!("{MARK}{}", serde_json::json!(sent(&config, &recorder).await));
    }
}

/// The requests of the clients with both configurations, in a pod with EKS Pod Identity and the additional variables `vars`. The
/// pod needs no configured STS endpoint, which would exclude FIPS and dual-stack.
async fn compare(pod: &LocalPod, vars: &[(&str, &str)]) -> Vec<String> {
    compare_in(crate::support::without(pod.pod_identity_env(), "AWS_ENDPOINT_URL_STS"), vars).await
}

async fn compare_in(mut env: Vec<(String, String)>, vars: &[(&str, &str)]) -> Vec<String> {
    for (name, value) in vars {
        env = crate::support::with(env, name, value);
    }
    let lines = tokio::task::spawn_blocking(move || {
        let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run("wire::child", MARK, &env)
    });
    let [loaded, ours]: [Vec<String>; 2] = lines
        .await
        .unwrap()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!(loaded, ours, "{vars:?}");
    assert!(!ours.is_empty(), "{vars:?}");
    ours
}

/// The requests of one operation.
fn of<'a>(sent: &'a [String], beginning: &str) -> Vec<&'a str> {
    let found: Vec<_> = sent.iter().map(String::as_str).filter(|line| line.starts_with(beginning)).collect();
    assert!(!found.is_empty(), "{beginning}: {sent:#?}");
    found
}

const PUT: &str = "PUT https://thumbnails.s3.eu-central-1.amazonaws.com/";
const GET: &str = "GET https://thumbnails.s3.eu-central-1.amazonaws.com/";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_send_the_same_with_either_configuration() {
    let pod = LocalPod::start().await.unwrap();

    let sent = compare(&pod, &[]).await;
    assert_eq!(of(&sent, PUT).len(), 3);
    assert!(of(&sent, PUT)[0].contains("x-amz-checksum-crc32:"), "{sent:#?}");
    assert!(of(&sent, GET)[0].contains("x-amz-checksum-mode: ENABLED"), "{sent:#?}");
    of(&sent, "POST https://111122223333.ddb.eu-central-1.amazonaws.com/");
    assert!(sent.iter().any(|line| line.contains("/?session")), "an S3 Express bucket: {sent:#?}");

    let sent = compare(&pod, &[("AWS_MAX_ATTEMPTS", "5")]).await;
    assert_eq!(of(&sent, PUT).len(), 5);

    let sent = compare(&pod, &[("AWS_SDK_UA_APP_ID", "my-app")]).await;
    assert!(of(&sent, PUT)[0].contains("app/my-app"), "{sent:#?}");

    let sent = compare(&pod, &[("AWS_REQUEST_CHECKSUM_CALCULATION", "WHEN_REQUIRED")]).await;
    assert!(!of(&sent, PUT)[0].contains("x-amz-checksum"), "{sent:#?}");

    let sent = compare(&pod, &[("AWS_RESPONSE_CHECKSUM_VALIDATION", "WHEN_REQUIRED")]).await;
    assert!(!of(&sent, GET)[0].contains("x-amz-checksum-mode"), "{sent:#?}");

    let sent = compare(&pod, &[("AWS_ACCOUNT_ID_ENDPOINT_MODE", "disabled")]).await;
    of(&sent, "POST https://dynamodb.eu-central-1.amazonaws.com/");

    let sent = compare(&pod, &[("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "true")]).await;
    assert!(!sent.iter().any(|line| line.contains("/?session")), "{sent:#?}");

    let all = ("AWS_ENDPOINT_URL", "http://all.example:4566");
    let s3 = ("AWS_ENDPOINT_URL_S3", "http://s3.example:9000");
    let sent = compare(&pod, &[all, s3]).await;
    of(&sent, "PUT http://thumbnails.s3.example:9000/");
    of(&sent, "POST http://all.example:4566/");

    // AWS has no such region. IRSA works nevertheless, because its endpoint is configured.
    let sent = compare(&pod, &[("AWS_REGION", "garage"), ("AWS_DEFAULT_REGION", "garage"), s3]).await;
    assert!(of(&sent, "PUT http://thumbnails.s3.example:9000/")[0].contains("signed for: garage"), "{sent:#?}");
}

/// The other variables have no effect on these operations, with either configuration.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_send_the_same_with_every_other_variable() {
    let pod = LocalPod::start().await.unwrap();
    for (variable, value) in [
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ("AWS_RETRY_MODE", "adaptive"),
        ("AWS_NEW_RETRIES_2026", "true"),
        ("AWS_DISABLE_REQUEST_COMPRESSION", "true"),
        ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "1"),
        ("AWS_DISABLE_CLOCK_SKEW_CORRECTION", "true"),
        ("AWS_AUTH_SCHEME_PREFERENCE", "sigv4a,sigv4"),
        ("AWS_SIGV4A_SIGNING_REGION_SET", "*"),
        // Invalid or blank values count as unset with both configurations.
        ("AWS_USE_FIPS_ENDPOINT", "yes"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", ""),
        ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "off"),
    ] {
        compare(&pod, &[(variable, value)]).await;
    }
    let ignored = [("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"), ("AWS_ENDPOINT_URL_S3", "http://s3.example:9000")];
    let lines = compare(&pod, &ignored).await;
    of(&lines, PUT);
}
