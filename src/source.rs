//! Where credentials come from: the two sources, and what they have in common.

#[cfg(feature = "pod-identity")]
pub(crate) mod container_endpoint;
#[cfg(feature = "pod-identity")]
pub(crate) mod pod_identity;
#[cfg(feature = "irsa")]
pub(crate) mod role_arn;
mod sources;
#[cfg(feature = "irsa")]
pub(crate) mod sts_endpoint;
#[cfg(feature = "irsa")]
pub(crate) mod web_identity;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use aws_credential_types::Credentials;

use crate::clock;
use crate::detect::SourceConfig;
use crate::error::{Error, ErrorKind};
use crate::problem::Problem;
use crate::problem::network::{NoAnswer, Phase, What};
use crate::problem::peer::Peer;
use crate::refresh::Fetched;
use crate::token_file::{Token, TokenSource};
#[cfg(feature = "diagnose")]
use crate::transport::Reply;
use crate::transport::{Client, HttpUrl, Timeouts};
pub(crate) use sources::Sources;

/// The two ways in which a pod on EKS gets AWS access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceKind {
    /// IRSA: the pod's token is exchanged at STS by `AssumeRoleWithWebIdentity`.
    WebIdentity,
    /// EKS Pod Identity, or any other container credentials endpoint: an agent hands credentials out.
    PodIdentity,
}

impl SourceKind {
    /// How the environment variable `EKS_CREDENTIALS_SOURCE` and log events write it: `irsa` or `pod-identity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebIdentity => "irsa",
            Self::PodIdentity => "pod-identity",
        }
    }

    /// The one that this is not.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::WebIdentity => Self::PodIdentity,
            Self::PodIdentity => Self::WebIdentity,
        }
    }

    /// The `provider_name` of the credentials, which the SDK shows in its logs.
    pub(crate) fn provider_name(self) -> &'static str {
        match self {
            Self::WebIdentity => "EksWebIdentity",
            Self::PodIdentity => "EksPodIdentity",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebIdentity => "IRSA",
            Self::PodIdentity => "EKS Pod Identity",
        })
    }
}

/// One configured source.
#[derive(Debug)]
pub(crate) enum Source {
    #[cfg(feature = "irsa")]
    WebIdentity(Box<web_identity::WebIdentity>),
    #[cfg(feature = "pod-identity")]
    PodIdentity(Box<pod_identity::PodIdentity>),
}

impl Source {
    /// `sts_client` is what the program gave to the builder; it is never used for an agent.
    #[cfg_attr(not(feature = "irsa"), expect(unused_variables, reason = "this build never asks STS"))]
    pub(crate) fn new(config: SourceConfig, sts_client: Option<Client>, timeouts: Timeouts) -> Self {
        match config {
            #[cfg(feature = "irsa")]
            SourceConfig::WebIdentity(config) => {
                Self::WebIdentity(Box::new(web_identity::WebIdentity::new(*config, sts_client, timeouts)))
            }
            #[cfg(feature = "pod-identity")]
            SourceConfig::PodIdentity(config) => {
                Self::PodIdentity(Box::new(pod_identity::PodIdentity::new(*config, timeouts)))
            }
        }
    }

    pub(crate) fn kind(&self) -> SourceKind {
        match self {
            #[cfg(feature = "irsa")]
            Self::WebIdentity(_) => SourceKind::WebIdentity,
            #[cfg(feature = "pod-identity")]
            Self::PodIdentity(_) => SourceKind::PodIdentity,
        }
    }

    /// Where the token is sent in clear text to another host. An agent's address is checked.
    pub(crate) fn clear_text_endpoint(&self) -> Option<&HttpUrl> {
        match self {
            #[cfg(feature = "irsa")]
            Self::WebIdentity(source) => source.clear_text_endpoint(),
            #[cfg(feature = "pod-identity")]
            Self::PodIdentity(_) => None,
        }
    }

    pub(crate) fn attempt_timeout(&self) -> Duration {
        match self {
            #[cfg(feature = "irsa")]
            Self::WebIdentity(source) => source.attempt_timeout(),
            #[cfg(feature = "pod-identity")]
            Self::PodIdentity(source) => source.attempt_timeout(),
        }
    }

    /// The role that is asked for. Pod Identity has it from the association.
    pub(crate) fn role_arn(&self) -> Option<&str> {
        match self {
            #[cfg(feature = "irsa")]
            Self::WebIdentity(source) => Some(source.role_arn()),
            #[cfg(feature = "pod-identity")]
            Self::PodIdentity(_) => None,
        }
    }

    /// One attempt, token file and all, within `limit`.
    pub(crate) async fn fetch(&self, limit: Duration) -> Result<Fetched, Error> {
        let attempt = async {
            match self {
                #[cfg(feature = "irsa")]
                Self::WebIdentity(source) => source.fetch().await,
                #[cfg(feature = "pod-identity")]
                Self::PodIdentity(source) => source.fetch().await,
            }
        };
        match tokio::time::timeout(limit, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.timed_out(limit)),
        }
    }

    /// One exchange with this token, whatever the answer. Without a limit in time.
    #[cfg(feature = "diagnose")]
    pub(crate) async fn ask(&self, token: Option<&Token>) -> Result<Reply, Error> {
        match self {
            #[cfg(feature = "irsa")]
            Self::WebIdentity(source) => source.ask(token.ok_or_else(no_token)?).await,
            #[cfg(feature = "pod-identity")]
            Self::PodIdentity(source) => source.ask(token).await,
        }
    }

    /// What a complete answer to this token means.
    #[cfg(feature = "diagnose")]
    pub(crate) fn read(&self, reply: &Reply, token: Option<&Token>) -> Result<Fetched, Error> {
        match self {
            #[cfg(feature = "irsa")]
            Self::WebIdentity(source) => source.read(reply, token.ok_or_else(no_token)?),
            #[cfg(feature = "pod-identity")]
            Self::PodIdentity(source) => source.read(reply, token),
        }
    }

    pub(crate) fn peer(&self) -> &Peer {
        match self {
            #[cfg(feature = "irsa")]
            Self::WebIdentity(source) => source.peer(),
            #[cfg(feature = "pod-identity")]
            Self::PodIdentity(source) => source.peer(),
        }
    }

    pub(crate) fn timed_out(&self, limit: Duration) -> Error {
        let (peer, phase, what) = (self.peer().clone(), Phase::Exchange, What::TimedOut(Some(limit)));
        Problem::NoAnswer(Box::new(NoAnswer { peer, phase, what })).into()
    }
}

#[cfg(all(feature = "diagnose", feature = "irsa"))]
fn no_token() -> Error {
    Error::internal(ErrorKind::TokenFile, "STS cannot be asked without a token")
}

/// One exchange, and a second one at once if the token was refused and kubelet has rotated it meanwhile.
pub(crate) async fn with_token<F, T>(tokens: &TokenSource, exchange: impl Fn(Token) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let token = tokens.token().await?;
    let rejected = match exchange(token.clone()).await {
        Err(error) if error.kind() == ErrorKind::TokenRejected => error,
        outcome => return outcome,
    };
    match tokens.token().await {
        Ok(rotated) if rotated != token => exchange(rotated).await,
        // Why the token was refused explains more than why it could not be read again.
        _ => Err(rejected),
    }
}

/// What an answer holds, in either protocol.
pub(crate) struct Keys<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) secret_access_key: &'a str,
    pub(crate) session_token: &'a str,
    /// RFC 3339. Missing means that the credentials never expire.
    pub(crate) expiration: Option<&'a str>,
    pub(crate) account_id: Option<&'a str>,
}

impl Keys<'_> {
    /// Checks the form of every field. Whether the expiry lies ahead is judged where the clock is.
    /// `wrong` makes an error of what is.
    pub(crate) fn into_credentials(
        self,
        source: SourceKind,
        wrong: impl Fn(&str) -> Error,
    ) -> Result<Credentials, Error> {
        let required = [
            ("AccessKeyId", self.access_key_id),
            ("SecretAccessKey", self.secret_access_key),
            ("session token", self.session_token),
        ];
        if let Some((name, _)) = required.iter().find(|(_, value)| value.trim().is_empty()) {
            return Err(wrong(&format!("an empty {name}")));
        }
        let mut credentials = Credentials::builder()
            .access_key_id(self.access_key_id)
            .secret_access_key(self.secret_access_key)
            .session_token(self.session_token)
            .provider_name(source.provider_name());
        if let Some(expiration) = self.expiration {
            // Anything may come in place of a date, even a key. A date in any form has nine letters at most ("Tue", "Nov",
            // "GMT"), and a key some thirty.
            let letters = expiration.chars().filter(|c| c.is_alphabetic()).count();
            let shown = || match letters {
                ..=9 => expiration.chars().take(40).collect(),
                _ => "[not shown]".to_owned(),
            };
            let expiry = clock::parse_rfc3339(expiration)
                .ok_or_else(|| wrong(&format!("the Expiration \"{}\", which is not an RFC 3339 date", shown())))?;
            credentials = credentials.expiry(expiry);
        }
        if let Some(account) = self.account_id.filter(|account| !account.is_empty()) {
            credentials = credentials.account_id(account);
        }
        Ok(credentials.build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_that_cannot_be_read_is_shown_and_what_may_be_a_key_in_its_place_is_not() {
        for (expiration, said) in [
            ("Tue, 24 Nov 2026 10:00:00 GMT", "the Expiration \"Tue, 24 Nov 2026 10:00:00 GMT\", which is not"),
            (
                "0123456789 0123456789 0123456789 0123456789",
                "the Expiration \"0123456789 0123456789 0123456789 0123456\",",
            ),
            ("tenletters", "the Expiration \"[not shown]\", which is not"),
        ] {
            let keys = Keys {
                access_key_id: "id",
                secret_access_key: "secret",
                session_token: "token",
                expiration: Some(expiration),
                account_id: None,
            };
            let wrong = |what: &str| Error::internal(ErrorKind::InvalidResponse, what);
            let error = keys.into_credentials(SourceKind::PodIdentity, wrong).unwrap_err();
            assert!(error.to_string().starts_with(said), "{error}");
        }
    }

    #[tokio::test]
    async fn a_refused_token_is_sent_again_at_once_if_it_has_changed_and_only_then() {
        use ErrorKind::{Denied, TokenRejected};
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        for (kind, rotated, expected) in [
            (TokenRejected, "second.payload.signature", 2),
            (TokenRejected, "first.payload.signature", 1),
            (Denied, "second.payload.signature", 1),
        ] {
            std::fs::write(path, "first.payload.signature").unwrap();
            let sent = std::cell::RefCell::new(Vec::new());
            let refuse_and_rotate = |token: Token| {
                sent.borrow_mut().push(token);
                std::fs::write(path, rotated).unwrap();
                async { Err::<(), _>(Error::internal(kind, "no")) }
            };
            let error = with_token(&TokenSource::File(path.to_owned()), refuse_and_rotate).await.unwrap_err();
            assert_eq!((error.kind(), sent.borrow().len()), (kind, expected), "{rotated}");
            assert_eq!(sent.borrow().last().unwrap().expose() == rotated, kind == TokenRejected);
        }
    }

    #[tokio::test]
    async fn a_token_that_cannot_be_read_again_leaves_the_reason_why_it_was_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "header.payload.signature").unwrap();
        let refuse_and_remove = |_: Token| {
            std::fs::remove_file(&path).unwrap();
            async { Err::<(), _>(Error::internal(ErrorKind::TokenRejected, "expired")) }
        };
        let error = with_token(&TokenSource::File(path.clone()), refuse_and_remove).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::TokenRejected, "expired"));
    }
}
