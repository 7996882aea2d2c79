//! The roles of a local pod for role chaining, with their trust policies.

use std::collections::HashMap;

use super::ledger::{self, Record};

/// A role that `AssumeRole` of a local pod's STS returns credentials for, with its trust policy.
///
/// Add it with [`LocalPodBuilder::assumable_role`](super::LocalPodBuilder::assumable_role). By default it trusts the role of the
/// pod, requires no external ID, and allows session tags.
///
/// ```
/// use eks_credentials::testing::{AssumableRole, LocalPod};
/// use eks_credentials::{AssumeRole, EksCredentialsProvider, ErrorKind};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let arn = "arn:aws:iam::444455556666:role/reports";
/// let pod = LocalPod::builder().assumable_role(AssumableRole::new(arn).external_id("example")).start().await?;
/// let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
///
/// let error = provider.assume_role(AssumeRole::new(arn))?.credentials().await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Denied);
/// provider.assume_role(AssumeRole::new(arn).external_id("example"))?.credentials().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct AssumableRole {
    pub(super) arn: String,
    trusts: Option<String>,
    external_id: Option<String>,
    allows_tags: bool,
}

impl AssumableRole {
    /// Creates a role that trusts the role of the pod.
    ///
    /// ```
    /// # use eks_credentials::testing::AssumableRole;
    /// let role = AssumableRole::new("arn:aws:iam::444455556666:role/reports");
    /// ```
    pub fn new(arn: impl Into<String>) -> Self {
        Self { arn: arn.into(), trusts: None, external_id: None, allows_tags: true }
    }

    /// Makes the role trust another role than that of the pod, for example the previous role of a chain.
    ///
    /// ```
    /// # use eks_credentials::testing::AssumableRole;
    /// let role = AssumableRole::new("arn:aws:iam::777788889999:role/archive").trusts("arn:aws:iam::444455556666:role/reports");
    /// ```
    pub fn trusts(mut self, role_arn: impl Into<String>) -> Self {
        self.trusts = Some(role_arn.into());
        self
    }

    /// Makes the role require this external ID.
    ///
    /// ```
    /// # use eks_credentials::testing::AssumableRole;
    /// let role = AssumableRole::new("arn:aws:iam::444455556666:role/reports").external_id("example");
    /// ```
    pub fn external_id(mut self, id: impl Into<String>) -> Self {
        self.external_id = Some(id.into());
        self
    }

    /// Sets whether the trust policy allows `sts:TagSession`. Default: `true`.
    ///
    /// ```
    /// # use eks_credentials::testing::AssumableRole;
    /// let role = AssumableRole::new("arn:aws:iam::444455556666:role/reports").allow_tags(false);
    /// ```
    pub fn allow_tags(mut self, allow: bool) -> Self {
        self.allows_tags = allow;
        self
    }

    /// Returns the action that the trust policy does not allow. `pod_roles` are trusted unless another role is configured.
    pub(super) fn denies(
        &self,
        caller: &Record,
        form: &HashMap<String, String>,
        pod_roles: &[String],
    ) -> Option<&'static str> {
        let session = caller.arn.rsplit('/').next().unwrap_or_default();
        let is_trusted = |role_arn: &String| ledger::assumed_role_arn(role_arn, session) == caller.arn;
        let trusted = match &self.trusts {
            Some(role_arn) => is_trusted(role_arn),
            None => pod_roles.iter().any(is_trusted),
        };
        let has_tags = form.keys().any(|name| name.starts_with("Tags."));
        if !trusted || self.external_id.as_ref().is_some_and(|id| form.get("ExternalId") != Some(id)) {
            return Some("sts:AssumeRole");
        }
        (has_tags && !self.allows_tags).then_some("sts:TagSession")
    }
}
