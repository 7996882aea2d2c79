//! Every finding there is: its id, what it says in short, why it comes about, and what to do. The documentation page, the
//! tests and the checks take theirs from here.

use super::Severity;

macro_rules! catalogue {
    ($($name:ident $id:literal $title:literal, $cause:literal, $remedy:literal;)+) => {
        /// What was found, for programs. The ids are stable: what is added later gets a new one.
        ///
        /// Each with its cause, its remedy and an example: [`docs::findings`](crate::docs::findings).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum FindingId {
            $(#[doc = concat!("`", $id, "`: ", $title, ".")] $name,)+
        }

        impl FindingId {
            /// All of them, errors first.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// `E-TRUST-SUB`: `E` for an error, `W` for a warning, `I` for what is worth knowing, `OK` for what is well.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// What it says, in one line.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// How it comes about.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$name => $cause,)+ }
            }

            /// What to do about it; empty if there is nothing to be done.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)+ }
            }
        }
    };
}

catalogue! {
    EnvNone "E-ENV-NONE" "no method is configured",
        "Neither pair of variables is set. The EKS webhook sets them when the pod is created, for an annotated service account or one with an association; it ignores its own failures.",
        "annotate the service account with eks.amazonaws.com/role-arn (IRSA) or create a Pod Identity association, then restart the pod: running pods are never changed";
    EnvIrsaHalf "E-ENV-IRSA-HALF" "half of IRSA is configured",
        "The webhook injects a pair of variables only if the container sets neither of them itself.",
        "remove the variable from the container's env so that the webhook sets both (the service account needs the annotation eks.amazonaws.com/role-arn), or set both";
    EnvPodIdentityHalf "E-ENV-POD-IDENTITY-HALF" "half of EKS Pod Identity is configured",
        "The webhook injects a pair of variables only if the container sets neither of them itself.",
        "remove the variable from the container's env so that the webhook sets both, or set both";
    EnvSource "E-ENV-SOURCE" "EKS_CREDENTIALS_SOURCE is not understood",
        "The variable that chooses between the methods has a value that is none.",
        "set it to irsa, pod-identity or auto, or remove it";
    EnvFlag "E-ENV-FLAG" "a switch is neither true nor false",
        "AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and AWS_IGNORE_CONFIGURED_ENDPOINT_URLS take two values.",
        "set it to true or false, or remove it";
    Config "E-CONFIG" "the configuration cannot work",
        "A setting of the environment or of the builder that no other finding covers: a session name, a proxy, a CA bundle, a session policy with EKS Pod Identity.",
        "correct the setting that is named";
    RoleArn "E-ROLE-ARN" "AWS_ROLE_ARN is not the ARN of a role",
        "A role's name, an instance profile or a policy stands where the role's ARN belongs.",
        "copy the ARN from aws iam get-role --role-name <name> into the annotation eks.amazonaws.com/role-arn and restart the pod";
    RolePartition "E-ROLE-PARTITION" "role and region are of different partitions",
        "Roles of AWS China, GovCloud and the other partitions exist in their own regions only.",
        "use a role of the region's partition, or correct AWS_REGION";
    RegionNone "E-REGION-NONE" "IRSA has no region",
        "STS is asked at the region's own endpoint, and neither AWS_REGION nor AWS_DEFAULT_REGION is set. The webhook sets both when the container sets neither.",
        "set AWS_REGION in the container's env to the cluster's region";
    Region "E-REGION" "the region is not a region of AWS",
        "IRSA needs a region for the host name of its STS endpoint, and the configured value is a zone, an upper-case name, a region of another store, or aws-global. With AWS_ENDPOINT_URL_STS, IRSA needs no region.",
        "set AWS_REGION to a region such as eu-central-1";
    StsEndpoint "E-STS-ENDPOINT" "the configured STS endpoint cannot be used",
        "The value of AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL or the builder's sts_endpoint is not a valid URL, or it is combined with AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT. These two apply only to AWS's own endpoints.",
        "remove the setting of the endpoint: the region's own endpoint needs none. If another STS is meant, correct its URL and set AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT to false";
    AgentUri "E-AGENT-URI" "the agent's URI cannot be used",
        "Plain http carries the pod's token, so it is spoken only to this machine and the link-local agents.",
        "remove AWS_CONTAINER_CREDENTIALS_FULL_URI from the container's env, so that the webhook sets http://169.254.170.23/v1/credentials";
    TokenMissing "E-TOKEN-MISSING" "the token file does not exist",
        "The variables are set, but the projected volume is not mounted in this container: they were written by hand, or an ephemeral container was given them without the mount.",
        "let the webhook inject variables and volume together (remove the variables from the container's env), or mount the projected token there";
    TokenUnreadable "E-TOKEN-UNREADABLE" "the token file cannot be read",
        "kubelet projects the token for root or for the pod's group, and the process runs as another user; or the path is no file.",
        "set securityContext.fsGroup in the pod's spec (any group id), or point the variable at the token itself";
    TokenInvalid "E-TOKEN-INVALID" "the token is not a service account token",
        "The file is empty or holds something else than one JWT.",
        "point the variable at the projected token, which the webhook does when the container does not set it";
    TokenExpired "E-TOKEN-EXPIRED" "the token has expired",
        "kubelet has not rotated it, because it cannot reach the API server or has stopped; or the file is a copy, or mounted by subPath, which is never updated.",
        "mount the projected volume itself (no copy, no subPath); if it is mounted, see the node's kubelet: kubectl describe node <node>, journalctl -u kubelet";
    TokenNotYet "E-TOKEN-NOT-YET" "the token is not valid yet",
        "This machine's clock is behind that of the API server.",
        "set the node's clock right: chronyc tracking on the node";
    TokenAudience "E-TOKEN-AUDIENCE" "the token is for another audience",
        "A token's audience is fixed when it is projected. The variable names another token than that of this method.",
        "let the webhook set the variable, or give the projected volume's serviceAccountToken.audience the value that is expected";
    TokenIssuer "E-TOKEN-ISSUER" "the token's issuer is not an https URL",
        "STS fetches the issuer's keys over https. The API server was started with another --service-account-issuer.",
        "use a cluster whose issuer is an https URL that AWS can reach, as EKS's is, or use EKS Pod Identity";
    TokenRejected "E-TOKEN-REJECTED" "the token was refused",
        "It was refused as expired, not valid yet, malformed, or not signed by the cluster, whatever it says itself.",
        "check the clocks of this node and of the other side, that the file is kubelet's, and that it was projected by this cluster";
    TrustSub "E-TRUST-SUB" "the role's trust policy does not let this service account in",
        "STS verified the token, and no statement of the role's trust policy matches it; or the role does not exist. STS does not say which. Usual: the sub condition names another namespace or service account, or the pod runs as the service account default.",
        "lay the statement below beside the role's own (aws iam get-role --role-name <name> --query Role.AssumeRolePolicyDocument) and correct what differs; to add it: aws iam update-assume-role-policy";
    TrustAud "E-TRUST-AUD" "the token's audience is not accepted for this role",
        "The IAM OIDC provider does not list the token's audience as a client id, or the trust policy's aud condition names another one.",
        "project the token with the audience sts.amazonaws.com (the default: remove the annotation eks.amazonaws.com/audience), or add this audience to the OIDC provider and to the trust policy as below";
    OidcProvider "E-OIDC-PROVIDER" "the role's account does not know the token's issuer",
        "IRSA needs an IAM OIDC provider for the cluster's issuer in the account of the role. A cluster that was made anew has another issuer.",
        "create the provider in the role's account";
    StsRegion "E-STS-REGION" "STS is not active in this region for the role's account",
        "STS in an opt-in region must be enabled for the account.",
        "enable the region in the account (aws account enable-region --region-name <region>), or set AWS_REGION to one that is enabled";
    StsRefused "E-STS-REFUSED" "STS refused the request",
        "A parameter is out of range, or longer than the role allows: duration, session name, session policy.",
        "correct what STS names; see the STS API reference for this code";
    StsThrottled "E-STS-THROTTLED" "STS throttles",
        "Too many calls for this account and region at this moment.",
        "start fewer pods at once, or have the limit raised; the provider itself retries";
    StsFailing "E-STS-FAILING" "STS answers with a server error",
        "An outage, or a proxy or VPC endpoint that answers in its place.",
        "see the AWS Health Dashboard for STS in this region; the provider itself retries";
    StsForeign "E-STS-FOREIGN" "another server answers in STS's place",
        "A proxy, a captive portal or a wrong endpoint answers something that STS never says.",
        "check AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL, HTTPS_PROXY, and what the endpoint's name leads to";
    StsUnreachable "E-STS-UNREACHABLE" "STS cannot be reached",
        "No route, no DNS, a NetworkPolicy or security group, or a proxy that is not there.",
        "check the pod's egress (NAT, or a VPC endpoint for STS), its DNS, NetworkPolicies, and HTTPS_PROXY and NO_PROXY";
    StsTimeout "E-STS-TIMEOUT" "STS does not answer in time",
        "Packets are dropped on the way: a security group or NetworkPolicy without an allowance, a subnet without NAT.",
        "check the pod's egress (NAT, or a VPC endpoint for STS), security groups, NetworkPolicies, and HTTPS_PROXY";
    StsTls "E-STS-TLS" "no TLS with STS",
        "A proxy inspects TLS with a CA of its own, the clock is wrong, or what answers at the endpoint speaks no TLS.",
        "set AWS_CA_BUNDLE to the proxy's CA, set the node's clock right, or correct the endpoint: AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL";
    IssuerUnreachable "E-ISSUER-UNREACHABLE" "STS could not fetch the issuer's keys",
        "STS verifies the token with keys that it fetches from the issuer's URL: that failed, here or in an outage.",
        "check that <issuer>/.well-known/openid-configuration can be reached from the internet; if it can, see the AWS Health Dashboard";
    AssociationNone "E-ASSOCIATION-NONE" "the service account has no Pod Identity association",
        "EKS Auth knows no association for this namespace and service account in this cluster. A new one takes some seconds to be seen; one for another spelling never is.",
        "create the association";
    AssociationDenied "E-ASSOCIATION-DENIED" "EKS Auth may not hand this role out",
        "The role of the association does not trust EKS Pod Identity, or the node's role may not call EKS Auth.",
        "give the role the trust policy below, and the node's role the managed policy AmazonEKSWorkerNodePolicy or eks-auth:AssumeRoleForPodIdentity";
    AssociationInvalid "E-ASSOCIATION-INVALID" "EKS Auth calls the association invalid",
        "The association's role was deleted, or the cluster is not what the token says.",
        "look at the association (aws eks list-pod-identity-associations --cluster-name <cluster>), and make it anew as below";
    EksAuthRefused "E-EKS-AUTH-REFUSED" "EKS Auth refused the request",
        "A code that this crate does not know.",
        "see the EKS Auth API reference, AssumeRoleForPodIdentity, for this code";
    AgentPath "E-AGENT-PATH" "the agent does not know this URI",
        "The agent serves /v1/credentials, without a slash at the end, at its literal addresses.",
        "remove AWS_CONTAINER_CREDENTIALS_FULL_URI from the container's env, so that the webhook sets http://169.254.170.23/v1/credentials";
    AgentRefused "E-AGENT-REFUSED" "nothing listens at the agent's address",
        "The eks-pod-identity-agent does not run on this node: the add-on is not installed, or not up yet on a new node, or Fargate, where there is none.",
        "install the add-on (aws eks create-addon --cluster-name <cluster> --addon-name eks-pod-identity-agent) and see that its pod on this node runs: kubectl -n kube-system get pods -l app.kubernetes.io/name=eks-pod-identity-agent -o wide";
    AgentFamily "E-AGENT-FAMILY" "the agent listens at its other address",
        "The agent has an IPv4 and an IPv6 address, and on this node only the other one answers: the cluster is IPv6 only, or one family is disabled.",
        "remove AWS_CONTAINER_CREDENTIALS_FULL_URI from the container's env, so that the webhook sets the cluster's own";
    AgentUnreachable "E-AGENT-UNREACHABLE" "the agent cannot be reached",
        "The connection broke off, or there is no route to the link-local address.",
        "see the agent's log (kubectl -n kube-system logs -l app.kubernetes.io/name=eks-pod-identity-agent), and that no NetworkPolicy blocks 169.254.170.23 and fd00:ec2::23, port 80";
    AgentTimeout "E-AGENT-TIMEOUT" "the agent does not answer in time",
        "A NetworkPolicy drops the packets, or the agent itself waits for EKS Auth.",
        "allow egress to 169.254.170.23/32 and fd00:ec2::23/128, port 80, in the pod's NetworkPolicies, and see the agent's log: kubectl -n kube-system logs -l app.kubernetes.io/name=eks-pod-identity-agent";
    AgentForeign "E-AGENT-FOREIGN" "another server answers in the agent's place",
        "A proxy, a service mesh or another metadata agent (kube2iam, kiam) has the agent's address.",
        "exclude 169.254.170.23 and fd00:ec2::23 from the mesh or from the other agent's iptables rules";
    AgentFailing "E-AGENT-FAILING" "the agent answers with a server error",
        "The agent cannot reach EKS Auth from the node, or EKS Auth fails.",
        "see the agent's log (kubectl -n kube-system logs -l app.kubernetes.io/name=eks-pod-identity-agent) and the node's way to EKS Auth: NAT, or the VPC endpoint com.amazonaws.<region>.eks-auth";
    AgentThrottled "E-AGENT-THROTTLED" "EKS Auth throttles",
        "Too many pods of this cluster or account ask at this moment.",
        "start fewer pods at once, or have the limit raised; the provider itself retries";
    FetchExpired "E-FETCH-EXPIRED" "the credentials that came had expired",
        "An agent that cannot reach EKS Auth may hand out what it has left; or this machine's clock is ahead.",
        "see the agent's log (kubectl -n kube-system logs -l app.kubernetes.io/name=eks-pod-identity-agent), and the node's clock: chronyc tracking";
    ClockSkew "E-CLOCK-SKEW" "this machine's clock is wrong",
        "The clock differs from the server's by five minutes or more: AWS refuses what is signed by it.",
        "set the node's clock right: chronyc tracking on the node, and let it reach 169.254.169.123";
    IdentityOther "E-IDENTITY-OTHER" "the credentials are those of another role",
        "What answers in STS's place gave a role that was not asked for.",
        "check AWS_ENDPOINT_URL_STS and AWS_ENDPOINT_URL: the answer was not that of AWS STS";
    IdentityRefused "E-IDENTITY-REFUSED" "STS does not know the credentials",
        "They were issued by something else than AWS, are for another partition, or were revoked.",
        "check what answers at the endpoint, the region's partition, and whether the role's sessions were revoked";

    EnvHalf "W-ENV-HALF" "half of the other method is configured",
        "It does not hinder the method that serves. But another SDK may stumble over it, and the other method will not be injected.",
        "remove the variable that is set from the container's env and from envFrom";
    EnvSourceAbsent "W-ENV-SOURCE" "the method that was chosen is not configured",
        "EKS_CREDENTIALS_SOURCE names a method of which no variable is set, so the other one serves.",
        "configure the chosen method, or remove EKS_CREDENTIALS_SOURCE";
    StaticKeys "W-ENV-STATIC-KEYS" "other SDKs would use static keys",
        "AWS_ACCESS_KEY_ID comes before the pod's own credentials in the default chain of every AWS SDK. This crate never reads it.",
        "remove AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN from the container's env and from envFrom";
    ProxyAgent "W-PROXY-AGENT" "a proxy would capture the agent's address in other SDKs",
        "An http proxy variable without an exception sends requests to the agent, the pod's token in them, to the proxy. This crate asks the agent directly.",
        "add 169.254.170.23,[fd00:ec2::23] to NO_PROXY and no_proxy";
    RegionMismatch "W-REGION-MISMATCH" "two regions are configured",
        "AWS_REGION and AWS_DEFAULT_REGION differ, and SDKs differ in which one they read.",
        "set both to the same region, or remove AWS_DEFAULT_REGION";
    RegionMissing "W-REGION-NONE" "there is no region",
        "EKS Pod Identity works without, but no SDK client does, and STS cannot be asked who this is.",
        "set AWS_REGION in the container's env to the cluster's region";
    RegionOther "W-REGION-OTHER" "AWS has no such region",
        "Credentials do not depend on it here, and SDK clients get it as it is. S3-compatible stores have regions such as garage or auto.",
        "set AWS_REGION to a region such as eu-central-1, unless an S3-compatible store needs this one";
    StsClearText "W-STS-CLEAR-TEXT" "the service account token is sent in clear text",
        "The configured STS endpoint has an http URL on another host. Everybody who can read the network traffic there can use the token as long as it is valid.",
        "use an https URL for AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL or the builder's sts_endpoint";
    StsFips "W-STS-FIPS" "STS has no FIPS endpoint in this region",
        "AWS has FIPS endpoints of STS in us-east-1, us-east-2, us-west-1, us-west-2 and GovCloud only.",
        "set AWS_USE_FIPS_ENDPOINT to false, or ask STS in us-east-1, us-east-2, us-west-1, us-west-2 or GovCloud";
    TokenRotation "W-TOKEN-ROTATION" "the token should have been rotated",
        "kubelet rotates a token at 80 % of its life and after 24 hours. It has not: the API server cannot be reached, or the file is a copy or mounted by subPath, which is never updated. Works, then expires.",
        "mount the projected volume itself (no copy, no subPath); if it is mounted, see the node's kubelet: kubectl describe node <node>, journalctl -u kubelet";
    TokenAudienceOwn "W-TOKEN-AUDIENCE" "the token has an audience of its own",
        "The annotation eks.amazonaws.com/audience, or a hand-made volume. The OIDC provider and the trust policy must name the same.",
        "project the token with the audience sts.amazonaws.com, unless the other one is meant";
    TokenSubject "W-TOKEN-SUBJECT" "the token is not that of a service account",
        "Trust policies and associations go by a subject of another form.",
        "check which file the variable names: the projected service account token is meant";
    FetchSlow "W-FETCH-SLOW" "the answer took long",
        "It took more than a second. An agent may take that long when EKS Auth is far away or fails at first.",
        "check the way to STS, or the agent's log: a start of the pod waits for this";
    ClockDrift "W-CLOCK-SKEW" "this machine's clock is off",
        "The clock differs from the server's by 30 seconds or more. The agent refuses tokens without any leeway, and AWS refuses signatures from 5 minutes on.",
        "set the node's clock right: chronyc tracking on the node, and let it reach 169.254.169.123";

    EnvBoth "I-ENV-BOTH" "both methods are configured",
        "A pod on the way from one method to the other.",
        "";
    EnvOwn "I-ENV-OWN" "the variables are not the webhook's",
        "The token's path is not the one that the EKS webhook injects: the container, its image or its deployment sets the variables.",
        "";
    EnvNotRead "I-ENV-NOT-READ" "variables are set that this crate does not read",
        "Other AWS SDKs read them: profile files, IMDS, static keys, or AWS_STS_REGIONAL_ENDPOINTS. This crate reads none of them, and always asks STS at the region's own endpoint.",
        "";
    StsOverride "I-STS-OVERRIDE" "the STS endpoint is overridden",
        "AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL or the builder names another endpoint than the region's.",
        "";
    AgentOther "I-AGENT-OTHER" "the URI is not that of the EKS agent",
        "Another server for container credentials, such as the ECS agent's or a stand-in.",
        "";
    TokenIssuerOwn "I-TOKEN-ISSUER" "the token's issuer is not EKS",
        "A cluster that AWS does not run. IRSA works there too; EKS Pod Identity needs the agent of EKS Hybrid Nodes or of EKS.",
        "";
    TokenRegion "I-TOKEN-REGION" "the cluster is in another region",
        "AWS_REGION is not the region of the cluster that issued the token: STS, and by default every service, is asked there.",
        "";
    IdentityUnknown "I-IDENTITY-UNKNOWN" "STS could not be asked who this is",
        "GetCallerIdentity did not succeed, or was not asked. A pod with EKS Pod Identity needs no way to STS.",
        "";

    EnvOk "OK-ENV" "a method is configured",
        "Both variables of the method that serves are set.",
        "";
    StsEndpointOk "OK-STS-ENDPOINT" "STS is asked at the region's endpoint",
        "By region, FIPS and dual-stack switches, as the AWS SDKs do.",
        "";
    TokenOk "OK-TOKEN" "the token is there and valid",
        "It can be read, is a service account token for this method, and kubelet has rotated it in time.",
        "";
    FetchOk "OK-FETCH" "credentials were fetched",
        "One attempt of the diagnosis's own, besides what the provider serves.",
        "";
    ClockOk "OK-CLOCK" "the clock agrees with the server's",
        "By the Date of the answer, to 30 seconds.",
        "";
    IdentityOk "OK-IDENTITY" "the credentials are who they should be",
        "STS says so (GetCallerIdentity), and with IRSA it is the role that was asked for.",
        "";
}

impl FindingId {
    /// By the first letter of the id.
    pub fn severity(self) -> Severity {
        match self.as_str().split_once('-') {
            Some(("E", _)) => Severity::Error,
            Some(("W", _)) => Severity::Warning,
            Some(("I", _)) => Severity::Info,
            _ => Severity::Ok,
        }
    }
}

impl std::fmt::Display for FindingId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for FindingId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
