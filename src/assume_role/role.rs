//! The parameters of `AssumeRole` that a user sets. They are checked when the provider is built.

use std::fmt;
use std::time::Duration;

/// The role that [`assume_role`](crate::EksCredentialsProvider::assume_role) assumes, with the parameters of the request.
///
/// Only the ARN is required. Setters that exist in aws-config have the same name here.
///
/// ```
/// use std::time::Duration;
/// use eks_credentials::AssumeRole;
///
/// let role = AssumeRole::new("arn:aws:iam::444455556666:role/reports")
///     .session_name("billing")
///     .session_length(Duration::from_secs(30 * 60))
///     .transitive_tag("team", "billing");
/// ```
#[derive(Clone, Debug)]
pub struct AssumeRole {
    pub(super) role_arn: String,
    pub(super) external_id: Option<ExternalId>,
    pub(super) session_name: Option<String>,
    pub(super) session_length: Option<Duration>,
    pub(super) policy: Option<String>,
    pub(super) policy_arns: Vec<String>,
    pub(super) tags: Vec<Tag>,
    pub(super) source_identity: Option<String>,
}

/// An external ID. `Debug` does not show it, because people may treat it as a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ExternalId(String);

impl ExternalId {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalId(** redacted **)")
    }
}

/// A session tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) transitive: bool,
}

impl AssumeRole {
    /// Creates the request for the role with this ARN, for example `arn:aws:iam::444455556666:role/reports`.
    ///
    /// ```
    /// # use eks_credentials::AssumeRole;
    /// let role = AssumeRole::new("arn:aws:iam::444455556666:role/reports");
    /// ```
    pub fn new(role_arn: impl Into<String>) -> Self {
        Self {
            role_arn: role_arn.into(),
            external_id: None,
            session_name: None,
            session_length: None,
            policy: None,
            policy_arns: Vec::new(),
            tags: Vec::new(),
            source_identity: None,
        }
    }

    /// Sets the external ID, which the trust policy of a role in another organization usually requires. 2 to 1,224 characters.
    /// Default: none.
    ///
    /// ```
    /// # use eks_credentials::AssumeRole;
    /// let role = AssumeRole::new("arn:aws:iam::444455556666:role/reports").external_id("example");
    /// ```
    pub fn external_id(mut self, id: impl Into<String>) -> Self {
        self.external_id = Some(ExternalId(id.into()));
        self
    }

    /// Sets the name of the session, which appears in CloudTrail and in the ARN of the session. 2 to 64 characters.
    ///
    /// Default: `AWS_ROLE_SESSION_NAME`, or the pod's name from `HOSTNAME`, or `eks-credentials`. The name stays the same for the
    /// life of the provider. Set a name if it must also be the same in all pods and after a restart: some services use it as
    /// the identity of a connection.
    ///
    /// ```
    /// # use eks_credentials::AssumeRole;
    /// let role = AssumeRole::new("arn:aws:iam::444455556666:role/reports").session_name("billing");
    /// ```
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.session_name = Some(name.into());
        self
    }

    /// Sets how long the credentials are valid: whole seconds from 15 minutes to one hour. Default: one hour, the default of
    /// STS and the maximum for role chaining.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use eks_credentials::AssumeRole;
    /// let role = AssumeRole::new("arn:aws:iam::444455556666:role/reports").session_length(Duration::from_secs(900));
    /// ```
    pub fn session_length(mut self, length: Duration) -> Self {
        self.session_length = Some(length);
        self
    }

    /// Sets a session policy in JSON, which restricts the permissions of the role. 1 to 2,048 characters. Default: none.
    ///
    /// ```
    /// # use eks_credentials::AssumeRole;
    /// let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
    /// let role = AssumeRole::new("arn:aws:iam::444455556666:role/reports").policy(policy);
    /// ```
    pub fn policy(mut self, policy: impl Into<String>) -> Self {
        self.policy = Some(policy.into());
        self
    }

    /// Sets managed policies that restrict the permissions of the role, by ARN. At most 10. Default: none.
    ///
    /// ```
    /// # use eks_credentials::AssumeRole;
    /// let role = AssumeRole::new("arn:aws:iam::444455556666:role/reports")
    ///     .policy_arns(["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]);
    /// ```
    pub fn policy_arns<S: Into<String>>(mut self, arns: impl IntoIterator<Item = S>) -> Self {
        self.policy_arns = arns.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a session tag. At most 50 tags; keys have 1 to 128 characters and values at most 256.
    ///
    /// Tags require the permission `sts:TagSession` in the same policies as `sts:AssumeRole`
    /// ([`docs::assuming_roles`](crate::docs::assuming_roles)). STS refuses a tag with the key of a transitive tag of the pod's
    /// own session: EKS Pod Identity sets `eks-cluster-arn`, `eks-cluster-name`, `kubernetes-namespace`,
    /// `kubernetes-service-account`, `kubernetes-pod-name` and `kubernetes-pod-uid`.
    ///
    /// ```
    /// # use eks_credentials::AssumeRole;
    /// let role = AssumeRole::new("arn:aws:iam::444455556666:role/reports").tag("team", "billing");
    /// ```
    pub fn tag(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(key.into(), value.into(), false)
    }

    /// Adds a session tag that is also set in the sessions of further roles in the chain. Otherwise the same as
    /// [`tag`](Self::tag).
    ///
    /// ```
    /// # use eks_credentials::AssumeRole;
    /// let role = AssumeRole::new("arn:aws:iam::444455556666:role/reports").transitive_tag("team", "billing");
    /// ```
    pub fn transitive_tag(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(key.into(), value.into(), true)
    }

    fn with(mut self, key: String, value: String, transitive: bool) -> Self {
        self.tags.push(Tag { key, value, transitive });
        self
    }

    /// Sets the source identity, which appears in CloudTrail for this session and for all later roles of the chain. 2 to 64
    /// characters. Default: none.
    ///
    /// It requires the permission `sts:SetSourceIdentity` in the same policies as `sts:AssumeRole`
    /// ([`docs::assuming_roles`](crate::docs::assuming_roles)).
    ///
    /// ```
    /// # use eks_credentials::AssumeRole;
    /// let role = AssumeRole::new("arn:aws:iam::444455556666:role/reports").source_identity("billing");
    /// ```
    pub fn source_identity(mut self, identity: impl Into<String>) -> Self {
        self.source_identity = Some(identity.into());
        self
    }
}
