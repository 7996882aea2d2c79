//! Any response of a credential source leads to complete credentials, or to an error that explains it and shows no secret.

use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::Full;
use zeroize::Zeroizing;

use super::{SMALL, assert_explains, fill};
use crate::clock;
use crate::error::problem::peer::Peer;
use crate::error::{Error, ErrorKind};
use crate::source::pod_identity::endpoint::ContainerEndpoint;
use crate::source::pod_identity::{PodIdentity, PodIdentityConfig};
use crate::source::web_identity::sts_endpoint::{Origin, StsEndpoint};
use crate::source::web_identity::{Parameters, RoleArn, SessionName, WebIdentity, WebIdentityConfig};
use crate::token_file::Token;
use crate::transport::{self, HttpUrl, HttpsSettings, Reply};

/// Placeholders for secrets in a response. No message of this crate contains anything similar.
const SECRET: &str = "fake-secret-1";
const SESSION: &str = "fake-session-1";
const SIGNATURE: &str = "fake-signature-of-nobody";

/// A request's token and its response. The input is three lines (status, content type, token) and then the body.
struct Exchange {
    status: u16,
    content_type: Vec<u8>,
    /// `None` if the line is empty or not a token: a container credentials server other than the EKS agent may need none.
    token: Option<Token>,
    body: Vec<u8>,
}

impl Exchange {
    fn of(input: &[u8]) -> Self {
        let jwt = jwt();
        let values = [("{token}", jwt), ("{secret}", SECRET), ("{session}", SESSION), ("{signature}", SIGNATURE)];
        let mut lines = input.splitn(4, |&b| b == b'\n');
        let mut line = || lines.next().unwrap_or_default();
        let status = std::str::from_utf8(line()).ok().and_then(|text| text.parse().ok());
        let content_type = fill(line(), &[("{token}", jwt), ("{signature}", SIGNATURE)]);
        let token = match fill(line(), &values) {
            empty if empty.is_empty() => None,
            text => Token::parse(Zeroizing::new(text), "the input").ok(),
        };
        let body = fill(line(), &values);
        Self { status: status.filter(|s| (100..=999).contains(s)).unwrap_or(200), content_type, token, body }
    }

    /// The response as it is read from a connection.
    fn reply(&self, peer: &Peer) -> Result<Reply, Error> {
        let mut answer = http::Response::builder().status(self.status);
        if let Ok(value) = http::HeaderValue::from_bytes(&self.content_type) {
            answer = answer.header(http::header::CONTENT_TYPE, value);
        }
        let answer = answer.body(Full::new(self.body.as_slice())).unwrap();
        match pin!(transport::read(answer, peer)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(reply) => reply,
            Poll::Pending => panic!("the whole body is available, and reading it did not finish"),
        }
    }
}

fn jwt() -> &'static str {
    static JWT: OnceLock<String> = OnceLock::new();
    JWT.get_or_init(|| {
        let payload = concat!(
            r#"{"iss":"https://oidc.example/id/1","sub":"system:serviceaccount:default:app","#,
            r#""aud":["sts.amazonaws.com"],"exp":1795496376}"#
        );
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        format!("{}.{}.{SIGNATURE}", part(r#"{"alg":"RS256"}"#), part(payload))
    })
}

/// A source with a configured session name, or without one.
pub(super) fn web_identity(session_name: Option<SessionName>) -> WebIdentity {
    let config = WebIdentityConfig {
        role_arn: RoleArn::of_aws("arn:aws:iam::111122223333:role/app").unwrap(),
        token_file: "/token".into(),
        endpoint: StsEndpoint {
            url: HttpUrl::parse("https://sts.eu-central-1.amazonaws.com/").unwrap(),
            origin: Origin::Setting("a test"),
        },
        session_name,
        host_name: None,
        parameters: Parameters::default(),
        https: HttpsSettings::default(),
    };
    WebIdentity::new(config, None, transport::Timeouts::default())
}

/// The XML of STS, and whatever else a server at its address may send.
pub fn sts(input: &[u8]) {
    static STS: OnceLock<WebIdentity> = OnceLock::new();
    let sts = STS.get_or_init(|| web_identity(None));
    let mut exchange = Exchange::of(input);
    let token =
        exchange.token.get_or_insert_with(|| Token::parse(jwt().as_bytes().to_vec().into(), "").unwrap()).clone();
    let read = |exchange: &Exchange| {
        let fetched = exchange.reply(sts.peer()).and_then(|reply| sts.read(&reply, &token));
        fetched.map(|fetched| fetched.credentials)
    };
    let outcome = read(&exchange);
    assert_outcome(&exchange, &outcome);
    match outcome {
        Ok(credentials) => {
            let body = String::from_utf8_lossy(&exchange.body);
            for name in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
                assert!(body.contains(name), "credentials without {name}");
            }
            assert!(credentials.expiry().is_some(), "STS's credentials always expire");
            let body = xml_of(&credentials).into_bytes();
            // A character reference is longer than its character, so the body may exceed the limit.
            if body.len() <= transport::MAX_BODY {
                assert_same(&credentials, &read(&Exchange { status: 200, body, ..exchange }));
            }
        }
        // A server that fails or throttles has not denied anything, whatever its body says.
        Err(error) if exchange.status == 429 || exchange.status >= 500 => {
            assert!(error.is_transient(), "{:?}: {error}", error.kind());
        }
        Err(_) => {}
    }
}

/// JSON and plain text of the EKS agent, and of any other container credentials server.
pub fn agent(input: &[u8]) {
    static AGENT: OnceLock<PodIdentity> = OnceLock::new();
    let agent = AGENT.get_or_init(|| {
        let endpoint = ContainerEndpoint::full("http://169.254.170.23/v1/credentials").unwrap();
        PodIdentity::new(
            PodIdentityConfig { endpoint, token: None, https: HttpsSettings::default() },
            transport::Timeouts::default(),
        )
    });
    let exchange = Exchange::of(input);
    let token = exchange.token.clone();
    let read = |exchange: &Exchange| {
        let fetched = exchange.reply(agent.peer()).and_then(|reply| agent.read(&reply, token.as_ref()));
        fetched.map(|fetched| fetched.credentials)
    };
    let outcome = read(&exchange);
    assert_outcome(&exchange, &outcome);
    let Ok(credentials) = outcome else { return };
    assert_contains(&exchange.body, &credentials);
    let again = read(&Exchange { status: 200, body: json_of(&credentials).into_bytes(), ..exchange });
    assert_same(&credentials, &again);
}

/// The rules for the responses of both sources.
fn assert_outcome(exchange: &Exchange, outcome: &Result<Credentials, Error>) {
    let token = exchange.token.as_ref().map(Token::expose).unwrap_or_default();
    let body = String::from_utf8_lossy(&exchange.body);
    assert_redacts(&body, token);
    let error = match outcome {
        Err(error) => error,
        Ok(credentials) => {
            assert_eq!(exchange.status, 200, "nothing but 200 carries credentials");
            assert!(exchange.body.len() <= transport::MAX_BODY);
            let keys = [credentials.access_key_id(), credentials.secret_access_key()];
            let keys = keys.into_iter().chain(credentials.session_token());
            assert_eq!(keys.filter(|key| !key.trim().is_empty()).count(), 3, "a key is missing");
            return;
        }
    };
    // It may quote a content type, a code, a message and three claims, of at most 300 characters each.
    assert_explains(error, 2100);
    assert_ne!(error.kind(), ErrorKind::NotConfigured);
    let text = format!("{error:?}");
    for part in token.split('.').filter(|part| part.len() >= 8 && part.contains("fake-")) {
        assert!(!text.contains(part), "a part of the token is shown: {text}");
    }
    let elsewhere = |key: &str| String::from_utf8_lossy(&exchange.content_type).contains(key) || token.contains(key);
    for key in [SECRET, SESSION].into_iter().filter(|key| is_key_of(&body, key) && !elsewhere(key)) {
        assert!(!text.contains(key), "a key of the body is shown: {text}");
    }
}

/// Whether `value` is the value of a secret key in `body`, in XML or JSON, complete or cut off. It may be the value of a date
/// too, but of nothing else: there, the code under test could not recognise it as a secret.
fn is_key_of(body: &str, value: &str) -> bool {
    let name_of = |at: usize| {
        let before = body[..at].trim_end();
        let json = || before.strip_suffix('"')?.trim_end().strip_suffix(':')?.trim_end().strip_suffix('"');
        let name = before.strip_suffix('>').or_else(json).unwrap_or_default();
        name.rsplit(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_lowercase()
    };
    let names: Vec<_> = body.match_indices(value).map(|(at, _)| name_of(at)).collect();
    let is_key = |name: &String| ["secretaccesskey", "sessiontoken"].contains(&name.as_str());
    let is_date = |name: &String| ["expiration", "expiresat"].contains(&name.as_str());
    names.iter().any(is_key) && names.iter().all(|name| is_key(name) || is_date(name))
}

/// A quotation has at most 300 characters, and contains no part of a token with 8 characters or more.
fn assert_redacts(said: &str, token: &str) {
    let shown = transport::quote(said, token);
    assert!(shown.chars().count() <= 301 && !shown.is_empty(), "{shown}");
    // A part that also occurs in the crate's own words reveals nothing.
    let ours = ["[redacted]", "[a body with credentials]", "an empty body", "…"];
    let is_ours = |part: &str| part.contains(['[', ']']) || ours.iter().any(|words| words.contains(part));
    for part in token.split('.').filter(|part| part.len() >= 8 && !is_ours(part)) {
        assert!(!shown.contains(part), "{part} of the token is shown: {shown}");
    }
}

/// A generic parser finds the same values in the document.
fn assert_contains(body: &[u8], credentials: &Credentials) {
    if body.len() > SMALL {
        return;
    }
    // A generic parser is stricter: it also decodes fields that the crate skips.
    let Ok(document) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body) else { return };
    let says = |names: &[&str], value: &str| {
        let mut fields = document.iter().filter(|(name, _)| names.iter().any(|n| n.eq_ignore_ascii_case(name)));
        fields.any(|(_, said)| said.as_str() == Some(value))
    };
    assert!(says(&["AccessKeyId"], credentials.access_key_id()));
    assert!(says(&["SecretAccessKey"], credentials.secret_access_key()));
    assert!(says(&["Token", "SessionToken"], credentials.session_token().unwrap()));
}

fn assert_same(credentials: &Credentials, again: &Result<Credentials, Error>) {
    let parts = |c: &Credentials| {
        let keys = [c.access_key_id(), c.secret_access_key(), c.session_token().unwrap_or_default()];
        (keys.map(str::to_owned), c.account_id().map(|id| id.as_str().to_owned()), c.expiry().map(whole_seconds))
    };
    let again =
        again.as_ref().unwrap_or_else(|error| panic!("the credentials were read, but not when written again: {error}"));
    assert!(parts(credentials) == parts(again), "{:?} is read again as {:?}", parts(credentials), parts(again));
}

fn whole_seconds(time: SystemTime) -> String {
    clock::rfc3339(time)
}

fn json_of(credentials: &Credentials) -> String {
    let mut document = serde_json::json!({
        "AccessKeyId": credentials.access_key_id(),
        "SecretAccessKey": credentials.secret_access_key(),
        "Token": credentials.session_token(),
        "AccountId": credentials.account_id().map(|id| id.as_str()),
    });
    if let Some(expiry) = credentials.expiry() {
        document["Expiration"] = whole_seconds(expiry).into();
    }
    document.to_string()
}

fn xml_of(credentials: &Credentials) -> String {
    let text = |value: &str| {
        // XML has no character references for other control characters. The reader accepts them unescaped.
        let special = |c: char| c.is_ascii_punctuation() || c.is_ascii_whitespace();
        value
            .chars()
            .map(|c| if special(c) { format!("&#{};", u32::from(c)) } else { c.to_string() })
            .collect::<String>()
    };
    format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><AssumedRoleUser><Arn>arn:aws:sts::{}:x\
         </Arn></AssumedRoleUser><Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>",
        text(credentials.account_id().map(|id| id.as_str()).unwrap_or_default()),
        text(credentials.access_key_id()),
        text(credentials.secret_access_key()),
        text(credentials.session_token().unwrap_or_default()),
        whole_seconds(credentials.expiry().unwrap()),
    )
}
