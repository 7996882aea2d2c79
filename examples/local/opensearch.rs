//! The local pod of the example `opensearch`, and a server on loopback that accepts only requests signed with its credentials.
#![allow(clippy::print_stdout, reason = "the output is for people")]

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use eks_credentials::EksCredentialsProvider;
use eks_credentials::testing::{Issued, Ledger, LocalPod};
use tokio::net::TcpListener;

use crate::{SERVICE, search};

const REGION: &str = "eu-central-1";

pub(crate) async fn run((): ()) -> Result<(), Box<dyn Error>> {
    println!("No --endpoint. Starting a local pod and a server on loopback that verifies signatures.");
    let pod = LocalPod::builder().region(REGION).start().await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let server = Router::new().fallback(answer).with_state(pod.ledger().clone());
    let server = tokio::spawn(async move { axum::serve(listener, server).await });

    let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
    search(&provider, &endpoint, REGION).await?;
    println!("requests to STS: {}", pod.sts().requests());

    println!("with the credentials of another pod, which the server does not know:");
    let another = LocalPod::builder().region(REGION).start().await?;
    let stranger = EksCredentialsProvider::builder().env(another.irsa_env()).build()?;
    if search(&stranger, &endpoint, REGION).await.is_ok() {
        return Err("the server accepts credentials of another pod".into());
    }
    server.abort();
    Ok(())
}

async fn answer(State(ledger): State<Ledger>, request: Request) -> Result<&'static str, (StatusCode, &'static str)> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.map_err(|_| (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"))?;
    match verify(&head, &body, &ledger) {
        Some(()) => Ok(r#"{"hits":{"hits":[]}}"#),
        None => Err((StatusCode::FORBIDDEN, "the signature is not valid")),
    }
}

/// Signs the request again with the secret key that belongs to its access key, and compares the signatures.
fn verify(head: &http::request::Parts, body: &Bytes, ledger: &Ledger) -> Option<()> {
    let header = |name: &str| head.headers.get(name)?.to_str().ok();
    let authorization = header("authorization")?;
    let access_key_id = authorization.split_once("Credential=")?.1.split_once('/')?.0;
    let names: Vec<_> = authorization.split_once("SignedHeaders=")?.1.split_once(',')?.0.split(';').collect();
    let Issued { secret_access_key, session_token, expiry, .. } = ledger.get(access_key_id)?;
    let at =
        SystemTime::try_from(DateTime::from_str(&iso_8601(header("x-amz-date")?)?, Format::DateTime).ok()?).ok()?;

    let identity = Credentials::new(access_key_id, secret_access_key, Some(session_token), None, "ledger").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name(SERVICE)
        .time(at)
        .settings(SigningSettings::default())
        .build()
        .ok()?;
    // These headers are added by the signature itself.
    let added = |name: &&&str| !["x-amz-date", "x-amz-security-token"].contains(name);
    let headers = names.iter().filter(added).map(|name| Some((*name, header(name)?)));
    let headers = headers.collect::<Option<Vec<_>>>()?;
    let url = format!("http://{}{}", header("host")?, head.uri);
    let signable =
        SignableRequest::new(head.method.as_str(), url, headers.into_iter(), SignableBody::Bytes(body)).ok()?;
    let (again, _) = sign(signable, &params.into()).ok()?.into_parts();
    let same = again.headers().all(|(name, value)| header(name) == Some(value));
    (same && at < expiry).then_some(())
}

/// `20261127T093000Z` with the separators of RFC 3339.
fn iso_8601(basic: &str) -> Option<String> {
    let part = |from, to| basic.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(9, 11)?, part(11, 13)?, part(13, 15)?);
    Some(format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}
