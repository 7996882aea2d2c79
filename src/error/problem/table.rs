//! How each failure is treated. The rows of the tables in [`sts`](super::sts), [`agent`](super::agent) and [`OTHER`]
//! contain the four decisions for each failure, and no other code makes them.
//! A refusal is permanent only if the response has the format of the called service and its code is in a short list.
//! For STS, the list is that of the AWS SDKs' refresh rules. For Pod Identity, it contains messages of the agent and
//! exceptions of EKS Auth. All other failures are transient. A proxy, a service mesh or a captive portal can respond
//! with any status, and such a response must not end the use of credentials or switch a pod to the other source.

use crate::error::ErrorKind;
use crate::error::verdict::Verdict;

/// One row of a table: which responses it matches, and how they are treated.
pub(crate) struct Row<M> {
    /// Codes or exception names. Empty matches any.
    pub(crate) codes: &'static [&'static str],
    /// A part of the message, in lower case. Empty matches any.
    pub(crate) says: &'static str,
    /// The lowest and the highest status.
    pub(crate) statuses: (u16, u16),
    pub(crate) meaning: M,
    pub(crate) kind: ErrorKind,
    pub(crate) verdict: Verdict,
}

/// The result of a matching row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruling<M> {
    pub(crate) meaning: M,
    pub(crate) kind: ErrorKind,
    pub(crate) verdict: Verdict,
}

/// A row that matches by code and message, with any status.
pub(super) const fn row<M: Copy>(
    codes: &'static [&'static str],
    says: &'static str,
    meaning: M,
    kind: ErrorKind,
    verdict: Verdict,
) -> Row<M> {
    Row { codes, says, statuses: ANY, meaning, kind, verdict }
}

/// A row that matches by status, with any code.
pub(super) const fn by_status<M: Copy>(statuses: (u16, u16), meaning: M, kind: ErrorKind, verdict: Verdict) -> Row<M> {
    Row { codes: &[], says: "", statuses, meaning, kind, verdict }
}

pub(super) const ANY: (u16, u16) = (0, u16::MAX);
pub(super) const TOO_MANY_REQUESTS: (u16, u16) = (429, 429);
pub(super) const SERVER_ERROR: (u16, u16) = (500, u16::MAX);

/// The result of the first matching row. `unknown` is the meaning in the last row of every table.
pub(super) fn look_up<M: Copy>(table: &[Row<M>], unknown: M, status: u16, code: &str, message: &str) -> Ruling<M> {
    let message = message.to_ascii_lowercase();
    let found = table.iter().find(|row| {
        let (lowest, highest) = row.statuses;
        (row.codes.is_empty() || row.codes.contains(&code))
            && (row.says.is_empty() || message.contains(row.says))
            && (lowest..=highest).contains(&status)
    });
    found.map_or(Ruling { meaning: unknown, kind: ErrorKind::Refused, verdict: Verdict::TRANSIENT }, |row| Ruling {
        meaning: row.meaning,
        kind: row.kind,
        verdict: row.verdict,
    })
}

/// Whether `text` has the format of a code, such as `AccessDeniedException`.
pub(crate) fn is_code(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".:_-".contains(&b))
}

/// Codes that mean throttling, with any status. These are the codes of the AWS SDKs
/// (`aws_runtime::retries::classifiers`).
pub(super) const THROTTLING: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "TooManyRequestsException",
    "TooManyRequests",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "RequestThrottled",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
];

/// Codes that mean that the service itself failed, with any status.
pub(super) const FAILING: &[&str] = &[
    "RequestTimeout",
    "RequestTimeoutException",
    "InternalFailure",
    "InternalError",
    "InternalServerError",
    "InternalServerException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];

/// All failures that are not refusals by STS or the agent. The text is a row of the documentation.
pub(crate) const OTHER: &[(&str, ErrorKind, Verdict)] = &[
    ("no connection: name resolution, route, TCP, TLS or proxy", ErrorKind::Unavailable, Verdict::TRANSIENT),
    ("no complete response in time", ErrorKind::Timeout, Verdict::TRANSIENT),
    (
        "status 500 or higher, 408 or 425, not in the format of the service: a proxy or another server",
        ErrorKind::Unavailable,
        Verdict::TRANSIENT,
    ),
    ("status 429, not in the format of the service", ErrorKind::Throttled, Verdict::TRANSIENT),
    (
        "any other response that is not in the format of the service: HTML, a redirect, an empty body, 401, 403, 404, \
         407",
        ErrorKind::InvalidResponse,
        Verdict::TRANSIENT,
    ),
    ("a successful response in which a field is missing or invalid", ErrorKind::InvalidResponse, Verdict::TRANSIENT),
    ("credentials that have already expired", ErrorKind::ExpiredCredentials, Verdict::TRANSIENT),
    ("the token file is missing, cannot be read or does not contain a token", ErrorKind::TokenFile, Verdict::MISTAKE),
    (
        "the configuration is invalid: `AWS_CA_BUNDLE`, a proxy URL, a host name that resolves to a forbidden address",
        ErrorKind::InvalidConfiguration,
        Verdict::MISTAKE,
    ),
    ("no credential source is configured", ErrorKind::NotConfigured, Verdict::NOT_ATTEMPTED),
    ("the credentials are not valid for as long as requested", ErrorKind::LifetimeTooShort, Verdict::NOT_ATTEMPTED),
    (
        "no thread or runtime is available to fetch credentials, or the fetch panicked",
        ErrorKind::NoRuntime,
        Verdict::NOT_ATTEMPTED,
    ),
];

/// How a failure of this kind is treated if it is not in the table of a service.
pub(crate) fn of_kind(kind: ErrorKind) -> Verdict {
    let other = OTHER.iter().find(|(_, of, _)| *of == kind).map(|(_, _, verdict)| *verdict);
    other.unwrap_or(if kind == ErrorKind::Denied { Verdict::PERMANENT } else { Verdict::TRANSIENT })
}

/// The kind of a response that is not in the format of the service.
pub(crate) fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        429 => ErrorKind::Throttled,
        408 | 425 | 500.. => ErrorKind::Unavailable,
        _ => ErrorKind::InvalidResponse,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::super::agent;
    use super::super::sts::tables;
    use super::*;
    use crate::error::verdict::Delay;

    mod generated {
        include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/generated.rs"));
    }

    fn cells(kind: ErrorKind, verdict: Verdict) -> String {
        let Verdict { retries_cold_start, serves_expired, falls_back, delay } = verdict;
        format!(
            "`{kind:?}` | {} | {} | {} | {}",
            if retries_cold_start { "tries again" } else { "fails at once" },
            if serves_expired { "served" } else { "not served" },
            if falls_back { "yes" } else { "no" },
            if delay == Delay::Backoff { "1–30 s" } else { "1–60 s" }
        )
    }

    fn head(title: &str, answer: &str) -> String {
        format!(
            "## {title}\n\n| {answer} | kind | cold start | expired credentials | fallback | next attempt \
             |\n|---|---|---|---|---|---|\n"
        )
    }

    fn rows<M>(table: &[Row<M>]) -> String {
        let mut text = String::new();
        for Row { codes, says, statuses, kind, verdict, .. } in table {
            let codes: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
            let answer = match (codes.join(", "), *says) {
                (codes, "") if codes.is_empty() => match *statuses {
                    TOO_MANY_REQUESTS => "anything else with status 429".to_owned(),
                    SERVER_ERROR => "anything else with a status of 500 or higher".to_owned(),
                    _ => "anything else".to_owned(),
                },
                (codes, says) if codes.is_empty() => format!("\"… {says} …\""),
                (codes, "") => codes,
                (codes, says) => format!("{codes} with \"… {says} …\""),
            };
            let _ = writeln!(text, "| {answer} | {} |", cells(*kind, *verdict));
        }
        text
    }

    fn tables() -> String {
        let mut other = String::new();
        for (what, kind, verdict) in OTHER {
            let _ = writeln!(other, "| {what} | {} |", cells(*kind, *verdict));
        }
        [
            head("Refusals in the format of STS", "code"),
            rows(tables::ASSUME_ROLE_WITH_WEB_IDENTITY),
            "\n".to_owned(),
            head("Exceptions of EKS Auth, and codes in JSON responses of other servers", "code"),
            rows(agent::EXCEPTIONS),
            "\n".to_owned(),
            head("Messages of the agent itself", "text"),
            rows(agent::TEXTS),
            "\n".to_owned(),
            head("All other failures", "failure"),
            other,
        ]
        .concat()
    }

    /// The tables in the documentation are generated from the data: `EKS_CREDENTIALS_BLESS=1` updates them.
    fn bless_or_compare(page: &str, tables: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs").join(page);
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, documented, after) = generated::split(&page).unwrap();
        #[allow(clippy::disallowed_methods, reason = "tests read this variable to update files")]
        if std::env::var("EKS_CREDENTIALS_BLESS").is_ok() {
            std::fs::write(&path, [before, tables, after].concat()).unwrap();
            return;
        }
        assert_eq!(documented, tables);
    }

    #[test]
    fn verdict_tables_match_the_documentation() {
        bless_or_compare("failures.md", &tables());
    }

    /// A role of a chain has no fallback, so its table has no such column.
    #[test]
    fn verdict_table_of_assume_role_matches_the_documentation() {
        let table =
            "| code | kind | cold start | expired credentials | next attempt |\n|---|---|---|---|---|\n".to_owned();
        let rows = rows(tables::ASSUME_ROLE).replace(" | yes | ", " | ").replace(" | no | ", " | ");
        bless_or_compare("assuming_roles.md", &(table + &rows));
    }

    /// No row of a table may do more: only a denial in the format of the service stops the use of expired credentials
    /// or allows the fallback.
    #[test]
    fn verdict_falls_back_only_after_a_permanent_refusal() {
        let of_services =
            tables::ASSUME_ROLE_WITH_WEB_IDENTITY.iter().chain(tables::ASSUME_ROLE).map(|row| (row.kind, row.verdict));
        let of_services =
            of_services.chain(agent::EXCEPTIONS.iter().chain(agent::TEXTS).map(|row| (row.kind, row.verdict)));
        for (kind, verdict) in of_services.chain(OTHER.iter().map(|(_, kind, verdict)| (*kind, *verdict))) {
            let is_denial = matches!(kind, ErrorKind::Denied | ErrorKind::TokenRejected);
            assert!(!verdict.falls_back || (is_denial && !verdict.serves_expired), "{kind:?}");
            assert!(!verdict.serves_expired || verdict.delay == Delay::Backoff, "{kind:?}");
        }
        assert!(OTHER.iter().all(|(_, _, verdict)| !verdict.falls_back), "only a service can deny a request");
    }

    #[test]
    fn is_code_accepts_one_word_of_up_to_100_characters() {
        let long = "x".repeat(100);
        for text in ["AccessDeniedException", "Sts.Client:1_a-b", "7", &long] {
            assert!(is_code(text), "{text}");
        }
        let longer = "x".repeat(101);
        for text in ["", "two words", "<b>", "caf\u{e9}", "a\n", &longer] {
            assert!(!is_code(text), "{text}");
        }
    }

    #[test]
    fn of_kind_is_transient_for_unlisted_kinds_except_denials() {
        for (kind, verdict) in [
            (ErrorKind::Denied, Verdict::PERMANENT),
            (ErrorKind::Refused, Verdict::TRANSIENT),
            (ErrorKind::TokenRejected, Verdict::TRANSIENT),
        ] {
            assert!(!OTHER.iter().any(|(_, other, _)| *other == kind), "{kind:?}");
            assert_eq!(of_kind(kind), verdict, "{kind:?}");
        }
        for (_, kind, verdict) in OTHER {
            assert_eq!(of_kind(*kind), *verdict, "{kind:?}");
        }
    }
}
