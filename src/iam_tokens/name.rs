//! The names that callers pass. A name that is not valid is refused when the generator is created, and not by the service at
//! every connection. Errors show only the character that is not valid, because a caller may pass a URL with a password.

use std::fmt;

use crate::error::problem::setting::Setting;

/// The host name of a database, or the name of a cache. Host names are compared without regard to case, and are signed in lower
/// case.
#[derive(Debug)]
pub(super) struct Host(String);

/// The name of an EKS cluster, or the id of a local cluster on AWS Outposts.
#[derive(Debug)]
pub(super) struct Cluster(String);

/// The name of a user of a database or of a cache. Databases accept any character in it.
#[derive(Debug)]
pub(super) struct User(String);

impl Host {
    /// Parses the host name of an endpoint. `setting` describes the argument in errors.
    pub(super) fn parse(setting: &str, host: &str) -> Result<Self, Setting> {
        let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let expected = "pass the host name of the endpoint alone, without scheme, port and path";
        only(setting, host, is_valid, expected).map(|host| Self(host.to_ascii_lowercase()))
    }

    /// Parses the name of a cache.
    pub(super) fn of_cache(setting: &str, name: &str) -> Result<Self, Setting> {
        let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let expected = "pass the name of the cache, replication group or cluster, and not its endpoint";
        only(setting, name, is_valid, expected).map(|name| Self(name.to_ascii_lowercase()))
    }
}

impl Cluster {
    pub(super) fn parse(setting: &str, name: &str) -> Result<Self, Setting> {
        let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let expected = "pass the name of the cluster, and not its ARN or endpoint";
        only(setting, name, is_valid, expected).map(|name| Self(name.to_owned()))
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl User {
    pub(super) fn parse(setting: &str, name: &str) -> Result<Self, Setting> {
        only(setting, name, |c| c != '\0', "pass the name of the user").map(|name| Self(name.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn only<'a>(setting: &str, text: &'a str, is_valid: impl Fn(char) -> bool, expected: &str) -> Result<&'a str, Setting> {
    let observed = match text.chars().find(|&c| !is_valid(c)) {
        Some(invalid) => format!("{setting} contains the character {invalid:?}"),
        None if text.is_empty() => format!("{setting} is empty"),
        None => return Ok(text),
    };
    Err(Setting::Other { observed, remedy: expected.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_accepts_names_and_makes_them_lower_case() {
        let host = Host::parse("host", "Orders.C9akciq32.eu-central-1.rds.amazonaws.com").unwrap();
        assert_eq!(host.to_string(), "orders.c9akciq32.eu-central-1.rds.amazonaws.com");
        assert_eq!(Host::of_cache("name", "My-Cache-01").unwrap().to_string(), "my-cache-01");
    }

    #[test]
    fn names_are_refused_without_showing_them() {
        for (result, character) in [
            (Host::parse("it", "https://hunter2.example"), "':'"),
            (Host::parse("it", "hunter2.example:5432"), "':'"),
            (Host::parse("it", "hunter2.example/"), "'/'"),
            (Host::parse("it", "hunter2@example"), "'@'"),
            (Host::parse("it", "hunter2.example\n"), "'\\n'"),
            (Host::of_cache("it", "hunter2.cache.amazonaws.com"), "'.'"),
        ] {
            let error = result.unwrap_err();
            let text = format!("{}: {}", error.observed(), error.remedy());
            assert!(text.starts_with(&format!("it contains the character {character}")), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
        assert!(Cluster::parse("it", "arn:aws:eks:eu-central-1:111122223333:cluster/a").is_err());
        assert!(User::parse("it", "a\0b").is_err());
        for empty in [Host::parse("it", ""), Host::of_cache("it", "")] {
            assert_eq!(empty.unwrap_err().observed(), "it is empty");
        }
        assert_eq!(User::parse("it", "").unwrap_err().observed(), "it is empty");
        assert_eq!(Cluster::parse("it", "").unwrap_err().observed(), "it is empty");
    }
}
