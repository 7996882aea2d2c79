//! Reading one variable. A blank or invalid value is logged at WARN and counts as unset.

use std::str::FromStr;

use crate::env::{self, Env};
use crate::error::problem::setting::Setting;

const FLAG: &str = "true or false";

/// The value of `name`, if it is a URL.
pub(super) fn endpoint_url(env: &Env, name: &str) -> Option<String> {
    setting(env, name, "a URL such as https://s3.example.com", |value| {
        let uri: http::Uri = value.parse().ok()?;
        (uri.scheme().is_some() && uri.host().is_some()).then(|| value.to_owned())
    })
}

/// The value of `name`, if it is not blank.
pub(super) fn text(env: &Env, name: &str) -> Option<String> {
    setting(env, name, "a value", |value| Some(value.to_owned()))
}

pub(super) fn flag(env: &Env, name: &str) -> Option<bool> {
    setting(env, name, FLAG, env::parse_flag)
}

pub(super) fn from_str<T: FromStr>(value: &str) -> Option<T> {
    value.parse().ok()
}

/// The value of `name`, if `parse` accepts it.
pub(super) fn setting<T>(env: &Env, name: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
    if env.is_blank(name) {
        warn(&blank(name, expected));
        return None;
    }
    let parsed = env.get(name).and_then(|value| value.map(|value| parsed(name, value, expected, parse)).transpose());
    parsed.unwrap_or_else(|error| {
        warn(&error);
        None
    })
}

fn parsed<T>(name: &str, value: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Setting> {
    parse(value).ok_or_else(|| {
        let observed = format!("{name}=\"{}\" is not {expected}", crate::variable::without_password(value));
        Setting::Other { observed, remedy: "correct it, or remove it".to_owned() }
    })
}

pub(super) fn blank(name: &str, expected: &str) -> Setting {
    let remedy = format!("set it to {expected}, or remove it");
    Setting::Other { observed: format!("{name} has a blank value"), remedy }
}

pub(super) fn warn(problem: &Setting) {
    let error = format!("{}: {}", problem.observed(), problem.remedy());
    tracing::warn!(error, "ignored in the SDK configuration");
}
