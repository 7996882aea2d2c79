//! The protocol of the EKS Pod Identity agent, as measured on v0.1.37: its checks, its plain-text errors and its cache.
//!
//! `src/docs/protocols.md`, section 1, lists the facts.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::issuer::Issuer;
use super::ledger::{self, Issued};
use super::stand_in::{Protocol, Reuse, Verdict};
use super::wire::{Request, Response};
use crate::clock;

pub(super) const AUDIENCE: &str = "pods.eks.amazonaws.com";
const PATH: &str = "/v1/credentials";

const MAX_REUSE: Duration = Duration::from_secs(3 * 3600);
const AT_LEAST_LEFT: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Agent {
    pub(super) address: SocketAddr,
    pub(super) issuer: Issuer,
    /// The role of the association.
    pub(super) role_arn: String,
    /// The `sub` that has an association.
    pub(super) associated_subject: String,
}

impl Protocol for Agent {
    const LIFETIME: Duration = Duration::from_secs(6 * 3600);

    fn reuse(lifetime: Duration) -> Option<Reuse> {
        Some(Reuse { renewed_after: lifetime.min(MAX_REUSE), at_least_left: AT_LEAST_LEFT })
    }

    fn validate(&self, request: &Request, now: SystemTime) -> Verdict {
        let Request { method, target, .. } = request;
        let unexpected = |response, what| Verdict::Unexpected(response, what);
        if method != "GET" || target != PATH {
            return unexpected(text(404, "404 page not found\n"), format!("{method} {target}, not GET {PATH}"));
        }
        let host = request.header("host").unwrap_or_default();
        if !self.is_own_address(host) {
            let body = format!(
                "Access Denied. Called agent through invalid address, please use one of the following: {}",
                self.address
            );
            return unexpected(text(403, &body), format!("the Host {host} instead of the literal address"));
        }
        match request.header("authorization") {
            None | Some("") => {
                unexpected(text(400, "Service account token cannot be empty"), "no Authorization header".to_owned())
            }
            Some(token) if token.contains(' ') => unexpected(
                text(
                    400,
                    "Service account token cannot be parsed: token is malformed: token contains an invalid number of segments",
                ),
                "an Authorization header that is not only a token".to_owned(),
            ),
            Some(token) => self.validate_token(token, now),
        }
    }

    fn credentials(&self, _: &Request, issued: &Issued) -> Response {
        let body = json!({
            "AccessKeyId": issued.access_key_id,
            "SecretAccessKey": issued.secret_access_key,
            "Token": issued.session_token,
            "AccountId": self.role_arn.split(':').nth(4).unwrap_or_default(),
            "Expiration": clock::rfc3339(issued.expiry),
        });
        Response::new(200, "application/json", body.to_string())
    }

    /// The session name is `eks-<cluster>-<pod>-<UUID>`.
    fn assumed_role_arn(&self, request: &Request) -> String {
        let claims = self.issuer.verify(request.header("authorization").unwrap_or_default());
        let pod = claims.and_then(|claims| claims.kubernetes).map(|kubernetes| kubernetes.pod).unwrap_or_default();
        // AWS limits the length of session names, so a long name of a pod is shortened.
        let name: String = pod.name.chars().take(17).collect();
        ledger::assumed_role_arn(&self.role_arn, &format!("eks-local-{name}-{}", pod.uid))
    }

    fn refusal(&self, code: &str, message: &str) -> Response {
        let status = match code {
            "ResourceNotFoundException" => 404,
            "ThrottlingException" => 429,
            "InternalServerException" => 500,
            "ServiceUnavailableException" => 503,
            // The agent uses 400 for all other errors: access denied, expired token, invalid token.
            _ => 400,
        };
        text(status, &format!("[00000000-0000-4000-8000-0000000000ff]: ({code}): {message}, fault: client"))
    }
}

impl Agent {
    /// The URL for the environment of a pod. As in the URL that the webhook injects, port 80 is omitted.
    pub(super) fn url(address: SocketAddr) -> String {
        let origin = match (address.ip(), address.port()) {
            (IpAddr::V4(ip), 80) => ip.to_string(),
            (IpAddr::V6(ip), 80) => format!("[{ip}]"),
            _ => address.to_string(),
        };
        format!("http://{origin}{PATH}")
    }

    /// Whether `host` is the literal address on which the agent listens. As the real agent does, this ignores the port.
    fn is_own_address(&self, host: &str) -> bool {
        let authority: Option<http::uri::Authority> = host.parse().ok();
        let ip = authority.and_then(|authority| authority.host().trim_matches(['[', ']']).parse::<IpAddr>().ok());
        ip == Some(self.address.ip())
    }

    fn validate_token(&self, token: &str, now: SystemTime) -> Verdict {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let refuse = |response| Verdict::Reply(response);
        if token.split('.').count() != 3 {
            return refuse(text(
                400,
                "Service account token cannot be parsed: token is malformed: token contains an invalid number of segments",
            ));
        }
        // The agent does not know the issuer's keys. EKS Auth verifies the signature and refuses the token.
        let Some(claims) = self.issuer.verify(token) else {
            return refuse(self.refusal("InvalidTokenException", "The token included in the request is invalid"));
        };
        if claims.exp <= now {
            return refuse(text(400, "Service account token failed basic claim validations: token is expired"));
        }
        if claims.nbf > now {
            return refuse(text(400, "Service account token failed basic claim validations: token is not valid yet"));
        }
        if !claims.aud.iter().any(|aud| aud == AUDIENCE) {
            return refuse(self.refusal("InvalidTokenException", "The token has an invalid audience"));
        }
        if claims.sub != self.associated_subject {
            return refuse(self.refusal(
                "ResourceNotFoundException",
                "The token included in the request has no service account role association for it.",
            ));
        }
        Verdict::Grant
    }
}

fn text(status: u16, body: &str) -> Response {
    Response::new(status, "text/plain; charset=utf-8", body.to_owned())
}
