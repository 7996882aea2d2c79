//! Reports one error for each root cause: findings that another finding explains are listed below it.

use super::{Finding, Severity};

/// Moves each finding that another one explains into the `consequences` of that one. A cause gets the severity of its
/// most severe consequence.
pub(super) fn below_their_causes(findings: Vec<Finding>) -> Vec<Finding> {
    let is_cause_of = |cause: &Finding, other: &Finding| {
        cause.severity >= Severity::Warning && other.severity >= Severity::Info && cause.id.explains(other.id)
    };
    let (consequences, mut causes): (Vec<_>, Vec<_>) = {
        let explained: Vec<bool> =
            findings.iter().map(|finding| findings.iter().any(|cause| is_cause_of(cause, finding))).collect();
        let (explained, rest): (Vec<_>, Vec<_>) = findings.into_iter().zip(explained).partition(|(_, is)| *is);
        (explained.into_iter().map(|(finding, _)| finding).collect(), rest.into_iter().map(|(f, _)| f).collect())
    };
    for consequence in consequences {
        let cause = causes.iter_mut().find(|cause| is_cause_of(cause, &consequence));
        match cause {
            Some(cause) => {
                cause.severity = cause.severity.max(consequence.severity);
                cause.consequences.push(consequence);
            }
            // Its cause is itself a consequence.
            None => causes.push(consequence),
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::super::FindingId;
    use super::*;

    #[test]
    fn consequences_are_below_their_cause_and_raise_its_severity() {
        let findings =
            [FindingId::StsUnreachable, FindingId::StsFips, FindingId::EnvOk].map(|id| Finding::new(id, "x"));
        let found = below_their_causes(findings.into());
        let ids: Vec<_> = found.iter().map(|finding| (finding.id, finding.severity)).collect();
        assert_eq!(ids, [(FindingId::StsFips, Severity::Error), (FindingId::EnvOk, Severity::Ok)]);
        assert_eq!(found[0].consequences[0].id, FindingId::StsUnreachable);
    }

    #[test]
    fn consequences_of_a_consequence_are_kept() {
        let ids = [FindingId::ClockSkew, FindingId::TokenExpired, FindingId::TokenRejected];
        let found = below_their_causes(ids.map(|id| Finding::new(id, "x")).into());
        let count = found.iter().map(|finding| 1 + finding.consequences.len()).sum::<usize>();
        assert_eq!(count, 3, "{found:?}");
    }

    #[test]
    fn consequences_need_their_cause() {
        let found = below_their_causes(vec![Finding::new(FindingId::StsUnreachable, "x")]);
        assert!(found[0].consequences.is_empty() && found[0].severity == Severity::Error);
    }
}
