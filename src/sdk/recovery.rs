//! Recovery when an AWS service refuses the credentials: they are renewed, and the attempt is repeated.
//!
//! | file | duty |
//! |---|---|
//! | `error_code.rs` | why a service refused the credentials, by its error code |
//!
//! What follows from a refusal, and when renewing no longer helps, is decided in [`crate::refresh::renewal`].

mod error_code;

use std::fmt;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextMut, InterceptorContext,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

use crate::provider::EksCredentialsProvider;

/// Marks an answer whose attempt should be repeated. It is set on this side, and a server's own is removed.
const MARK: &str = "x-eks-credentials-renewed";

/// Renews credentials that a service has refused, and has the attempt repeated with the new ones: from
/// [`recovery`](EksCredentialsProvider::recovery), for the config of an SDK client.
///
/// A role that is deleted and created again, or whose sessions are revoked, makes credentials useless before they expire. A
/// client without this fails until they do, which can take hours.
///
/// ```
/// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
/// # use eks_credentials::testing::LocalPod;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pod = LocalPod::start().await?;
/// # let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
/// let config = provider.sdk_config(BehaviorVersion::latest()).build();
/// let config = aws_sdk_s3::config::Builder::from(&config)
///     .interceptor(provider.recovery())
///     .retry_classifier(provider.recovery())
///     .build();
/// let s3 = aws_sdk_s3::Client::from_conf(config);
/// # drop(s3); Ok(()) }
/// ```
///
/// # When
///
/// If the service answers with status 400, 401 or 403 and one of these codes, to a request that was signed with the credentials
/// that the provider holds now:
///
/// - `ExpiredToken`, `ExpiredTokenException`, `InvalidToken`, `TokenRefreshRequired`;
/// - `InvalidClientTokenId`, `UnrecognizedClientException`, if the credentials are at least a minute old. A wrong endpoint and
///   a disabled region answer like this too, to every request.
///
/// Then the credentials are [invalidated](EksCredentialsProvider::invalidate), and the attempt is repeated. However many
/// requests are refused at the same time, there is one request for new credentials. `AccessDenied`, a 403 without a code (as to a
/// `HEAD` request), sessions of S3 Express, and requests that were signed with other credentials change nothing.
///
/// If the new credentials are refused by the same host too, nothing is renewed because of that host for a minute. This time
/// doubles with each further refusal, up to an hour, until a request to the host succeeds.
///
/// # Retries
///
/// The interceptor renews, and the classifier asks for another attempt, within the limits that the client's retry configuration
/// sets: of many calls that are refused at the same moment, those beyond the client's retry quota fail (a quota of 500, of which
/// a retry takes 5 to 14). Without retries, or with the interceptor alone, the refused call fails and the next one has new credentials. A request
/// body that cannot be sent twice is not sent twice. The new credentials reach the next attempt at once with the identity cache
/// of [`sdk_config`](EksCredentialsProvider::sdk_config) or [`identity_cache`](EksCredentialsProvider::identity_cache). The SDK's
/// own identity cache hands the refused ones out until they expire, so that nothing recovers with it.
#[derive(Clone)]
pub struct Recovery {
    provider: EksCredentialsProvider,
}

impl EksCredentialsProvider {
    /// For the config of an SDK client, both as `interceptor` and as `retry_classifier`: renews credentials that the service
    /// has refused, and repeats the attempt. See [`Recovery`].
    pub fn recovery(&self) -> Recovery {
        Recovery { provider: self.clone() }
    }
}

/// With what a request was signed, and for whom.
#[derive(Debug)]
struct Signed {
    access_key_id: String,
    host: String,
}

impl Storable for Signed {
    type Storer = StoreReplace<Self>;
}

impl Signed {
    /// `None`: it was not signed, or with a session of S3 Express.
    fn of(request: &HttpRequest) -> Option<Self> {
        let headers = request.headers();
        if headers.contains_key("x-amz-s3session-token") {
            return None;
        }
        let (_, credential) = headers.get("authorization")?.split_once("Credential=")?;
        let (access_key_id, _) = credential.split_once('/')?;
        let host = request.uri().parse::<http::Uri>().ok()?.authority()?.to_string();
        Some(Self { access_key_id: access_key_id.to_owned(), host })
    }
}

impl Intercept for Recovery {
    fn name(&self) -> &'static str {
        "EksCredentialsRecovery"
    }

    fn read_after_signing(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_or_unset(Signed::of(context.request()));
        Ok(())
    }

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Signed { access_key_id, host }) = cfg.load::<Signed>() else { return Ok(()) };
        let Some(response) = context.response_mut() else { return Ok(()) };
        response.headers_mut().remove(MARK);
        let shared = self.provider.core();
        if response.status().is_success() {
            shared.refusals.succeeded(host);
            return Ok(());
        }
        let Some(reason) = error_code::reason(response) else { return Ok(()) };
        if shared.refusals.renew(shared, host, access_key_id, reason) {
            response.headers_mut().insert(MARK, "1");
        }
        Ok(())
    }
}

impl ClassifyRetry for Recovery {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let marked = context.response().is_some_and(|response| response.headers().contains_key(MARK));
        match marked && matches!(context.output_or_error(), Some(Err(_))) {
            true => RetryAction::server_error(),
            false => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "EksCredentialsRecovery"
    }
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By these names the SDK reports what went wrong in an interceptor or classifier.
    #[test]
    fn recovery_has_a_name_in_messages_of_the_sdk() {
        let provider = EksCredentialsProvider::builder().env([("PATH", "/bin")]).build().unwrap();
        let recovery = provider.recovery();
        assert_eq!(Intercept::name(&recovery), "EksCredentialsRecovery");
        assert_eq!(ClassifyRetry::name(&recovery), "EksCredentialsRecovery");
        assert_eq!(format!("{recovery:?}"), "Recovery { .. }");
    }
}
