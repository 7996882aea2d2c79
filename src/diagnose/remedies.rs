//! What to paste: policy statements and commands, with all that the token and the role say already in them.

use super::token;
use crate::token_file::Claims;

/// As it stands in a policy: with quotes, and escaped.
#[cfg(feature = "irsa")]
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What can be pasted into a shell as it is; anything else is a placeholder.
fn word(text: &str, otherwise: &str) -> String {
    let plain =
        !text.is_empty() && text.len() <= 200 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/".contains(c));
    if plain { text.to_owned() } else { otherwise.to_owned() }
}

/// The statement of a trust policy that would match this token.
#[cfg(feature = "irsa")]
pub(super) fn web_identity_trust(role_arn: &str, claims: &Claims) -> String {
    let issuer = issuer(claims);
    let host = issuer.strip_prefix("https://").unwrap_or(&issuer).trim_end_matches('/');
    let audience = claims.aud.split(',').next().map(token::cut).unwrap_or_default();
    let sub = claims.sub.as_deref().map_or_else(|| "<sub>".to_owned(), token::cut);
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
        quoted(&provider_arn(role_arn, host)),
        quoted(&format!("{host}:aud")),
        quoted(&audience),
        quoted(&format!("{host}:sub")),
        quoted(&sub)
    )
}

#[cfg(feature = "irsa")]
fn issuer(claims: &Claims) -> String {
    word(claims.iss.as_deref().unwrap_or_default(), "https://<issuer>")
}

#[cfg(feature = "irsa")]
fn provider_arn(role_arn: &str, host: &str) -> String {
    let part = |n| role_arn.split(':').nth(n).unwrap_or_default();
    format!("arn:{}:iam::{}:oidc-provider/{host}", part(1), part(4))
}

/// Makes the OIDC provider take this audience, and the statement that does.
#[cfg(feature = "irsa")]
pub(super) fn audience(role_arn: &str, claims: &Claims) -> String {
    let issuer = issuer(claims);
    let host = issuer.strip_prefix("https://").unwrap_or(&issuer);
    let audience = word(claims.aud.split(',').next().unwrap_or_default(), "<audience>");
    format!(
        "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {} --client-id {audience}\n{}",
        provider_arn(role_arn, host),
        web_identity_trust(role_arn, claims)
    )
}

#[cfg(feature = "irsa")]
pub(super) fn oidc_provider(claims: &Claims) -> String {
    let audience = word(claims.aud.split(',').next().unwrap_or_default(), "sts.amazonaws.com");
    format!(
        "eksctl utils associate-iam-oidc-provider --cluster <cluster> --approve\n# or\naws iam \
         create-open-id-connect-provider --url {} --client-id-list {audience}",
        issuer(claims)
    )
}

/// The association that this service account would need.
#[cfg(feature = "pod-identity")]
pub(super) fn association(claims: &Claims) -> String {
    let (namespace, name) = token::service_account(claims).unwrap_or_default();
    format!(
        "aws eks create-pod-identity-association --cluster-name <cluster> --namespace {} --service-account {} \
         --role-arn <role ARN>",
        word(namespace, "<namespace>"),
        word(name, "<service account>")
    )
}

/// What the association's role must trust, and the association.
#[cfg(feature = "pod-identity")]
pub(super) fn pod_identity_trust(claims: &Claims) -> String {
    let statement = r#"{
  "Effect": "Allow",
  "Principal": { "Service": "pods.eks.amazonaws.com" },
  "Action": ["sts:AssumeRole", "sts:TagSession"]
}"#;
    format!("{statement}\n{}", association(claims))
}
