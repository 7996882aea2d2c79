//! Builds the client for https to one server, at the first request to it.

use super::renewing::Renewing;
#[cfg(not(feature = "__sdk-http-client"))]
use super::reqwest_client as https_client;
#[cfg(feature = "__sdk-http-client")]
use super::sdk_client as https_client;
use super::{Client, HttpUrl, HttpsSettings};
use crate::error::Error;
use crate::error::problem::peer::Server;

impl HttpsSettings {
    /// Builds a client for the server at `url`.
    pub(crate) async fn client(&self, server: Server, url: &HttpUrl) -> Result<Client, Error> {
        let proxy = self.proxy_for(server, url).cloned();
        Renewing::build(Self { proxy, ..self.clone() }, url.clone(), https_client::build).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{self, Env};

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
        assert!(empty.contains("holds no certificate"), "{empty}");
        for broken in ["AAAA", "not base64!", ""] {
            let pem = format!("-----BEGIN CERTIFICATE-----\n{broken}\n-----END CERTIFICATE-----\n");
            std::fs::write(path, pem).unwrap();
            let broken = error(&[(env::CA_BUNDLE, path)]).to_string();
            assert!(broken.starts_with("AWS_CA_BUNDLE=") && broken.contains("certificate"), "{broken}");
            assert!(!broken.contains("set AWS_CA_BUNDLE"), "{broken}");
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
