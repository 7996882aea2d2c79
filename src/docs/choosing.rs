//! IRSA or EKS Pod Identity: how they differ, how each works, and how to set each up.
//!
//! This crate serves both by the same code, and [`migrating`](super::migrating) goes from one to the other in service,
//! so the choice is one of operations. In short: **EKS Pod Identity** on EKS with Linux nodes on EC2, most of all with
//! many clusters, or many service accounts to a role. **IRSA** on Fargate, on Windows, outside EKS, where the role is
//! in another account and is not to be chained, or where a process must narrow its own role.
//!
//! Where a statement comes from: **UG** the *Amazon EKS User Guide*, **API** the API references of EKS and STS, **src**
//! the source of the webhook or of the agent, **run** seen here, on agent v0.1.37 with a stand-in for what is behind
//! it. Nothing was timed against AWS itself: durations are limits and retries of the programs, without the network.
//!
//! # Side by side
//!
//! | | IRSA | EKS Pod Identity |
//! |---|---|---|
//! | What links pod and role | the annotation `eks.amazonaws.com/role-arn` of the service account, and the role's trust policy (UG) | an association in the EKS API: cluster, namespace, service account, role. No Kubernetes object knows of it (UG) |
//! | Once for a cluster | an OIDC provider in IAM with the cluster's issuer, audience `sts.amazonaws.com` (UG) | the add-on `eks-pod-identity-agent`, built into EKS Auto Mode; node role with `eks-auth:AssumeRoleForPodIdentity`, which `AmazonEKSWorkerNodePolicy` has (UG) |
//! | Trust policy | one statement for each cluster: its OIDC provider, `aud`, `sub` | one for all clusters: the principal `pods.eks.amazonaws.com`, actions `sts:AssumeRole` and `sts:TagSession` (UG) |
//! | Who needs which rights | whoever makes roles must know clusters, namespaces and names, and may make OIDC providers | whoever makes associations needs `iam:PassRole` on the role (UG); whoever makes roles need not know clusters |
//! | Granularity | the service account, or with `StringLike` on `sub` a namespace (src) | the service account; one role for a service account and cluster (UG) |
//! | Session tags, ABAC | none (UG) | six, transitive: `eks-cluster-arn`, `eks-cluster-name`, `kubernetes-namespace`, `kubernetes-service-account`, `kubernetes-pod-name`, `kubernetes-pod-uid`; an association can turn them off (UG) |
//! | Many clusters | 100 OIDC providers in an account by default; a trust policy of 2048 characters by default holds some 4 statements, some 8 once raised (UG) | the same role in every cluster, trust policy untouched (UG) |
//! | Limit of its own | | 5000 associations in a cluster, not adjustable by Service Quotas (UG) |
//! | Role in another account | directly, with the issuer as an OIDC provider *there*; or by chaining (UG) | the role must be in the cluster's account; a `targetRoleArn` is assumed from it (UG), and its sessions last 59 minutes (UG) |
//! | Narrowing below the role | session policies by the process: [`Builder::policy`](crate::Builder::policy), [`Builder::policy_arn`](crate::Builder::policy_arn) | a `policy` on the association, only with session tags off (API). Not by the process |
//! | Session name in CloudTrail | by the process; this crate's is `{namespace}-{pod}` | by EKS |
//! | Life of credentials | 15 minutes to 12 hours by [`Builder::duration`](crate::Builder::duration), up to the role's maximum; 1 hour by default (API) | 6 hours, 59 minutes with a target role (UG). The agent hands out the same ones to all who ask until it renews them, after 3 hours at the latest (run) |
//! | Another role for the same pods | annotate, and recreate the pods (src) | update the association; the agent's cache has the old role for up to 6 hours, recreated pods have the new one (UG) |
//! | Fargate, Windows | yes | no: Linux on EC2 alone (UG) |
//! | Outposts, EKS Anywhere, other Kubernetes | yes, with an issuer that IAM can read | no (UG) |
//! | AWS SDK of the pod's other programs | any of the last years (UG lists them) | a recent one: boto3 1.34.41, Go v2 of 2023-11-14, Java 2.21.30, JavaScript 3.458.0, Rust of 2024-03-13 (UG) |
//! | Network | STS by https; in a private cluster its VPC endpoint | the node's 169.254.170.23 or fd00:ec2::23, port 80; the *nodes* need EKS Auth, in a private cluster its VPC endpoint (UG) |
//! | Behind a proxy | as any https | other SDKs need the agent's addresses in `NO_PROXY` (UG); this crate never sends them to a proxy |
//! | Calls of AWS | each process its own, against your STS quota | each node's agent its own, against EKS Auth (UG) |
//! | Crates in this crate's tree | TLS and XML | none of them: feature `pod-identity` alone |
//! | Day two | clusters that come and go take trust policies and OIDC providers with them | one more DaemonSet, to be kept current; it takes ports 80 and 2703 of link-local addresses on each node (UG) |
//! | Maturity | 2019. Kubernetes, IAM and STS, nothing in between | November 2023. One more service and one more program in between |
//!
//! # What fails, and how it looks
//!
//! | | IRSA | EKS Pod Identity |
//! |---|---|---|
//! | Not injected | The webhook is told to be ignored when it fails, and then sets nothing (src): other SDKs use the node's role, this crate is an error | the same, and also when the association is younger than the pod |
//! | Half injected | a container that sets one variable of a pair is given neither of the two (src) | the same |
//! | Just set up | IAM is eventually consistent: a new trust policy takes seconds (UG) | associations are eventually consistent: 404 for seconds (UG, run) |
//! | A new node | | the agent may start after the pod: connection refused, for seconds |
//! | Refused | STS: `AccessDenied` for a condition that does not match, `InvalidIdentityToken` for an issuer without provider or a wrong audience | the agent: **400** with the exception's name in plain text, 404 for no association (run) |
//! | Slow | one call of STS | up to some 10 s, the agent's own retries included; who hangs up earlier cancels them, and nothing is cached: three clients that gave up after 0.5 s never succeeded against an upstream that took 0.9 s (run) |
//! | Upstream is down | the SDK's retries | 500 after 4–7 s, 429 after 4 s; nothing is remembered: 30 requests at once became 66 calls of a failing upstream (run) |
//! | A burst | throttled by STS | the agent's own limit: 1000 requests a second, bursts of 500, then 429 (run) |
//! | The node goes wrong | one process at a time | every pod of that node, once its credentials end |
//! | AWS's outage | the region's STS | the region's EKS Auth, which needs its STS |
//!
//! What this crate makes of each of these: [`reliability`](super::reliability). `provider.diagnose()` and the example
//! `doctor` say which one it is, from inside the pod.
//!
//! # Under the hood: IRSA
//!
//! ```text
//!   you                API server + webhook       kubelet              process                STS            IAM
//!    │ pod of an           │                         │                    │                    │              │
//!    │ annotated account   │                         │                    │                    │              │
//!    ├────────────────────►│ sets AWS_ROLE_ARN,      │                    │                    │              │
//!    │                     │ AWS_WEB_IDENTITY_TOKEN_ │                    │                    │              │
//!    │                     │ FILE, a token volume    │                    │                    │              │
//!    │                     ├────────────────────────►│ token: aud=sts.amazonaws.com            │              │
//!    │                     │                         │ sub=system:serviceaccount:NS:NAME       │              │
//!    │                     │                         ├───────────────────►│                    │              │
//!    │                     │                         │ renewed at 80 % of │ AssumeRoleWithWeb- │              │
//!    │                     │                         │ its life, 24 h at  │ Identity(role,     │              │
//!    │                     │                         │ most               │ token), unsigned   │ issuer's     │
//!    │                     │                         │                    ├───────────────────►│ keys; does   │
//!    │                     │                         │                    │                    │ the role     │
//!    │                     │                         │                    │                    │ trust issuer,│
//!    │                     │                         │                    │                    │ aud and sub? │
//!    │                     │                         │                    │                    ├─────────────►│
//!    │                     │                         │                    │ keys, 1 h          │◄─────────────┤
//!    │                     │                         │                    │◄───────────────────┤              │
//! ```
//!
//! # Under the hood: EKS Pod Identity
//!
//! ```text
//!   you                API server + webhook       kubelet              process        agent on node         EKS Auth
//!    │ association         │                         │                    │                    │              │
//!    ├─── (EKS API) ──────►│                         │                    │                    │              │
//!    │ pod of that account │ sets AWS_CONTAINER_     │                    │                    │              │
//!    ├────────────────────►│ CREDENTIALS_FULL_URI,   │                    │                    │              │
//!    │                     │ …AUTHORIZATION_TOKEN_   │                    │                    │              │
//!    │                     │ FILE, a token volume    │                    │                    │              │
//!    │                     ├────────────────────────►│ token: aud=pods.eks.amazonaws.com       │              │
//!    │                     │                         ├───────────────────►│                    │              │
//!    │                     │                         │                    │ GET 169.254.170.23 │              │
//!    │                     │                         │                    │ /v1/credentials    │ AssumeRole-  │
//!    │                     │                         │                    │ Authorization:     │ ForPod-      │
//!    │                     │                         │                    │ the token          │ Identity     │
//!    │                     │                         │                    ├───────────────────►│ (token), by  │
//!    │                     │                         │                    │ plain http, never  │ the node role│
//!    │                     │                         │                    │ leaves the node    ├─────────────►│
//!    │                     │                         │                    │                    │ association? │
//!    │                     │                         │                    │                    │ AssumeRole,  │
//!    │                     │                         │                    │                    │ TagSession   │
//!    │                     │                         │                    │ keys, 6 h          │◄─────────────┤
//!    │                     │                         │                    │◄───────────────────┤ cached       │
//! ```
//!
//! # Setting up IRSA
//!
//! Down to a pod that lists buckets: cluster `my-cluster` in `eu-central-1`, account `111122223333`, service account
//! `demo/app`, role `demo-app`. The files are those of `examples/deploy/` in the repository; its README says what to
//! edit.
//!
//! By hand:
//!
//! ```sh
//! # 1. The cluster's issuer as an OIDC provider in IAM. Once for a cluster; an error says that it is there already.
//! issuer=$(aws eks describe-cluster --name my-cluster --query cluster.identity.oidc.issuer --output text)
//! aws iam create-open-id-connect-provider --url "$issuer" --client-id-list sts.amazonaws.com
//!
//! # 2. A role that trusts it, for this service account alone.
//! jq --null-input --arg account 111122223333 --arg issuer "${issuer#https://}" '{
//!   Version: "2012-10-17",
//!   Statement: [{
//!     Effect: "Allow",
//!     Principal: {Federated: "arn:aws:iam::\($account):oidc-provider/\($issuer)"},
//!     Action: "sts:AssumeRoleWithWebIdentity",
//!     Condition: {StringEquals: {
//!       "\($issuer):aud": "sts.amazonaws.com",
//!       "\($issuer):sub": "system:serviceaccount:demo:app"
//!     }}
//!   }]
//! }' > trust.json
//! aws iam create-role --role-name demo-app --assume-role-policy-document file://trust.json
//!
//! # 3. What it may do.
//! aws iam put-role-policy --role-name demo-app --policy-name app --policy-document '{
//!   "Version": "2012-10-17",
//!   "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]
//! }'
//!
//! # 4. The annotated service account, and its pods.
//! kubectl apply -f irsa/kubernetes.yaml
//! ```
//!
//! By eksctl, steps 1 to 3: `eksctl utils associate-iam-oidc-provider --config-file irsa/eksctl.yaml --approve`, then
//! `eksctl create iamserviceaccount --config-file irsa/eksctl.yaml --approve`. By Terraform: `terraform -chdir=irsa
//! apply`. Then step 4.
//!
//! # Setting up EKS Pod Identity
//!
//! ```sh
//! # 1. The agent. Once for a cluster, and not in EKS Auto Mode.
//! aws eks create-addon --cluster-name my-cluster --addon-name eks-pod-identity-agent
//! aws eks wait addon-active --cluster-name my-cluster --addon-name eks-pod-identity-agent
//!
//! # 2. A role that trusts EKS. The conditions are optional; without them whoever may pass the role may associate it.
//! cat > trust.json <<'END'
//! {
//!   "Version": "2012-10-17",
//!   "Statement": [{
//!     "Effect": "Allow",
//!     "Principal": {"Service": "pods.eks.amazonaws.com"},
//!     "Action": ["sts:AssumeRole", "sts:TagSession"],
//!     "Condition": {"StringEquals": {
//!       "aws:RequestTag/kubernetes-namespace": "demo",
//!       "aws:RequestTag/kubernetes-service-account": "app"
//!     }}
//!   }]
//! }
//! END
//! aws iam create-role --role-name demo-app --assume-role-policy-document file://trust.json
//!
//! # 3. What it may do.
//! aws iam put-role-policy --role-name demo-app --policy-name app --policy-document '{
//!   "Version": "2012-10-17",
//!   "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]
//! }'
//!
//! # 4. The association, before the pods: the webhook looks for it when a pod is created. It takes some seconds.
//! aws eks create-pod-identity-association --cluster-name my-cluster \
//!   --namespace demo --service-account app --role-arn arn:aws:iam::111122223333:role/demo-app
//! kubectl apply -f pod-identity/kubernetes.yaml
//! ```
//!
//! By eksctl, steps 1 to 4 but for the last line: `eksctl create addon --config-file pod-identity/eksctl.yaml`, then
//! `eksctl create podidentityassociation --config-file pod-identity/eksctl.yaml`. By Terraform: `terraform
//! -chdir=pod-identity apply`.
//!
//! # And then
//!
//! ```sh
//! kubectl --namespace demo rollout status deployment/app    # ready means: has credentials
//! kubectl --namespace demo exec deployment/app -- /list_buckets
//! ```
//!
//! The second lists the account's buckets with the pod's own credentials, and says which method they came by. All that
//! it needs is
//!
//! ```no_run
//! # #[cfg(feature = "sdk-config")]
//! # async fn list() -> Result<(), Box<dyn std::error::Error>> {
//! use eks_credentials::{BehaviorVersion, EksCredentialsProvider};
//!
//! let provider = EksCredentialsProvider::from_env()?;
//! let config = provider.sdk_config(BehaviorVersion::latest()).build();
//! // If S3 refuses the credentials before they expire, they are renewed and the attempt is repeated.
//! let config = aws_sdk_s3::config::Builder::from(&config)
//!     .interceptor(provider.recovery())
//!     .retry_classifier(provider.recovery());
//! let s3 = aws_sdk_s3::Client::from_conf(config.build());
//! for bucket in s3.list_buckets().send().await?.buckets() {
//!     println!("{}", bucket.name().unwrap_or_default());
//! }
//! # Ok(()) }
//! ```
//!
//! # Not known
//!
//! How fast STS and EKS Auth are from your nodes; what quota EKS Auth has (we found none published); how either behaves
//! in a real outage of the other. EKS Hybrid Nodes were not looked at.
