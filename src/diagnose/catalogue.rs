//! Every finding there is: its id, its usual severity, its title and how it comes about. The documentation page, the tests and
//! the checks take theirs from here. What to do is said where a finding is made, because it depends on what was seen.

use super::Severity;

macro_rules! catalogue {
    ($($name:ident $id:literal $severity:ident $title:literal, $cause:literal;)+) => {
        /// What was found, for programs. The ids are stable: what is added later gets a new one.
        ///
        /// Each with its cause and an example: [`docs::findings`](crate::docs::findings).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum FindingId {
            $(#[doc = concat!("`", $id, "`: ", $title, ".")] $name,)+
        }

        impl FindingId {
            /// All of them, those that are usually errors first.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// `TRUST-SUB`
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// How bad it usually is. A finding can be worse or less bad: see [`Finding::severity`](super::Finding::severity).
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)+ }
            }

            /// What it says, in one line.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// How it comes about.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$name => $cause,)+ }
            }
        }
    };
}

catalogue! {
    EnvNone "ENV-NONE" Error "no credential source is configured",
        "Neither pair of variables is set. The EKS webhook sets them when the pod is created, for an annotated service account or one with an association. If the webhook fails, the pod is created without them.";
    IrsaHalf "IRSA-HALF" Error "IRSA is only half configured",
        "The webhook injects a pair of variables only if the container sets neither of them itself. If EKS Pod Identity is used in this pod, the finding is a warning.";
    PodIdentityHalf "POD-IDENTITY-HALF" Error "EKS Pod Identity is only half configured",
        "The webhook injects a pair of variables only if the container sets neither of them itself. If IRSA is used in this pod, the finding is a warning.";
    Source "SOURCE" Error "EKS_CREDENTIALS_SOURCE has an unknown value",
        "The variable chooses between the credential sources: irsa, pod-identity or auto, in upper or lower case.";
    Flag "FLAG" Error "a switch is neither true nor false",
        "AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and AWS_IGNORE_CONFIGURED_ENDPOINT_URLS take two values.";
    Config "CONFIG" Error "a setting cannot be used",
        "A variable or a setting of the builder that no other finding is about: a session name, a proxy URL, a session policy with EKS Pod Identity.";
    CaBundle "CA-BUNDLE" Error "the certificates to trust cannot be loaded",
        "The file of AWS_CA_BUNDLE cannot be used, or without it the image has no root certificates.";
    RoleArn "ROLE-ARN" Error "the role is not given as the ARN of a role",
        "A role's name, an instance profile or a policy stands where the role's ARN belongs.";
    RolePartition "ROLE-PARTITION" Error "role and region belong to different partitions",
        "Roles of AWS China, GovCloud and the other partitions exist in their own regions only.";
    RegionNone "REGION-NONE" Error "there is no region",
        "IRSA calls STS at the region's own endpoint, and neither AWS_REGION nor AWS_DEFAULT_REGION is set. The webhook sets both when the container sets neither. With EKS Pod Identity it is a warning: the credentials do not depend on it, but every SDK client does.";
    Region "REGION" Error "the region is not an AWS region",
        "IRSA needs a region for the host name of its STS endpoint, and the configured value is an availability zone, an upper-case name, a region of another store, or aws-global. With AWS_ENDPOINT_URL_STS, IRSA needs no region.";
    StsEndpoint "STS-ENDPOINT" Error "the configured STS endpoint cannot be used",
        "The value of AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL or the builder's sts_endpoint is not a valid URL, or it is combined with AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT. These two apply only to AWS's own endpoints.";
    ContainerUri "CONTAINER-URI" Error "the URI for container credentials cannot be used",
        "Plain http carries the pod's token, so it is only used to this machine and to the link-local agents. The agent must be named by its address.";
    ContainerPath "CONTAINER-PATH" Error "the container credentials server does not know this path",
        "The EKS agent serves /v1/credentials, without a slash at the end. Other servers have paths of their own.";
    TokenMissing "TOKEN-MISSING" Error "the token file does not exist",
        "The variables are set, but the projected volume is not mounted in this container: they were written by hand, or an ephemeral container was given them without the mount.";
    TokenUnreadable "TOKEN-UNREADABLE" Error "the token file cannot be read",
        "kubelet projects the token for root or for the pod's group, and the process runs as another user; or the path is not a file.";
    TokenInvalid "TOKEN-INVALID" Error "the token is not a service account token",
        "The file is empty, or holds something else than one JWT.";
    TokenExpired "TOKEN-EXPIRED" Error "the token has expired",
        "kubelet has not rotated it, because it cannot reach the API server or has stopped; or the file is a copy, or mounted by subPath, which is never updated.";
    TokenNotYet "TOKEN-NOT-YET" Error "the token is not valid yet",
        "The node's clock is behind that of the API server.";
    TokenAudience "TOKEN-AUDIENCE" Error "the token is for another audience",
        "A token's audience is fixed when it is projected. The variable names another token than that of this source.";
    TokenIssuer "TOKEN-ISSUER" Error "the token's issuer is not an https URL",
        "STS fetches the issuer's keys over https. The API server was started with another --service-account-issuer.";
    TokenRejected "TOKEN-REJECTED" Error "the token was refused",
        "It was refused as expired, not valid yet, malformed, without the claims of a pod, or not signed by this cluster, whatever it says itself.";
    TrustPolicy "TRUST-POLICY" Error "the role does not trust this token, or does not exist",
        "STS verified the token, and no statement of the role's trust policy matches it; or the role does not exist. STS does not say which. Usually the sub condition names another namespace or service account, or the pod runs as the service account default; with an audience other than sts.amazonaws.com the aud condition may also differ.";
    OidcAudience "OIDC-AUDIENCE" Error "the IAM OIDC provider does not accept the token's audience",
        "The IAM OIDC provider does not list the token's audience as a client id.";
    OidcProvider "OIDC-PROVIDER" Error "the role's account has no IAM OIDC provider for the token's issuer",
        "IRSA needs an IAM OIDC provider for the cluster's issuer in the account of the role. A cluster that was created again has another issuer.";
    OidcThumbprint "OIDC-THUMBPRINT" Error "the thumbprint of the IAM OIDC provider is out of date",
        "The certificate of the issuer's server was renewed by another CA than the provider's thumbprint is of. The provider itself is there.";
    StsRegion "STS-REGION" Error "STS is not active in this region for the role's account",
        "STS in an opt-in region must be enabled for the account.";
    StsRefused "STS-REFUSED" Error "STS refused the request",
        "A parameter is out of range, longer than the role allows, or a session policy is not valid or too large; or STS has a code that this crate does not know.";
    StsThrottled "STS-THROTTLED" Error "STS throttles requests",
        "Too many calls for this account and region at this moment. The provider itself repeats the request.";
    StsFailing "STS-FAILING" Error "STS answers with a server error",
        "An outage of STS. The provider itself repeats the request.";
    StsForeign "STS-FOREIGN" Error "another server answers instead of STS",
        "A proxy, a service mesh, a captive portal or a wrong endpoint answers something that is not in the form of STS. Such an answer never counts as a refusal by AWS.";
    StsUnreachable "STS-UNREACHABLE" Error "STS cannot be reached",
        "No route, no DNS, a NetworkPolicy or a security group.";
    StsTimeout "STS-TIMEOUT" Error "STS does not answer in time",
        "Packets are dropped on the way: a security group or NetworkPolicy without an allowance, a subnet without NAT.";
    StsTls "STS-TLS" Error "there is no TLS connection to STS",
        "A proxy inspects TLS with a CA of its own, the server's certificate is not valid, the clock is wrong, or the server at the endpoint does not speak TLS.";
    Proxy "PROXY" Error "the proxy does not connect to STS",
        "The proxy of HTTPS_PROXY or ALL_PROXY cannot be reached, or does not connect to STS: its rules forbid it, or it cannot reach STS itself.";
    ProxyAuth "PROXY-AUTH" Error "the proxy requires authentication",
        "The proxy of HTTPS_PROXY or ALL_PROXY answers 407: its URL has no user name and password, or wrong ones.";
    IssuerUnreachable "ISSUER-UNREACHABLE" Error "STS could not fetch the issuer's keys",
        "STS verifies the token with keys that it fetches from the issuer's URL. That failed, at the issuer or in an outage of STS.";
    AssociationNone "ASSOCIATION-NONE" Error "the service account has no Pod Identity association",
        "EKS Auth knows no association for this namespace and service account in this cluster. A new one takes some seconds until it is visible.";
    AssociationDenied "ASSOCIATION-DENIED" Error "EKS Auth may not assume the association's role",
        "The role of the association does not trust EKS Pod Identity for both actions (without sts:TagSession some requests fail and others succeed), the session tags and policies are too large, or the node's role may not call EKS Auth.";
    AssociationInvalid "ASSOCIATION-INVALID" Error "EKS Auth calls the association or the request invalid",
        "The association's role was deleted, or the cluster is not the one that the token says.";
    PolicyTooLarge "POLICY-TOO-LARGE" Error "session policies and session tags are too large together",
        "EKS Pod Identity adds session tags for cluster, namespace, service account and pod, which share one limit on their packed size with the association's session policy.";
    EksAuthRefused "EKS-AUTH-REFUSED" Error "the request was refused with an unknown code",
        "EKS Auth or another server for container credentials has a code that this crate does not know.";
    AgentRefused "AGENT-REFUSED" Error "nothing listens at the address of the container credentials server",
        "The eks-pod-identity-agent does not run on this node: the add-on is not installed, or not up yet on a new node, or the pod is on Fargate, which has no agent.";
    AgentFamily "AGENT-FAMILY" Error "the EKS Pod Identity agent listens at its other address",
        "The agent has an IPv4 and an IPv6 address, and on this node only the other one answers: the cluster is IPv6 only, or one family is disabled.";
    AgentUnreachable "AGENT-UNREACHABLE" Error "the container credentials server cannot be reached",
        "The connection broke off, the name cannot be resolved, or there is no route to the address.";
    AgentTimeout "AGENT-TIMEOUT" Error "the container credentials server does not answer in time",
        "A NetworkPolicy drops the packets, or the agent itself waits for EKS Auth.";
    AgentForeign "AGENT-FOREIGN" Error "another server answers instead of the container credentials server",
        "A proxy, a service mesh or another metadata agent (kube2iam, kiam) has the agent's address. Such an answer never counts as a refusal.";
    AgentFailing "AGENT-FAILING" Error "the container credentials server answers with a server error",
        "The agent cannot reach EKS Auth from the node, or EKS Auth fails.";
    AgentThrottled "AGENT-THROTTLED" Error "requests for container credentials are throttled",
        "EKS Auth or the agent refuses for now, because too many pods of this node, cluster or account ask. The provider repeats the request.";
    FetchExpired "FETCH-EXPIRED" Error "the credentials that came back had expired",
        "An agent that cannot reach EKS Auth may hand out what it has left; or the node's clock is ahead.";
    FetchInvalid "FETCH-INVALID" Error "the answer has no usable credentials",
        "A success in which a field is missing or not valid.";
    ClockSkew "CLOCK-SKEW" Error "the node's clock is wrong",
        "The clock differs from that of STS or of the container credentials server. From 30 seconds on it is a warning, because the agent checks tokens without any leeway; from 5 minutes on it is an error, because AWS refuses what is signed with such a time. With IRSA the expiry of the credentials is corrected by the difference.";
    IdentityOther "IDENTITY-OTHER" Error "the credentials are those of another role",
        "The server that answered instead of STS gave a role that was not requested.";
    IdentityRefused "IDENTITY-REFUSED" Error "STS does not accept the credentials",
        "They were issued by something else than AWS, are for another partition, or were revoked.";

    SourceAbsent "SOURCE-ABSENT" Warning "the credential source that was chosen is not configured",
        "EKS_CREDENTIALS_SOURCE names a source that is not configured, so the other one is used.";
    StaticKeys "STATIC-KEYS" Warning "other SDKs would use static keys",
        "AWS_ACCESS_KEY_ID comes before the pod's own credentials in the default chain of every AWS SDK. This crate never reads it.";
    ProxyAgent "PROXY-AGENT" Warning "a proxy would receive requests to the agent from other SDKs",
        "An http proxy variable without an exception sends requests to the agent, with the pod's token, to the proxy. This crate calls the agent directly.";
    RegionMismatch "REGION-MISMATCH" Warning "two regions are configured",
        "AWS_REGION and AWS_DEFAULT_REGION differ, and SDKs differ in which one they read.";
    RegionOther "REGION-OTHER" Warning "AWS has no such region",
        "Credentials do not depend on it here, and SDK clients get it as it is. S3-compatible stores have regions such as garage or auto.";
    StsClearText "STS-CLEAR-TEXT" Warning "the service account token is sent in clear text",
        "The configured STS endpoint has an http URL on another host. Everybody who can read the network traffic there can use the token as long as it is valid.";
    StsFips "STS-FIPS" Warning "STS has no FIPS endpoint in this region",
        "AWS has FIPS endpoints of STS in us-east-1, us-east-2, us-west-1, us-west-2 and GovCloud only. If the endpoint cannot be reached either, the finding is an error.";
    TokenRotation "TOKEN-ROTATION" Warning "the token should have been rotated",
        "kubelet rotates a token at 80 % of its life and after 24 hours. It has not: the API server cannot be reached, or the file is a copy or mounted by subPath, which is never updated. The token works until it expires.";
    TokenSubject "TOKEN-SUBJECT" Warning "the token is not that of a service account",
        "Trust policies and associations go by a subject of another form.";
    FetchSlow "FETCH-SLOW" Warning "the response was slow",
        "It took more than a second. An agent may take that long when EKS Auth is far away or fails at first.";

    EnvBoth "ENV-BOTH" Info "both credential sources are configured",
        "A pod that is being migrated from one source to the other.";
    EnvOwn "ENV-OWN" Info "the variables are not the webhook's",
        "The token's path is not the one that the EKS webhook injects: the container, its image or its deployment sets the variables.";
    EnvNotRead "ENV-NOT-READ" Info "variables are set that this crate does not read",
        "Other AWS SDKs read them: profile files, IMDS, static keys, or AWS_STS_REGIONAL_ENDPOINTS. This crate reads none of them, and always calls STS at the region's own endpoint.";
    StsOverride "STS-OVERRIDE" Info "the STS endpoint is configured",
        "AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL or the builder names another endpoint than the region's.";
    ContainerOther "CONTAINER-OTHER" Info "the container credentials server is not the EKS Pod Identity agent",
        "Another server, such as the ECS agent at 169.254.170.2 or a stand-in for tests.";
    TokenAudienceOwn "TOKEN-AUDIENCE-OWN" Info "the token has an audience of its own",
        "The annotation eks.amazonaws.com/audience, a volume that was defined by hand, or a cluster of kOps. The IAM OIDC provider and the trust policy must name the same audience.";
    TokenIssuerOwn "TOKEN-ISSUER-OWN" Info "the token's issuer is not EKS",
        "A cluster that AWS does not run. IRSA works there too; EKS Pod Identity needs the agent of EKS Hybrid Nodes or of EKS.";
    TokenRegion "TOKEN-REGION" Info "the cluster is in another region",
        "AWS_REGION is not the region of the cluster that issued the token: STS, and by default every service, is called there.";
    ClockUnknown "CLOCK-UNKNOWN" Info "the node's clock could not be checked",
        "The EKS Pod Identity agent runs on the node and has its clock. Only an answer of STS can show that the clock is wrong.";
    IdentityUnknown "IDENTITY-UNKNOWN" Info "STS could not be asked whose credentials these are",
        "GetCallerIdentity did not succeed, or was not called. A pod with EKS Pod Identity needs no network path to STS.";

    EnvOk "ENV-OK" Ok "a credential source is configured",
        "All variables of the source are set.";
    StsEndpointOk "STS-ENDPOINT-OK" Ok "STS is called at the region's endpoint",
        "By region, FIPS and dual-stack switches, as the AWS SDKs do.";
    TokenOk "TOKEN-OK" Ok "the token file exists and has not expired",
        "It can be read, is a service account token for this source, and kubelet has rotated it in time.";
    FetchOk "FETCH-OK" Ok "credentials were fetched",
        "By one request of the diagnosis itself. The credentials that the provider serves are not touched.";
    ClockOk "CLOCK-OK" Ok "the node's clock agrees with that of STS",
        "By the Date of its answer, to 30 seconds.";
    IdentityOk "IDENTITY-OK" Ok "STS confirms the identity of the credentials",
        "GetCallerIdentity returned them. With IRSA the role is compared with the requested one. With EKS Pod Identity the association determines the role.";
}

impl FindingId {
    /// Whether this one is the cause of `other`, so that `other` needs no advice of its own.
    pub(super) fn explains(self, other: Self) -> bool {
        use FindingId as Id;
        let refusals = [Id::TokenRejected, Id::TrustPolicy, Id::OidcAudience, Id::OidcProvider, Id::StsRefused];
        let no_connection = [Id::StsUnreachable, Id::StsTimeout, Id::StsTls, Id::StsForeign, Id::Proxy, Id::ProxyAuth];
        match self {
            Id::TokenInvalid | Id::TokenAudience => refusals.contains(&other) || other == Id::EksAuthRefused,
            Id::TokenExpired | Id::TokenNotYet | Id::TokenRotation => other == Id::TokenRejected,
            Id::TokenSubject => [Id::TrustPolicy, Id::AssociationNone].contains(&other),
            Id::TokenIssuer => [Id::IssuerUnreachable, Id::OidcProvider, Id::TokenRejected].contains(&other),
            Id::StsFips => no_connection.contains(&other),
            Id::ClockSkew => {
                [Id::FetchExpired, Id::TokenExpired, Id::TokenNotYet, Id::IdentityRefused, Id::IdentityUnknown]
                    .contains(&other)
            }
            Id::IrsaHalf | Id::PodIdentityHalf => other == Id::SourceAbsent,
            Id::RegionNone | Id::RegionOther => other == Id::IdentityUnknown,
            _ => false,
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
