//! `AssumeRoleWithWebIdentity`, `AssumeRole` and `GetCallerIdentity` of STS.
//!
//! Requests, limits, response formats and error codes follow the STS API reference. They were not measured against the real
//! STS, nor were the texts of the errors and the order of the checks. `AssumeRole` and `GetCallerIdentity` accept only
//! credentials that the stand-ins of the same pod have issued.

mod assume_role;

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::assumable_role::AssumableRole;
use super::issuer::Issuer;
use super::ledger::{self, Issued, Ledger, Record};
use super::sigv4::{self, Refused};
use super::stand_in::{Protocol, Reuse, Verdict};
use super::wire::{Request, Response};
use crate::clock;

pub(super) const AUDIENCE: &str = "sts.amazonaws.com";

const PARAMETERS: [&str; 9] = [
    "Action",
    "Version",
    "RoleArn",
    "RoleSessionName",
    "WebIdentityToken",
    "DurationSeconds",
    "Policy",
    "ProviderId",
    "PolicyArns",
];

#[derive(Debug)]
pub(super) struct Sts {
    pub(super) issuer: Issuer,
    pub(super) role_arn: String,
    /// The `sub` that the role's trust policy accepts.
    pub(super) trusted_subject: String,
    pub(super) region: String,
    pub(super) ledger: Ledger,
    /// The roles of the pod with either source, which the roles for role chaining trust.
    pub(super) pod_roles: Vec<String>,
    pub(super) assumable_roles: Vec<AssumableRole>,
}

impl Protocol for Sts {
    const LIFETIME: Duration = Duration::from_secs(3600);

    fn reuse(_: Duration) -> Option<Reuse> {
        None
    }

    fn validate(&self, request: &Request, now: SystemTime) -> Verdict {
        let form = Form::of(request);
        if form.get("Action") == "GetCallerIdentity" {
            return self.caller_identity(request, &form, now);
        }
        if form.get("Action") == assume_role::ACTION {
            return self.assume_role(request, &form, now);
        }
        if let Some(what) = unexpected(request, &form) {
            return Verdict::Unexpected(self.refusal("InvalidAction", &what), what);
        }
        match self.refuse(&form, now) {
            None => Verdict::Grant,
            Some((code, message)) => Verdict::Reply(self.refusal(code, message)),
        }
    }

    fn credentials(&self, request: &Request, issued: &Issued) -> Response {
        let form = Form::of(request);
        let session = form.get("RoleSessionName");
        let arn = self.assumed_role_arn(request);
        if form.get("Action") == assume_role::ACTION {
            return assume_role::response(session, &arn, issued);
        }
        let (partition, account) = partition_and_account(&self.role_arn);
        let body = format!(
            r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <Audience>{AUDIENCE}</Audience>
    <AssumedRoleUser>
      <AssumedRoleId>{ROLE_ID}:{session}</AssumedRoleId>
      <Arn>{arn}</Arn>
    </AssumedRoleUser>
    <Provider>arn:{partition}:iam::{account}:oidc-provider/{}</Provider>
    <Credentials>{}</Credentials>
    <SubjectFromWebIdentityToken>{}</SubjectFromWebIdentityToken>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>
"#,
            self.issuer.url.trim_start_matches("https://"),
            keys(issued),
            self.trusted_subject,
        );
        Response::new(200, "text/xml", body)
    }

    fn assumed_role_arn(&self, request: &Request) -> String {
        let form = Form::of(request);
        let role_arn = if form.get("Action") == assume_role::ACTION { form.get("RoleArn") } else { &self.role_arn };
        ledger::assumed_role_arn(role_arn, form.get("RoleSessionName"))
    }

    fn refusal(&self, code: &str, message: &str) -> Response {
        let (status, fault) = match code {
            "AccessDenied" | "RegionDisabledException" | "IDPRejectedClaim" => (403, "Sender"),
            "ExpiredToken" | "InvalidClientTokenId" | "SignatureDoesNotMatch" => (403, "Sender"),
            "RequestLimitExceeded" | "ServiceUnavailable" => (503, "Receiver"),
            "InternalFailure" => (500, "Receiver"),
            _ => (400, "Sender"),
        };
        let body = format!(
            r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>{fault}</Type>
    <Code>{code}</Code>
    <Message>{message}</Message>
  </Error>
  <RequestId>{REQUEST_ID}</RequestId>
</ErrorResponse>
"#
        );
        Response::new(status, "text/xml", body)
    }
}

const REQUEST_ID: &str = "00000000-0000-4000-8000-0000000000ff";
const ROLE_ID: &str = "AROALOCALLOCALLOCAL00";

impl Sts {
    /// Answers `GetCallerIdentity` with the session whose credentials signed the request.
    fn caller_identity(&self, request: &Request, form: &Form, now: SystemTime) -> Verdict {
        let unexpected = |what: String| Verdict::Unexpected(self.refusal("SignatureDoesNotMatch", &what), what);
        if request.method != "POST" || request.target != "/" || form.get("Version") != "2011-06-15" || form.0.len() != 2
        {
            return unexpected("GetCallerIdentity with another method, path or parameter".to_owned());
        }
        let Record { issued, arn } = match sigv4::verify(request, &self.ledger, "sts", &self.region) {
            Ok(record) => record,
            Err(Refused::Credentials(code, message)) => return Verdict::Reply(self.refusal(code, message)),
            Err(Refused::Signature(what)) => return unexpected(what),
        };
        if issued.expiry <= now {
            let message = "The security token included in the request is expired";
            return Verdict::Reply(self.refusal("ExpiredToken", message));
        }
        let account = arn.split(':').nth(4).unwrap_or_default();
        let session = arn.rsplit('/').next().unwrap_or_default();
        let body = format!(
            r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>{arn}</Arn>
    <UserId>{ROLE_ID}:{session}</UserId>
    <Account>{account}</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>
"#
        );
        Verdict::Reply(Response::new(200, "text/xml", body))
    }

    /// Returns the code and message of the first reason to refuse this well-formed request.
    fn refuse(&self, form: &Form, now: SystemTime) -> Option<(&'static str, &'static str)> {
        let get = |name| form.get(name);
        let session = get("RoleSessionName");
        let session_ok = (2..=64).contains(&session.len())
            && session.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c));
        let duration_ok = match get("DurationSeconds") {
            "" => true,
            seconds => seconds.parse::<u32>().is_ok_and(|seconds| (900..=43_200).contains(&seconds)),
        };
        if !session_ok || !duration_ok || !(4..=20_000).contains(&get("WebIdentityToken").len()) {
            return Some(("ValidationError", "1 validation error detected"));
        }
        let Some(claims) = self.issuer.verify(get("WebIdentityToken")) else {
            return Some(("InvalidIdentityToken", "No OpenIDConnect provider found in your account for this issuer"));
        };
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if claims.exp <= now {
            return Some((
                "ExpiredTokenException",
                "Token expired: current date/time must be before the expiration date/time",
            ));
        }
        if !claims.aud.iter().any(|aud| aud == AUDIENCE) {
            return Some(("InvalidIdentityToken", "Incorrect token audience"));
        }
        if get("RoleArn") != self.role_arn || claims.sub != self.trusted_subject {
            return Some(("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"));
        }
        None
    }
}

/// The content of the element `Credentials`, in the layout of the examples of the STS API reference.
fn keys(issued: &Issued) -> String {
    let Issued { access_key_id, secret_access_key, session_token, expiry } = issued;
    format!(
        "
      <AccessKeyId>{access_key_id}</AccessKeyId>
      <SecretAccessKey>{secret_access_key}</SecretAccessKey>
      <SessionToken>{session_token}</SessionToken>
      <Expiration>{}</Expiration>
    ",
        clock::rfc3339(*expiry)
    )
}

struct Form(HashMap<String, String>);

impl Form {
    fn of(request: &Request) -> Self {
        Self(form_urlencoded::parse(&request.body).into_owned().collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// Returns what is wrong with a request that a correct client does not send.
fn unexpected(request: &Request, form: &Form) -> Option<String> {
    let Request { method, target, .. } = request;
    if method != "POST" || target != "/" {
        return Some(format!("{method} {target}, not POST /"));
    }
    let content_type = request.header("content-type").unwrap_or("no content type");
    if !content_type.starts_with("application/x-www-form-urlencoded") {
        return Some(format!("content-type {content_type}"));
    }
    if request.header("authorization").is_some() {
        return Some("an Authorization header on a request that must not be signed".to_owned());
    }
    let known = |name: &str| PARAMETERS.contains(&name.split('.').next().unwrap_or_default());
    if let Some(name) = form.0.keys().find(|name| !known(name)) {
        return Some(format!("the parameter {name}"));
    }
    match (form.get("Action"), form.get("Version")) {
        ("AssumeRoleWithWebIdentity", "2011-06-15") => None,
        (action, version) => Some(format!("Action {action}, Version {version}")),
    }
}

fn partition_and_account(arn: &str) -> (&str, &str) {
    let part = |n| arn.split(':').nth(n).unwrap_or_default();
    (part(1), part(4))
}
