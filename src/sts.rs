//! Signed requests to STS: `GetCallerIdentity` and `AssumeRole`.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{self, SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::env::Env;
use crate::env::region;
use crate::error::problem::peer::Peer;
use crate::error::problem::setting::Setting;
use crate::error::{Error, ErrorKind};
use crate::source::settings::Settings;
use crate::source::web_identity::exchange::{FORM, sts_client};
use crate::source::web_identity::sts_endpoint::{self, StsEndpoint};
use crate::transport::{self, Client, ConnectTimeout, HttpsSettings, Reply};

/// The endpoint of STS and a client for it, for a pod with either source.
#[derive(Debug)]
pub(crate) struct Sts {
    pub(crate) endpoint: StsEndpoint,
    /// The region in the signature.
    region: String,
    https: HttpsSettings,
    pub(crate) peer: Peer,
    client: OnceCell<Client>,
}

impl Sts {
    /// Uses the endpoint rules of IRSA, also for a pod with EKS Pod Identity. `client` is the HTTP client given to the builder.
    ///
    /// # Errors
    ///
    /// If no region is configured, because a signature needs one. Otherwise those of the endpoint rules of IRSA.
    pub(crate) fn new(
        env: &Env,
        settings: &Settings,
        client: Option<Client>,
        connect: ConnectTimeout,
    ) -> Result<Self, Setting> {
        let region = region::configured(env, settings.region.as_deref())?.map(|(_, region)| region.to_owned());
        let region = region.ok_or(Setting::NoRegion { needed_for: "the signature of a call to STS" })?;
        let sts_endpoint = settings.irsa.sts_endpoint.as_deref();
        let endpoint = sts_endpoint::resolve(env, sts_endpoint, settings.region.as_deref())?;
        let mut https = HttpsSettings::from_env(env)?;
        https.connect = connect;
        let peer = endpoint.peer(client.is_none().then_some(&https));
        Ok(Self { endpoint, region, https, peer, client: OnceCell::new_with(client) })
    }

    /// Sends a form that is signed at `now`, and returns the response, whatever its status. There is no time limit.
    pub(crate) async fn send(
        &self,
        form: Zeroizing<String>,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<Reply, Error> {
        let request = self.signed(form, credentials, now)?;
        let client = self.client.get_or_try_init(|| sts_client(&self.endpoint.url, &self.https)).await?;
        client.send(request, &self.peer).await
    }

    fn signed(
        &self,
        form: Zeroizing<String>,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<http::Request<Bytes>, Error> {
        let not_signed = || Error::internal(ErrorKind::InvalidConfiguration, "the request to STS could not be signed");
        let unusable = |_| not_signed();
        let identity = Identity::from(credentials.clone());
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("sts")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| not_signed())?;
        let endpoint = &self.endpoint.url;
        // The signed `Host` must equal the one that the HTTP client sends, which does not contain the default port.
        let headers = [(HOST.as_str(), endpoint.authority()), (CONTENT_TYPE.as_str(), FORM)];
        let (url, body) = (endpoint.to_string(), SignableBody::Bytes(form.as_bytes()));
        let signable = SignableRequest::new("POST", url, headers.into_iter(), body).map_err(unusable)?;
        let (instructions, _) = http_request::sign(signable, &params.into()).map_err(unusable)?.into_parts();
        let mut request = transport::request(http::Method::POST, endpoint);
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            // One of the headers contains the session token.
            let value = transport::secret_header(Zeroizing::new(value.to_owned())).map_err(unsendable)?;
            request = request.header(HeaderName::try_from(name).map_err(unsendable)?, value);
        }
        transport::finish(request, form)
    }
}

fn unsendable(_: impl std::error::Error) -> Error {
    Error::internal(ErrorKind::InvalidResponse, "the credentials cannot be sent in an HTTP header")
}
