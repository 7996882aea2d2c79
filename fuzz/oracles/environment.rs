//! Any environment and builder settings lead to one source, to no source, or to an error that says what to change.

use std::collections::HashMap;
use std::ffi::OsString;
use std::time::Duration;

use super::{assert_explains, fill};
use crate::env;
use crate::error::{Error, ErrorKind};
use crate::provider::EksCredentialsProvider;
use crate::provider::builder::Builder;
use crate::refresh::status::Health;
use crate::source_kind::SourceKind;

const TOKEN: &str = "fake-token-1";
const PASSWORD: &str = "fake-password-1";
const SETTING: &str = "builder.";

/// One `NAME=value` or `builder.setting=value` for each line. The last value of a name is used.
struct Input {
    vars: HashMap<String, Vec<u8>>,
    settings: HashMap<String, String>,
}

impl Input {
    fn of(input: &[u8]) -> Self {
        let (mut vars, mut settings) = (HashMap::new(), HashMap::new());
        for line in input.split(|&b| b == b'\n') {
            let Some(equals) = line.iter().position(|&b| b == b'=') else { continue };
            let Ok(name) = std::str::from_utf8(&line[..equals]) else { continue };
            let value = fill(&line[equals + 1..], &secrets_of(name));
            match name.strip_prefix(SETTING) {
                Some(setting) => _ = settings.insert(setting.to_owned(), String::from_utf8_lossy(&value).into_owned()),
                None => _ = vars.insert(name.to_owned(), value),
            }
        }
        Self { vars, settings }
    }

    /// As documented: values are trimmed, and a blank value counts as unset.
    fn var(&self, name: &str) -> Option<&str> {
        let text = std::str::from_utf8(self.vars.get(name)?).ok()?.trim();
        Some(text).filter(|text| !text.is_empty())
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    fn build(&self) -> Result<EksCredentialsProvider, Error> {
        let vars = self.vars.iter().map(|(name, value)| (OsString::from(name), os(value)));
        let mut builder = Builder::default().env(vars);
        for (name, value) in &self.settings {
            let seconds = || Duration::from_secs(value.parse().unwrap_or_default());
            builder = match name.as_str() {
                "prefer" if value == "pod-identity" => builder.prefer(SourceKind::PodIdentity),
                "prefer" => builder.prefer(SourceKind::WebIdentity),
                "fallback" => builder.fallback(true),
                "region" => builder.region(value),
                "role_arn" => builder.role_arn(value),
                "token_file" => builder.token_file(value),
                "session_name" => builder.session_name(value),
                "duration" => builder.session_length(seconds()),
                "policy" => builder.policy(value),
                "policy_arn" => builder.policy_arns([value]),
                "provider_id" => builder.provider_id(value),
                "sts_endpoint" => builder.sts_endpoint(value),
                "advisory_window" => builder.advisory_window(seconds()),
                "startup_timeout" => builder.startup_timeout(seconds()),
                "attempt_timeout" => builder.attempt_timeout(seconds()),
                _ => builder,
            };
        }
        builder.build()
    }

    fn prefers(&self) -> Option<&str> {
        match self.var(env::SOURCE) {
            Some("auto") => None,
            Some(name) => Some(name),
            None => self.setting("prefer"),
        }
    }
}

#[cfg(unix)]
fn os(value: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(value.to_vec())
}

#[cfg(not(unix))]
fn os(value: &[u8]) -> OsString {
    String::from_utf8_lossy(value).into_owned().into()
}

/// The secrets that may be placed in this variable. Other variables hold no secrets, so errors may show their values.
fn secrets_of(name: &str) -> Vec<(&'static str, &'static str)> {
    const AT: (&str, &str) = (":{password}@", ":fake-password-1@");
    match name {
        env::CONTAINER_TOKEN => vec![("{token}", TOKEN)],
        env::CONTAINER_FULL_URI | env::CONTAINER_RELATIVE_URI | env::HTTPS_PROXY | env::ALL_PROXY => vec![AT],
        "https_proxy" | "all_proxy" | "builder.sts_endpoint" => vec![AT],
        _ if name.starts_with(env::ENDPOINT_URL) => vec![AT],
        _ => vec![],
    }
}

/// Builds a provider from environment variables and builder settings.
pub fn environment(input: &[u8]) {
    let input = Input::of(input);
    let (built, again) = (input.build(), input.build());
    let printed = |built: &Result<EksCredentialsProvider, Error>| match built {
        Ok(provider) => match provider.detection() {
            Ok(detection) => format!("{provider:?} {:?} {detection} {detection:?}", provider.status()),
            Err(error) => format!("{provider:?} {:?} {error}", provider.status()),
        },
        Err(error) => format!("{error:?}"),
    };
    let text = printed(&built);
    assert_eq!(text, printed(&again), "the same environment led to another outcome");
    for secret in [TOKEN, PASSWORD] {
        assert!(!text.contains(secret), "{text}");
    }
    match built {
        Ok(provider) => assert_detected(&input, &provider),
        Err(error) => assert_names_the_cause(&input, &error),
    }
}

fn assert_detected(input: &Input, provider: &EksCredentialsProvider) {
    let role = input.setting("role_arn").or(input.var(env::ROLE_ARN));
    let file = input.setting("token_file").or(input.var(env::WEB_IDENTITY_TOKEN_FILE));
    let uri = input.var(env::CONTAINER_RELATIVE_URI).or(input.var(env::CONTAINER_FULL_URI));
    let token_file = input.var(env::CONTAINER_TOKEN_FILE);
    let prefers = input.prefers();
    let status = provider.status();
    let nothing = status.source.is_none();
    assert_eq!(status.health, if nothing { Health::Failed } else { Health::Starting });
    match status.source {
        // Half of a configuration is an error, so no variable of any source is set.
        None => assert_eq!([role, file, uri, token_file], [None; 4]),
        Some(SourceKind::WebIdentity) => {
            assert!(role.is_some() && file.is_some());
            assert!(uri.is_none() || prefers != Some("pod-identity"), "Pod Identity is preferred and configured");
        }
        Some(SourceKind::PodIdentity) => {
            assert!(uri.is_some());
            assert!(role.is_none() || file.is_none() || prefers == Some("pod-identity"), "IRSA has precedence");
        }
    }
}

/// The error names a variable or setting that is set, or the missing region.
fn assert_names_the_cause(input: &Input, error: &Error) {
    assert_eq!(error.kind(), ErrorKind::InvalidConfiguration);
    let longest = input.vars.values().map(Vec::len).chain(input.settings.values().map(String::len)).max();
    let text = assert_explains(error, longest.unwrap_or_default());
    let mut vars = input.vars.keys().filter(|name| !name.trim().is_empty());
    let in_words = text.to_lowercase().replace(' ', "_");
    let setting = |name: &str| if name == "duration" { "session_length".to_owned() } else { name.to_owned() };
    let named =
        vars.any(|name| text.contains(name)) || input.settings.keys().any(|name| in_words.contains(&setting(name)));
    assert!(named || text.contains(env::REGION), "{text}");
}
