//! Sends one signed `GetCallerIdentity` request. The action needs no permission.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use zeroize::Zeroizing;

use super::CallerIdentity;
use crate::env::Env;
use crate::error::Error;
use crate::error::problem::Problem;
use crate::error::problem::network::{NoAnswer, Phase, What};
use crate::error::problem::peer::Peer;
use crate::error::problem::sts::{Request, StsRefusal};
use crate::source::settings::Settings;
use crate::source::web_identity::exchange::{Document, Refusal};
use crate::sts::Sts;
use crate::transport::{self, Client, ConnectTimeout, Reply};

/// STS usually answers in less than a second. The limit is short, because the result is only used to explain.
const TIMEOUT: Duration = Duration::from_secs(5);
const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// Sends one request to STS, with a limit of 5 s. `now` is the current time, for the signature. `client` is the HTTP client
/// given to the builder. Never returns `None`, because this build can call STS.
///
/// # Errors
///
/// [`Denied`](ErrorKind::Denied) if STS does not accept the credentials. [`Error::code`] is then the error code of STS. Other
/// errors are those of any request to STS.
pub(crate) async fn get(
    env: &Env,
    settings: &Settings,
    client: Option<Client>,
    credentials: &Credentials,
    now: SystemTime,
) -> Option<Result<CallerIdentity, Error>> {
    Some(call(env, settings, client, credentials, now).await)
}

async fn call(
    env: &Env,
    settings: &Settings,
    client: Option<Client>,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<CallerIdentity, Error> {
    let sts = Sts::new(env, settings, client, ConnectTimeout::default())?;
    let Ok(reply) = tokio::time::timeout(TIMEOUT, sts.send(Zeroizing::new(BODY.to_owned()), credentials, now)).await
    else {
        let (peer, phase, what) = (sts.peer.clone(), Phase::Exchange, What::TimedOut(Some(TIMEOUT)));
        return Err(Problem::NoAnswer(Box::new(NoAnswer { peer, phase, what })).into());
    };
    read(&sts.peer, &reply?, credentials)
}

fn read(peer: &Peer, reply: &Reply, credentials: &Credentials) -> Result<CallerIdentity, Error> {
    let secret = credentials.session_token().unwrap_or_default();
    if let Some(Refusal { code, message }) = Refusal::parse(&reply.body) {
        let shown = |text: &str| transport::quote(text, secret);
        let refusal = StsRefusal::new(reply.status, &code, &message, Request::GetCallerIdentity, shown);
        return Err(Problem::Sts { peer: peer.clone(), refusal: Box::new(refusal) }.into());
    }
    if reply.status != 200 {
        return Err(reply.foreign(peer));
    }
    let document = std::str::from_utf8(&reply.body).ok().and_then(Document::parse);
    let text = |name: &str| {
        let said = document.as_ref().and_then(|document| document.text(&format!("GetCallerIdentityResult/{name}")));
        said.map(|said| transport::quote(said, secret))
            .ok_or_else(|| reply.invalid(peer, "a body that is not the expected XML"))
    };
    Ok(CallerIdentity { account: text("Account")?, arn: text("Arn")?, user_id: text("UserId")? })
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use super::*;
    use crate::clock;
    use crate::testing::{Answer, Issued, LocalPod};
    use crate::{EksCredentialsProvider, ErrorKind, SourceKind};

    async fn caller_of(env: Vec<(String, String)>, credentials: &Credentials) -> Result<CallerIdentity, Error> {
        let env = Env::from_os(env.into_iter().map(|(name, value)| (name.into(), value.into())));
        call(&env, &Settings::default(), None, credentials, clock::system_now()).await
    }

    async fn fetched(env: Vec<(String, String)>) -> Credentials {
        EksCredentialsProvider::builder().env(env).build().unwrap().credentials().await.unwrap()
    }

    #[tokio::test]
    async fn caller_identity_names_the_role_of_either_source() {
        let pod = LocalPod::start().await.unwrap();
        for (source, env) in [
            (SourceKind::WebIdentity, pod.irsa_env()),
            #[cfg(feature = "pod-identity")]
            (SourceKind::PodIdentity, pod.pod_identity_env()),
        ] {
            let caller = caller_of(env.clone(), &fetched(env).await).await.unwrap();
            let session = match source {
                SourceKind::WebIdentity => "default-local-7d9f8b6c5-x2x1z",
                SourceKind::PodIdentity => "eks-local-local-7d9f8b6c5-x-00000000-0000-4000-8000-000000000002",
            };
            assert_eq!(caller.account, "111122223333");
            assert_eq!(caller.arn, format!("arn:aws:sts::111122223333:assumed-role/local-pod/{session}"));
            assert_eq!(caller.user_id, format!("AROALOCALLOCALLOCAL00:{session}"));
        }
    }

    #[tokio::test]
    async fn caller_identity_error_has_the_code_of_sts() {
        let pod = LocalPod::start().await.unwrap();
        let good = fetched(pod.irsa_env()).await;
        let stranger = Issued::random(Duration::from_secs(60));
        let keys = |id: &str, secret: &str, token: &str| {
            Credentials::builder()
                .access_key_id(id)
                .secret_access_key(secret)
                .session_token(token)
                .provider_name("test")
                .build()
        };
        let token = good.session_token().unwrap();
        for (credentials, code) in [
            (
                keys(&stranger.access_key_id, &stranger.secret_access_key, &stranger.session_token),
                "InvalidClientTokenId",
            ),
            (keys(good.access_key_id(), &stranger.secret_access_key, token), "SignatureDoesNotMatch"),
            (keys(good.access_key_id(), good.secret_access_key(), &stranger.session_token), "InvalidClientTokenId"),
        ] {
            let error = caller_of(pod.irsa_env(), &credentials).await.unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, Some(code)), "{error}");
        }
        assert_eq!(pod.sts().take_unexpected().len(), 1);
    }

    #[tokio::test]
    async fn caller_identity_error_for_expired_and_for_invalid_responses() {
        let pod = LocalPod::start().await.unwrap();
        let good = fetched(pod.irsa_env()).await;
        pod.sts().then(Answer::http(200, "hello"));
        assert_eq!(caller_of(pod.irsa_env(), &good).await.unwrap_err().kind(), ErrorKind::InvalidResponse);
        pod.sts().then(Answer::http(503, good.session_token().unwrap()));
        let error = caller_of(pod.irsa_env(), &good).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!error.to_string().contains("local-session"), "{error}");
        pod.sts().set_clock_offset(7200);
        let error = caller_of(pod.irsa_env(), &good).await.unwrap_err();
        assert_eq!(error.code(), Some("ExpiredToken"), "{error}");
    }
}
