//! Variables that a service client looks up itself. Some end with the name of the service (`AWS_ENDPOINT_URL_S3`), others exist
//! for one service only (`AWS_S3_DISABLE_EXPRESS_SESSION_AUTH`, `AWS_BEARER_TOKEN_BEDROCK`).

use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use super::variables;
use crate::env::{self, Env};

/// Looks up `{KEY}_{SERVICE}`, then `{KEY}`. `Debug` prints only names, because a value may be a bearer token.
#[derive(Debug)]
pub(super) struct EnvServiceConfig {
    env: Env,
    ignore_endpoint_urls: bool,
}

impl EnvServiceConfig {
    pub(super) fn new(env: Env, ignore_endpoint_urls: bool) -> Self {
        Self { env, ignore_endpoint_urls }
    }

    fn value(&self, name: &str, is_endpoint_url: bool) -> Option<String> {
        let read = if is_endpoint_url { variables::endpoint_url } else { variables::text };
        read(&self.env, name)
    }
}

impl LoadServiceConfig for EnvServiceConfig {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let is_endpoint_url = key.env() == env::ENDPOINT_URL;
        if is_endpoint_url && self.ignore_endpoint_urls {
            return None;
        }
        let of_service = format!("{}_{}", key.env(), service_suffix(key.service_id()));
        self.value(&of_service, is_endpoint_url).or_else(|| self.value(key.env(), is_endpoint_url))
    }
}

/// `format_service_id_for_env` in `env_config.rs` of aws-runtime 1.10.
fn service_suffix(service_id: &str) -> String {
    service_id.to_uppercase().replace(' ', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(env: &Env, ignore: bool, service_id: &str, key: &str) -> Option<String> {
        let key = ServiceConfigKey::builder().service_id(service_id).env(key).profile("").build().unwrap();
        EnvServiceConfig::new(env.clone(), ignore).load_config(key)
    }

    #[test]
    fn service_config_prefers_the_key_of_the_service() {
        let env = Env::from([
            ("AWS_ENDPOINT_URL", "http://all"),
            ("AWS_ENDPOINT_URL_S3", " http://s3 "),
            ("AWS_ENDPOINT_URL_API_GATEWAY", "http://gateway"),
            ("AWS_ENDPOINT_URL_SQS", "not a url"),
            ("AWS_ENDPOINT_URL_SNS", ""),
        ]);
        let url = |service_id| load(&env, false, service_id, "AWS_ENDPOINT_URL");
        assert_eq!(url("S3").as_deref(), Some("http://s3"));
        assert_eq!(url("API Gateway").as_deref(), Some("http://gateway"));
        assert_eq!(["DynamoDB", "SQS", "SNS"].map(url), ["http://all"; 3].map(|url| Some(url.to_owned())));
        assert_eq!(load(&env, true, "S3", "AWS_ENDPOINT_URL"), None);
    }

    #[test]
    fn service_config_returns_keys_of_any_name() {
        let env = Env::from([
            ("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "true"),
            ("AWS_BEARER_TOKEN_BEDROCK", "very-secret"),
            ("AWS_SECRET_ACCESS_KEY", "very-secret"),
        ]);
        let value = |service_id, key| load(&env, true, service_id, key);
        assert_eq!(value("S3", "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH").as_deref(), Some("true"));
        assert_eq!(value("Bedrock", "AWS_BEARER_TOKEN").as_deref(), Some("very-secret"));
        assert_eq!(value("S3", "AWS_SECRET_ACCESS_KEY"), None);
        let shown = format!("{:?}", EnvServiceConfig::new(env, false));
        assert!(shown.contains("AWS_BEARER_TOKEN_BEDROCK") && !shown.contains("very-secret"), "{shown}");
    }
}
