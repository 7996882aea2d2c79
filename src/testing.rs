//! A pod on loopback, for tests without a cluster.
//!
//! [`LocalPod`] starts stand-ins of STS and of the EKS Pod Identity agent, which behave as the real ones were measured
//! to (down to the agent's plain-text errors and the credentials that it hands out again), projects signed service
//! account tokens into files as kubelet does, and gives the environment that the EKS webhook would. Faults come on
//! demand ([`Answer`]).
//!
//! ```
//! use eks_credentials::EksCredentialsProvider;
//! use eks_credentials::testing::{Answer, LocalPod};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pod = LocalPod::start().await?;
//! pod.sts().then(Answer::http(503, "busy"));
//!
//! let provider = EksCredentialsProvider::builder().env(pod.irsa_env()).build()?;
//! let credentials = provider.credentials().await?;
//!
//! assert!(pod.ledger().get(credentials.access_key_id()).is_some());
//! assert_eq!(pod.sts().requests(), 2); // the 503 was retried
//! # Ok(()) }
//! ```
//!
//! A request that no correct client sends is refused and recorded; a pod that is dropped with such a record panics,
//! unless the test has asked for it ([`StandIn::take_unexpected`]).

mod agent;
mod answer;
mod jws;
mod ledger;
mod sigv4;
mod stand_in;
mod sts;
mod token;
mod wire;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub use answer::Answer;
pub use jws::Signing;
pub use ledger::{Issued, Ledger};
pub use stand_in::StandIn;
pub use token::ProjectedToken;

use crate::env;
use token::{Issuer, Subject};

/// A pod with IRSA and Pod Identity on loopback. See the [module](self).
#[derive(Debug)]
pub struct LocalPod {
    sts: StandIn,
    agent: StandIn,
    irsa_token: Arc<ProjectedToken>,
    agent_token: Arc<ProjectedToken>,
    ledger: Ledger,
    role_arn: String,
    region: String,
    // The token files live as long as the pod.
    _folder: tempfile::TempDir,
}

/// What a [`LocalPod`] is like. Every setting is optional.
#[derive(Clone, Debug)]
pub struct LocalPodBuilder {
    subject: Subject,
    role_arn: String,
    associated_role_arn: Option<String>,
    region: String,
    token_lifetime: Duration,
    signing: Signing,
    agent_address: SocketAddr,
}

impl LocalPod {
    /// A pod `local-7d9f8b6c5-x2x1z` of the service account `default/local`, with a role in account 111122223333.
    ///
    /// # Errors
    ///
    /// When a loopback port cannot be bound or the token files cannot be written.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// For other names, regions, lifetimes.
    pub fn builder() -> LocalPodBuilder {
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
        }
    }

    /// The environment of a pod with IRSA, as the webhook sets it, and `AWS_ENDPOINT_URL_STS` for the stand-in.
    pub fn irsa_env(&self) -> Vec<(String, String)> {
        self.named([
            (env::ROLE_ARN, self.role_arn.clone()),
            (env::WEB_IDENTITY_TOKEN_FILE, self.irsa_token.path().display().to_string()),
            (env::ENDPOINT_URL_STS, format!("http://{}", self.sts.address())),
        ])
    }

    /// The environment of a pod with EKS Pod Identity, as the webhook sets it, and `AWS_ENDPOINT_URL_STS` for the stand-in,
    /// which a pod with Pod Identity asks only who it is.
    pub fn pod_identity_env(&self) -> Vec<(String, String)> {
        self.named([
            (env::CONTAINER_FULL_URI, agent::Agent::url(self.agent.address())),
            (env::CONTAINER_TOKEN_FILE, self.agent_token.path().display().to_string()),
            (env::ENDPOINT_URL_STS, format!("http://{}", self.sts.address())),
        ])
    }

    /// The environment of a pod that has both.
    pub fn both_env(&self) -> Vec<(String, String)> {
        let mut both = self.irsa_env();
        both.extend(self.pod_identity_env());
        both
    }

    /// The stand-in of STS.
    pub fn sts(&self) -> &StandIn {
        &self.sts
    }

    /// The stand-in of the Pod Identity agent.
    pub fn agent(&self) -> &StandIn {
        &self.agent
    }

    /// The token for STS.
    pub fn irsa_token(&self) -> &ProjectedToken {
        &self.irsa_token
    }

    /// The token for the agent.
    pub fn agent_token(&self) -> &ProjectedToken {
        &self.agent_token
    }

    /// What both stand-ins have issued: for a service stand-in that verifies signatures.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn named<const N: usize>(&self, vars: [(&str, String); N]) -> Vec<(String, String)> {
        let region = [(env::REGION, self.region.clone()), (env::DEFAULT_REGION, self.region.clone())];
        vars.into_iter().chain(region).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Drop for LocalPod {
    #[allow(clippy::panic, reason = "a double fails the test on what it does not expect")]
    fn drop(&mut self) {
        let unexpected = [self.sts.take_unexpected(), self.agent.take_unexpected()].concat();
        if !unexpected.is_empty() && !std::thread::panicking() {
            panic!("the local pod was asked what no correct client asks: {}", unexpected.join("; "));
        }
    }
}

impl LocalPodBuilder {
    /// The service account. Default: `local` in `default`. The role trusts it, and it has an association.
    pub fn service_account(mut self, namespace: &str, name: &str) -> Self {
        self.subject.namespace = namespace.to_owned();
        self.subject.service_account = name.to_owned();
        self
    }

    /// The pod's name.
    pub fn pod(mut self, name: &str) -> Self {
        self.subject.pod = name.to_owned();
        self
    }

    /// The role behind both methods. Default: `local-pod` in account 111122223333.
    pub fn role_arn(mut self, arn: &str) -> Self {
        self.role_arn = arn.to_owned();
        self
    }

    /// The role of the Pod Identity association, if it is not the one behind IRSA: for a migration that is not ready.
    pub fn associated_role_arn(mut self, arn: &str) -> Self {
        self.associated_role_arn = Some(arn.to_owned());
        self
    }

    /// The region. Default: `eu-central-1`.
    pub fn region(mut self, region: &str) -> Self {
        self.region = region.to_owned();
        self
    }

    /// The lifetime of service account tokens. Default: a day. They are only rotated by
    /// [`ProjectedToken::rotate`].
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// How service account tokens are signed. Default: RS256, as on EKS.
    pub fn signing(mut self, signing: Signing) -> Self {
        self.signing = signing;
        self
    }

    /// Where the agent listens. Default: a free port of 127.0.0.1. In a network namespace of a test's own it can have its
    /// real addresses, `169.254.170.23:80` and `[fd00:ec2::23]:80`.
    pub fn agent_address(mut self, address: SocketAddr) -> Self {
        self.agent_address = address;
        self
    }

    /// Starts it, on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`LocalPod::start`].
    pub async fn start(self) -> io::Result<LocalPod> {
        let Self { subject, role_arn, associated_role_arn, region, token_lifetime, signing, agent_address } = self;
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
