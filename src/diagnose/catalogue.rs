//! The catalogue of all findings: id, usual severity, title and cause. The checks, the tests and the documentation page use it.
//! The remedy is not in the catalogue: the check that creates a finding adds it, because it depends on what was observed.

use super::Severity;

macro_rules! catalogue {
    ($($name:ident $id:literal $severity:ident $title:literal, $cause:literal;)+) => {
        /// The id of a finding, for programs. Ids are stable: they never change, and new findings get new ids.
        /// The page [`docs::findings`](crate::docs::findings) lists all findings with their causes and examples.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum FindingId {
            $(#[doc = concat!("`", $id, "`: ", $title, ".")] $name,)+
        }

        impl FindingId {
            /// All ids. Findings that are usually errors come first.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The id as text, such as `TRUST-POLICY`.
            ///
            /// ```
            /// # use eks_credentials::{FindingId, Severity};
            /// assert_eq!(FindingId::TrustPolicy.as_str(), "TRUST-POLICY");
            /// ```
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// The usual severity. An individual finding can have another one: see [`Finding::severity`](field@super::Finding::severity).
            ///
            /// ```
            /// # use eks_credentials::{FindingId, Severity};
            /// assert_eq!(FindingId::TrustPolicy.severity(), Severity::Error);
            /// ```
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)+ }
            }

            /// The title of the finding, in one line.
            ///
            /// ```
            /// # use eks_credentials::{FindingId, Severity};
            /// println!("{}", FindingId::TrustPolicy.title());
            /// ```
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// What usually causes the finding.
            ///
            /// ```
            /// # use eks_credentials::{FindingId, Severity};
            /// println!("{}", FindingId::TrustPolicy.cause());
            /// ```
            pub fn cause(self) -> &'static str {
                match self { $(Self::$name => $cause,)+ }
            }
        }
    };
}

catalogue! {
    EnvNone "ENV-NONE" Error "no credential source is configured",
        "The variables of neither source are set. The EKS webhook sets them when it handles a new pod whose service account has an annotation or an association. If the webhook fails, the pod is created without the variables.";
    IrsaHalf "IRSA-HALF" Error "IRSA is only half configured",
        "One of the two variables is missing. The webhook injects a pair of variables unless the container sets one of them itself. If EKS Pod Identity is used in this pod, this finding is a warning.";
    PodIdentityHalf "POD-IDENTITY-HALF" Error "EKS Pod Identity is only half configured",
        "One of the two variables is missing. The webhook injects a pair of variables unless the container sets one of them itself. If IRSA is used in this pod, this finding is a warning.";
    Source "SOURCE" Error "EKS_CREDENTIALS_SOURCE has an unknown value",
        "The variable selects the credential source. Its value must be irsa, pod-identity or auto, in upper or lower case.";
    Flag "FLAG" Error "a boolean variable is neither true nor false",
        "AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and AWS_IGNORE_CONFIGURED_ENDPOINT_URLS accept only these two values.";
    Config "CONFIG" Error "a setting is invalid",
        "The problem is in a variable or a setting of the builder that has no finding of its own, such as a session name, a proxy URL, or a session policy with EKS Pod Identity.";
    CaBundle "CA-BUNDLE" Error "the certificates to trust cannot be loaded",
        "The file in AWS_CA_BUNDLE cannot be used, or AWS_CA_BUNDLE is not set and the image contains no root certificates.";
    RoleArn "ROLE-ARN" Error "the configured role is not a role ARN",
        "The setting contains something else, such as the name of a role, or the ARN of an instance profile or a policy.";
    RolePartition "ROLE-PARTITION" Error "the role and the region belong to different partitions",
        "A role exists only in the regions of its partition, such as AWS China or AWS GovCloud.";
    RegionNone "REGION-NONE" Error "no region is configured",
        "IRSA calls the STS endpoint of the region, but neither AWS_REGION nor AWS_DEFAULT_REGION is set. The webhook sets both unless the container sets one of them. With EKS Pod Identity, this finding is a warning: SDK clients need a region, but the request for credentials does not.";
    Region "REGION" Error "the region is not an AWS region",
        "IRSA needs a region for the host name of the STS endpoint. The configured value is an availability zone, a name in upper case, a region of an S3-compatible store, or aws-global. If AWS_ENDPOINT_URL_STS is set, IRSA needs no region.";
    StsEndpoint "STS-ENDPOINT" Error "the configured STS endpoint cannot be used",
        "The value of AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL or the builder's sts_endpoint is not a valid URL, or it is combined with AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT, which apply only to AWS's own endpoints.";
    ContainerUri "CONTAINER-URI" Error "the URI for container credentials cannot be used",
        "The request contains the pod's token. Therefore, plain http is allowed only for loopback addresses and for the addresses of the ECS and EKS agents. The agent accepts requests only at its IP address.";
    ContainerPath "CONTAINER-PATH" Error "the container credentials server does not serve this path",
        "The path of the EKS Pod Identity agent is /v1/credentials, without a trailing slash. Other servers have other paths.";
    TokenMissing "TOKEN-MISSING" Error "the token file does not exist",
        "The variables are set, but the projected volume is not mounted in this container. The variables were set manually, or this is an ephemeral container that has the variables but not the mount.";
    TokenUnreadable "TOKEN-UNREADABLE" Error "the token file cannot be read",
        "kubelet makes the token readable for root or for the pod's group, and the process runs as another user. It is also possible that the path is not a file.";
    TokenInvalid "TOKEN-INVALID" Error "the token is not a service account token",
        "The file is empty, or it does not contain exactly one JWT.";
    TokenExpired "TOKEN-EXPIRED" Error "the token has expired",
        "kubelet has not rotated the token, because it cannot reach the API server or does not run. It is also possible that the file is a copy or is mounted with subPath, so that it is never updated.";
    TokenNotYet "TOKEN-NOT-YET" Error "the token is not valid yet",
        "The node's clock is behind the clock of the API server.";
    TokenAudience "TOKEN-AUDIENCE" Error "the token is for another audience",
        "The variable contains the path of a token that is not meant for this source. The audience of a token is set when the token is projected.";
    TokenIssuer "TOKEN-ISSUER" Error "the token's issuer is not an https URL",
        "STS fetches the issuer's keys over https, so the issuer must be an https URL. The API server was started with another --service-account-issuer.";
    TokenRejected "TOKEN-REJECTED" Error "the token was refused",
        "STS, EKS Auth or the agent refused the token: it has expired, is not valid yet, is malformed, has no claims of a pod, or was not signed by this cluster. The local check of the token may not have found the problem.";
    TrustPolicy "TRUST-POLICY" Error "the role does not trust this token, or does not exist",
        "STS verified the token, but either no statement of the role's trust policy matches it, or the role does not exist. The response of STS is the same in both cases. Usually, the sub condition contains another namespace or service account, or the pod runs as the service account default. If the audience is not sts.amazonaws.com, the aud condition may also differ.";
    AssumeRoleDenied "ASSUME-ROLE-DENIED" Error "the next role of the chain cannot be assumed",
        "The role does not exist, its trust policy does not allow the role of this pod (or requires an external ID or another condition), or the policies of the role of this pod do not allow sts:AssumeRole. Session tags also require sts:TagSession, and a source identity requires sts:SetSourceIdentity, on both sides.";
    OidcAudience "OIDC-AUDIENCE" Error "the IAM OIDC provider does not accept the token's audience",
        "The token's audience is not one of the client ids of the IAM OIDC provider.";
    OidcProvider "OIDC-PROVIDER" Error "the role's account has no IAM OIDC provider for the token's issuer",
        "IRSA needs an IAM OIDC provider for the cluster's issuer in the account of the role. If a cluster is created again, it has a new issuer.";
    OidcThumbprint "OIDC-THUMBPRINT" Error "the thumbprint of the IAM OIDC provider is out of date",
        "The IAM OIDC provider exists, but the current certificate of the issuer's server was issued by another CA than the one in the provider's thumbprint.";
    StsRegion "STS-REGION" Error "STS is not active in this region for the role's account",
        "In an opt-in region, STS must be enabled for the account.";
    StsRefused "STS-REFUSED" Error "STS refused the request",
        "A parameter is out of range, the session is longer than the role allows, or a session policy is invalid or too large. It is also possible that STS returned a code that this crate does not know.";
    StsThrottled "STS-THROTTLED" Error "STS throttles requests",
        "There are too many requests for this account and region at this time. The provider retries the request.";
    StsFailing "STS-FAILING" Error "STS returned a server error",
        "STS has an outage. The provider retries the request.";
    StsForeign "STS-FOREIGN" Error "another server responds instead of STS",
        "A proxy, a service mesh, a captive portal or a wrong endpoint sent a response that is not in the format of STS. Such a response never counts as a refusal by AWS.";
    StsUnreachable "STS-UNREACHABLE" Error "STS cannot be reached",
        "There is no route to STS, its host name cannot be resolved, or a NetworkPolicy or a security group blocks the connection.";
    StsTimeout "STS-TIMEOUT" Error "STS does not respond in time",
        "The network drops the packets, because a security group or a NetworkPolicy does not allow the connection, or because the subnet has no NAT.";
    StsTls "STS-TLS" Error "the TLS connection to STS fails",
        "A proxy inspects TLS with its own CA, the server's certificate is invalid, the clock is wrong, or the server at the endpoint does not speak TLS.";
    Proxy "PROXY" Error "the proxy does not connect to STS",
        "The proxy from HTTPS_PROXY or ALL_PROXY cannot be reached, or it does not connect to STS, because its rules forbid the connection or because it cannot reach STS.";
    ProxyAuth "PROXY-AUTH" Error "the proxy requires authentication",
        "The proxy from HTTPS_PROXY or ALL_PROXY returned status 407. The user name and the password in its URL are missing or wrong.";
    IssuerUnreachable "ISSUER-UNREACHABLE" Error "STS could not fetch the issuer's keys",
        "STS fetches keys from the issuer's URL to verify the token. This failed, either because the issuer cannot be reached or because of an outage of STS.";
    AssociationNone "ASSOCIATION-NONE" Error "the service account has no Pod Identity association",
        "EKS Auth found no association for this namespace and service account in this cluster. A new association becomes visible after some seconds.";
    AssociationDenied "ASSOCIATION-DENIED" Error "EKS Auth cannot assume the role of the association",
        "The role of the association does not trust EKS Pod Identity for both actions (without sts:TagSession, some requests fail and others succeed), the session tags and policies are too large, or the node's role does not allow calls to EKS Auth.";
    AssociationInvalid "ASSOCIATION-INVALID" Error "the association or the request is invalid",
        "EKS Auth refused the request, because the role of the association was deleted or because the token was issued by another cluster.";
    PolicyTooLarge "POLICY-TOO-LARGE" Error "the session policies and session tags together are too large",
        "EKS Pod Identity adds session tags for the cluster, the namespace, the service account and the pod. One limit on the packed size applies to these tags and the association's session policy together.";
    EksAuthRefused "EKS-AUTH-REFUSED" Error "the request was refused with an unknown code",
        "EKS Auth or another server for container credentials returned a code that this crate does not know.";
    AgentRefused "AGENT-REFUSED" Error "nothing listens at the address of the container credentials server",
        "The eks-pod-identity-agent does not run on this node: the add-on is not installed, the agent has not started yet on a new node, or the pod runs on Fargate, which has no agent.";
    AgentFamily "AGENT-FAMILY" Error "the EKS Pod Identity agent listens at its other address",
        "The agent has an IPv4 address and an IPv6 address. On this node, it listens only at the address that is not configured: the cluster uses only IPv6, or one address family is disabled.";
    AgentUnreachable "AGENT-UNREACHABLE" Error "the container credentials server cannot be reached",
        "The connection was closed, the host name cannot be resolved, or there is no route to the address.";
    AgentTimeout "AGENT-TIMEOUT" Error "the container credentials server does not respond in time",
        "A NetworkPolicy drops the packets, or the agent waits for EKS Auth.";
    AgentForeign "AGENT-FOREIGN" Error "another server responds instead of the container credentials server",
        "A proxy, a service mesh or another metadata agent (kube2iam, kiam) intercepts requests to the agent. Its responses never count as a refusal.";
    AgentFailing "AGENT-FAILING" Error "the container credentials server returned a server error",
        "The agent cannot reach EKS Auth from the node, or EKS Auth fails.";
    AgentThrottled "AGENT-THROTTLED" Error "requests for container credentials are throttled",
        "EKS Auth or the agent throttles requests, because too many pods of this node, cluster or account send them. The provider retries the request.";
    FetchExpired "FETCH-EXPIRED" Error "the returned credentials have already expired",
        "An agent that cannot reach EKS Auth may return old credentials. It is also possible that the node's clock is ahead.";
    FetchInvalid "FETCH-INVALID" Error "the response contains no usable credentials",
        "The response reports success, but a field is missing or invalid.";
    ClockSkew "CLOCK-SKEW" Error "the node's clock is wrong",
        "The clock differs from the clock of STS or of the container credentials server. From 30 seconds on, this finding is a warning, because the agent checks the times in tokens without any tolerance. From 5 minutes on, it is an error, because AWS services reject requests that were signed with such a clock. With IRSA, the provider corrects the expiry of the credentials by the difference.";
    IdentityOther "IDENTITY-OTHER" Error "the credentials belong to another role",
        "The configured endpoint is not AWS STS, and it returned credentials for a role that was not requested.";
    IdentityRefused "IDENTITY-REFUSED" Error "STS does not accept the credentials",
        "The credentials were not issued by AWS, belong to another partition, or were revoked.";

    SourceAbsent "SOURCE-ABSENT" Warning "the selected credential source is not configured",
        "EKS_CREDENTIALS_SOURCE selects a source that is not configured, so the other source is used.";
    StaticKeys "STATIC-KEYS" Warning "other SDKs would use static keys",
        "In the default chain of every AWS SDK, AWS_ACCESS_KEY_ID has priority over the credentials of the pod. This crate never uses it.";
    ProxyAgent "PROXY-AGENT" Warning "a proxy would receive requests to the agent from other SDKs",
        "A proxy variable for http is set, and NO_PROXY does not contain the agent. Other SDKs then send requests to the agent, which contain the pod's token, through the proxy. This crate calls the agent directly.";
    RegionMismatch "REGION-MISMATCH" Warning "two regions are configured",
        "AWS_REGION and AWS_DEFAULT_REGION have different values, and not every SDK reads the same variable.";
    RegionOther "REGION-OTHER" Warning "the region does not exist in AWS",
        "The request for credentials does not depend on the region, and SDK clients use the value unchanged. S3-compatible stores have regions such as garage or auto.";
    StsClearText "STS-CLEAR-TEXT" Warning "the service account token is sent in clear text",
        "The configured STS endpoint is an http URL with another host. Everyone who can read the network traffic can use the token until it expires.";
    StsFips "STS-FIPS" Warning "STS has no FIPS endpoint in this region",
        "STS has FIPS endpoints only in us-east-1, us-east-2, us-west-1, us-west-2 and GovCloud. If the request to the endpoint also fails, this finding is an error.";
    TokenRotation "TOKEN-ROTATION" Warning "the token should have been rotated",
        "kubelet rotates a token after 80 % of its lifetime, and after 24 hours at the latest. This token was not rotated: kubelet cannot reach the API server, or the file is a copy or is mounted with subPath, so that it is never updated. The token works until it expires.";
    TokenSubject "TOKEN-SUBJECT" Warning "the token is not a token of a service account",
        "Trust policies and associations identify a pod by the subject of a service account. The subject of this token has another format.";
    FetchSlow "FETCH-SLOW" Warning "the response was slow",
        "The response took more than a second. An agent may take that long if EKS Auth is far away, or if its first request to EKS Auth fails.";

    EnvBoth "ENV-BOTH" Info "both credential sources are configured",
        "This is normal while a pod is migrated from one source to the other.";
    EnvOwn "ENV-OWN" Info "the variables were not set by the webhook",
        "The path of the token is not the path that the EKS webhook injects. The container, its image or its deployment sets the variables.";
    EnvNotRead "ENV-NOT-READ" Info "some AWS variables are set that this crate does not use",
        "Other AWS SDKs use these variables, which configure profile files, IMDS, static keys or the STS endpoint (AWS_STS_REGIONAL_ENDPOINTS). This crate ignores them, and always calls the STS endpoint of the region.";
    StsOverride "STS-OVERRIDE" Info "the STS endpoint is configured",
        "AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL or the builder sets an endpoint that is not the STS endpoint of the region.";
    ContainerOther "CONTAINER-OTHER" Info "the container credentials server is not the EKS Pod Identity agent",
        "The URI is that of another server, such as the ECS agent at 169.254.170.2 or a test server.";
    TokenAudienceOwn "TOKEN-AUDIENCE-OWN" Info "the token has a custom audience",
        "The audience was set by the annotation eks.amazonaws.com/audience or in a volume that was defined manually, or the cluster was created by kOps. The IAM OIDC provider and the trust policy must contain the same audience.";
    TokenIssuerOwn "TOKEN-ISSUER-OWN" Info "the token was not issued by EKS",
        "The cluster is not run by AWS. IRSA works in such a cluster too. EKS Pod Identity needs the agent of EKS or of EKS Hybrid Nodes.";
    TokenRegion "TOKEN-REGION" Info "the cluster is in another region",
        "AWS_REGION is not the region of the cluster that issued the token. Requests to STS and, by default, to all services go to the region in AWS_REGION.";
    ClockUnknown "CLOCK-UNKNOWN" Info "the node's clock could not be checked",
        "The EKS Pod Identity agent runs on the node and uses the same clock. Only a response from STS can show that the clock is wrong.";
    IdentityUnknown "IDENTITY-UNKNOWN" Info "the identity of the credentials could not be verified",
        "The request GetCallerIdentity failed or was not sent. A pod with EKS Pod Identity needs no network path to STS.";

    EnvOk "ENV-OK" Ok "a credential source is configured",
        "All variables of the source are set.";
    StsEndpointOk "STS-ENDPOINT-OK" Ok "the STS endpoint of the region is used",
        "The endpoint was derived from the region and from the variables for FIPS and dual-stack, as in the AWS SDKs.";
    TokenOk "TOKEN-OK" Ok "the token file exists and has not expired",
        "The file can be read and contains a service account token for this source, which kubelet has rotated in time.";
    FetchOk "FETCH-OK" Ok "credentials were fetched",
        "The diagnosis sent one request of its own. The current credentials of the provider are unchanged.";
    ClockOk "CLOCK-OK" Ok "the node's clock agrees with the clock of STS",
        "The clock differs by less than 30 seconds from the Date header of the response.";
    AssumeRoleOk "ASSUME-ROLE-OK" Ok "a role of the chain was assumed",
        "STS returned credentials of the role for a request that the previous credentials have signed.";
    IdentityOk "IDENTITY-OK" Ok "STS confirms the identity of the credentials",
        "GetCallerIdentity returned the identity. With IRSA, its role is the requested role. With EKS Pod Identity, the association determines the role.";
}

impl FindingId {
    /// Whether this finding explains `other`. A finding that is explained needs no remedy of its own.
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
