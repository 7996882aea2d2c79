//! Local pods with one fault each, for the example `doctor` and for the tests.
//! `tests/diagnose` checks that every finding has a fault.
#![allow(clippy::unwrap_used, reason = "without its stand-in, the program cannot continue")]

use std::fs;
use std::time::Duration;

use eks_credentials::testing::{Answer, AssumableRole, LocalPod};
use eks_credentials::{AssumeRole, Builder, Diagnosis, EksCredentialsProvider, FindingId};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const AGENT_TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";
const TOKEN: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const STS: &str = "AWS_ENDPOINT_URL_STS";
const REGION: &str = "AWS_REGION";
/// Port 9 (discard), at which no server listens on current systems.
const NO_SERVER: &str = "http://127.0.0.1:9";

/// A chain of two roles, of which the second does not trust the first.
const ASSUME_ROLE_DENIED: &str = "assume-role-denied";
const FIRST_ROLE: &str = "arn:aws:iam::444455556666:role/reports";
const SECOND_ROLE: &str = "arn:aws:iam::777788889999:role/archive";

type Env = Vec<(String, String)>;

/// One fault.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// The finding that the fault must cause. There may be others.
    pub(crate) finds: FindingId,
    source: Source,
    inject: fn(&LocalPod, &mut Env),
}

#[derive(Clone, Copy)]
enum Source {
    Irsa,
    PodIdentity,
    Both,
    /// Only the variables that the fault sets.
    Nothing,
}

impl Fault {
    /// Starts a pod with the fault, and diagnoses it.
    pub(crate) async fn diagnose(&self) -> Diagnosis {
        let pod = match self.name {
            "agent-ipv6-only" => LocalPod::builder().agent_address((std::net::Ipv6Addr::LOCALHOST, 0).into()),
            ASSUME_ROLE_DENIED => LocalPod::builder().assumable_role(AssumableRole::new(FIRST_ROLE)),
            "region-of-another-store" => LocalPod::builder().region("garage"),
            _ => LocalPod::builder(),
        };
        let pod = pod.start().await.unwrap();
        if self.name == "agent-refused" {
            pod.agent().stop().await;
        }
        let mut env = match self.source {
            Source::Irsa => pod.irsa_env(),
            Source::PodIdentity => pod.pod_identity_env(),
            Source::Both => pod.both_env(),
            Source::Nothing => Env::new(),
        };
        (self.inject)(&pod, &mut env);
        let diagnosis = match self.name {
            ASSUME_ROLE_DENIED => {
                let first = self.builder(env).build().unwrap().assume_role(AssumeRole::new(FIRST_ROLE)).unwrap();
                first.assume_role(AssumeRole::new(SECOND_ROLE)).unwrap().diagnose().await
            }
            _ => self.builder(env).diagnose().await,
        };
        // The stand-ins record requests that a correct client does not send. Some faults cause such requests.
        pod.sts().take_unexpected();
        pod.agent().take_unexpected();
        diagnosis
    }

    fn builder(&self, env: Env) -> Builder {
        let builder = EksCredentialsProvider::builder().env(env);
        if self.name.ends_with("-timeout") { builder.attempt_timeout(Duration::from_millis(300)) } else { builder }
    }
}

/// Sets `name` to `value`, and replaces an existing value.
fn set(env: &mut Env, name: &str, value: &str) {
    unset(env, name);
    env.push((name.to_owned(), value.to_owned()));
}

fn unset(env: &mut Env, name: &str) {
    env.retain(|(existing, _)| existing != name);
}

fn get<'a>(env: &'a Env, name: &str) -> &'a str {
    env.iter().find(|(existing, _)| existing == name).map_or("", |(_, value)| value)
}

/// Replaces the token file in `name` with another file that contains `holds`.
fn token_file(env: &mut Env, name: &str, holds: &str) {
    let path = std::path::Path::new(get(env, name)).with_file_name("other");
    fs::write(&path, holds).unwrap();
    set(env, name, path.to_str().unwrap());
}

/// Uses the real STS endpoint of the region, through a proxy that does not exist. No request leaves this machine.
fn regional(env: &mut Env, region: &str) {
    unset(env, STS);
    set(env, REGION, region);
    set(env, "AWS_DEFAULT_REGION", region);
    set(env, "HTTPS_PROXY", NO_SERVER);
    unset(env, "NO_PROXY");
}

fn fault(name: &'static str, finds: FindingId, source: Source, inject: fn(&LocalPod, &mut Env)) -> Fault {
    Fault { name, finds, source, inject }
}

/// All faults, in the order in which the findings are listed.
pub(crate) fn all() -> Vec<Fault> {
    use FindingId as Id;
    use Source::{Both, Irsa, Nothing, PodIdentity};
    vec![
        // Environment.
        fault("nothing-configured", Id::EnvNone, Nothing, |_, _| {}),
        fault("irsa-role-only", Id::IrsaHalf, Irsa, |_, env| unset(env, TOKEN)),
        fault("irsa-token-only", Id::IrsaHalf, Irsa, |_, env| unset(env, ROLE)),
        fault("pod-identity-token-only", Id::PodIdentityHalf, PodIdentity, |_, env| unset(env, FULL_URI)),
        fault("pod-identity-uri-only", Id::PodIdentityHalf, PodIdentity, |_, env| {
            unset(env, AGENT_TOKEN);
            set(env, FULL_URI, "http://169.254.170.23/v1/credentials");
        }),
        fault("ca-bundle-missing", Id::CaBundle, Irsa, |_, env| {
            regional(env, "eu-central-1");
            set(env, "AWS_CA_BUNDLE", "/etc/ssl/no-such-bundle.pem");
        }),
        fault("ca-bundle-without-certificates", Id::CaBundle, Irsa, |_, env| {
            regional(env, "eu-central-1");
            set(env, "AWS_CA_BUNDLE", "/etc/hostname");
        }),
        fault("source-misspelled", Id::Source, Both, |_, env| set(env, "EKS_CREDENTIALS_SOURCE", "podidentity")),
        fault("flag-neither-true-nor-false", Id::Flag, Irsa, |_, env| set(env, "AWS_USE_FIPS_ENDPOINT", "yes")),
        fault("session-name-too-long", Id::Config, Irsa, |_, env| {
            set(env, "AWS_ROLE_SESSION_NAME", &"x".repeat(65));
        }),
        fault("role-name-instead-of-arn", Id::RoleArn, Irsa, |_, env| set(env, ROLE, "local-pod")),
        fault("role-of-another-partition", Id::RolePartition, Irsa, |_, env| {
            regional(env, "eu-central-1");
            set(env, ROLE, "arn:aws-cn:iam::111122223333:role/local-pod");
        }),
        fault("no-region", Id::RegionNone, Irsa, |_, env| {
            [STS, REGION, "AWS_DEFAULT_REGION"].into_iter().for_each(|name| unset(env, name));
        }),
        fault("zone-instead-of-region", Id::Region, Irsa, |_, env| regional(env, "eu-central-1a")),
        fault("region-in-upper-case", Id::Region, Irsa, |_, env| regional(env, "EU-Central-1")),
        fault("sts-endpoint-without-scheme", Id::StsEndpoint, Irsa, |_, env| set(env, STS, "sts.example.com:443")),
        fault("fips-with-a-configured-endpoint", Id::StsEndpoint, Irsa, |_, env| {
            set(env, "AWS_USE_FIPS_ENDPOINT", "true");
        }),
        fault("agent-uri-of-another-host", Id::ContainerUri, PodIdentity, |_, env| {
            set(env, FULL_URI, "http://10.0.0.7/v1/credentials");
        }),
        // Token.
        fault("token-not-mounted", Id::TokenMissing, Irsa, |_, env| {
            set(env, TOKEN, "/var/run/secrets/eks.amazonaws.com/serviceaccount/not-mounted");
        }),
        fault("token-path-is-a-folder", Id::TokenUnreadable, Irsa, |_, env| {
            let folder = std::path::Path::new(get(env, TOKEN)).parent().unwrap().to_str().unwrap().to_owned();
            set(env, TOKEN, &folder);
        }),
        #[cfg(unix)]
        fault("token-not-readable", Id::TokenUnreadable, Irsa, |_, env| {
            use std::os::unix::fs::PermissionsExt as _;
            token_file(env, TOKEN, "header.payload.signature");
            fs::set_permissions(get(env, TOKEN), fs::Permissions::from_mode(0o000)).unwrap();
        }),
        fault("token-empty", Id::TokenInvalid, Irsa, |_, env| token_file(env, TOKEN, "")),
        fault("token-not-a-jwt", Id::TokenInvalid, PodIdentity, |_, env| token_file(env, AGENT_TOKEN, "not-a-jwt")),
        fault("token-expired", Id::TokenExpired, Irsa, |pod, _| pod.irsa_token().expire(HOUR).unwrap()),
        fault("agent-token-expired", Id::TokenExpired, PodIdentity, |pod, _| pod.agent_token().expire(MINUTE).unwrap()),
        fault("token-not-valid-yet", Id::TokenNotYet, PodIdentity, |pod, _| {
            pod.agent_token().postdate(10 * MINUTE + MINUTE / 2).unwrap();
        }),
        fault("token-for-the-other-source", Id::TokenAudience, PodIdentity, |pod, env| {
            set(env, AGENT_TOKEN, pod.irsa_token().path().to_str().unwrap());
        }),
        fault("issuer-without-https", Id::TokenIssuer, Irsa, |pod, _| {
            pod.irsa_token().set_issuer("kubernetes/serviceaccount").unwrap();
        }),
        fault("token-refused-as-expired", Id::TokenRejected, Irsa, |pod, _| {
            pod.sts().then(Answer::refuse_with("ExpiredTokenException", "Token expired"));
        }),
        // STS.
        fault("trust-policy-subject", Id::TrustPolicy, Irsa, |pod, _| {
            pod.irsa_token().impersonate("default", "default").unwrap();
        }),
        fault("trust-policy-audience", Id::OidcAudience, Irsa, |pod, _| {
            pod.irsa_token().set_audience("my-audience").unwrap()
        }),
        fault("trust-policy-subject-or-audience", Id::TrustPolicy, Irsa, |pod, _| {
            pod.irsa_token().set_audience("amazonaws.com").unwrap();
            pod.sts()
                .then(Answer::refuse_with("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"));
        }),
        fault("trust-policy-other-service-account", Id::TrustPolicy, Irsa, |pod, _| {
            pod.irsa_token().impersonate("payments", "api").unwrap();
        }),
        fault("oidc-provider-thumbprint", Id::OidcThumbprint, Irsa, |pod, _| {
            let said = "OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint";
            pod.sts().then(Answer::refuse_with("InvalidIdentityToken", said));
        }),
        fault("token-not-a-jwt-for-sts", Id::TokenInvalid, Irsa, |pod, env| {
            token_file(env, TOKEN, "not-a-jwt");
            let said = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)";
            pod.sts().then(Answer::refuse_with("InvalidIdentityToken", said));
        }),
        fault("token-with-a-log-line", Id::TokenInvalid, Irsa, |_, env| {
            token_file(env, TOKEN, "header.payload.signature 12:00:00 rotated");
        }),
        fault("oidc-provider-missing", Id::OidcProvider, Irsa, |pod, _| {
            pod.irsa_token().set_issuer("https://oidc.eks.eu-central-1.amazonaws.com/id/NEWCLUSTER").unwrap();
        }),
        fault("sts-region-disabled", Id::StsRegion, Irsa, |pod, _| {
            let said = "STS is not activated in this region for account:111122223333.";
            pod.sts().then(Answer::refuse_with("RegionDisabledException", said));
        }),
        fault("sts-refuses-the-duration", Id::StsRefused, Irsa, |pod, _| {
            let said = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            pod.sts().then(Answer::refuse_with("ValidationError", said));
        }),
        fault("sts-throttles", Id::StsThrottled, Irsa, |pod, _| {
            pod.sts().then(Answer::refuse_with("Throttling", "Rate exceeded"));
        }),
        fault("sts-fails", Id::StsFailing, Irsa, |pod, _| {
            pod.sts().then(Answer::refuse("InternalFailure"));
        }),
        fault("sts-is-another-server", Id::StsForeign, Irsa, |pod, _| {
            pod.sts().then(Answer::http_as(200, "text/html", "<html><body>Sign in to the guest network</body></html>"));
        }),
        fault("sts-forbidden-by-a-proxy", Id::StsForeign, Irsa, |pod, _| {
            pod.sts().then(Answer::http_as(
                403,
                "text/html",
                "<html><body>Blocked by your administrator</body></html>",
            ));
        }),
        fault("proxy-requires-authentication", Id::ProxyAuth, Irsa, |_, env| refusing_proxy(env, 407)),
        fault("proxy-forbids-the-host", Id::Proxy, Irsa, |_, env| refusing_proxy(env, 403)),
        fault("proxy-cannot-reach-sts", Id::Proxy, Irsa, |_, env| refusing_proxy(env, 502)),
        fault("sts-refused", Id::StsUnreachable, Irsa, |_, env| set(env, STS, NO_SERVER)),
        fault("sts-timeout", Id::StsTimeout, Irsa, |pod, _| {
            pod.sts().then(Answer::hang());
        }),
        fault("sts-without-tls", Id::StsTls, Irsa, |pod, env| {
            set(env, STS, &format!("https://{}", pod.sts().address()));
        }),
        fault("issuer-keys-unreachable", Id::IssuerUnreachable, Irsa, |pod, _| {
            let said = "Couldn't retrieve verification key from your identity provider";
            pod.sts().then(Answer::refuse_with("InvalidIdentityToken", said));
        }),
        fault(ASSUME_ROLE_DENIED, Id::AssumeRoleDenied, Irsa, |_, _| {}),
        // Agent.
        fault("association-missing", Id::AssociationNone, PodIdentity, |pod, _| {
            pod.agent_token().impersonate("payments", "api").unwrap();
        }),
        fault("association-role-without-trust", Id::AssociationDenied, PodIdentity, |pod, _| {
            let said = "Unauthorized Exception! EKS does not have permissions to assume the associated role.";
            pod.agent().then(Answer::refuse_with("AccessDeniedException", said));
        }),
        fault("association-role-deleted", Id::AssociationInvalid, PodIdentity, |pod, _| {
            pod.agent().then(Answer::refuse_with("InvalidRequestException", "The role does not exist"));
        }),
        fault("association-missing-for-default", Id::AssociationNone, PodIdentity, |pod, _| {
            pod.agent_token().impersonate("payments", "default").unwrap();
        }),
        fault("session-tags-too-large", Id::PolicyTooLarge, PodIdentity, |pod, _| {
            let said = "Packed policy consumes 120% of allotted space, please use smaller policy.";
            pod.agent().then(Answer::refuse_with("PackedPolicyTooLarge", said));
        }),
        fault("token-not-bound-to-a-pod", Id::TokenRejected, PodIdentity, |pod, _| {
            let said = "Service account token failed claim validations: missing claim: kubernetes.io/pod";
            pod.agent().then(Answer::http(400, said));
        }),
        fault("eks-auth-unknown-code", Id::EksAuthRefused, PodIdentity, |pod, _| {
            pod.agent().then(Answer::refuse_with("SomethingNewException", "not in any manual"));
        }),
        fault("agent-uri-with-a-slash", Id::ContainerPath, PodIdentity, |_, env| {
            let url = format!("{}/", get(env, FULL_URI));
            set(env, FULL_URI, &url);
        }),
        fault("agent-refused", Id::AgentRefused, PodIdentity, |_, _| {}),
        fault("agent-ipv6-only", Id::AgentFamily, PodIdentity, |_, env| {
            let url = get(env, FULL_URI).replace("[::1]", "127.0.0.1");
            set(env, FULL_URI, &url);
        }),
        fault("agent-closes-the-connection", Id::AgentUnreachable, PodIdentity, |pod, _| {
            pod.agent().then(Answer::close());
        }),
        fault("agent-timeout", Id::AgentTimeout, PodIdentity, |pod, _| {
            pod.agent().then(Answer::hang());
        }),
        fault("agent-is-another-server", Id::AgentForeign, PodIdentity, |pod, _| {
            pod.agent().then(Answer::http(403, "Forbidden"));
        }),
        fault("agent-cannot-reach-eks-auth", Id::AgentFailing, PodIdentity, |pod, _| {
            pod.agent().then(Answer::http(500, "[]\n"));
        }),
        fault("eks-auth-throttles", Id::AgentThrottled, PodIdentity, |pod, _| {
            pod.agent().then(Answer::refuse_with("ThrottlingException", "Rate exceeded"));
        }),
        // The returned credentials.
        fault("credentials-with-a-bad-date", Id::FetchInvalid, PodIdentity, |pod, _| {
            pod.agent().then(Answer::http_as(200, "application/json", BAD_DATE));
        }),
        fault("expired-credentials", Id::FetchExpired, PodIdentity, |pod, _| {
            pod.agent().then(Answer::expired());
        }),
        fault("clock-hours-behind", Id::ClockSkew, Irsa, |pod, _| {
            pod.sts().set_clock_offset(7230);
            // The clock of the API server is also correct.
            pod.irsa_token().postdate(Duration::from_secs(7200)).unwrap();
        }),
        fault("another-role", Id::IdentityOther, Irsa, |pod, _| {
            pod.sts().then(Answer::proper()).then(Answer::http_as(200, "text/xml", CALLER));
        }),
        fault("credentials-unknown-to-sts", Id::IdentityRefused, PodIdentity, |pod, _| {
            let said = "The security token included in the request is invalid.";
            pod.sts().then(Answer::refuse_with("InvalidClientTokenId", said));
        }),
        // Warnings.
        fault("other-source-half-configured", Id::IrsaHalf, PodIdentity, |_, env| {
            set(env, ROLE, "arn:aws:iam::111122223333:role/local-pod");
        }),
        fault("chosen-source-not-configured", Id::SourceAbsent, Irsa, |_, env| {
            set(env, "EKS_CREDENTIALS_SOURCE", "pod-identity");
        }),
        fault("static-keys", Id::StaticKeys, Irsa, |_, env| set(env, "AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")),
        fault("proxy-without-exception", Id::ProxyAgent, PodIdentity, |_, env| {
            set(env, "HTTP_PROXY", "http://user:hunter2@proxy.example.com:3128");
            set(env, "NO_PROXY", "10.0.0.0/8,.svc");
        }),
        fault("two-regions", Id::RegionMismatch, Irsa, |_, env| set(env, "AWS_DEFAULT_REGION", "us-east-1")),
        fault("pod-identity-without-region", Id::RegionNone, PodIdentity, |_, env| {
            [REGION, "AWS_DEFAULT_REGION"].into_iter().for_each(|name| unset(env, name));
        }),
        fault("region-of-another-store", Id::RegionOther, PodIdentity, |_, _| {}),
        fault("sts-in-clear-text", Id::StsClearText, Irsa, |_, env| {
            // An unused address, from a block that is reserved for documentation.
            set(env, STS, "http://192.0.2.1");
            set(env, "AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token");
        }),
        fault("region-without-fips-endpoint", Id::StsFips, Irsa, |_, env| {
            regional(env, "eu-central-1");
            set(env, "AWS_USE_FIPS_ENDPOINT", "true");
        }),
        fault("token-not-rotated", Id::TokenRotation, Irsa, |pod, _| pod.irsa_token().backdate(22 * HOUR).unwrap()),
        fault("custom-audience", Id::TokenAudienceOwn, Irsa, |pod, _| {
            pod.irsa_token().set_audience("my-audience").unwrap();
            pod.sts().then(Answer::refuse("ServiceUnavailable"));
        }),
        fault("subject-in-another-format", Id::TokenSubject, Irsa, |pod, _| {
            pod.irsa_token().impersonate("default", "a:b").unwrap();
        }),
        fault("sts-slow", Id::FetchSlow, Irsa, |pod, _| {
            pod.sts().then(Answer::proper().after(Duration::from_millis(1100)));
        }),
        fault("clock-a-minute-ahead", Id::ClockSkew, Irsa, |pod, _| {
            pod.sts().set_clock_offset(-90);
            pod.irsa_token().backdate(Duration::from_secs(120)).unwrap();
        }),
        // Useful information.
        fault("both-configured", Id::EnvBoth, Both, |_, env| set(env, "EKS_CREDENTIALS_SOURCE", "pod-identity")),
        fault("variables-set-manually", Id::EnvOwn, Irsa, |pod, env| {
            let token = fs::read_to_string(pod.irsa_token().path()).unwrap();
            token_file(env, TOKEN, &token);
        }),
        fault("profile-and-imds", Id::EnvNotRead, Irsa, |_, env| {
            set(env, "AWS_PROFILE", "prod");
            set(env, "AWS_EC2_METADATA_DISABLED", "true");
            set(env, "AWS_SECRET_ACCESS_KEY", "hunter2");
        }),
        fault("sts-endpoint-overridden", Id::StsOverride, Irsa, |_, _| {}),
        fault("another-container-server", Id::ContainerOther, PodIdentity, |_, _| {}),
        fault("issuer-not-eks", Id::TokenIssuerOwn, Irsa, |pod, _| {
            pod.irsa_token().set_issuer("https://oidc.example.com/cluster").unwrap();
        }),
        fault("cluster-in-another-region", Id::TokenRegion, PodIdentity, |_, env| {
            set(env, REGION, "us-east-1");
            set(env, "AWS_DEFAULT_REGION", "us-east-1");
            // The stand-in for STS accepts only signatures for the region of the cluster.
            set(env, STS, NO_SERVER);
        }),
        fault("sts-unreachable-from-a-pod-with-pod-identity", Id::IdentityUnknown, PodIdentity, |_, env| {
            set(env, STS, NO_SERVER);
        }),
        fault("proxy-unreachable", Id::Proxy, Irsa, |_, env| regional(env, "eu-central-1")),
        // Healthy pods.
        fault("none", Id::IdentityOk, Irsa, |_, _| {}),
        fault("none-pod-identity", Id::ClockUnknown, PodIdentity, |_, _| {}),
    ]
}

/// A proxy that refuses every CONNECT with this status. It accepts two: the client repeats the CONNECT of a failed
/// attempt to find out the status.
fn refusing_proxy(env: &mut Env, status: u16) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().take(2).flatten() {
            let _ = client.read(&mut [0; 4096]);
            let _ = write!(client, "HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    regional(env, "eu-central-1");
    set(env, "HTTPS_PROXY", &format!("http://me:hunter2@{address}"));
}

const BAD_DATE: &str =
    r#"{"AccessKeyId":"ASIALOCAL","SecretAccessKey":"local-secret","Token":"local-session","Expiration":"soon"}"#;

/// The response of STS for a role that was not requested.
const CALLER: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
    <Arn>arn:aws:sts::111122223333:assumed-role/node-role/i-0123456789abcdef0</Arn>\
    <UserId>AROALOCALLOCALLOCAL00:i-0123456789abcdef0</UserId><Account>111122223333</Account>\
    </GetCallerIdentityResult></GetCallerIdentityResponse>";
