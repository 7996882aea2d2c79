//! `AssumeRole` of STS.

use std::time::{Duration, SystemTime};

use super::{Form, REQUEST_ID, ROLE_ID, Sts, keys};
use crate::clock;
use crate::testing::ledger::Issued;
use crate::testing::sigv4::{self, Refused};
use crate::testing::stand_in::{Protocol as _, Verdict};
use crate::testing::wire::{Request, Response};

pub(super) const ACTION: &str = "AssumeRole";
const PARAMETERS: [&str; 11] = [
    "Action",
    "Version",
    "RoleArn",
    "RoleSessionName",
    "DurationSeconds",
    "ExternalId",
    "Policy",
    "PolicyArns",
    "Tags",
    "TransitiveTagKeys",
    "SourceIdentity",
];

impl Sts {
    /// Checks the signature of `AssumeRole`, and the trust policy of the role.
    pub(super) fn assume_role(&self, request: &Request, form: &Form, now: SystemTime) -> Verdict {
        let unexpected = |what: String| Verdict::Unexpected(self.refusal("SignatureDoesNotMatch", &what), what);
        let refuse = |code: &str, message: &str| Verdict::Reply(self.refusal(code, message));
        let known = |name: &str| PARAMETERS.contains(&name.split('.').next().unwrap_or_default());
        if let Some(name) = form.0.keys().find(|name| !known(name)) {
            return unexpected(format!("AssumeRole with the parameter {name}"));
        }
        if request.method != "POST" || request.target != "/" || form.get("Version") != "2011-06-15" {
            return unexpected("AssumeRole with another method, path or version".to_owned());
        }
        let caller = match sigv4::verify(request, &self.ledger, "sts", &self.region) {
            Ok(caller) => caller,
            Err(Refused::Credentials(code, message)) => return refuse(code, message),
            Err(Refused::Signature(what)) => return unexpected(what),
        };
        if caller.issued.expiry <= now {
            return refuse("ExpiredToken", "The security token included in the request is expired");
        }
        if let Some(message) = wrong_time(request, now) {
            return refuse("SignatureDoesNotMatch", &message);
        }
        if form.get("DurationSeconds").parse::<u32>().is_ok_and(|seconds| seconds > 3600) {
            let message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role \
                           chaining";
            return refuse("ValidationError", message);
        }
        let role = self.assumable_roles.iter().find(|role| role.arn == form.get("RoleArn"));
        match role.map_or(Some("sts:AssumeRole"), |role| role.denies(&caller, &form.0, &self.pod_roles)) {
            Some(action) => refuse(
                "AccessDenied",
                &format!(
                    "User: {} is not authorized to perform: {action} on resource: {}",
                    caller.arn,
                    form.get("RoleArn")
                ),
            ),
            None => Verdict::Grant,
        }
    }
}

/// Returns what is wrong with the time of a signature, which may differ from the time of STS by up to five minutes.
fn wrong_time(request: &Request, now: SystemTime) -> Option<String> {
    const TOLERANCE: Duration = Duration::from_secs(300);
    let signed = request.header("x-amz-date").unwrap_or_default();
    let of = |time: SystemTime| clock::rfc3339(time).replace(['-', ':'], "");
    // Texts of this format are in the order of their times.
    match (signed < of(now - TOLERANCE).as_str(), signed > of(now + TOLERANCE).as_str()) {
        (true, _) => Some(format!(
            "Signature expired: {signed} is now earlier than {} ({} - 5 min.)",
            of(now - TOLERANCE),
            of(now)
        )),
        (_, true) => Some(format!(
            "Signature not yet current: {signed} is still later than {} ({} + 5 min.)",
            of(now + TOLERANCE),
            of(now)
        )),
        _ => None,
    }
}

/// A successful response to `AssumeRole`.
pub(super) fn response(session: &str, arn: &str, issued: &Issued) -> Response {
    let body = format!(
        r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser>
      <AssumedRoleId>{ROLE_ID}:{session}</AssumedRoleId>
      <Arn>{arn}</Arn>
    </AssumedRoleUser>
    <Credentials>{}</Credentials>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>
</AssumeRoleResponse>
"#,
        keys(issued),
    );
    Response::new(200, "text/xml", body)
}
