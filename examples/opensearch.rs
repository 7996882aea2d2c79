//! Sends signed requests to a service that has no client in the AWS SDK: an OpenSearch domain (service name `es`).
//!
//! It gets the credentials from `provider.credentials()` before each request. The provider returns its current credentials
//! without a request to STS or to the agent, and replaces them before they expire. The program needs no cache of its own: a
//! cache could only return credentials that the provider has already replaced.
//!
//! With `--endpoint` it calls this domain, in the region of `AWS_REGION`. Otherwise it starts a local pod and a server on
//! loopback that verifies the signatures.
#![allow(clippy::print_stdout, reason = "the output is for people")]

#[cfg(feature = "testing")]
#[path = "local/opensearch.rs"]
mod local;
#[cfg(not(feature = "testing"))]
#[path = "local/none.rs"]
mod local;
#[path = "support/program.rs"]
mod program;

use std::error::Error;
use std::process::ExitCode;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_async::time::{SystemTimeSource, TimeSource as _};
use eks_credentials::EksCredentialsProvider;

const USAGE: &str = "\
usage: opensearch [--endpoint URL]

Sends signed requests to an OpenSearch domain with the credentials of this pod.

  --endpoint URL  the domain, such as https://search-logs-abc.eu-central-1.es.amazonaws.com. Without it, a local pod and a server
                  on loopback are used. Refused in a cluster

Exit code: 0 if the requests succeeded; 1 if one failed or there are no credentials; 64 if the arguments are wrong; 130 or 143
if SIGINT or SIGTERM ended the program early.";

/// The name of OpenSearch domains in signatures. OpenSearch Serverless has the name `aoss`.
const SERVICE: &str = "es";

fn main() -> ExitCode {
    program::run(USAGE, endpoint, |endpoint, mut signals| async move {
        match signals.interrupt(run(endpoint)).await {
            Ok(Ok(())) => ExitCode::SUCCESS,
            Ok(Err(error)) => program::failed(&*error),
            Err(signal) => signal.exit_code(),
        }
    })
}

fn endpoint(args: &mut program::Arguments) -> Result<Option<String>, String> {
    match args.next().as_deref() {
        Some("--endpoint") => args.next().map(Some).ok_or_else(|| "--endpoint needs a URL".to_owned()),
        Some(other) => Err(program::unknown(other)),
        None => program::stand_ins().map(|()| None).map_err(|why| format!("--endpoint is missing: {why}")),
    }
}

async fn run(endpoint: Option<String>) -> Result<(), Box<dyn Error>> {
    let Some(endpoint) = endpoint else { return local::run(()).await };
    let region = std::env::var_os("AWS_REGION").and_then(|region| region.into_string().ok());
    let region = region.ok_or("AWS_REGION is not set")?;
    search(&EksCredentialsProvider::from_env()?, &endpoint, &region).await
}

/// Sends three requests.
async fn search(provider: &EksCredentialsProvider, endpoint: &str, region: &str) -> Result<(), Box<dyn Error>> {
    let client = reqwest::Client::builder().build()?;
    for query in ["pods", "nodes", "namespaces"] {
        // Only the first call sends a request to the source of the credentials.
        let credentials = provider.credentials().await?;
        let body = format!(r#"{{"query":{{"match":{{"message":"{query}"}}}}}}"#);
        let url = format!("{}/logs/_search", endpoint.trim_end_matches('/'));
        let request = client.post(url).header("content-type", "application/json").body(body).build()?;
        let response = client.execute(signed(request, credentials, region)?).await?;
        println!("searched for {query}: {}", response.status());
        response.error_for_status()?;
    }
    Ok(())
}

/// Adds the signature (Signature Version 4) to the headers of a request.
fn signed(
    mut request: reqwest::Request,
    credentials: Credentials,
    region: &str,
) -> Result<reqwest::Request, Box<dyn Error>> {
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(SystemTimeSource::new().now())
        .settings(SigningSettings::default())
        .build()?;
    let body = SignableBody::Bytes(request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default());
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable = SignableRequest::new(request.method().as_str(), request.url().as_str(), headers, body)?;
    let (signature, _) = sign(signable, &params.into())?.into_parts();
    for (name, value) in signature.headers() {
        let mut value = http::HeaderValue::from_str(value)?;
        // Debug and logs do not show it. One of the headers contains the session token.
        value.set_sensitive(true);
        request.headers_mut().insert(http::HeaderName::try_from(name)?, value);
    }
    Ok(request)
}
