//! From IRSA to EKS Pod Identity in service: what to look for first, the steps, the way back.
//!
//! Which of the two to want: [`choosing`](super::choosing). Commands are for cluster `my-cluster` in `eu-central-1`,
//! account `111122223333`, service account `demo/app`, role `demo-app`; they need `kubectl`, `aws` and `jq`, and only
//! those under *The steps* change anything. Statements about EKS are from the *Amazon EKS User Guide* and the source of
//! the webhook.
//!
//! # What to know before
//!
//! - **A pod's method is decided when it is created**, by the webhook, and never changes afterwards. With an
//!   association the webhook injects Pod Identity alone, whatever the annotation says.
//! - So **from the moment there is an association every new pod is on Pod Identity**: also the ones of an autoscaler or
//!   of a drained node. The trust policy comes first, the association second.
//! - A container that sets IRSA's variables *itself* keeps them, and has both: that is `examples/deploy/both`. It holds
//!   the switch in its own hand.
//! - The webhook leaves out a pair of variables if the container sets either of them. `AWS_ROLE_ARN` alone in a
//!   manifest means no IRSA, in every SDK.
//! - Associations are eventually consistent. A pod that is created seconds after its association may still get IRSA.
//!
//! # Which one wins
//!
//! In a container that has both, by the default chain of each SDK. An annotated and associated pod without variables of
//! its own has only Pod Identity, and there is nothing to win.
//!
//! | | first | seen in |
//! |---|---|---|
//! | this crate | IRSA; Pod Identity with `EKS_CREDENTIALS_SOURCE=pod-identity` or `.prefer(SourceKind::PodIdentity)` | its tests |
//! | Rust, `aws-config` 1.13 | IRSA (`WebIdentityToken` before `EcsContainer`) | its source |
//! | Python, botocore of AWS CLI 1.46 | IRSA (`assume-role-with-web-identity` before `container-role`) | its source |
//! | JavaScript, `credential-provider-node` 3.972 | IRSA (`fromTokenFile` before `remoteProvider`) | its source |
//! | Go v2 | IRSA (`AWS_WEB_IDENTITY_TOKEN_FILE` before the container's) | its source |
//! | Java 2 | IRSA (web identity is third, containers come after the profile) | its developer guide |
//! | PHP 3 | IRSA (`assumeRoleWithWebIdentity` before the profile and the container) | its developer guide |
//! | .NET, C++, Ruby | not looked at | |
//!
//! Static keys in the environment beat both, but not in this crate, which does not read them. Every program in the pod
//! needs an SDK that knows Pod Identity: the user guide has the list of lowest versions.
//!
//! # Inventory
//!
//! Annotated service accounts, with their roles and audiences:
//!
//! ```sh
//! kubectl get serviceaccounts --all-namespaces --output json | jq -r '
//!   .items[]
//!   | .metadata.annotations["eks.amazonaws.com/role-arn"] as $role
//!   | select($role)
//!   | [.metadata.namespace, .metadata.name, $role,
//!      .metadata.annotations["eks.amazonaws.com/audience"] // "sts.amazonaws.com"]
//!   | @tsv'
//! ```
//! ```text
//! demo    app       arn:aws:iam::111122223333:role/demo-app       sts.amazonaws.com
//! jobs    nightly   arn:aws:iam::444455556666:role/team/nightly   other.example.com
//! ```
//!
//! A role of another account than the cluster's, as the second, cannot be associated: it becomes the `targetRoleArn` of
//! an association to a role of this account, which may assume it; its sessions then last 59 minutes.
//!
//! What the running containers have. `neither` under an annotated service account is a pod older than its annotation,
//! one that the webhook missed, or half a pair:
//!
//! ```sh
//! kubectl get pods --all-namespaces --output json | jq -r '
//!   .items[]
//!   | . as $pod
//!   | .spec.containers[]
//!   | [.env[]?.name] as $set
//!   | [ (if ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"] - $set == [] then "irsa" else empty end),
//!       (if ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] - $set == []
//!        then "pod-identity" else empty end) ] as $methods
//!   | select($pod.spec.serviceAccountName != "default")
//!   | [$pod.metadata.namespace, $pod.metadata.name, .name, $pod.spec.serviceAccountName,
//!      ($methods | join("+") | if . == "" then "neither" else . end)]
//!   | @tsv'
//! ```
//! ```text
//! demo    app-1       app       app       irsa
//! demo    app-1       sidecar   app       neither
//! demo    app-2       app       app       irsa+pod-identity
//! jobs    nightly-1   main      nightly   neither
//! ```
//!
//! Who may assume a role, statement by statement. `NO CONDITION` beside an OIDC provider is a hole: every service
//! account of that cluster may.
//!
//! ```sh
//! aws iam get-role --role-name demo-app --query Role.AssumeRolePolicyDocument --output json | jq -r '
//!   def list: if type == "array" then . else [.] end;
//!   .Statement | list[]
//!   | [ (.Action | list | join(",")),
//!       (.Principal | to_entries | map("\(.key) \(.value | list | join(","))") | join("; ")),
//!       ([.Condition // {} | to_entries[] | .key as $test | .value | to_entries[]
//!         | "\(.key) \($test) \(.value | list | join(","))"] | join("; ")
//!         | if . == "" then "NO CONDITION" else . end) ]
//!   | @tsv'
//! ```
//! ```text
//! sts:AssumeRoleWithWebIdentity   Federated arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE   oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE:aud StringEquals sts.amazonaws.com; oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE:sub StringEquals system:serviceaccount:demo:app
//! ```
//!
//! And what may stand in the way:
//!
//! ```sh
//! # Fargate and Windows nodes have no agent: their pods stay on IRSA.
//! kubectl get nodes --label-columns eks.amazonaws.com/compute-type,kubernetes.io/os
//! # The agent on every other node. In EKS Auto Mode it is built in, and there is no such DaemonSet.
//! kubectl get daemonset eks-pod-identity-agent --namespace kube-system
//! # Associations that are there already. An ownerArn says that an EKS add-on owns it.
//! aws eks list-pod-identity-associations --cluster-name my-cluster \
//!   --query 'associations[].[namespace,serviceAccount,associationId,ownerArn]' --output text
//! # Egress rules: the agent's addresses must be let through, see examples/deploy/pod-identity/kubernetes.yaml.
//! kubectl get networkpolicies --all-namespaces
//! ```
//!
//! Also look for: `HTTP_PROXY` in pods with other SDKs (they need `NO_PROXY=169.254.170.23,fd00:ec2::23`); a port 80
//! that something else on the node's network has taken; and what depends on *how* the role is assumed: policies with
//! `aws:FederatedProvider` or with the session's name, queries over CloudTrail, and builders with
//! [`policy`](crate::Builder::policy) or [`policy_arn`](crate::Builder::policy_arn), which only STS can honour: with
//! Pod Identity they are an error at `build()`, and the narrowing belongs on the association (`policy`, with session
//! tags off). [`session_name`](crate::Builder::session_name) and [`duration`](crate::Builder::duration) have no effect
//! on it.
//!
//! # The steps
//!
//! One service account at a time, the least important first. Each step can be left for days.
//!
//! ## 1. The agent
//!
//! ```sh
//! aws eks create-addon --cluster-name my-cluster --addon-name eks-pod-identity-agent
//! aws eks wait addon-active --cluster-name my-cluster --addon-name eks-pod-identity-agent
//! ```
//!
//! ## 2. A trust policy that lets both in
//!
//! The one statement is added to those that are there. Keep `before.json`: it is the way back.
//!
//! ```sh
//! aws iam get-role --role-name demo-app --query Role.AssumeRolePolicyDocument --output json > before.json
//! jq --arg cluster arn:aws:eks:eu-central-1:111122223333:cluster/my-cluster --arg namespace demo --arg account app '
//!   .Statement |= (if type == "array" then . else [.] end) + [{
//!     Sid: "PodIdentity", Effect: "Allow",
//!     Principal: {Service: "pods.eks.amazonaws.com"},
//!     Action: ["sts:AssumeRole", "sts:TagSession"],
//!     Condition: {StringEquals: {
//!       "aws:RequestTag/eks-cluster-arn": $cluster,
//!       "aws:RequestTag/kubernetes-namespace": $namespace,
//!       "aws:RequestTag/kubernetes-service-account": $account
//!     }}
//!   }]' before.json > both.json
//! aws iam update-assume-role-policy --role-name demo-app --policy-document file://both.json
//! ```
//!
//! Without `sts:TagSession` EKS is refused. The conditions match session tags: leave them out if the association turns
//! those off. What it comes to is `examples/deploy/both/trust-policy.json`: some 840 of the 2048 characters that a
//! trust policy may have by default, blanks not counted.
//!
//! ## 3. Both at hand, IRSA in charge
//!
//! Give the container IRSA's variables and the token's volume itself, as `examples/deploy/both/kubernetes.yaml` does,
//! with `EKS_CREDENTIALS_SOURCE=irsa`; roll it out; then make the association. Pods created from now on have both, and
//! go on with IRSA. (Programs with other SDKs in the same container too: IRSA comes first in all that are listed
//! above.)
//!
//! ```sh
//! kubectl apply -f both/kubernetes.yaml
//! aws eks create-pod-identity-association --cluster-name my-cluster \
//!   --namespace demo --service-account app --role-arn arn:aws:iam::111122223333:role/demo-app
//! sleep 30; kubectl --namespace demo rollout restart deployment/app
//! ```
//!
//! The pods must now show as `irsa+pod-identity` in the second command of the inventory; if not, restart them once
//! more.
//!
//! ## 4. Validate
//!
//! ```sh
//! kubectl --namespace demo exec deployment/app -- /migrate   # exit code 0: ready to cut over
//! kubectl --namespace demo exec deployment/app -- /doctor    # if not: why
//! ```
//!
//! The example `migrate` is `provider.compare()`: it fetches from both, touches nothing that is served, compares
//! account, partition and role as `GetCallerIdentity` has them, and shows expiry and latency. `builder().shadow(true)`
//! has a service ask the other method by itself, once, in the background, and shows the result as an event and in
//! `Status::shadow`. `provider.detection()` says which method serves and why. Same role and account does not mean same
//! permissions: session tags can match policies that IRSA's sessions did not. Try what matters, on one pod of a service
//! account of its own (`app-canary`, the same role; its name must be in the trust policy too), before all pods do.
//!
//! ## 5. Cut over
//!
//! Set `EKS_CREDENTIALS_SOURCE=pod-identity`, here or in the manifest, and let the Deployment roll. With
//! `.fallback(true)` a *permanent denial* by Pod Identity hands over to IRSA, loudly, and no request fails; an outage
//! does not.
//!
//! ```sh
//! kubectl --namespace demo set env deployment/app EKS_CREDENTIALS_SOURCE=pod-identity
//! kubectl --namespace demo rollout status deployment/app
//! ```
//!
//! Without step 3, for a program that cannot tell the two apart: the association and a `rollout restart` *are* the
//! cut-over, and deleting the association and another restart the way back. A rolling update with a readiness probe
//! that needs credentials, as in the manifests, stops at the first pod that gets none, and the others go on with IRSA.
//!
//! ## 6. Clean up
//!
//! When the pods have been `pod-identity` for longer than you might want to go back. First see that nobody uses IRSA's
//! statement any more; a role's other clusters do, for instance:
//!
//! ```sh
//! aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=AssumeRoleWithWebIdentity \
//!   --max-items 1000 --output json | jq -r '
//!   .Events[].CloudTrailEvent | fromjson
//!   | [.eventTime, .userIdentity.userName, .requestParameters.roleArn] | @tsv'
//! ```
//!
//! Then, in this order: the variables and the volume out of the manifest (`pod-identity/kubernetes.yaml`), rolled out;
//! the annotation; the statement.
//!
//! ```sh
//! kubectl apply -f pod-identity/kubernetes.yaml
//! kubectl --namespace demo annotate serviceaccount app eks.amazonaws.com/role-arn-
//! issuer=$(aws eks describe-cluster --name my-cluster --query cluster.identity.oidc.issuer --output text)
//! aws iam get-role --role-name demo-app --query Role.AssumeRolePolicyDocument --output json > both.json
//! jq --arg issuer "${issuer#https://}" '
//!   .Statement |= map(select(.Principal.Federated // "" | tostring | endswith($issuer) | not))' both.json > after.json
//! aws iam update-assume-role-policy --role-name demo-app --policy-document file://after.json
//! ```
//!
//! `kubectl apply` takes away what the manifest that was applied before had and this one has not. The cluster's OIDC
//! provider in IAM goes last, when no role names it, add-ons and controllers included:
//!
//! ```sh
//! aws iam list-roles --output json | jq -r --arg issuer "${issuer#https://}" '
//!   .Roles[] | select(.AssumeRolePolicyDocument | tostring | contains($issuer)) | .RoleName'
//! aws iam delete-open-id-connect-provider \
//!   --open-id-connect-provider-arn "arn:aws:iam::111122223333:oidc-provider/${issuer#https://}"
//! ```
//!
//! # What it looks like
//!
//! `cargo test --test migration -- --nocapture` goes through all of it on loopback, with credentials that live for
//! seconds, while a real S3 client in every pod lists buckets twenty times a second. It fails if one call does. What it
//! printed (shortened):
//!
//! ```text
//!   0.2 s  irsa-alone               IRSA serves: AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are set; EKS Pod Identity is not configured
//!   7.2 s  operator                 create the association: pods that start from now on have both
//!   7.2 s  both-irsa-first          IRSA serves: … are set; EKS Pod Identity is configured too and comes second in the order of every AWS SDK; a permanent denial hands over to it
//!   7.2 s  both-irsa-first          INFO the source that does not serve would work too source=pod-identity serving=irsa account=111122223333
//!   7.2 s  operator                 stop irsa-alone
//!  12.8 s  operator                 cut over: EKS_CREDENTIALS_SOURCE=pod-identity
//!  12.8 s  both-pod-identity-first  EKS Pod Identity serves: … are set; IRSA is configured too and comes second because of EKS_CREDENTIALS_SOURCE=pod-identity; …
//!  19.3 s  operator                 remove the trust of IRSA from the role, while a pod still lives by it
//!  19.9 s  both-irsa-first          WARN the preferred source was denied, falling back to the other one denied=irsa fallback=pod-identity
//!  19.9 s  operator                 restore the trust: the next refresh goes back to IRSA
//!  22.1 s  both-irsa-first          INFO credentials come from another source now source=irsa previous=pod-identity
//!  22.1 s  operator                 remove the trust for good
//!  24.3 s  both-irsa-first          INFO credentials come from another source now source=pod-identity previous=irsa
//!  31.2 s  operator                 remove the annotation: pods that start from now on have Pod Identity alone
//!  31.2 s  pod-identity-alone       INFO first credentials source=pod-identity
//!  38.1 s  operator                 994 calls succeeded, 0 failed
//! ```
//!
//! # The way back
//!
//! | after | do |
//! |---|---|
//! | 2 | `aws iam update-assume-role-policy --role-name demo-app --policy-document file://before.json` |
//! | 3, 4 | nothing: IRSA serves. Or delete the association: `aws eks delete-pod-identity-association --cluster-name my-cluster --association-id a-…` |
//! | 5 | `kubectl --namespace demo set env deployment/app EKS_CREDENTIALS_SOURCE=irsa`. If the association is in the way too, delete it and restart: a preference for a method that is not there is ignored |
//! | 6 | the statement of `before.json`, then the annotation, then delete the association, then restart |
//!
//! A deleted association does not end sessions at once: the agent has credentials cached, and this crate keeps what it
//! has until it expires. Nor does a statement that is taken out of a trust policy.
//!
//! # With tools
//!
//! - **Terraform**: `examples/deploy/irsa`, `both` and `pod-identity` are the three states of one configuration, each
//!   an `apply` from the last. `aws_eks_pod_identity_association` does not wait until it is known: restart the pods
//!   later. Do not have the same role's trust policy changed by the commands above as well.
//! - **CloudFormation, CDK**: `AWS::EKS::PodIdentityAssociation`, `CfnPodIdentityAssociation`. The role's trust is an
//!   `iam.ServicePrincipal("pods.eks.amazonaws.com")` that may also `sts:TagSession`. CDK's `aws_eks_v2` has
//!   `IdentityType.POD_IDENTITY` for a service account; what changing it does to one in service was not tried.
//! - **eksctl**: `eksctl utils migrate-to-pod-identity --cluster my-cluster` prints its plan, and with `--approve` does
//!   steps 1, 2 and the association for **all** its IAM service accounts and for add-ons. It adds no conditions. For
//!   add-ons it removes the OIDC trust in any case, for service accounts with
//!   `--remove-oidc-provider-trust-relationship`. As associations are made there and then, pods created from then on
//!   are on Pod Identity; running pods are not restarted.
//! - **EKS add-ons** own their associations: for them it is `aws eks update-addon` with `--pod-identity-associations`.
//!
//! # Not known
//!
//! This was run against stand-ins, with the real agent, and never on a cluster: how long an association takes to be
//! known, and how long the agent's cache outlives one that was deleted, are AWS's statements (*several seconds*) or not
//! stated.
