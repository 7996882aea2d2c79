//! EKS Pod Identity and other container credentials: a `GET` request with the pod's token in the header `Authorization`.

mod answer;
mod config;
pub(crate) mod endpoint;

use std::time::Duration;

use aws_credential_types::Credentials;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use self::answer::{Answer, Field};
pub(crate) use self::config::{PodIdentityConfig, from_env};
use crate::error::Error;
use crate::error::problem::Problem;
use crate::error::problem::agent::{AgentRefusal, Said, Sent};
use crate::error::problem::peer::{Peer, Server};
use crate::error::problem::setting::Setting;
use crate::fetched::Fetched;
use crate::source::keys::Keys;
use crate::source::token_retry::with_token;
use crate::source_kind::SourceKind;
use crate::token_file::Token;
use crate::transport::{self, Client, Reply, Timeouts};

/// One request to the agent can take 9–11 s. If the client disconnects earlier, the agent cancels its request to EKS Auth and
/// caches nothing, so the next request starts from the beginning. See "1.4 Agent: latency" in `docs::protocols`.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(12);

/// The Pod Identity source.
#[derive(Debug)]
pub(crate) struct PodIdentity {
    config: PodIdentityConfig,
    peer: Peer,
    attempt_timeout: Duration,
    client: OnceCell<Client>,
}

impl PodIdentity {
    pub(crate) fn new(mut config: PodIdentityConfig, timeouts: Timeouts) -> Self {
        config.https.connect = timeouts.connect(ATTEMPT_TIMEOUT);
        Self {
            peer: config.endpoint.peer(&config.https),
            attempt_timeout: timeouts.attempt(ATTEMPT_TIMEOUT),
            client: OnceCell::new(),
            config,
        }
    }

    pub(crate) fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) async fn fetch(&self) -> Result<Fetched, Error> {
        match &self.config.token {
            Some(tokens) => with_token(tokens, |token| self.exchange(Some(token))).await,
            None => self.exchange(None).await,
        }
    }

    async fn exchange(&self, token: Option<Token>) -> Result<Fetched, Error> {
        let reply = self.send(token.as_ref()).await?;
        self.read(&reply, token.as_ref())
    }

    async fn build_client(&self) -> Result<Client, Error> {
        let url = self.config.endpoint.url();
        match url.is_https() {
            true => self.config.https.client(self.peer.server, url).await,
            false => Ok(transport::plain(endpoint::check_address, self.config.https.connect)),
        }
    }

    /// Sends one request with this token and returns the response, whatever its status.
    pub(crate) async fn send(&self, token: Option<&Token>) -> Result<Reply, Error> {
        let client = self.client.get_or_try_init(|| self.build_client()).await?;
        let mut request = transport::request(http::Method::GET, self.config.endpoint.url())
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            // Without the prefix "Bearer ", which the agent refuses.
            request = request.header(AUTHORIZATION, token.header()?);
        }
        client.send(transport::finish(request, Zeroizing::default())?, &self.peer).await
    }

    /// Parses a complete response.
    pub(crate) fn read(&self, reply: &Reply, token: Option<&Token>) -> Result<Fetched, Error> {
        let json: Option<Answer> = serde_json::from_slice(&reply.body).ok();
        if let Some(said) = json.as_ref().and_then(Answer::refusal) {
            return Err(self.refused(reply.status, &said, token));
        }
        if reply.status == 200 {
            let credentials = self.read_success(reply, json)?;
            let is_statically_stable = self.config.endpoint.is_eks_agent();
            return Ok(Fetched { is_statically_stable, ..Fetched::new(credentials, SourceKind::PodIdentity) });
        }
        let text = reply.text();
        match Said::text(reply.status, &text) {
            Some(said) => Err(self.refused(reply.status, &said, token)),
            None if self.is_wrong_path(reply.status, &text) => Err(self.wrong_path()),
            None => Err(reply.foreign(&self.peer)),
        }
    }

    fn refused(&self, status: u16, said: &Said<'_>, token: Option<&Token>) -> Error {
        let secret = token.map(Token::expose).unwrap_or_default();
        let sent = token.map_or(Sent::None, |token| token.claims().map_or(Sent::NotAJwt, Sent::Jwt));
        let refusal = AgentRefusal::new(status, said, sent, |text| transport::quote(text, secret));
        Problem::Agent { peer: self.peer.clone(), refusal: Box::new(refusal) }.into()
    }

    /// Whether the configured path is wrong. The agent is written in Go, and for an unknown path it sends the default response
    /// of Go's HTTP server.
    fn is_wrong_path(&self, status: u16, text: &str) -> bool {
        let is_other_path = self.config.endpoint.url().path() != AGENT_PATH;
        status == 404 && text.trim() == "404 page not found" && is_other_path && self.peer.server == Server::EksAgent
    }

    fn wrong_path(&self) -> Error {
        let endpoint = &self.config.endpoint;
        Setting::ContainerPath { setting: endpoint.setting(), url: endpoint.url().to_string() }.into()
    }

    fn read_success(&self, reply: &Reply, answer: Option<Answer>) -> Result<Credentials, Error> {
        let wrong = |what: &str| reply.invalid(&self.peer, what);
        let answer = answer.ok_or_else(|| wrong("a body that is not the expected JSON"))?;
        let field = |name: &str, value: &Field| match value {
            Field::Text(text) => Ok(text.clone()),
            Field::Absent => Err(wrong(&format!("JSON without {name}"))),
            Field::Other => Err(wrong(&format!("JSON in which {name} is not a string"))),
        };
        let expiration = match &answer.expiration {
            // The EKS agent's credentials always expire. Those of other servers may have no expiry.
            Field::Absent if !self.config.endpoint.is_eks_agent() => None,
            given => Some(field("Expiration", given)?),
        };
        Keys {
            access_key_id: &field("AccessKeyId", &answer.access_key_id)?,
            secret_access_key: &field("SecretAccessKey", &answer.secret_access_key)?,
            session_token: &field("Token", &answer.token)?,
            expiration: expiration.as_deref().map(String::as_str),
            account_id: answer.account_id.text(),
        }
        .into_credentials(SourceKind::PodIdentity.provider_name(), wrong)
    }
}

/// The path of the credentials at the EKS agent.
const AGENT_PATH: &str = "/v1/credentials";

#[cfg(test)]
#[cfg(feature = "irsa")]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;

    use super::endpoint::ContainerEndpoint;
    use super::*;
    use crate::error::ErrorKind;
    use crate::transport::HttpsSettings;

    async fn answered(endpoint: ContainerEndpoint, status: u16, body: &'static str) -> Error {
        read(endpoint, status, body).await.unwrap_err()
    }

    async fn read(endpoint: ContainerEndpoint, status: u16, body: &'static str) -> Result<Fetched, Error> {
        let source = PodIdentity::new(
            PodIdentityConfig { endpoint, token: None, https: HttpsSettings::default() },
            Timeouts::default(),
        );
        let answer = http::Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap();
        let reply = transport::read(answer, source.peer()).await.unwrap_or_else(|error| panic!("{error}"));
        source.read(&reply, None)
    }

    /// AWS may accept credentials of the agent after their expiry. This is not the case for other servers.
    #[tokio::test]
    async fn pod_identity_credentials_of_the_agent_are_statically_stable() {
        let body = r#"{"AccessKeyId":"A","SecretAccessKey":"s","Token":"t","Expiration":"2026-01-01T00:00:00Z"}"#;
        for (url, is_stable) in [("http://169.254.170.23/v1/credentials", true), ("http://127.0.0.1:9/", false)] {
            let fetched = read(ContainerEndpoint::full(url).unwrap(), 200, body).await.unwrap();
            assert_eq!(fetched.is_statically_stable, is_stable, "{url}");
        }
    }

    /// The agent's credentials always expire. A response without an expiry is not from the agent.
    #[tokio::test]
    async fn pod_identity_requires_an_expiry_from_the_agent() {
        let endpoint = ContainerEndpoint::full("http://169.254.170.23/v1/credentials").unwrap();
        let error = answered(endpoint, 200, r#"{"AccessKeyId":"A","SecretAccessKey":"s","Token":"t"}"#).await;
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.to_string().contains("JSON without Expiration"), "{error}");
    }

    #[tokio::test]
    async fn pod_identity_error_has_code_and_verdict_of_the_refusal() {
        let endpoint = || ContainerEndpoint::full("http://169.254.170.23/v1/credentials").unwrap();
        let said = "[00000000-0000-0000-0000-000000000000]: (ResourceNotFoundException): no, fault: client\n";
        let denied = answered(endpoint(), 404, said).await;
        assert_eq!((denied.kind(), denied.code()), (ErrorKind::Denied, Some("ResourceNotFoundException")));
        assert_eq!(denied.verdict(), crate::error::verdict::Verdict::NOT_VISIBLE_YET);
        // This response is plain text without a code.
        let busy = answered(endpoint(), 429, "Too many requests\n").await;
        assert_eq!(busy.code(), None, "{busy}");
    }

    /// A 404 is reported as a wrong path only if the agent sent it and the configured path is not the agent's.
    #[tokio::test]
    async fn pod_identity_404_is_a_wrong_path_only_from_the_agent() {
        let full = |url: &str| ContainerEndpoint::full(url).unwrap();
        const GO: &str = "404 page not found\n";
        for (endpoint, body, kind, path) in [
            (full("http://169.254.170.23/v1/credentials/"), GO, ErrorKind::InvalidConfiguration, true),
            (full("http://[fd00:ec2::23]/"), GO, ErrorKind::InvalidConfiguration, true),
            (full("http://169.254.170.23/v1/credentials/"), "", ErrorKind::InvalidResponse, false),
            (full("http://169.254.170.23/v1/credentials"), GO, ErrorKind::InvalidResponse, false),
            (full("http://127.0.0.1:9/v1/credentials/"), GO, ErrorKind::InvalidResponse, false),
            (ContainerEndpoint::relative("/v2/x").unwrap(), GO, ErrorKind::InvalidResponse, false),
        ] {
            let error = answered(endpoint, 404, body).await;
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.to_string().contains("the agent's path is /v1/credentials"), path, "{error}");
            assert!(error.is_transient(), "{error}");
        }
    }

    #[tokio::test]
    async fn pod_identity_error_names_the_variable_and_the_server() {
        let error = answered(ContainerEndpoint::relative("/v2/x").unwrap(), 404, "").await.to_string();
        assert!(error.contains("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), "{error}");
        assert!(error.contains("http://169.254.170.2 ") && !error.contains("169.254.170.23"), "{error}");
    }
}
