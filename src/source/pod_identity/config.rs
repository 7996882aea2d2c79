//! Parses the configuration of container credentials from the environment.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::endpoint::ContainerEndpoint;
use crate::env::{self, Env};
use crate::error::problem::setting::Setting;
use crate::source::found::{Configured, Found};
use crate::source_kind::SourceKind;
use crate::token_file::{Token, TokenSource};
use crate::transport::HttpsSettings;
use crate::variable;

/// The endpoint of the credentials, and the token to send.
#[derive(Clone, Debug)]
pub(crate) struct PodIdentityConfig {
    pub(crate) endpoint: ContainerEndpoint,
    /// `None` is only valid for servers other than the EKS agent.
    pub(crate) token: Option<TokenSource>,
    pub(crate) https: HttpsSettings,
}

impl PodIdentityConfig {
    pub(crate) fn tokens(&self) -> Option<TokenSource> {
        self.token.clone()
    }
}

/// Parses the variables for container credentials. The builder has no settings for them.
pub(crate) fn from_env(env: &Env) -> Result<Found<PodIdentityConfig>, Setting> {
    if cfg!(not(feature = "pod-identity")) {
        return Found::not_in_this_build(env, env::CONTAINER_FULL_URI, "pod-identity");
    }
    let token_file = env.get(env::CONTAINER_TOKEN_FILE)?;
    let half = |set, value: &str, missing| Setting::Half {
        source: SourceKind::PodIdentity,
        set,
        value: variable::without_password(value).to_owned(),
        missing,
    };
    let endpoint = match (env.get(env::CONTAINER_RELATIVE_URI)?, env.get(env::CONTAINER_FULL_URI)?) {
        (Some(path), _) => ContainerEndpoint::relative(path)?,
        (None, Some(url)) => ContainerEndpoint::full(url)?,
        (None, None) => {
            let half = |path| half(env::CONTAINER_TOKEN_FILE, path, env::CONTAINER_FULL_URI);
            return Ok(token_file.map_or(Found::Absent, |path| Found::Partial(half(path))));
        }
    };
    let token = match (token_file, env.get(env::CONTAINER_TOKEN)?) {
        (Some(path), _) => Some((env::CONTAINER_TOKEN_FILE, TokenSource::File(PathBuf::from(path)))),
        (None, Some(token)) => {
            let bytes = Zeroizing::new(token.as_bytes().to_vec());
            let token = Token::parse(bytes, env::CONTAINER_TOKEN).map_err(Setting::ContainerToken)?;
            Some((env::CONTAINER_TOKEN, TokenSource::Fixed(token)))
        }
        (None, None) => None,
    };
    // The EKS agent refuses requests without a token. Other servers may accept them.
    if token.is_none() && endpoint.is_eks_agent() {
        return Err(half(endpoint.setting(), &endpoint.url().to_string(), env::CONTAINER_TOKEN_FILE));
    }
    let settings = [Some(endpoint.setting()), token.as_ref().map(|(variable, _)| *variable)];
    let config =
        PodIdentityConfig { endpoint, token: token.map(|(_, token)| token), https: HttpsSettings::from_env(env)? };
    Ok(Found::Present(Configured { config, settings: settings.into_iter().flatten().collect() }))
}
