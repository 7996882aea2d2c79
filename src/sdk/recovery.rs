//! Recovery after an AWS service has refused the credentials: they are renewed, and the request is sent again.
//!
//! | file | duty |
//! |---|---|
//! | `error_code.rs` | why a service refused the credentials, by its error code |
//!
//! [`crate::refresh::renewal`] decides what follows from a refusal, and when a renewal no longer helps.

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

/// A header that marks a response after which the request should be sent again. It is added here. If a server sends it, it is
/// removed.
const MARK: &str = "x-eks-credentials-renewed";

/// Renews credentials that a service has refused, and lets the SDK client send the request again.
///
/// [`recovery`](EksCredentialsProvider::recovery) returns it. Set it in the configuration of an SDK client, both as an interceptor
/// and as a retry classifier.
///
/// Credentials can become invalid before they expire, for example if the role is deleted and created again, or if its sessions
/// are revoked. Without recovery, a client fails until the credentials expire, which can take hours.
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
/// # When it renews credentials
///
/// All of these must apply:
///
/// - The request was signed with the current credentials of the provider.
/// - The service responded with status 400, 401 or 403.
/// - The error code is `ExpiredToken`, `ExpiredTokenException`, `InvalidToken` or `TokenRefreshRequired`. The codes
///   `InvalidClientTokenId` and `UnrecognizedClientException` also count, if the credentials are at least a minute old. A wrong
///   endpoint or a disabled region returns these two codes for every request.
///
/// The credentials are then [invalidated](EksCredentialsProvider::invalidate), and the request is sent again. If many requests are
/// refused at the same time, there is still only one request for new credentials.
///
/// These responses have no effect: `AccessDenied`, and a 403 without a code, as for a `HEAD` request. Requests in sessions of S3
/// Express, and requests that were signed with other credentials, have no effect either.
///
/// If the same host also refuses the new credentials, responses of this host cause no renewal for a minute. This time doubles
/// with each further refusal, up to an hour. It ends when a request to the host succeeds.
///
/// # Retries
///
/// The interceptor renews the credentials, and the classifier requests another attempt. The retry configuration of the client
/// limits these attempts:
///
/// - If many calls are refused at the same moment, those beyond the retry quota of the client fail. The quota is 500, and a retry
///   uses 5 to 14 of it.
/// - If retries are disabled, or if only the interceptor is set, the refused call fails. The next call uses new credentials.
/// - A request body that cannot be sent twice is not sent twice.
///
/// The next attempt has the new credentials only with the identity cache of
/// [`sdk_config`](EksCredentialsProvider::sdk_config) or [`identity_cache`](EksCredentialsProvider::identity_cache). The SDK's own
/// identity cache returns the refused credentials until they expire, so recovery does not work with it.
#[derive(Clone)]
pub struct Recovery {
    provider: EksCredentialsProvider,
}

impl EksCredentialsProvider {
    /// Returns an interceptor and retry classifier for SDK clients, which renews credentials that a service has refused.
    ///
    /// It must be set as both. [`Recovery`] describes when it renews credentials.
    ///
    /// ```
    /// # use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
    /// # let provider = EksCredentialsProvider::builder().env([("AWS_REGION", "eu-central-1")]).build()?;
    /// let config = provider.sdk_config(BehaviorVersion::latest()).build();
    /// let config = aws_sdk_s3::config::Builder::from(&config)
    ///     .interceptor(provider.recovery())
    ///     .retry_classifier(provider.recovery());
    /// let s3 = aws_sdk_s3::Client::from_conf(config.build());
    /// # Ok::<(), eks_credentials::Error>(())
    /// ```
    pub fn recovery(&self) -> Recovery {
        Recovery { provider: self.clone() }
    }
}

/// The access key that signed a request, and the host that the request was sent to.
#[derive(Debug)]
struct Signed {
    access_key_id: String,
    host: String,
}

impl Storable for Signed {
    type Storer = StoreReplace<Self>;
}

impl Signed {
    /// `None` if the request was not signed, or belongs to a session of S3 Express.
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

    /// The SDK uses these names when it reports an error of an interceptor or classifier.
    #[test]
    fn recovery_has_a_name_for_sdk_messages() {
        let provider = EksCredentialsProvider::builder().env([("PATH", "/bin")]).build().unwrap();
        let recovery = provider.recovery();
        assert_eq!(Intercept::name(&recovery), "EksCredentialsRecovery");
        assert_eq!(ClassifyRetry::name(&recovery), "EksCredentialsRecovery");
        assert_eq!(format!("{recovery:?}"), "Recovery { .. }");
    }
}
