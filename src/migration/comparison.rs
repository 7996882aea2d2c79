//! The comparison of the identities that both sources grant.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::probe::{Caller, Granted, Probe, probe};
use crate::error::{Error, ErrorKind};
use crate::provider::setup::Setup;
use crate::source::Sources;

/// The results of both sources of a pod, returned by [`compare()`](crate::EksCredentialsProvider::compare).
///
/// `Display` first prints one line for each source, with the identity that it granted. The next line begins with `ready to cut
/// over` or `not ready to cut over`. If the pod is not ready, the differences and the remedies follow.
///
/// ```
/// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let pod = LocalPod::builder().associated_role_arn("arn:aws:iam::111122223333:role/other").start().await?;
/// # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
/// # let comparison = provider.compare().await?;
/// assert!(!comparison.is_ready());
/// assert!(comparison.to_string().contains("\nnot ready to cut over:\n- the role differs"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Comparison {
    serving: Probe,
    other: Probe,
    compared_at: SystemTime,
}

/// An attribute of the identity that would change in a cut-over.
///
/// `Display` prints both values and the remedy in one line. For an example, see [`Comparison::differences`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The name of the attribute: `account`, `partition` or `role`.
    pub what: &'static str,
    /// The value for the source that is used now.
    pub serving: String,
    /// The value for the other source.
    pub other: String,
}

impl Comparison {
    /// Calls the sources one after the other, so each latency is that of one source.
    pub(super) async fn of(sources: &Sources, setup: &Setup) -> Result<Self, Error> {
        let other = sources.other()?;
        let (serving, other) = (probe(&sources.first, setup).await, probe(other, setup).await);
        Ok(Self { serving, other, compared_at: setup.time_source().now() })
    }

    /// Returns the result of the source that is used now.
    ///
    /// This is the preferred source, even if the current credentials come from a [fallback](crate::Builder::fallback).
    ///
    /// ```no_run
    /// # use eks_credentials::{EksCredentialsProvider, SourceKind, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::builder().associated_role_arn("arn:aws:iam::111122223333:role/other").start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
    /// # let comparison = provider.compare().await?;
    /// assert_eq!(comparison.serving().source, SourceKind::WebIdentity);
    /// # Ok(()) }
    /// ```
    pub fn serving(&self) -> &Probe {
        &self.serving
    }

    /// Returns the result of the other source, which is the target of a cut-over.
    ///
    /// ```no_run
    /// # use eks_credentials::{EksCredentialsProvider, SourceKind, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::builder().associated_role_arn("arn:aws:iam::111122223333:role/other").start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
    /// # let comparison = provider.compare().await?;
    /// assert_eq!(comparison.other().source, SourceKind::PodIdentity);
    /// # Ok(()) }
    /// ```
    pub fn other(&self) -> &Probe {
        &self.other
    }

    /// Returns `true` if both sources granted valid credentials and no compared attribute differs.
    ///
    /// Attributes that could not be compared do not matter here: see [`not_compared`](Self::not_compared).
    ///
    /// ```no_run
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::builder().associated_role_arn("arn:aws:iam::111122223333:role/other").start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
    /// # let comparison = provider.compare().await?;
    /// if comparison.is_ready() {
    ///     println!("set EKS_CREDENTIALS_SOURCE=pod-identity");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn is_ready(&self) -> bool {
        self.problems().is_empty() && self.differences().is_empty()
    }

    /// Returns the attributes that differ. If a source failed, this is empty.
    ///
    /// The lifetimes of the credentials are not compared, because they do not affect permissions.
    ///
    /// ```
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::builder().associated_role_arn("arn:aws:iam::111122223333:role/other").start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
    /// # let comparison = provider.compare().await?;
    /// let differences = comparison.differences();
    /// assert_eq!(differences[0].what, "role");
    /// assert_eq!((differences[0].serving.as_str(), differences[0].other.as_str()), ("local-pod", "other"));
    /// # Ok(()) }
    /// ```
    pub fn differences(&self) -> Vec<Difference> {
        let both = self.attributes().into_iter();
        let differs = both.filter_map(|(what, serving, other)| match (serving, other) {
            (Some(serving), Some(other)) if serving != other => {
                Some(Difference { what, serving: serving.to_owned(), other: other.to_owned() })
            }
            _ => None,
        });
        differs.collect()
    }

    /// Returns the names of the attributes that are not known for both sources: `account`, `partition` or `role`.
    ///
    /// The response of Pod Identity contains only the account. With the features `diagnose` and `irsa`, the other attributes
    /// come from STS. If a source failed, this is empty.
    ///
    /// ```no_run
    /// # use eks_credentials::{EksCredentialsProvider, testing::LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pod = LocalPod::builder().associated_role_arn("arn:aws:iam::111122223333:role/other").start().await?;
    /// # let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
    /// # let comparison = provider.compare().await?;
    /// assert!(comparison.not_compared().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn not_compared(&self) -> Vec<&'static str> {
        let both = self.attributes().into_iter();
        both.filter(|(_, serving, other)| serving.is_none() || other.is_none()).map(|(what, ..)| what).collect()
    }

    fn attributes(&self) -> Vec<(&'static str, Option<&str>, Option<&str>)> {
        let (Ok(serving), Ok(other)) = (&self.serving.outcome, &self.other.outcome) else { return Vec::new() };
        vec![
            ("account", serving.account.as_deref(), other.account.as_deref()),
            ("partition", serving.partition.as_deref(), other.partition.as_deref()),
            ("role", serving.role.as_deref(), other.role.as_deref()),
        ]
    }

    /// Why the credentials of a source could not be used at all.
    fn problems(&self) -> Vec<String> {
        let problem = |Probe { source, outcome, .. }: &Probe| match outcome {
            Err(error) => Some(format!("{source} failed: {error}")),
            Ok(granted) if granted.expiry.is_some_and(|at| at <= self.compared_at) => {
                Some(format!("{source} granted credentials that have expired: check the node's clock"))
            }
            Ok(Granted { caller: Caller::Failed(error), .. }) if error.kind() == ErrorKind::Denied => {
                Some(format!("{source} granted credentials that STS does not accept: {error}"))
            }
            Ok(_) => None,
        };
        [&self.serving, &self.other].into_iter().filter_map(problem).collect()
    }

    /// The error of a failed `GetCallerIdentity`.
    fn unidentified(&self) -> Option<&Error> {
        [&self.serving, &self.other].into_iter().find_map(|probe| match &probe.outcome {
            Ok(Granted { caller: Caller::Failed(error), .. }) => Some(error),
            _ => None,
        })
    }

    fn describe(&self, probe: &Probe) -> String {
        let Ok(Granted { account, partition, role, expiry, .. }) = &probe.outcome else {
            return format!("{}: failed after {:.0?}", probe.source, probe.latency);
        };
        let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not known".to_owned());
        let validity = match expiry {
            Some(at) => format!("valid for {}", minutes(at.duration_since(self.compared_at).unwrap_or_default())),
            None => "without expiry".to_owned(),
        };
        format!(
            "{}: account {}, role {}, partition {}, {validity}, response after {:.0?}",
            probe.source,
            or_unknown(account),
            or_unknown(role),
            or_unknown(partition),
            probe.latency
        )
    }
}

impl Difference {
    fn remedy(&self) -> &'static str {
        match self.what {
            "role" => {
                "use the same role for both sources (the service account's annotation eks.amazonaws.com/role-arn; aws eks \
                 update-pod-identity-association --role-arn …), or check that the other role has the same permissions"
            }
            _ => {
                "use roles of the same account for both sources (for a role of another account, set the association's \
                 --target-role-arn), or check that the change is intended"
            }
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (used now)", self.describe(&self.serving))?;
        writeln!(f, "{}", self.describe(&self.other))?;
        let mut problems = self.problems();
        problems.extend(self.differences().iter().map(Difference::to_string));
        if !problems.is_empty() {
            return write!(f, "not ready to cut over:\n- {}", problems.join("\n- "));
        }
        f.write_str("ready to cut over")?;
        match self.not_compared().as_slice() {
            [] => Ok(()),
            unknown => write!(f, "; not compared, because it is not known for both sources: {}", unknown.join(", ")),
        }?;
        match self.unidentified() {
            Some(error) => write!(f, "; the call of GetCallerIdentity failed: {error}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, serving, other } = self;
        write!(f, "the {what} differs: {serving} now, {other} with the other source; {}", self.remedy())
    }
}

/// `5h 59m`, `59m` or `42s`.
fn minutes(duration: Duration) -> String {
    let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{}s", duration.as_secs()),
        (0, minutes) => format!("{minutes}m"),
        (hours, minutes) => format!("{hours}h {minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::source_kind::SourceKind;

    const NOW: SystemTime = UNIX_EPOCH;

    fn comparison(serving: [Option<&str>; 3], other: [Option<&str>; 3]) -> Comparison {
        let probe = |source, attributes: [Option<&str>; 3], lifetime| {
            let [account, partition, role] = attributes.map(|value| value.map(str::to_owned));
            let granted =
                Granted { account, partition, role, expiry: NOW.checked_add(lifetime), caller: Caller::NotRequested };
            Probe { source, outcome: Ok(granted), latency: Duration::from_millis(12) }
        };
        Comparison {
            serving: probe(SourceKind::WebIdentity, serving, Duration::from_secs(3599)),
            other: probe(SourceKind::PodIdentity, other, Duration::from_secs(21_599)),
            compared_at: NOW,
        }
    }

    #[test]
    fn comparison_names_attributes_that_are_not_known_for_both() {
        let (account, partition, role) = (Some("111122223333"), Some("aws"), Some("app"));
        let whole = [account, partition, role];
        for (other, differences, unknown, end) in [
            (whole, vec![], vec![], "\nready to cut over"),
            (
                [account, None, None],
                vec![],
                vec!["partition", "role"],
                "\nready to cut over; not compared, because it is not known for both sources: partition, role",
            ),
            (
                [account, partition, Some("App")],
                vec!["role"],
                vec![],
                "or check that the other role has the same permissions",
            ),
            (
                [Some("444455556666"), Some("aws-cn"), None],
                vec!["account", "partition"],
                vec!["role"],
                "or check that the change is intended",
            ),
        ] {
            let comparison = comparison(whole, other);
            let found: Vec<_> = comparison.differences().iter().map(|difference| difference.what).collect();
            assert_eq!((&found, comparison.not_compared()), (&differences, unknown));
            assert_eq!(comparison.is_ready(), differences.is_empty());
            assert!(comparison.to_string().ends_with(end), "{comparison}");
        }
    }

    #[test]
    fn comparison_display() {
        let whole = [Some("111122223333"), Some("aws"), Some("app")];
        let expected = "\
            IRSA: account 111122223333, role app, partition aws, valid for 59m, response after 12ms (used now)\n\
            EKS Pod Identity: account 111122223333, role blue, partition not known, valid for 5h 59m, response after 12ms\n\
            not ready to cut over:\n\
            - the role differs: app now, blue with the other source; use the same role for both sources (the service \
            account's annotation eks.amazonaws.com/role-arn; aws eks update-pod-identity-association --role-arn …), or \
            check that the other role has the same permissions";
        assert_eq!(comparison(whole, [whole[0], None, Some("blue")]).to_string(), expected);
        assert_eq!(minutes(Duration::from_secs(59)), "59s");
    }
}
