//! Policy statements and commands to paste, completed with the values from the token and the role.

use super::claims::{self as said, cut, is_of_eks};
use crate::claims::Claims;

/// What to do about a clock that differs.
pub(super) const SET_THE_CLOCK: &str = "synchronize the node's clock with Amazon Time Sync (169.254.169.123, UDP port 123): the commands \
                                        show whether the node reaches it, and set the clock. Replace a node without a shell \
                                        (EKS Auto Mode, Fargate, Bottlerocket)";

/// `text` as a JSON string, with quotes and escaped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `text` if it can be pasted into a shell without quotes. Otherwise, `placeholder`.
fn word(text: &str, placeholder: &str) -> String {
    let plain =
        !text.is_empty() && text.len() <= 200 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/".contains(c));
    if plain { text.to_owned() } else { placeholder.to_owned() }
}

/// The name of the role, without its path.
pub(super) fn role_name(role_arn: &str) -> String {
    word(role_arn.rsplit('/').next().unwrap_or_default(), "ROLE_NAME")
}

/// The statement of a trust policy that would match this token.
pub(super) fn web_identity_trust(role_arn: &str, claims: &Claims) -> String {
    let host = issuer_host(claims);
    let audience = claims.aud.first().map(|aud| cut(aud)).unwrap_or_default();
    let sub = claims.sub.as_deref().map_or_else(|| "SUB".to_owned(), cut);
    format!(
        r#"{{
  "Effect": "Allow",
  "Principal": {{ "Federated": {} }},
  "Action": "sts:AssumeRoleWithWebIdentity",
  "Condition": {{
    "StringEquals": {{
      {}: {},
      {}: {}
    }}
  }}
}}"#,
        quoted(&provider_arn(role_arn, &host)),
        quoted(&format!("{host}:aud")),
        quoted(&audience),
        quoted(&format!("{host}:sub")),
        quoted(&sub)
    )
}

fn issuer(claims: &Claims) -> String {
    word(claims.iss.as_deref().unwrap_or_default(), "https://ISSUER")
}

fn issuer_host(claims: &Claims) -> String {
    let issuer = issuer(claims);
    issuer.strip_prefix("https://").unwrap_or(&issuer).trim_end_matches('/').to_owned()
}

fn provider_arn(role_arn: &str, host: &str) -> String {
    let part = |n| role_arn.split(':').nth(n).unwrap_or_default();
    format!("arn:{}:iam::{}:oidc-provider/{host}", part(1), part(4))
}

/// The ARN of the IAM OIDC provider, for a shell.
fn provider(role_arn: &str, claims: &Claims) -> String {
    word(&provider_arn(role_arn, &issuer_host(claims)), "PROVIDER_ARN")
}

/// The command that makes the IAM OIDC provider accept the token's audience.
pub(super) fn add_audience(role_arn: &str, claims: &Claims) -> String {
    let audience = word(claims.aud.first().map_or("", String::as_str), "AUDIENCE");
    let provider = provider(role_arn, claims);
    format!(
        "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {provider} --client-id \
         {audience}"
    )
}

pub(super) fn update_thumbprint(role_arn: &str, claims: &Claims) -> String {
    let provider = provider(role_arn, claims);
    format!(
        "aws iam update-open-id-connect-provider-thumbprint --open-id-connect-provider-arn {provider} \
         --thumbprint-list THUMBPRINT"
    )
}

/// The commands that create the IAM OIDC provider.
pub(super) fn oidc_provider(claims: &Claims) -> Vec<String> {
    let audience = word(claims.aud.first().map_or("", String::as_str), "sts.amazonaws.com");
    let create =
        format!("aws iam create-open-id-connect-provider --url {} --client-id-list {audience}", issuer(claims));
    match is_of_eks(claims) {
        true => {
            vec![
                "eksctl utils associate-iam-oidc-provider --cluster CLUSTER --approve".to_owned(),
                "# or".to_owned(),
                create,
            ]
        }
        false => vec![create],
    }
}

fn service_account(claims: &Claims) -> (String, String) {
    let (namespace, name) = said::service_account(claims).unwrap_or_default();
    (word(namespace, "NAMESPACE"), word(name, "SERVICE_ACCOUNT"))
}

/// The command that creates an association for this service account.
pub(super) fn create_association(claims: &Claims) -> String {
    let (namespace, name) = service_account(claims);
    format!(
        "aws eks create-pod-identity-association --cluster-name CLUSTER --namespace {namespace} --service-account \
         {name} --role-arn ROLE_ARN"
    )
}

/// The commands that find the association and change it.
pub(super) fn update_association(claims: &Claims, change: &str) -> [String; 2] {
    let (namespace, name) = service_account(claims);
    [
        format!(
            "aws eks list-pod-identity-associations --cluster-name CLUSTER --namespace {namespace} --service-account \
             {name}"
        ),
        format!(
            "aws eks update-pod-identity-association --cluster-name CLUSTER --association-id ASSOCIATION_ID {change}"
        ),
    ]
}

/// The commands that show and replace the role's trust policy.
pub(super) fn trust_policy(role_arn: &str) -> [String; 2] {
    let role = role_name(role_arn);
    [
        format!("aws iam get-role --role-name {role} --query Role.AssumeRolePolicyDocument"),
        format!("aws iam update-assume-role-policy --role-name {role} --policy-document file://trust.json"),
    ]
}

/// The command that shows the service account with its annotations.
pub(super) fn get_service_account(claims: &Claims) -> String {
    let (namespace, name) = service_account(claims);
    format!("kubectl get serviceaccount {name} -n {namespace} -o yaml")
}

/// The command that prints the ARN of the role whose name is in `value`.
pub(super) fn get_role_arn(value: &str) -> String {
    let role = word(value.rsplit(['/', ':']).next().unwrap_or_default(), "ROLE_NAME");
    format!("aws iam get-role --role-name {role} --query Role.Arn --output text")
}

pub(super) fn set_the_clock() -> [String; 2] {
    ["chronyc sources -v  # on the node".to_owned(), "sudo chronyc makestep  # on the node".to_owned()]
}

pub(super) fn kubelet() -> [String; 2] {
    ["kubectl describe node NODE".to_owned(), "journalctl -u kubelet  # on the node".to_owned()]
}

/// The statement of a trust policy that allows the role of the caller to assume the role, with session tags.
pub(super) fn assume_role_trust(caller: Option<&str>) -> String {
    let caller = quoted(&caller.map_or_else(|| "ARN_OF_THE_ROLE_OF_THIS_POD".to_owned(), cut));
    format!(
        r#"{{
  "Effect": "Allow",
  "Principal": {{ "AWS": {caller} }},
  "Action": ["sts:AssumeRole", "sts:TagSession"]
}}"#
    )
}

/// The statement that the trust policy of the association's role must contain.
pub(super) const POD_IDENTITY_TRUST: &str = r#"{
  "Effect": "Allow",
  "Principal": { "Service": "pods.eks.amazonaws.com" },
  "Action": ["sts:AssumeRole", "sts:TagSession"]
}"#;
