//! The settings of a local pod, and its start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::issuer::{Issuer, Subject};
use super::{AssumableRole, Ledger, LocalPod, ProjectedToken, Signing, StandIn, agent, sts};

/// Configures a [`LocalPod`]. Created by [`LocalPod::builder`]. Every setting has a default.
#[derive(Clone, Debug)]
pub struct LocalPodBuilder {
    subject: Subject,
    role_arn: String,
    associated_role_arn: Option<String>,
    region: String,
    token_lifetime: Duration,
    signing: Signing,
    agent_address: SocketAddr,
    assumable_roles: Vec<AssumableRole>,
}

impl Default for LocalPodBuilder {
    fn default() -> Self {
        LocalPodBuilder {
            subject: Subject {
                namespace: "default".into(),
                service_account: "local".into(),
                pod: "local-7d9f8b6c5-x2x1z".into(),
            },
            role_arn: "arn:aws:iam::111122223333:role/local-pod".into(),
            associated_role_arn: None,
            region: "eu-central-1".into(),
            token_lifetime: Duration::from_secs(24 * 3600),
            signing: Signing::Rs256,
            agent_address: (Ipv4Addr::LOCALHOST, 0).into(),
            assumable_roles: Vec::new(),
        }
    }
}

impl LocalPodBuilder {
    /// Sets the namespace and the name of the service account. Default: `default` and `local`.
    ///
    /// The role trusts this service account, and the service account has a Pod Identity association.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::builder().service_account("shop", "checkout").start().await?;
    /// # Ok(()) }
    /// ```
    pub fn service_account(mut self, namespace: &str, name: &str) -> Self {
        self.subject.namespace = namespace.to_owned();
        self.subject.service_account = name.to_owned();
        self
    }

    /// Sets the name of the pod, which is in the claims of its tokens. Default: `local-7d9f8b6c5-x2x1z`.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::builder().pod("checkout-5d4f9c7b6-abcde").start().await?;
    /// # Ok(()) }
    /// ```
    pub fn pod(mut self, name: &str) -> Self {
        self.subject.pod = name.to_owned();
        self
    }

    /// Sets the role of both credential sources. Default: `arn:aws:iam::111122223333:role/local-pod`.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let role = "arn:aws:iam::444455556666:role/checkout";
    /// let pod = LocalPod::builder().role_arn(role).start().await?;
    /// assert!(pod.irsa_env().contains(&("AWS_ROLE_ARN".to_owned(), role.to_owned())));
    /// # Ok(()) }
    /// ```
    pub fn role_arn(mut self, arn: &str) -> Self {
        self.role_arn = arn.to_owned();
        self
    }

    /// Sets the role of the Pod Identity association. Default: the role of [`role_arn`](Self::role_arn).
    ///
    /// With another role a test can simulate a pod that is not ready to migrate.
    ///
    /// ```
    /// use eks_credentials::EksCredentialsProvider;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let other = "arn:aws:iam::111122223333:role/other";
    /// let pod = LocalPod::builder().associated_role_arn(other).start().await?;
    /// let provider = EksCredentialsProvider::builder().env(pod.both_env()).build()?;
    /// assert!(!provider.compare().await?.is_ready());
    /// # Ok(()) }
    /// ```
    pub fn associated_role_arn(mut self, arn: &str) -> Self {
        self.associated_role_arn = Some(arn.to_owned());
        self
    }

    /// Sets the region. Default: `eu-central-1`.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::builder().region("us-east-1").start().await?;
    /// # Ok(()) }
    /// ```
    pub fn region(mut self, region: &str) -> Self {
        self.region = region.to_owned();
        self
    }

    /// Sets the lifetime of service account tokens. Default: 24 hours, as the EKS webhooks request it.
    ///
    /// Tokens are not rotated automatically. Call [`ProjectedToken::rotate`] to rotate one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::builder().token_lifetime(Duration::from_secs(600)).start().await?;
    /// # Ok(()) }
    /// ```
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Sets the algorithm that signs service account tokens. Default: [`Signing::Rs256`], as on EKS.
    ///
    /// ```
    /// use eks_credentials::testing::{LocalPod, Signing};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::builder().signing(Signing::Es256).start().await?;
    /// # Ok(()) }
    /// ```
    pub fn signing(mut self, signing: Signing) -> Self {
        self.signing = signing;
        self
    }

    /// Sets the address on which the stand-in for the agent listens. Default: a free port of 127.0.0.1.
    ///
    /// In a separate network namespace this can be an address of the real agent: `169.254.170.23:80` or
    /// `[fd00:ec2::23]:80`.
    ///
    /// ```
    /// use std::net::Ipv6Addr;
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// # if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() { return Ok(()) } // a host without IPv6
    /// let pod = LocalPod::builder().agent_address((Ipv6Addr::LOCALHOST, 0).into()).start().await?;
    /// assert!(pod.agent().address().is_ipv6());
    /// # Ok(()) }
    /// ```
    pub fn agent_address(mut self, address: SocketAddr) -> Self {
        self.agent_address = address;
        self
    }

    /// Adds a role that STS returns credentials for if the trust policy of the role allows it. Default: none, and `AssumeRole`
    /// is refused with `AccessDenied`.
    ///
    /// ```
    /// # use eks_credentials::testing::{AssumableRole, LocalPod};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let role = AssumableRole::new("arn:aws:iam::444455556666:role/reports");
    /// let pod = LocalPod::builder().assumable_role(role).start().await?;
    /// # Ok(()) }
    /// ```
    pub fn assumable_role(mut self, role: AssumableRole) -> Self {
        self.assumable_roles.push(role);
        self
    }

    /// Starts the pod on the current tokio runtime.
    ///
    /// ```
    /// use eks_credentials::testing::LocalPod;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let pod = LocalPod::builder().start().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if a port cannot be bound, a signing key cannot be generated, or the token files cannot be written.
    pub async fn start(self) -> io::Result<LocalPod> {
        let Self {
            subject,
            role_arn,
            associated_role_arn,
            region,
            token_lifetime,
            signing,
            agent_address,
            assumable_roles,
        } = self;
        let issuer = Issuer::new(format!("https://oidc.eks.{region}.amazonaws.com/id/LOCAL"), signing);
        let trusted_subject = format!("system:serviceaccount:{}:{}", subject.namespace, subject.service_account);
        let ledger = Ledger::default();
        let folder = tempfile::Builder::new().prefix("local-pod-").tempdir()?;
        let project = |host: &str, name, audience| {
            let folder = folder.path().join(host).join("serviceaccount");
            ProjectedToken::new(folder, name, audience, issuer.clone(), subject.clone(), token_lifetime)
        };
        let irsa_token = project("eks.amazonaws.com", "token", sts::AUDIENCE)?;
        let agent_token = project("pods.eks.amazonaws.com", "eks-pod-identity-token", agent::AUDIENCE)?;
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sts = sts::Sts {
            issuer: issuer.clone(),
            role_arn: role_arn.clone(),
            trusted_subject: trusted_subject.clone(),
            region: region.clone(),
            ledger: ledger.clone(),
            pod_roles: [Some(role_arn.clone()), associated_role_arn.clone()].into_iter().flatten().collect(),
            assumable_roles,
        };
        let sts = StandIn::start("STS", loopback, ledger.clone(), |_| sts).await?;
        let agent_role_arn = associated_role_arn.unwrap_or_else(|| role_arn.clone());
        let agent = StandIn::start("the agent", agent_address, ledger.clone(), |address| agent::Agent {
            address,
            issuer,
            role_arn: agent_role_arn,
            associated_subject: trusted_subject,
        });
        Ok(LocalPod { sts, agent: agent.await?, irsa_token, agent_token, ledger, role_arn, region, _folder: folder })
    }
}
