//! A snapshot of the process environment. It is taken once, and no other code of this crate reads the environment.
//!
//! It contains a short list of variables and all `AWS_*` variables, because SDK clients look up names that are not known in
//! advance (`AWS_ENDPOINT_URL_<SERVICE>`). Secrets in other variables are not copied. Of the static keys, which this crate never
//! uses, it contains only the names. All values are wiped when the snapshot is dropped.

pub(crate) mod partition;
pub(crate) mod region;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::problem::setting::Setting;

pub(crate) use crate::variable::*;

/// The copied variables. Clones share the same memory, because one of the variables may contain a token.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Env(Arc<HashMap<String, Value>>);

#[derive(PartialEq, Eq)]
enum Value {
    Text(Zeroizing<String>),
    NotUnicode,
    /// One of [`STATIC_KEYS`] that is set. Its value is not copied.
    Withheld,
}

impl Value {
    fn new(name: &str, value: OsString) -> Self {
        match value.into_string().map(Zeroizing::new) {
            Ok(text) if STATIC_KEYS.contains(&name) && !text.trim().is_empty() => Self::Withheld,
            Ok(text) => Self::Text(text),
            Err(_) => Self::NotUnicode,
        }
    }
}

impl Env {
    pub(crate) fn from_process() -> Self {
        Self::from_os(std::env::vars_os())
    }

    pub(crate) fn from_os(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let copied = vars.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| is_copied(name))?;
            let value = Value::new(&name, value);
            Some((name, value))
        });
        Self(Arc::new(copied.collect()))
    }

    /// The value without whitespace at both ends. A blank value counts as unset.
    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, Setting> {
        match self.0.get(name) {
            None | Some(Value::Withheld) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
            Some(Value::NotUnicode) => Err(Setting::NotUtf8 { name: name.to_owned() }),
        }
    }

    /// Whether the variable has a value that is not blank. The value may be invalid UTF-8.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(name) && !self.is_blank(name)
    }

    /// Whether the variable exists and its value is blank.
    pub(crate) fn is_blank(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Value::Text(text)) if text.trim().is_empty())
    }

    /// The names of the variables that are set and that AWS SDKs read, but this crate does not.
    /// `AWS_STS_REGIONAL_ENDPOINTS=regional` is omitted: the EKS webhook sets it, and it describes what this crate always does.
    pub(crate) fn not_read(&self) -> impl Iterator<Item = &'static str> {
        let regional =
            matches!(self.get(STS_REGIONAL_ENDPOINTS), Ok(Some(value)) if value.eq_ignore_ascii_case("regional"));
        let names = NOT_READ.into_iter().filter(move |name| !(regional && *name == STS_REGIONAL_ENDPOINTS));
        names.filter(|name| self.is_set(name))
    }

    /// Parses `true` or `false` in any case. An unset variable is `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Setting> {
        match self.get(name)? {
            None => Ok(false),
            Some(value) => {
                parse_flag(value).ok_or_else(|| Setting::Flag { name: name.to_owned(), value: value.to_owned() })
            }
        }
    }

    /// The first of `names` that is set, and its value.
    pub(crate) fn first_of<'n>(&self, names: &[&'n str]) -> Result<Option<(&'n str, &str)>, Setting> {
        for name in names {
            if let Some(value) = self.get(name)? {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }
}

/// Parses a flag as the AWS SDKs do.
pub(crate) fn parse_flag(value: &str) -> Option<bool> {
    let is = |name: &str| value.eq_ignore_ascii_case(name);
    is("true").then_some(true).or_else(|| is("false").then_some(false))
}

fn is_copied(name: &str) -> bool {
    name.starts_with("AWS_") || OTHERS.contains(&name)
}

/// Shows only the names, because `AWS_CONTAINER_AUTHORIZATION_TOKEN` and `AWS_BEARER_TOKEN_<SERVICE>` are secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.0.keys().collect();
        names.sort();
        f.debug_tuple("Env").field(&names).finish()
    }
}

#[cfg(test)]
#[cfg(feature = "pod-identity")]
impl Env {
    /// The number of clones of this snapshot.
    pub(crate) fn users(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Env {
    fn from(vars: [(&str, &str); N]) -> Self {
        Self::from_os(vars.map(|(name, value)| (name.into(), value.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_trims_values_and_blank_is_unset() {
        let env = Env::from([(ROLE_ARN, "  arn "), (REGION, " "), (DEFAULT_REGION, "")]);
        let values = [ROLE_ARN, REGION, DEFAULT_REGION, SOURCE].map(|name| env.get(name).unwrap());
        assert_eq!(values, [Some("arn"), None, None, None]);
    }

    #[test]
    fn env_copies_aws_names_only_and_debug_shows_no_value() {
        let env = Env::from([("DATABASE_PASSWORD", "hunter2"), (CONTAINER_TOKEN, "very-secret"), ("AWSX", "hunter2")]);
        assert_eq!(format!("{env:?}"), r#"Env(["AWS_CONTAINER_AUTHORIZATION_TOKEN"])"#);
    }

    #[test]
    fn env_keeps_only_the_presence_of_static_keys() {
        let env = Env::from(STATIC_KEYS.map(|name| (name, "very-secret")));
        assert!(env.0.values().all(|value| matches!(value, Value::Withheld)));
        assert_eq!(STATIC_KEYS.map(|name| (env.is_set(name), env.get(name).unwrap())), [(true, None); 4]);
        assert_eq!(env.not_read().collect::<Vec<_>>(), STATIC_KEYS);
    }

    #[test]
    fn env_lists_set_variables_that_are_not_read() {
        let set = |vars: &[(&str, &str)]| {
            let env = Env::from_os(vars.iter().map(|(name, value)| (name.into(), value.into())));
            env.not_read().collect::<Vec<_>>()
        };
        assert_eq!(set(&[("AWS_PROFILE", "prod"), ("AWS_CONFIG_FILE", " "), (REGION, "x")]), ["AWS_PROFILE"]);
        assert_eq!(set(&[(STS_REGIONAL_ENDPOINTS, "Regional")]), [""; 0]);
        assert_eq!(set(&[(STS_REGIONAL_ENDPOINTS, "legacy")]), [STS_REGIONAL_ENDPOINTS]);
    }

    #[test]
    fn env_flag_is_true_false_or_an_error_with_the_value() {
        let env = Env::from([(USE_FIPS, "True"), (USE_DUALSTACK, "1")]);
        assert!(env.flag(USE_FIPS).unwrap());
        assert!(!env.flag(IGNORE_ENDPOINT_URLS).unwrap());
        let error = env.flag(USE_DUALSTACK).unwrap_err().observed();
        assert_eq!(error, r#"AWS_USE_DUALSTACK_ENDPOINT="1" is neither "true" nor "false""#);
    }

    #[cfg(unix)]
    #[test]
    fn env_value_that_is_not_utf8_is_an_error() {
        use std::os::unix::ffi::OsStringExt as _;
        let env = Env::from_os([(ROLE_ARN.into(), OsString::from_vec(vec![0xff]))]);
        assert!(env.get(ROLE_ARN).unwrap_err().observed().starts_with("AWS_ROLE_ARN is not valid UTF-8"));
    }
}
