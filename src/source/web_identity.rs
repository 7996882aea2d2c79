//! IRSA: `AssumeRoleWithWebIdentity` at STS. The request is unsigned; the token in its body is what proves who asks.

mod answer;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use aws_credential_types::Credentials;
use http::header::{CONTENT_TYPE, HeaderValue};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

pub(crate) use self::answer::{Document, Refusal};
use crate::clock_skew::ServerTime;
use crate::detect::IrsaSettings;
use crate::error::Error;
use crate::problem::Problem;
use crate::problem::peer::{Peer, Server};
use crate::problem::setting::Setting;
use crate::problem::sts::{Request, StsRefusal};
use crate::refresh::Fetched;
use crate::source::role_arn::{RoleArn, account_of};
use crate::source::sts_endpoint::{self, StsEndpoint};
use crate::source::{Keys, SourceKind, with_token};
use crate::token_file::{Token, TokenSource};
use crate::transport::{self, Client, HttpUrl, HttpsSettings, Reply, Timeouts};

/// STS answers in well under a second; 10 s is ten times its slowest percentile and leaves a second attempt inside the
/// 20 s budget of a cold start.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// What STS gives if no `DurationSeconds` is sent.
const DEFAULT_DURATION: Duration = Duration::from_secs(3600);
/// STS allows 2–64 characters.
const SESSION_NAME_MAX: usize = 64;

/// The answer to `AssumeRoleWithWebIdentity`.
const ROOT: &str = "AssumeRoleWithWebIdentityResponse";

/// How STS wants its parameters.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The client for STS at `endpoint`: plain http is for stand-ins.
pub(crate) async fn sts_client(endpoint: &HttpUrl, https: &HttpsSettings) -> Result<Client, Error> {
    match endpoint.is_https() {
        true => https.client(Server::Sts, endpoint).await,
        false => Ok(transport::plain(|_| Ok(()), https.connect)),
    }
}

/// Everything that `AssumeRoleWithWebIdentity` needs, checked.
#[derive(Clone, Debug)]
pub(crate) struct WebIdentityConfig {
    pub(crate) role_arn: RoleArn,
    pub(crate) token_file: PathBuf,
    pub(crate) endpoint: StsEndpoint,
    pub(crate) session_name: Option<String>,
    /// The pod's name, for a session name when the token is not bound to a pod.
    pub(crate) host_name: Option<String>,
    pub(crate) duration: Option<Duration>,
    pub(crate) policy: Option<String>,
    pub(crate) policy_arns: Vec<String>,
    pub(crate) provider_id: Option<String>,
    pub(crate) https: HttpsSettings,
}

/// The IRSA source.
#[derive(Debug)]
pub(crate) struct WebIdentity {
    config: WebIdentityConfig,
    tokens: TokenSource,
    peer: Peer,
    attempt_timeout: Duration,
    client: OnceCell<Client>,
    /// Fixed at the first fetch: CloudTrail shows one session name for the life of the process.
    session_name: OnceLock<String>,
}

impl WebIdentity {
    pub(crate) fn new(mut config: WebIdentityConfig, client: Option<Client>, timeouts: Timeouts) -> Self {
        config.https.connect = timeouts.connect(ATTEMPT_TIMEOUT);
        let peer = config.endpoint.peer(client.is_none().then_some(&config.https));
        Self {
            tokens: TokenSource::File(config.token_file.clone()),
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

    /// The endpoint, if the token is readable on the network on its way there.
    pub(crate) fn clear_text_endpoint(&self) -> Option<&HttpUrl> {
        Some(&self.config.endpoint.url).filter(|url| sts_endpoint::is_clear_text(url))
    }

    pub(crate) async fn fetch(&self) -> Result<Fetched, Error> {
        with_token(&self.tokens, |token| self.exchange(token)).await
    }

    async fn exchange(&self, token: Token) -> Result<Fetched, Error> {
        let reply = self.ask(&token).await?;
        self.read(&reply, &token)
    }

    /// Over plain http anybody on the way could have written it.
    fn server_time(&self, reply: &Reply) -> Option<ServerTime> {
        let date = reply.date.filter(|_| self.config.endpoint.url.is_https())?;
        Some(ServerTime { date, requested: self.config.duration.unwrap_or(DEFAULT_DURATION) })
    }

    /// One exchange of this token, whatever the answer.
    pub(crate) async fn ask(&self, token: &Token) -> Result<Reply, Error> {
        let client = self.client.get_or_try_init(|| sts_client(&self.config.endpoint.url, &self.config.https)).await?;
        let request = transport::request(http::Method::POST, &self.config.endpoint.url)
            .header(CONTENT_TYPE, HeaderValue::from_static(FORM));
        client.send(transport::finish(request, self.form(token))?, &self.peer).await
    }

    /// What a complete answer means. Some servers refuse with status 200.
    pub(crate) fn read(&self, reply: &Reply, token: &Token) -> Result<Fetched, Error> {
        match Refusal::parse(&reply.body) {
            Some(refusal) => Err(self.refused(reply.status, &refusal, token)),
            None if reply.status == 200 => {
                let credentials = self.read_success(reply)?;
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
        let config = &self.config;
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(self.longest_form(token)));
        form.append_pair("Action", "AssumeRoleWithWebIdentity")
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", config.role_arn.as_str())
            .append_pair("RoleSessionName", self.session_name(token))
            .append_pair("WebIdentityToken", token.expose());
        if let Some(duration) = config.duration {
            form.append_pair("DurationSeconds", &duration.as_secs().to_string());
        }
        if let Some(policy) = &config.policy {
            form.append_pair("Policy", policy);
        }
        for (arn, n) in config.policy_arns.iter().zip(1_u32..) {
            form.append_pair(&format!("PolicyArns.member.{n}.arn"), arn);
        }
        if let Some(provider_id) = &config.provider_id {
            form.append_pair("ProviderId", provider_id);
        }
        Zeroizing::new(form.finish())
    }

    /// Room enough for the whole form, with every character escaped: a form that grows leaves copies of the token behind.
    fn longest_form(&self, token: &Token) -> usize {
        let WebIdentityConfig { role_arn, policy, policy_arns, provider_id, .. } = &self.config;
        let optional = [policy, provider_id].into_iter().flatten().map(String::len);
        let values =
            optional.chain(policy_arns.iter().map(String::len)).chain([role_arn.as_str().len(), token.expose().len()]);
        // 2 KiB for the names, the session name and the numbers.
        values.fold(2048, |room: usize, length| room.saturating_add(length.saturating_mul(3)))
    }

    fn session_name(&self, token: &Token) -> &str {
        self.session_name.get_or_init(|| match &self.config.session_name {
            // Checked when it was configured, and looked for as it is.
            Some(name) => name.clone(),
            None => {
                let pod = token.claims().and_then(|claims| claims.pod);
                clean_session_name(&pod.or_else(|| self.config.host_name.clone()).unwrap_or_default())
            }
        })
    }

    fn read_success(&self, reply: &Reply) -> Result<Credentials, Error> {
        let wrong = |what: &str| reply.invalid(&self.peer, what);
        let text = std::str::from_utf8(&reply.body).map_err(|_| wrong("bytes that are not UTF-8"))?;
        let document = Document::parse(text).filter(|document| document.root == ROOT);
        let document = document.ok_or_else(|| wrong("something that is not its XML"))?;
        let result = |name: &str| document.text(&format!("AssumeRoleWithWebIdentityResult/{name}"));
        let key = |name: &str| {
            result(&format!("Credentials/{name}"))
                .ok_or_else(|| wrong(&format!("XML in which {name} is missing or repeated")))
        };
        let arn = result("AssumedRoleUser/Arn").unwrap_or(self.config.role_arn.as_str());
        Keys {
            access_key_id: key("AccessKeyId")?,
            secret_access_key: key("SecretAccessKey")?,
            session_token: key("SessionToken")?,
            expiration: Some(key("Expiration")?),
            account_id: account_of(arn),
        }
        .into_credentials(SourceKind::WebIdentity, wrong)
    }
}

/// A configured name is not cleaned, because somebody will look for it. `setting` is where it was configured.
pub(crate) fn check_session_name(setting: &'static str, name: &str) -> Result<(), Setting> {
    if (2..=SESSION_NAME_MAX).contains(&name.len()) && name.chars().all(is_session_name_char) {
        return Ok(());
    }
    Err(Setting::SessionName { setting, value: name.to_owned() })
}

/// The limits of the STS API, for settings that do not come from the environment.
pub(crate) fn check_parameters(settings: &IrsaSettings) -> Result<(), Setting> {
    let IrsaSettings { duration, policy, policy_arns, session_name, sts_endpoint, .. } = settings;
    let other = |observed: String, remedy: &str| Err(Setting::Other { observed, remedy: remedy.to_owned() });
    session_name.as_deref().map_or(Ok(()), |name| check_session_name("the builder's session_name", name))?;
    if let Some(url) = sts_endpoint {
        sts_endpoint::configured(url)?;
    }
    if let Some(duration) = duration.filter(|d| !(900..=43_200).contains(&d.as_secs()) || d.subsec_nanos() > 0) {
        let observed = format!("the builder's duration is {duration:?}");
        return other(observed, "STS takes whole seconds from 15 minutes to 12 hours");
    }
    if let Some(length) = policy.as_ref().map(|policy| policy.chars().count()).filter(|&n| n == 0 || n > 2048) {
        return other(format!("the builder's policy has {length} characters"), "STS takes 1 to 2,048");
    }
    if policy_arns.len() > 10 {
        let observed = format!("{} policy ARNs were given to the builder", policy_arns.len());
        return other(observed, "STS takes at most 10");
    }
    match policy_arns.iter().find(|arn| !arn.starts_with("arn:")) {
        Some(arn) => other(format!("the policy ARN \"{arn}\" is not an ARN"), "expected arn:aws:iam::…:policy/<name>"),
        None => Ok(()),
    }
}

/// Cut and cleaned to `[\w+=,.@-]{2,64}`. The end is kept: it is the random part of a pod's name.
pub(crate) fn clean_session_name(name: &str) -> String {
    let clean: Vec<char> = name.chars().map(|c| if is_session_name_char(c) { c } else { '-' }).collect();
    let kept = clean.get(clean.len().saturating_sub(SESSION_NAME_MAX)..).unwrap_or_default();
    let name: String = kept.iter().collect::<String>().trim_start_matches('-').to_owned();
    if name.len() < 2 { "eks-credentials".to_owned() } else { name }
}

fn is_session_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_form_leaves_no_copies_of_a_buffer_that_grew() {
        let config = |policy: Option<String>, policy_arns| WebIdentityConfig {
            role_arn: RoleArn::of_aws("arn:aws:iam::111122223333:role/role").unwrap(),
            token_file: PathBuf::new(),
            endpoint: StsEndpoint {
                url: HttpUrl::parse("https://sts.eu-central-1.amazonaws.com").unwrap(),
                setting: None,
                region: None,
            },
            session_name: Some("=".repeat(SESSION_NAME_MAX)),
            host_name: None,
            duration: Some(Duration::from_secs(43_200)),
            provider_id: policy.clone(),
            policy,
            policy_arns,
            https: HttpsSettings::default(),
        };
        let longest = config(Some("\u{e9}".repeat(2048)), vec![format!("arn:{}", "/".repeat(2044)); 10]);
        for config in [config(None, Vec::new()), longest] {
            let source = WebIdentity::new(config, None, Timeouts::default());
            let token = Token::parse(Zeroizing::new(vec![b'+'; 20_000]), "a test").unwrap();
            let form = source.form(&token);
            assert!(form.len() > 60_000);
            assert_eq!(form.capacity(), source.longest_form(&token));
        }
    }
}
