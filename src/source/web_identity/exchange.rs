//! The STS action `AssumeRoleWithWebIdentity`. Its request is not signed: the token in the body authenticates the pod.

mod answer;

use std::sync::OnceLock;
use std::time::Duration;

use aws_credential_types::Credentials;
use http::header::{CONTENT_TYPE, HeaderValue};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

pub(crate) use self::answer::{Document, Refusal};
use crate::clock::skew::ServerTime;
use crate::error::Error;
use crate::error::problem::Problem;
use crate::error::problem::peer::{Peer, Server};
use crate::error::problem::sts::{Request, StsRefusal};
use crate::fetched::Fetched;
use crate::source::keys::Keys;
use crate::source::token_retry::with_token;
use crate::source::web_identity::role_arn::account_of;
use crate::source::web_identity::{Parameters, SessionName, WebIdentityConfig, sts_endpoint};
use crate::source_kind::SourceKind;
use crate::token_file::{Token, TokenSource};
use crate::transport::{self, Client, HttpUrl, HttpsSettings, Reply, Timeouts};

/// STS usually answers in less than a second. With 10 s, a second attempt fits into the default startup timeout of 20 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The session length if no `DurationSeconds` is sent.
const DEFAULT_SESSION_LENGTH: Duration = Duration::from_secs(3600);

const ACTION: &str = "AssumeRoleWithWebIdentity";

/// The content type of requests to STS.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// Creates the client for STS. Plain http is allowed to every address here, because local test servers use it.
pub(crate) async fn sts_client(endpoint: &HttpUrl, https: &HttpsSettings) -> Result<Client, Error> {
    match endpoint.is_https() {
        true => https.client(Server::Sts, endpoint).await,
        false => Ok(transport::plain(|_| Ok(()), https.connect)),
    }
}

/// The IRSA source.
#[derive(Debug)]
pub(crate) struct WebIdentity {
    config: WebIdentityConfig,
    tokens: TokenSource,
    peer: Peer,
    attempt_timeout: Duration,
    client: OnceCell<Client>,
    /// Set at the first request and then kept: CloudTrail shows one session name for the whole life of the provider.
    session_name: OnceLock<SessionName>,
}

impl WebIdentity {
    pub(crate) fn new(mut config: WebIdentityConfig, client: Option<Client>, timeouts: Timeouts) -> Self {
        config.https.connect = timeouts.connect(ATTEMPT_TIMEOUT);
        let peer = config.endpoint.peer(client.is_none().then_some(&config.https));
        Self {
            tokens: config.tokens(),
            peer,
            attempt_timeout: timeouts.attempt(ATTEMPT_TIMEOUT),
            client: OnceCell::new_with(client),
            session_name: OnceLock::new(),
            config,
        }
    }

    pub(crate) fn attempt_timeout(&self) -> Duration {
        self.attempt_timeout
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) fn role_arn(&self) -> &str {
        self.config.role_arn.as_str()
    }

    /// The endpoint, if the token is sent to it over the network in clear text.
    pub(crate) fn clear_text_endpoint(&self) -> Option<&HttpUrl> {
        Some(&self.config.endpoint.url).filter(|url| sts_endpoint::is_clear_text(url))
    }

    pub(crate) async fn fetch(&self) -> Result<Fetched, Error> {
        with_token(&self.tokens, |token| self.exchange(token)).await
    }

    async fn exchange(&self, token: Token) -> Result<Fetched, Error> {
        let reply = self.send(&token).await?;
        self.read(&reply, &token)
    }

    /// The server's time. `None` over plain http, because anyone on the network path can change the header.
    fn server_time(&self, reply: &Reply) -> Option<ServerTime> {
        let date = reply.date.filter(|_| self.config.endpoint.url.is_https())?;
        Some(ServerTime { date, requested: self.config.parameters.session_length.unwrap_or(DEFAULT_SESSION_LENGTH) })
    }

    /// Sends one request with this token and returns the response, whatever its status.
    pub(crate) async fn send(&self, token: &Token) -> Result<Reply, Error> {
        let client = self.client.get_or_try_init(|| sts_client(&self.config.endpoint.url, &self.config.https)).await?;
        let request = transport::request(http::Method::POST, &self.config.endpoint.url)
            .header(CONTENT_TYPE, HeaderValue::from_static(FORM));
        client.send(transport::finish(request, self.form(token))?, &self.peer).await
    }

    /// Parses a complete response. A refusal is recognized by its body, because some servers send it with status 200.
    pub(crate) fn read(&self, reply: &Reply, token: &Token) -> Result<Fetched, Error> {
        match Refusal::parse(&reply.body) {
            Some(refusal) => Err(self.refused(reply.status, &refusal, token)),
            None if reply.status == 200 => {
                let name = SourceKind::WebIdentity.provider_name();
                let credentials = read_session(reply, &self.peer, ACTION, self.role_arn(), name)?;
                let server_time = self.server_time(reply);
                Ok(Fetched { server_time, ..Fetched::new(credentials, SourceKind::WebIdentity) })
            }
            None => Err(reply.foreign(&self.peer)),
        }
    }

    fn refused(&self, status: u16, Refusal { code, message }: &Refusal, token: &Token) -> Error {
        let request = Request::Assume { role_arn: self.config.role_arn.to_string(), claims: token.claims() };
        let shown = |text: &str| transport::quote(text, token.expose());
        let refusal = Box::new(StsRefusal::new(status, code, message, request, shown));
        Problem::Sts { peer: self.peer.clone(), refusal }.into()
    }

    pub(crate) fn form(&self, token: &Token) -> Zeroizing<String> {
        let Parameters { session_length, policy, policy_arns, provider_id, .. } = &self.config.parameters;
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(self.max_form_length(token)));
        form.append_pair("Action", ACTION)
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", self.config.role_arn.as_str())
            .append_pair("RoleSessionName", self.session_name(token).as_str())
            .append_pair("WebIdentityToken", token.expose());
        if let Some(session_length) = session_length {
            form.append_pair("DurationSeconds", &session_length.as_secs().to_string());
        }
        if let Some(policy) = policy {
            form.append_pair("Policy", policy);
        }
        for (arn, n) in policy_arns.iter().zip(1_u32..) {
            form.append_pair(&format!("PolicyArns.member.{n}.arn"), arn);
        }
        if let Some(provider_id) = provider_id {
            form.append_pair("ProviderId", provider_id);
        }
        Zeroizing::new(form.finish())
    }

    /// An upper limit for the length of the form, with every character escaped. The buffer must not be reallocated, because that
    /// would leave a copy of the token in memory.
    fn max_form_length(&self, token: &Token) -> usize {
        let WebIdentityConfig { role_arn, parameters: Parameters { policy, policy_arns, provider_id, .. }, .. } =
            &self.config;
        let optional = [policy, provider_id].into_iter().flatten().map(String::len);
        let values =
            optional.chain(policy_arns.iter().map(String::len)).chain([role_arn.as_str().len(), token.expose().len()]);
        // 2 KiB for the parameter names, the session name and the numbers.
        values.fold(2048, |room: usize, length| room.saturating_add(length.saturating_mul(3)))
    }

    fn session_name(&self, token: &Token) -> &SessionName {
        self.session_name.get_or_init(|| {
            self.config.session_name.clone().unwrap_or_else(|| {
                let pod = token.claims().and_then(|claims| claims.pod);
                SessionName::of_pod(&pod.or_else(|| self.config.host_name.clone()).unwrap_or_default())
            })
        })
    }
}

/// Reads the session in a successful response to `action`. `role_arn` replaces the ARN of the session if a server does not send
/// it. `provider_name` is the name that the SDK logs.
pub(crate) fn read_session(
    reply: &Reply,
    peer: &Peer,
    action: &str,
    role_arn: &str,
    provider_name: &'static str,
) -> Result<Credentials, Error> {
    let wrong = |what: &str| reply.invalid(peer, what);
    let text = std::str::from_utf8(&reply.body).map_err(|_| wrong("a body that is not valid UTF-8"))?;
    let document = Document::parse(text).filter(|document| document.root == format!("{action}Response"));
    let document = document.ok_or_else(|| wrong("a body that is not the expected XML"))?;
    let result = |name: &str| document.text(&format!("{action}Result/{name}"));
    let key = |name: &str| {
        result(&format!("Credentials/{name}"))
            .ok_or_else(|| wrong(&format!("XML in which {name} is missing or repeated")))
    };
    let arn = result("AssumedRoleUser/Arn").unwrap_or(role_arn);
    Keys {
        access_key_id: key("AccessKeyId")?,
        secret_access_key: key("SecretAccessKey")?,
        session_token: key("SessionToken")?,
        expiration: Some(key("Expiration")?),
        account_id: account_of(arn),
    }
    .into_credentials(provider_name, wrong)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::sts_endpoint::{Origin, StsEndpoint};
    use super::*;
    use crate::source::web_identity::RoleArn;

    #[test]
    fn web_identity_form_never_reallocates_its_buffer() {
        let config = |policy: Option<String>, policy_arns| WebIdentityConfig {
            role_arn: RoleArn::of_aws("arn:aws:iam::111122223333:role/role").unwrap(),
            token_file: PathBuf::new(),
            endpoint: StsEndpoint {
                url: HttpUrl::parse("https://sts.eu-central-1.amazonaws.com").unwrap(),
                origin: Origin::Setting("a test"),
            },
            session_name: Some(SessionName::of_pod(&"=".repeat(64))),
            host_name: None,
            parameters: Parameters {
                session_name: None,
                session_length: Some(Duration::from_secs(43_200)),
                provider_id: policy.clone(),
                policy,
                policy_arns,
            },
            https: HttpsSettings::default(),
        };
        let longest = config(Some("\u{e9}".repeat(2048)), vec![format!("arn:{}", "/".repeat(2044)); 10]);
        for config in [config(None, Vec::new()), longest] {
            let source = WebIdentity::new(config, None, Timeouts::default());
            let token = Token::parse(Zeroizing::new(vec![b'+'; 20_000]), "a test").unwrap();
            let form = source.form(&token);
            assert!(form.len() > 60_000);
            assert_eq!(form.capacity(), source.max_form_length(&token));
        }
    }
}
