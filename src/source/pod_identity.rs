//! EKS Pod Identity and generic container credentials: one `GET` with the pod's raw token as `Authorization`.

use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::source::container_endpoint::{self, ContainerEndpoint};
use crate::source::{Keys, SourceKind, kind_of_status, with_token};
use crate::token_file::{self, Token, TokenSource};
use crate::transport::{self, Client, HttpsSettings, Peer, Reply};

/// The agent's own budget for EKS Auth is 9–11 s (measured), and a client that gives up sooner cancels the upstream
/// call for everybody: so a little more than that.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(12);

const IF_EKS_AGENT_UNREACHABLE: &str = "check that the eks-pod-identity-agent add-on runs on this node (on a new node it may not have started yet) and \
     that no NetworkPolicy blocks it: kubectl -n kube-system get pods -l app.kubernetes.io/name=eks-pod-identity-agent -o wide";
const IF_EKS_AGENT_FAILING: &str = "see its log (kubectl -n kube-system logs -l app.kubernetes.io/name=eks-pod-identity-agent) and the node's way to EKS \
     Auth (NAT or a VPC endpoint)";
const IF_OTHER_UNREACHABLE: &str = "check that the server behind AWS_CONTAINER_CREDENTIALS_FULL_URI runs";
const IF_OTHER_FAILING: &str = "see its log";

/// Where to ask and what to show, checked.
#[derive(Clone, Debug)]
pub(crate) struct PodIdentityConfig {
    pub(crate) endpoint: ContainerEndpoint,
    /// Only servers other than the EKS agent may go without.
    pub(crate) token: Option<TokenSource>,
    pub(crate) https: HttpsSettings,
}

/// The Pod Identity source.
#[derive(Debug)]
pub(crate) struct PodIdentity {
    config: PodIdentityConfig,
    peer: Peer,
    attempt_timeout: Duration,
    client: OnceCell<Client>,
}

impl PodIdentity {
    pub(crate) fn new(config: PodIdentityConfig, attempt_timeout: Option<Duration>) -> Self {
        let origin = config.endpoint.url().origin();
        let (server, if_unreachable, if_failing) = match config.endpoint.is_eks_agent() {
            true => ("EKS Pod Identity agent", IF_EKS_AGENT_UNREACHABLE, IF_EKS_AGENT_FAILING),
            false => ("container credentials server", IF_OTHER_UNREACHABLE, IF_OTHER_FAILING),
        };
        Self {
            peer: Peer { name: format!("the {server} at {origin}"), if_unreachable, if_failing },
            attempt_timeout: attempt_timeout.unwrap_or(ATTEMPT_TIMEOUT),
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

    pub(crate) async fn fetch(&self) -> Result<Credentials, Error> {
        match &self.config.token {
            Some(tokens) => with_token(tokens, |token| self.exchange(Some(token))).await,
            None => self.exchange(None).await,
        }
    }

    async fn exchange(&self, token: Option<Token>) -> Result<Credentials, Error> {
        let reply = self.ask(token.as_ref()).await?;
        self.read(&reply, token.as_ref())
    }

    async fn build_client(&self) -> Result<Client, Error> {
        match self.config.endpoint.url().is_https() {
            true => self.config.https.client().await,
            false => Ok(transport::plain(container_endpoint::vet)),
        }
    }

    /// One request with this token, whatever the answer.
    pub(crate) async fn ask(&self, token: Option<&Token>) -> Result<Reply, Error> {
        let client = self.client.get_or_try_init(|| self.build_client()).await?;
        let mut request = transport::request(http::Method::GET, self.config.endpoint.url())
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            // The raw token: the agent refuses a "Bearer " prefix.
            request = request.header(AUTHORIZATION, token.header()?);
        }
        client.send(transport::finish(request, Zeroizing::default())?, &self.peer).await
    }

    /// What a complete answer means.
    pub(crate) fn read(&self, reply: &Reply, token: Option<&Token>) -> Result<Credentials, Error> {
        match reply.status {
            200 => self.read_success(reply, token),
            _ => Err(self.read_error(reply, token)),
        }
    }

    fn read_success(&self, reply: &Reply, token: Option<&Token>) -> Result<Credentials, Error> {
        let wrong = |what: &str| reply.invalid(&self.peer, what, token.map(Token::expose).unwrap_or_default());
        let answer: Answer =
            serde_json::from_slice(&reply.body).map_err(|_| wrong("something that is not its JSON"))?;
        let field = |name: &str, value: &Option<Zeroizing<String>>| {
            value.clone().ok_or_else(|| wrong(&format!("JSON without {name}")))
        };
        Keys {
            access_key_id: &field("AccessKeyId", &answer.access_key_id)?,
            secret_access_key: &field("SecretAccessKey", &answer.secret_access_key)?,
            session_token: &field("Token", &answer.token)?,
            expiration: answer.expiration.as_deref().map(String::as_str),
            account_id: answer.account_id.as_deref().map(String::as_str),
        }
        .into_credentials(SourceKind::PodIdentity, wrong)
    }

    fn read_error(&self, reply: &Reply, token: Option<&Token>) -> Error {
        let json: Option<Answer> = serde_json::from_slice(&reply.body).ok();
        let text = reply.text();
        let code = json.as_ref().and_then(|answer| answer.code.as_deref()).map(String::as_str);
        let code = code.or_else(|| exception_in(&text)).unwrap_or_default();
        let (kind, remedy) = explain(reply.status, code, &text);
        let secret = token.map(Token::expose).unwrap_or_default();
        let said = reply.quote(secret);
        let claims = match token {
            Some(token) if matches!(kind, ErrorKind::Denied | ErrorKind::TokenRejected) => {
                format!("; {}", token_file::describe(token))
            }
            _ => String::new(),
        };
        let remedy = remedy.map_or_else(|| self.peer.remedy(kind), str::to_owned);
        let message = format!("{} answered {}: {said}{claims}; {remedy}", self.peer.name, reply.status);
        let code = if code.is_empty() { String::new() } else { transport::quote(code, secret) };
        Error::with_code(kind, &code, message)
    }
}

/// `AccessDeniedException` in `[request-id]: (AccessDeniedException): …`: all that separates a denial from a race.
fn exception_in(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('(')?;
    let (name, _) = rest.split_once(')')?;
    name.ends_with("Exception").then_some(name)
}

/// The table of PROTOCOLS §1: the kind of failure, and what to do, if more can be said than the kind does.
fn explain(status: u16, code: &str, text: &str) -> (ErrorKind, Option<&'static str>) {
    let (kind, remedy) = match (status, code) {
        (_, "AccessDeniedException") => (
            ErrorKind::Denied,
            "check that the association's role trusts pods.eks.amazonaws.com for sts:AssumeRole and sts:TagSession, \
             and that the node's role may call eks-auth:AssumeRoleForPodIdentity",
        ),
        (_, "ResourceNotFoundException") => (
            ErrorKind::Denied,
            "create the association: aws eks create-pod-identity-association --cluster-name … --namespace … \
             --service-account … --role-arn … (a new one takes some seconds to be seen)",
        ),
        (_, "ExpiredTokenException" | "InvalidTokenException") => (ErrorKind::TokenRejected, TOKEN_RACE),
        (400, "InvalidParameterException" | "InvalidRequestException") => (
            ErrorKind::Denied,
            "check the association (aws eks list-pod-identity-associations --cluster-name …) and that its role exists",
        ),
        (_, "ThrottlingException") => return (ErrorKind::Throttled, None),
        (400, _) if text.contains("token is expired") || text.contains("token is not valid yet") => {
            (ErrorKind::TokenRejected, TOKEN_RACE)
        }
        (400, _) if text.contains("token cannot be empty") => (
            ErrorKind::Denied,
            "set AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, which the EKS webhook sets when the container does not",
        ),
        (400, _) if text.contains("token is malformed") => (
            ErrorKind::Denied,
            "check that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names the projected token, and no other file",
        ),
        (403, _) if text.contains("invalid address") => (
            ErrorKind::InvalidConfiguration,
            "the URI must name the agent by its address, 169.254.170.23 or fd00:ec2::23",
        ),
        (404, "") => (
            ErrorKind::InvalidConfiguration,
            "check the path in the URI; the agent's is /v1/credentials, without a slash at the end",
        ),
        (_, code) => match kind_of_status(status) {
            ErrorKind::Denied if !code.is_empty() => {
                (ErrorKind::Denied, "see the EKS Auth API reference (AssumeRoleForPodIdentity) for this code")
            }
            kind => return (kind, None),
        },
    };
    (kind, Some(remedy))
}

const TOKEN_RACE: &str = "check that kubelet still rotates the token file and that the node's clock is right";

/// A success or an error document. Keys in any case; unknown ones are ignored.
#[derive(Default)]
struct Answer {
    access_key_id: Option<Zeroizing<String>>,
    secret_access_key: Option<Zeroizing<String>>,
    token: Option<Zeroizing<String>>,
    expiration: Option<Zeroizing<String>>,
    account_id: Option<Zeroizing<String>>,
    code: Option<Zeroizing<String>>,
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnswerVisitor)
    }
}

struct AnswerVisitor;

impl<'de> Visitor<'de> for AnswerVisitor {
    type Value = Answer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
        let mut answer = Answer::default();
        while let Some(key) = map.next_key::<String>()? {
            let field = match key.to_ascii_lowercase().as_str() {
                "accesskeyid" => &mut answer.access_key_id,
                "secretaccesskey" => &mut answer.secret_access_key,
                "token" | "sessiontoken" => &mut answer.token,
                "expiration" | "expiresat" => &mut answer.expiration,
                "accountid" => &mut answer.account_id,
                "code" => &mut answer.code,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = map.next_value()?;
        }
        Ok(answer)
    }
}
