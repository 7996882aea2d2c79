//! Both methods side by side, before one is cut over to the other.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::probe::{Caller, Granted, Probe, probe};
use crate::error::{Error, ErrorKind};
use crate::provider::setup::Setup;
use crate::source::Sources;

/// Both methods of a pod, asked one after the other without touching what is served: from
/// [`compare()`](crate::EksCredentialsProvider::compare).
///
/// `Display` says who the pod is to either of them, and then "ready to cut over", or what differs and what to do.
#[derive(Clone, Debug)]
pub struct Comparison {
    serving: Probe,
    other: Probe,
    compared_at: SystemTime,
}

/// Something in which the two methods differ, so that a pod would be somebody else after a cut-over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// `account`, `partition` or `role`.
    pub what: &'static str,
    /// As the method that serves has it.
    pub serving: String,
    /// As the other one has it.
    pub other: String,
}

impl Comparison {
    /// Calls one after the other, so that neither latency contains the other one.
    pub(super) async fn of(sources: &Sources, setup: &Setup) -> Result<Self, Error> {
        let other = sources.other()?;
        let (serving, other) = (probe(&sources.first, setup).await, probe(other, setup).await);
        Ok(Self { serving, other, compared_at: setup.time_source().now() })
    }

    /// The method that serves (in the first place: see [`Builder::fallback`](crate::Builder::fallback)).
    pub fn serving(&self) -> &Probe {
        &self.serving
    }

    /// The one to cut over to.
    pub fn other(&self) -> &Probe {
        &self.other
    }

    /// Both granted credentials, valid ones, and nothing that could be compared differs. What could not be compared is in
    /// [`not_compared`](Self::not_compared).
    pub fn is_ready(&self) -> bool {
        self.problems().is_empty() && self.differences().is_empty()
    }

    /// In what they differ. Not the lifetime of credentials, which does not matter to who uses them; and nothing if one of
    /// them failed.
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

    /// What only one of them says, or neither: `account`, `partition`, `role`. Pod Identity's answer names only the
    /// account; with the features `diagnose` and `irsa` STS is asked for the rest.
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

    /// Why one of them could not serve at all.
    fn problems(&self) -> Vec<String> {
        let problem = |Probe { source, outcome, .. }: &Probe| match outcome {
            Err(error) => Some(format!("{source} failed: {error}")),
            Ok(granted) if granted.expiry.is_some_and(|at| at <= self.compared_at) => {
                Some(format!("{source} granted credentials that have expired: check the node's clock"))
            }
            Ok(Granted { caller: Caller::Failed(error), .. }) if error.kind() == ErrorKind::Denied => {
                Some(format!("{source} granted credentials that STS does not take: {error}"))
            }
            Ok(_) => None,
        };
        [&self.serving, &self.other].into_iter().filter_map(problem).collect()
    }

    /// What kept STS from saying who they are.
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
            None => "valid for ever".to_owned(),
        };
        format!(
            "{}: account {}, role {}, partition {}, {validity}, answered in {:.0?}",
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
                "let both name the same role (the service account's annotation eks.amazonaws.com/role-arn; aws eks \
                 update-pod-identity-association --role-arn …), or make sure that the other one may do the same"
            }
            _ => {
                "let both name roles of the same account (a role of another account is reached from an association by \
                 its --target-role-arn), or make sure that the pod is meant to move"
            }
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; serves now", self.describe(&self.serving))?;
        writeln!(f, "{}", self.describe(&self.other))?;
        let mut problems = self.problems();
        problems.extend(self.differences().iter().map(Difference::to_string));
        if !problems.is_empty() {
            return write!(f, "not ready to cut over:\n- {}", problems.join("\n- "));
        }
        f.write_str("ready to cut over")?;
        match self.not_compared().as_slice() {
            [] => Ok(()),
            unknown => write!(f, "; not compared, because not both say it: {}", unknown.join(", ")),
        }?;
        match self.unidentified() {
            Some(error) => write!(f, "; STS could not be asked who they are: {error}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, serving, other } = self;
        write!(f, "the {what} differs: {serving} now, {other} by the other method; {}", self.remedy())
    }
}

/// `5h 59m`, `59m`, `42s`: enough to compare lifetimes by.
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
                Granted { account, partition, role, expiry: NOW.checked_add(lifetime), caller: Caller::NotAsked };
            Probe { source, outcome: Ok(granted), latency: Duration::from_millis(12) }
        };
        Comparison {
            serving: probe(SourceKind::WebIdentity, serving, Duration::from_secs(3599)),
            other: probe(SourceKind::PodIdentity, other, Duration::from_secs(21_599)),
            compared_at: NOW,
        }
    }

    #[test]
    fn what_both_say_is_compared_and_what_only_one_says_is_named() {
        let (account, partition, role) = (Some("111122223333"), Some("aws"), Some("app"));
        let whole = [account, partition, role];
        for (other, differences, unknown, end) in [
            (whole, vec![], vec![], "\nready to cut over"),
            (
                [account, None, None],
                vec![],
                vec!["partition", "role"],
                "\nready to cut over; not compared, because not both say it: partition, role",
            ),
            (
                [account, partition, Some("App")],
                vec!["role"],
                vec![],
                "or make sure that the other one may do the same",
            ),
            (
                [Some("444455556666"), Some("aws-cn"), None],
                vec!["account", "partition"],
                vec!["role"],
                "or make sure that the pod is meant to move",
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
    fn it_is_read_like_this() {
        let whole = [Some("111122223333"), Some("aws"), Some("app")];
        let expected = "\
            IRSA: account 111122223333, role app, partition aws, valid for 59m, answered in 12ms; serves now\n\
            EKS Pod Identity: account 111122223333, role blue, partition not known, valid for 5h 59m, answered in 12ms\n\
            not ready to cut over:\n\
            - the role differs: app now, blue by the other method; let both name the same role (the service account's \
            annotation eks.amazonaws.com/role-arn; aws eks update-pod-identity-association --role-arn …), or make sure \
            that the other one may do the same";
        assert_eq!(comparison(whole, [whole[0], None, Some("blue")]).to_string(), expected);
        assert_eq!(minutes(Duration::from_secs(59)), "59s");
    }
}
