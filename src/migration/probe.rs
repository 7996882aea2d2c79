//! One request to one source, whose credentials are never used.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::time::Instant;

use crate::caller_identity;
use crate::error::Error;
use crate::fetched::Fetched;
use crate::provider::setup::Setup;
use crate::source::Source;
use crate::source_kind::SourceKind;

/// What one credential source answered. The keys in the answer are not kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Probe {
    /// The method that was asked.
    pub source: SourceKind,
    /// What it granted, or why it failed. Without an ask, why it could not even be asked: it is configured by half.
    pub outcome: Result<Granted, Error>,
    /// From reading the token to the last byte of the answer. Zero without an ask. With the connection and, for STS over
    /// https, the TLS handshake, if there is none yet from which to go on.
    pub latency: Duration,
}

/// Whose credentials were granted, as STS answers `GetCallerIdentity`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Caller {
    /// This build cannot call `GetCallerIdentity`: it needs the features `diagnose` and `irsa`.
    #[default]
    NotAsked,
    /// The ARN, for example `arn:aws:sts::111122223333:assumed-role/name/session`.
    Arn(String),
    /// The call failed. It needs no permission, so a denial means that STS does not accept these credentials.
    Failed(Error),
}

/// Who the pod is to one method, as far as that says so.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Granted {
    /// The account's twelve digits. Both methods say it; some other container credentials servers do not.
    pub account: Option<String>,
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: Option<String>,
    /// The role's name, without its path. For IRSA the role that was asked for; Pod Identity's answer does not name it, so
    /// that only [`caller`](Self::caller) tells.
    pub role: Option<String>,
    /// The identity of the credentials as STS sees it.
    pub caller: Caller,
    /// When what was granted would have expired. `None`: never.
    pub expiry: Option<SystemTime>,
}

/// Requests credentials once within the limit of an attempt, and then asks STS whose they are.
pub(super) async fn probe(source: &Source, setup: &Setup) -> Probe {
    let started = Instant::now();
    let fetched = source.fetch(source.attempt_timeout()).await;
    let latency = started.elapsed();
    let outcome = match fetched {
        Ok(Fetched { credentials, .. }) => Ok(granted(source, setup, &credentials).await),
        Err(error) => Err(error),
    };
    Probe { source: source.kind(), outcome, latency }
}

/// What STS says about them has precedence over what was requested.
async fn granted(source: &Source, setup: &Setup, credentials: &Credentials) -> Granted {
    let Setup { env, settings, http, .. } = setup;
    let caller = caller_identity::get(env, settings, http.clone(), credentials, setup.time_source().now()).await;
    let caller = match caller {
        None => Caller::NotAsked,
        Some(Ok(caller)) => Caller::Arn(caller.arn),
        Some(Err(error)) => Caller::Failed(error),
    };
    let identified = match &caller {
        Caller::Arn(arn) => Granted::of_arn(arn),
        Caller::NotAsked | Caller::Failed(_) => None,
    };
    let requested = || source.role_arn().and_then(Granted::of_arn);
    let named = identified.or_else(requested).unwrap_or_default();
    let account = credentials.account_id().map(|account| account.as_str().to_owned());
    Granted { account: account.or(named.account), expiry: credentials.expiry(), caller, ..named }
}

impl Granted {
    /// From `arn:<partition>:iam::<account>:role/<path and name>` or
    /// `arn:<partition>:sts::<account>:assumed-role/<name>/<session>`.
    fn of_arn(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, partition, service, _, account, resource] = parts.as_slice() else { return None };
        let role = match *service {
            "iam" => resource.strip_prefix("role/")?.rsplit('/').next(),
            "sts" => resource.strip_prefix("assumed-role/")?.split('/').next(),
            _ => None,
        };
        Some(Self {
            account: Some((*account).to_owned()),
            partition: Some((*partition).to_owned()),
            role: Some(role?.to_owned()),
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_of_an_arn_is_its_name_without_path_or_session() {
        for (arn, expected) in [
            ("arn:aws:iam::111122223333:role/app", Some(["aws", "111122223333", "app"])),
            ("arn:aws-cn:iam::111122223333:role/team/blue/app", Some(["aws-cn", "111122223333", "app"])),
            ("arn:aws:sts::111122223333:assumed-role/app/default-pod", Some(["aws", "111122223333", "app"])),
            ("arn:aws:sts::111122223333:federated-user/app", None),
            ("arn:aws:iam::111122223333:root", None),
            ("arn:aws:ec2::111122223333:role/app", None),
            ("app", None),
        ] {
            let granted = Granted::of_arn(arn);
            let parts = granted.map(|g| [g.partition, g.account, g.role].map(Option::unwrap));
            assert_eq!(parts, expected.map(|parts| parts.map(str::to_owned)), "{arn}");
        }
    }
}
