//! What the environment says about reaching https hosts, and the client built from it.
//!
//! The client is built on first need and off the async threads: reading a root store takes file I/O and milliseconds of
//! CPU.

use std::path::PathBuf;

use super::Client;
use super::proxy::ProxySettings;
#[cfg(not(feature = "__sdk-http-client"))]
use super::reqwest_client as https_client;
#[cfg(feature = "__sdk-http-client")]
use super::sdk_client as https_client;
use crate::env::{self, Env};
use crate::error::{Error, ErrorKind};

/// `AWS_CA_BUNDLE` and the proxy variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpsSettings {
    pub(super) ca_bundle: Option<PathBuf>,
    pub(super) proxy: Option<ProxySettings>,
}

impl HttpsSettings {
    pub(crate) fn from_env(env: &Env) -> Result<Self, Error> {
        let ca_bundle = env.get(env::CA_BUNDLE)?.map(PathBuf::from);
        Ok(Self { ca_bundle, proxy: ProxySettings::from_env(env)? })
    }

    /// A client for https, built on a blocking thread.
    pub(crate) async fn client(&self) -> Result<Client, Error> {
        let settings = self.clone();
        match tokio::task::spawn_blocking(move || https_client::build(&settings)).await {
            Ok(client) => client,
            Err(join) => Err(Error::caused_by(ErrorKind::Unavailable, "the thread that sets up TLS ended early", join)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(vars: &[(&str, &str)]) -> HttpsSettings {
        HttpsSettings::from_env(&Env::from_os(vars.iter().map(|(n, v)| (n.into(), v.into())))).unwrap()
    }

    fn error(vars: &[(&str, &str)]) -> Error {
        https_client::build(&settings(vars)).unwrap_err()
    }

    #[test]
    fn https_client_names_a_ca_bundle_that_cannot_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let path = path.to_str().unwrap();
        let missing = error(&[(env::CA_BUNDLE, path)]).to_string();
        assert!(missing.starts_with("AWS_CA_BUNDLE=") && missing.contains(path), "{missing}");
        std::fs::write(path, "not a certificate").unwrap();
        let empty = error(&[(env::CA_BUNDLE, path)]).to_string();
        assert!(empty.ends_with("holds no certificate"), "{empty}");
        for broken in ["AAAA", "not base64!", ""] {
            let pem = format!("-----BEGIN CERTIFICATE-----\n{broken}\n-----END CERTIFICATE-----\n");
            std::fs::write(path, pem).unwrap();
            let broken = error(&[(env::CA_BUNDLE, path)]).to_string();
            assert!(broken.starts_with("AWS_CA_BUNDLE=") && broken.contains("certificate"), "{broken}");
        }
    }

    #[test]
    fn https_client_names_the_variable_of_a_bad_proxy_without_its_value() {
        for value in ["http://me:hunter2@:bad:port", "http://me:hunter2@", "me:hunter2@ /", "http://[me:hunter2"] {
            let error = error(&[(env::HTTPS_PROXY, value)]);
            assert!(error.to_string().starts_with("HTTPS_PROXY is not a proxy URL"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
