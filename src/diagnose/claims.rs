//! The cluster and the service account in the claims of a token.

use crate::claims::Claims;

/// A claim in a form that is safe to show, because a token file may contain any text.
pub(super) fn cut(claim: &str) -> String {
    claim.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The region in an issuer `https://oidc.eks.<region>.<domain>/id/<ID>`.
pub(super) fn eks_region(issuer: &str) -> Option<&str> {
    let host = issuer.strip_prefix("https://oidc.eks.").or_else(|| issuer.strip_prefix("https://oidc-eks."))?;
    host.contains("/id/").then_some(host)?.split('.').next()
}

/// Whether EKS runs the cluster that issued the token.
pub(super) fn is_of_eks(claims: &Claims) -> bool {
    claims.iss.as_deref().and_then(eks_region).is_some()
}

/// Namespace and name in `system:serviceaccount:<namespace>:<name>`.
pub(super) fn service_account(claims: &Claims) -> Option<(&str, &str)> {
    let account = claims.sub.as_deref()?.strip_prefix("system:serviceaccount:")?;
    account.split_once(':').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains(':'))
}
