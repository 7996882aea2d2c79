//! One request to one source. The credentials are not used.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::time::Instant;

use crate::caller_identity;
use crate::error::Error;
use crate::fetched::Fetched;
use crate::provider::setup::Setup;
use crate::source::Source;
use crate::source_kind::SourceKind;

/// The result of one request to one credential source. It does not contain the credentials.
///
/// ```
/// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pod = LocalPod::start().await?;
/// # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
/// let comparison = provider.compare().await?;
/// match &comparison.other().outcome {
///     Ok(granted) => println!("role {:?}", granted.role),
///     Err(error) => println!("failed after {:?}: {error}", comparison.other().latency),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Probe {
    /// The source that was called.
    pub source: SourceKind,
    /// What the source granted, or why it failed.
    pub outcome: Result<Granted, Error>,
    /// The time from reading the token to the last byte of the response. It includes the time for the connection and, for STS
    /// over https, the TLS handshake.
    pub latency: Duration,
}

/// The identity of the granted credentials, as `GetCallerIdentity` of STS returns it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Caller {
    /// This build cannot call `GetCallerIdentity`. The call requires the features `diagnose` and `irsa`.
    #[default]
    NotRequested,
    /// The ARN, for example `arn:aws:sts::111122223333:assumed-role/name/session`.
    Arn(String),
    /// The call failed. It needs no permission, so a denial means that STS does not accept these credentials.
    Failed(Error),
}

/// The identity that one source granted to the pod. `None` means that an attribute is not known.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Granted {
    /// The twelve digits of the account. IRSA and Pod Identity return it. Some other container credentials servers do not.
    pub account: Option<String>,
    /// The partition: `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: Option<String>,
    /// The name of the role, without its path. For IRSA it is known from the configured ARN. The response of Pod Identity does
    /// not contain it, so it is known only from [`caller`](Self::caller).
    pub role: Option<String>,
    /// The result of `GetCallerIdentity` with these credentials.
    pub caller: Caller,
    /// When the granted credentials expire. `None` means never.
    pub expiry: Option<SystemTime>,
}

/// Requests credentials once within the limit of an attempt, and then calls `GetCallerIdentity` with them.
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

/// The result of `GetCallerIdentity` has precedence over the requested role.
async fn granted(source: &Source, setup: &Setup, credentials: &Credentials) -> Granted {
    let Setup { env, settings, http, .. } = setup;
    let caller = caller_identity::get(env, settings, http.clone(), credentials, setup.time_source().now()).await;
    let caller = match caller {
        None => Caller::NotRequested,
        Some(Ok(caller)) => Caller::Arn(caller.arn),
        Some(Err(error)) => Caller::Failed(error),
    };
    let identified = match &caller {
        Caller::Arn(arn) => Granted::of_arn(arn),
        Caller::NotRequested | Caller::Failed(_) => None,
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
    fn granted_role_has_no_path_and_no_session() {
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
