//! Refusals by the EKS Pod Identity agent and by other servers for container credentials. This is the only file that
//! interprets their messages.
//!
//! The texts were taken from `aws/eks-pod-identity-agent` up to version 0.2 (`pkg/errors`, `internal/validation`). The
//! agent returns an exception of EKS Auth as `[request-id]: (Name): message, fault: client`, and the result of its own
//! token check as plain text.

use super::table::{
    FAILING, Row, Ruling, SERVER_ERROR, THROTTLING, TOO_MANY_REQUESTS, by_status, is_code, look_up, row,
};
use crate::claims::Claims;
use crate::error::ErrorKind;
use crate::error::verdict::Verdict;

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// EKS Auth cannot assume the role of the association, or the node's role does not allow the request.
    RoleDenied,
    NoAssociation,
    /// The association's role was deleted, or the request does not match the cluster.
    AssociationInvalid,
    PolicyTooLarge,
    TokenExpired,
    /// The token was issued by another cluster.
    ForeignToken,
    WrongAudience,
    NoToken,
    NotAJwt,
    /// The token is not bound to a pod, which agents require since version 0.2.
    NotBoundToPod,
    /// The agent could not fetch the cluster's keys.
    KeysNotRetrieved,
    InvalidAddress,
    Throttled,
    Failing,
    Unknown,
}

/// Exceptions of EKS Auth that the agent passes on. Codes in the JSON of other servers are looked up here too.
pub(crate) const EXCEPTIONS: &[Row<Meaning>] = {
    use ErrorKind::{Denied, Refused, Throttled, TokenRejected, Unavailable};
    use Meaning as M;
    &[
        row(&["AccessDeniedException"], "packed", M::PolicyTooLarge, Denied, Verdict::PERMANENT),
        row(&["AccessDeniedException"], "", M::RoleDenied, Denied, Verdict::PERMANENT),
        row(&["ResourceNotFoundException"], "", M::NoAssociation, Denied, Verdict::NOT_VISIBLE_YET),
        row(&["InvalidTokenException"], "audience", M::WrongAudience, TokenRejected, Verdict::PERMANENT),
        row(&["InvalidTokenException"], "", M::ForeignToken, TokenRejected, Verdict::PERMANENT),
        row(&["ExpiredTokenException"], "", M::TokenExpired, TokenRejected, Verdict::TRANSIENT),
        row(
            &["PackedPolicyTooLarge", "PackedPolicyTooLargeException"],
            "",
            M::PolicyTooLarge,
            Denied,
            Verdict::PERMANENT,
        ),
        row(
            &["InvalidParameterException", "InvalidRequestException"],
            "packed",
            M::PolicyTooLarge,
            Denied,
            Verdict::PERMANENT,
        ),
        row(
            &["InvalidParameterException", "InvalidRequestException"],
            "",
            M::AssociationInvalid,
            Refused,
            Verdict::MISTAKE,
        ),
        row(THROTTLING, "", M::Throttled, Throttled, Verdict::TRANSIENT),
        row(FAILING, "", M::Failing, Unavailable, Verdict::TRANSIENT),
        by_status(TOO_MANY_REQUESTS, M::Throttled, Throttled, Verdict::TRANSIENT),
        by_status(SERVER_ERROR, M::Failing, Unavailable, Verdict::TRANSIENT),
        row(&[], "", M::Unknown, Refused, Verdict::TRANSIENT),
    ]
};

/// Messages of the agent itself.
pub(crate) const TEXTS: &[Row<Meaning>] = {
    use ErrorKind::{Denied, InvalidConfiguration, Refused, Throttled, TokenRejected, Unavailable};
    use Meaning as M;
    &[
        row(&[], "called agent through invalid address", M::InvalidAddress, InvalidConfiguration, Verdict::MISTAKE),
        row(&[], "too many requests", M::Throttled, Throttled, Verdict::TRANSIENT),
        row(&[], "token cannot be empty", M::NoToken, Denied, Verdict::PERMANENT),
        row(&[], "token is expired", M::TokenExpired, TokenRejected, Verdict::TRANSIENT),
        row(&[], "token is not valid yet", M::TokenExpired, TokenRejected, Verdict::TRANSIENT),
        row(&[], "token used before issued", M::TokenExpired, TokenRejected, Verdict::TRANSIENT),
        row(&[], "key refresh", M::KeysNotRetrieved, Unavailable, Verdict::TRANSIENT),
        row(&[], "token cannot be parsed", M::NotAJwt, Denied, Verdict::PERMANENT),
        row(&[], "token is malformed", M::NotAJwt, Denied, Verdict::PERMANENT),
        row(&[], "kubernetes.io", M::NotBoundToPod, Denied, Verdict::PERMANENT),
        row(&[], "pod claims", M::NotBoundToPod, Denied, Verdict::PERMANENT),
        row(&[], "audience", M::WrongAudience, TokenRejected, Verdict::PERMANENT),
        row(&[], "jwt signature validation failed", M::ForeignToken, TokenRejected, Verdict::PERMANENT),
        row(&[], "header: kid", M::ForeignToken, TokenRejected, Verdict::PERMANENT),
        by_status(TOO_MANY_REQUESTS, M::Throttled, Throttled, Verdict::TRANSIENT),
        by_status(SERVER_ERROR, M::Failing, Unavailable, Verdict::TRANSIENT),
        row(&[], "", M::Unknown, Refused, Verdict::TRANSIENT),
    ]
};

/// How the messages of the agent itself begin.
const OPENINGS: [&str; 4] = [
    "Service account token ",
    "JWT signature validation failed",
    "Access Denied. Called agent through invalid address",
    "Too Many Requests",
];

/// A refusal in the format of the agent, or of another server for container credentials.
#[derive(Debug)]
pub(crate) struct AgentRefusal {
    pub(crate) status: u16,
    /// In a form that is safe to show, like `said`. Empty for messages of the agent itself.
    pub(crate) code: String,
    pub(crate) said: String,
    pub(crate) meaning: Meaning,
    pub(crate) kind: ErrorKind,
    pub(crate) verdict: Verdict,
    pub(crate) token: Sent,
}

/// The token that was sent.
#[derive(Debug)]
pub(crate) enum Sent {
    None,
    NotAJwt,
    Jwt(Claims),
}

impl Sent {
    pub(crate) fn claims(&self) -> Option<&Claims> {
        match self {
            Self::Jwt(claims) => Some(claims),
            Self::None | Self::NotAJwt => None,
        }
    }
}

/// The code and the message of a response in the format of a refusal.
pub(crate) struct Said<'a> {
    code: &'a str,
    message: &'a str,
}

impl<'a> Said<'a> {
    /// `code` and `message` of a JSON document.
    pub(crate) fn json(code: &'a str, message: &'a str) -> Self {
        Self { code, message }
    }

    /// From a text of the agent. `None` if the text does not have the agent's format.
    pub(crate) fn text(status: u16, text: &'a str) -> Option<Self> {
        let text = text.trim();
        if OPENINGS.iter().any(|opening| text.starts_with(opening)) {
            return Some(Self { code: "", message: text });
        }
        // If EKS Auth responded, its request id comes first.
        let (id, rest) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((id, rest)) => (Some(id), rest.strip_prefix(": ").unwrap_or(rest)),
            None => (None, text),
        };
        let is_id = |id: &str| id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if id.is_some_and(|id| !is_id(id)) {
            return None;
        }
        match rest.strip_prefix('(').and_then(|rest| rest.split_once("): ")) {
            Some((code, message)) if is_code(code) => {
                message.rsplit_once(", fault: ").map(|(message, _)| Self { code, message })
            }
            // This is the agent's message when it could not reach EKS Auth.
            _ if id.is_some() && rest.is_empty() && status >= 500 => Some(Self { code: "", message: text }),
            _ => None,
        }
    }
}

impl AgentRefusal {
    /// Classifies the refusal by the original texts. `shown` returns the part of a text that is safe to show.
    pub(crate) fn new(status: u16, said: &Said<'_>, token: Sent, shown: impl Fn(&str) -> String) -> Self {
        let Said { code, message } = said;
        let table = if code.is_empty() { TEXTS } else { EXCEPTIONS };
        let Ruling { meaning, kind, verdict } = look_up(table, Meaning::Unknown, status, code, message);
        let code = if code.is_empty() { String::new() } else { shown(code) };
        Self { status, code, said: shown(message), meaning, kind, verdict, token }
    }

    pub(crate) fn observed(&self, server: &str) -> String {
        let Self { status, code, said, token, kind, .. } = self;
        let code = if code.is_empty() { String::new() } else { format!(" {code}") };
        let token = match token {
            _ if !matches!(kind, ErrorKind::Denied | ErrorKind::TokenRejected | ErrorKind::Refused) => String::new(),
            Sent::None => "; no token was sent".to_owned(),
            Sent::NotAJwt => "; the token is not a JWT".to_owned(),
            Sent::Jwt(claims) => format!("; the token has {claims}"),
        };
        format!("{server} returned status {status}{code}: {said}{token}")
    }

    pub(crate) fn remedy(&self, if_failing: &str) -> String {
        let remedy = match self.meaning {
            Meaning::RoleDenied => {
                "check that the association's role trusts pods.eks.amazonaws.com for sts:AssumeRole and sts:TagSession \
                 (without sts:TagSession, some requests fail and others succeed), and that the node's role allows \
                 eks-auth:AssumeRoleForPodIdentity"
            }
            Meaning::NoAssociation => {
                "create the association (aws eks create-pod-identity-association --cluster-name … --namespace … \
                 --service-account … --role-arn …); a new association becomes visible after some seconds"
            }
            Meaning::AssociationInvalid => {
                "check the association (aws eks list-pod-identity-associations --cluster-name …), and check that its \
                 role exists"
            }
            Meaning::PolicyTooLarge => {
                "the association's session policy and the session tags together are too large: shorten the policy, or \
                 disable the session tags (aws eks update-pod-identity-association --disable-session-tags)"
            }
            Meaning::TokenExpired => {
                "check that kubelet still rotates the token file and that the node's clock is correct"
            }
            Meaning::ForeignToken => {
                "check that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is the path of the token that this cluster projects \
                 into this pod"
            }
            Meaning::WrongAudience => {
                "set AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE to the path of the token with the audience \
                 pods.eks.amazonaws.com, as the EKS webhook does"
            }
            Meaning::NoToken => {
                "set AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE (the EKS webhook sets it unless the container does); if it \
                 is already set, look for a proxy or service mesh that removes the Authorization header"
            }
            Meaning::NotAJwt => {
                "check that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is the path of the projected token and not of \
                 another file"
            }
            Meaning::NotBoundToPod => {
                "use a token that kubelet projects into the pod: a token from kubectl create token or from a Secret is \
                 not bound to a pod"
            }
            Meaning::InvalidAddress => "use the agent's IP address in the URI, 169.254.170.23 or fd00:ec2::23",
            Meaning::Throttled => return super::IF_THROTTLED.to_owned(),
            Meaning::Failing | Meaning::KeysNotRetrieved => {
                return format!("the request is retried; if this continues, {if_failing}");
            }
            Meaning::Unknown => {
                "the request is retried; see the EKS Auth API reference (AssumeRoleForPodIdentity) or the server's \
                 documentation for this error"
            }
        };
        remedy.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(status: u16, text: &str) -> Option<(Meaning, Verdict)> {
        let said = Said::text(status, text)?;
        let refusal = AgentRefusal::new(status, &said, Sent::None, str::to_owned);
        Some((refusal.meaning, refusal.verdict))
    }

    /// The messages in the source code of agents up to version 0.2.
    #[test]
    fn agent_refusal_classifies_every_message_of_the_agent() {
        use Meaning as M;
        const CLAIMS: &str = "Service account token failed claim validations: ";
        const SIGNATURE: &str = "JWT signature validation failed: cryptographic validation failed: ";
        for (text, expected) in [
            ("Service account token cannot be empty".to_owned(), M::NoToken),
            ("Service account token cannot be parsed: token is malformed: three segments".to_owned(), M::NotAJwt),
            ("Service account token failed basic claim validations: token is expired".to_owned(), M::TokenExpired),
            (
                "Service account token failed basic claim validations: token has invalid claims: token is not valid yet"
                    .to_owned(),
                M::TokenExpired,
            ),
            ("Service account token missing kubernetes.io claims".to_owned(), M::NotBoundToPod),
            ("Service account token missing pod claims".to_owned(), M::NotBoundToPod),
            (format!("{CLAIMS}missing claim: kubernetes.io/pod"), M::NotBoundToPod),
            (format!("{CLAIMS}missing or empty claim: kubernetes.io/namespace"), M::NotBoundToPod),
            (format!("{CLAIMS}missing claim: aud"), M::Unknown),
            (format!("{CLAIMS}invalid audience: expected pods.eks.amazonaws.com"), M::WrongAudience),
            (format!("{CLAIMS}missing header: kid"), M::ForeignToken),
            (format!("{SIGNATURE}no matching key found for kid: 00"), M::ForeignToken),
            (format!("{SIGNATURE}token signature is invalid"), M::ForeignToken),
            (format!("{SIGNATURE}token has invalid claims: token is expired"), M::TokenExpired),
            (format!("{SIGNATURE}key refresh failed: connection refused"), M::KeysNotRetrieved),
        ] {
            assert_eq!(meaning(400, &text).map(|(meaning, _)| meaning), Some(expected), "{text}");
        }
    }

    /// A text is not a refusal of the agent only because it contains the name of an exception.
    #[test]
    fn agent_refusal_requires_the_format_of_the_agent() {
        for text in [
            "",
            "404 page not found",
            "<html>(AccessDeniedException): no, fault: client</html>",
            "(AccessDeniedException)",
            "[x y]: (AccessDeniedException): no, fault: client",
            "upstream connect error (ResourceNotFoundException): x, fault: client",
            "Access Denied",
            "Forbidden",
            "(not a code): no, fault: client",
        ] {
            assert_eq!(meaning(403, text), None, "{text}");
        }
        let denied = "(AccessDeniedException): no, fault: client";
        for text in [denied.to_owned(), format!("[0-0]: {denied}"), format!("[]: {denied}\n")] {
            assert_eq!(meaning(400, &text), Some((Meaning::RoleDenied, Verdict::PERMANENT)), "{text}");
        }
        assert_eq!(meaning(500, "[]\n"), Some((Meaning::Failing, Verdict::TRANSIENT)));
        assert_eq!(meaning(400, "[]\n"), None);
    }

    #[test]
    fn agent_refusal_is_transient_for_codes_that_sdks_retry() {
        use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
        for code in THROTTLING_ERRORS.iter().chain(TRANSIENT_ERRORS).chain(THROTTLING).chain(FAILING) {
            let text = format!("[0]: ({code}): later, fault: client");
            let (meaning, verdict) = meaning(400, &text).unwrap();
            assert_eq!(verdict, Verdict::TRANSIENT, "{code}");
            assert_ne!(meaning, Meaning::Unknown, "{code}");
        }
    }
}
