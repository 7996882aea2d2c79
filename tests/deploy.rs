//! What a pod made of a manifest in `examples/deploy` has in its environment once the webhook has been at it, and which
//! method that means. That a manifest lets its pods reach what that method asks, and has the probes of `readiness`. And that
//! the image's programs are built without the feature `testing`.
#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod support;

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use eks_credentials::SourceKind::{self, PodIdentity, WebIdentity};
use serde_json::{Value, json};
use support::{whole, with, without};

/// What the webhook gives Pod Identity in an IPv4 and in an IPv6 cluster.
const AGENTS: [&str; 2] = ["http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials"];
const AGENT_TOKEN: &str = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token";
const TOKEN: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
/// Of the example `readiness`.
const READY: &str = "/readyz";
const PORT: u64 = 8080;

type Env = Vec<(String, String)>;

/// The files of a method.
struct Deployment {
    objects: Vec<Value>,
    eksctl: Value,
}

impl Deployment {
    fn of(method: &str) -> Self {
        let read = |file: &str| serde_saphyr::from_multiple(&text(&format!("{method}/{file}"))).unwrap();
        Self { objects: read("kubernetes.yaml"), eksctl: read("eksctl.yaml").remove(0) }
    }

    fn object(&self, kind: &str) -> &Value {
        self.objects.iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    fn pod(&self) -> &Value {
        &self.object("Deployment")["spec"]["template"]["spec"]
    }

    fn container(&self) -> &Value {
        &self.pod()["containers"][0]
    }

    /// Whether eksctl makes an association for the service account of the pods.
    fn is_associated(&self) -> bool {
        let (account, associations) = (&self.object("ServiceAccount")["metadata"], &self.eksctl["iam"]);
        assert_eq!(self.pod()["serviceAccountName"], account["name"]);
        let mut associations = associations["podIdentityAssociations"].as_array().into_iter().flatten();
        associations.any(|a| a["namespace"] == account["namespace"] && a["serviceAccountName"] == account["name"])
    }

    fn own_env(&self) -> Env {
        let own = self.container()["env"].as_array().into_iter().flatten();
        own.map(|var| (var["name"].as_str().unwrap().to_owned(), var["value"].as_str().unwrap().to_owned())).collect()
    }

    /// The environment of the pod's container, where the agent is at `agent`.
    fn env(&self, agent: &str) -> Env {
        let role = self.object("ServiceAccount")["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].as_str();
        webhook(self.own_env(), role, self.is_associated().then_some(agent))
    }
}

/// What the webhook makes of a container's environment: an association wins over an annotation, and of a pair of which the
/// container sets one variable itself it sets neither.
fn webhook(mut env: Env, role: Option<&str>, agent: Option<&str>) -> Env {
    let pair = match (agent, role) {
        (Some(agent), _) => {
            [("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AGENT_TOKEN)]
        }
        (None, Some(role)) => [("AWS_ROLE_ARN", role), ("AWS_WEB_IDENTITY_TOKEN_FILE", TOKEN)],
        (None, None) => return env,
    };
    for pair in [pair, [("AWS_REGION", "eu-central-1"), ("AWS_DEFAULT_REGION", "eu-central-1")]] {
        if !env.iter().any(|(name, _)| pair.iter().any(|(of_pair, _)| name == of_pair)) {
            env.extend(pair.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
    }
    env
}

fn text(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/deploy").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn detected(env: &Env) -> Option<SourceKind> {
    // With a fallback both methods must be whole, the one that does not serve too.
    let provider = support::builder(env.clone()).fallback(true).build().unwrap_or_else(|e| panic!("{}", whole(&e)));
    provider.status().source
}

#[test]
fn each_manifest_means_the_method_that_it_is_named_after() {
    for agent in AGENTS {
        assert_eq!(detected(&Deployment::of("irsa").env(agent)), Some(WebIdentity));
        assert_eq!(detected(&Deployment::of("pod-identity").env(agent)), Some(PodIdentity));
    }
    let (irsa, pod_identity) = (Deployment::of("irsa"), Deployment::of("pod-identity"));
    assert_eq!((irsa.own_env(), pod_identity.own_env()), (vec![], vec![]), "the webhook does it all");
}

#[test]
fn both_is_irsa_until_its_variable_says_pod_identity() {
    let both = Deployment::of("both");
    for agent in AGENTS {
        let env = both.env(agent);
        assert_eq!(detected(&env), Some(WebIdentity));
        assert_eq!(detected(&with(env, "EKS_CREDENTIALS_SOURCE", "pod-identity")), Some(PodIdentity));
    }
    let set: Vec<_> = both.env(AGENTS[0]).into_iter().map(|(name, _)| name).collect();
    for name in ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"] {
        assert!(set.iter().any(|set| set == name), "{name} is not in {set:?}");
    }
    // On the way back, with the association deleted, nothing of the manifest needs to change.
    let rolled_back = webhook(both.own_env(), Some("arn:aws:iam::111122223333:role/demo-app"), None);
    assert_eq!(detected(&with(rolled_back, "EKS_CREDENTIALS_SOURCE", "pod-identity")), Some(WebIdentity));
}

#[test]
fn without_irsas_variables_of_its_own_both_is_pod_identity_alone() {
    let both = Deployment::of("both");
    let role = Some("arn:aws:iam::111122223333:role/demo-app");
    let own = without(without(both.own_env(), "AWS_ROLE_ARN"), "AWS_WEB_IDENTITY_TOKEN_FILE");
    assert_eq!(detected(&webhook(own, role, Some(AGENTS[0]))), Some(PodIdentity), "whatever the annotation says");

    // One variable of a pair suppresses the other.
    let half = without(both.own_env(), "AWS_WEB_IDENTITY_TOKEN_FILE");
    let error = support::builder(webhook(half, role, None)).build().unwrap_err();
    assert!(whole(&error).contains("AWS_WEB_IDENTITY_TOKEN_FILE is not"), "{error}");
}

#[test]
fn the_token_of_both_is_where_its_variable_says_and_is_for_sts() {
    let both = Deployment::of("both");
    let (volume, mount) = (&both.pod()["volumes"][0], &both.container()["volumeMounts"][0]);
    assert_eq!(volume["name"], "aws-iam-token", "the webhook's own name, so that it does not add a second one");
    assert_eq!((&volume["name"], &mount["readOnly"]), (&mount["name"], &json!(true)));
    let token = &volume["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(token["audience"], "sts.amazonaws.com");
    let path = format!("{}/{}", mount["mountPath"].as_str().unwrap(), token["path"].as_str().unwrap());
    assert_eq!(path, TOKEN);
    assert!(both.own_env().contains(&("AWS_WEB_IDENTITY_TOKEN_FILE".to_owned(), path)));
    let annotated = &both.object("ServiceAccount")["metadata"]["annotations"]["eks.amazonaws.com/role-arn"];
    assert!(both.own_env().contains(&("AWS_ROLE_ARN".to_owned(), annotated.as_str().unwrap().to_owned())));
}

#[test]
fn the_network_policy_lets_through_what_the_method_asks_and_no_metadata_service() {
    let (sts, sts_v6) = ("52.94.0.1", "2a05:d000::1");
    for method in ["irsa", "pod-identity", "both"] {
        let deployment = Deployment::of(method);
        let policy = deployment.object("NetworkPolicy");
        assert_eq!(policy["spec"]["podSelector"], deployment.object("Deployment")["spec"]["selector"]);
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
        for agent in AGENTS {
            let host = url::Url::parse(agent).unwrap().host_str().unwrap().trim_matches(['[', ']']).to_owned();
            assert_eq!(lets_out(policy, &host, 80), deployment.is_associated(), "{method}: {agent}");
        }
        assert!(lets_out(policy, sts, 443) && lets_out(policy, sts_v6, 443), "{method}: STS");
        for metadata in ["169.254.169.254", "fd00:ec2::254"] {
            assert!(!lets_out(policy, metadata, 80), "{method}: the node's role is not for pods");
        }
        assert!(policy["spec"]["egress"].to_string().contains(r#""port":53,"protocol":"UDP""#), "{method}: DNS");
    }
}

/// Whether a NetworkPolicy lets its pods open a TCP connection to an address.
fn lets_out(policy: &Value, address: &str, port: u64) -> bool {
    let blocks = |rule: &Value| -> Vec<Value> {
        rule["to"].as_array().unwrap().iter().map(|to| to["ipBlock"].clone()).filter(Value::is_object).collect()
    };
    let of_port = |rule: &&Value| rule["ports"].as_array().unwrap().contains(&json!({"protocol": "TCP", "port": port}));
    let mut blocks = policy["spec"]["egress"].as_array().unwrap().iter().filter(of_port).flat_map(blocks);
    blocks.any(|block| {
        let mut except = block["except"].as_array().into_iter().flatten();
        is_in(address, block["cidr"].as_str().unwrap()) && !except.any(|cidr| is_in(address, cidr.as_str().unwrap()))
    })
}

fn is_in(address: &str, cidr: &str) -> bool {
    let (network, length) = cidr.split_once('/').unwrap();
    let bits = |address: &str| match address.parse().unwrap() {
        IpAddr::V4(v4) => (32, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (128, u128::from(v6)),
    };
    let ((size, address), (of, network)) = (bits(address), bits(network));
    size == of && (address ^ network).checked_shr(size - length.parse::<u32>().unwrap()).unwrap_or(0) == 0
}

#[test]
fn the_probes_and_ports_are_those_of_the_service() {
    for method in ["irsa", "pod-identity", "both"] {
        let deployment = Deployment::of(method);
        let container = deployment.container();
        assert_eq!(container["ports"], json!([{"name": "http", "containerPort": PORT}]));
        assert_eq!(container["readinessProbe"]["httpGet"], json!({"path": READY, "port": "http"}));
        // A restart in an outage would throw away credentials that are still good.
        assert_eq!(container["livenessProbe"]["tcpSocket"], json!({"port": "http"}));
        let pod = &deployment.object("Deployment")["spec"]["template"];
        assert_eq!(pod["metadata"]["annotations"]["prometheus.io/port"], PORT.to_string());
        let ingress = &deployment.object("NetworkPolicy")["spec"]["ingress"][0];
        assert_eq!(ingress["ports"], json!([{"protocol": "TCP", "port": PORT}]));
    }
    assert!(text("Dockerfile").contains(&format!("\nEXPOSE {PORT}\n")));
}

#[test]
fn the_pods_of_the_methods_differ_in_nothing_else_and_may_do_nothing() {
    let pods = ["irsa", "pod-identity", "both"].map(|method| {
        let mut pod = Deployment::of(method).pod().clone();
        pod.as_object_mut().unwrap().remove("volumes");
        let container = pod["containers"][0].as_object_mut().unwrap();
        container.remove("env");
        container.remove("volumeMounts");
        pod
    });
    assert_eq!(pods[0], pods[1]);
    assert_eq!(pods[1], pods[2]);
    let (pod, container) = (&pods[0]["securityContext"], &pods[0]["containers"][0]["securityContext"]);
    let user = &pod["runAsUser"];
    assert_eq!((&pod["runAsNonRoot"], &pod["fsGroup"]), (&json!(true), user), "who may read the token");
    assert!(text("Dockerfile").contains(&format!("\nUSER {user}:{user}\n")));
    assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(container["readOnlyRootFilesystem"], json!(true));
    assert_eq!(container["allowPrivilegeEscalation"], json!(false));
}

/// Cargo builds an example with the dev-dependencies of its package, which turn on `testing`. So the image has a package of
/// its own; `.ci/run` looks into what it builds.
#[test]
fn image_is_built_from_a_package_without_the_feature_testing() {
    let dockerfile = text("Dockerfile");
    let commands = dockerfile.lines().filter(|line| !line.starts_with('#'));
    let builds: Vec<_> = commands.filter(|line| line.contains("cargo build")).collect();
    let [build] = builds.as_slice() else { panic!("{builds:?}") };
    assert!(build.contains(" --manifest-path examples/deploy/image/Cargo.toml "), "{build}");
    assert!(!build.contains("--example") && !build.contains("features"), "{build}");

    let manifest = text("image/Cargo.toml");
    let settings: Vec<_> = manifest.lines().filter(|line| !line.starts_with('#')).collect();
    for section in ["[features]", "[dev-dependencies]", "[build-dependencies]"] {
        assert!(!settings.contains(&section), "{section}");
    }
    let testing: Vec<_> = settings.iter().filter(|line| line.contains("testing")).collect();
    assert_eq!(testing.len(), 1, "only that `cfg` is known: {testing:?}");
    assert!(testing[0].starts_with("unexpected_cfgs ="), "{testing:?}");
    let programs: Vec<_> = settings.iter().filter_map(|line| line.strip_prefix("path = \"../../")).collect();
    assert_eq!(programs, ["readiness.rs\"", "list_buckets.rs\"", "migrate.rs\"", "doctor.rs\""]);
    assert!(dockerfile.contains("for program in readiness list_buckets migrate doctor; do"));
}

/// A version that is only in the image would be tested by nothing.
#[test]
fn image_has_the_locked_versions_of_the_crate() {
    let packages = |lock: &str| -> std::collections::BTreeSet<(String, String)> {
        let value = |line: &str, name| Some(line.strip_prefix(name)?.trim_matches('"').to_owned());
        let package = |package: &str| {
            let mut lines = package.lines().skip(1);
            Some((value(lines.next()?, "name = ")?, value(lines.next()?, "version = ")?))
        };
        lock.split("\n\n").filter_map(package).collect()
    };
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let of_crate = packages(&fs::read_to_string(root).unwrap());
    let of_image = packages(&text("image/Cargo.lock"));
    assert!(of_image.len() > 100, "{}", of_image.len());
    let others: Vec<_> = of_image.difference(&of_crate).map(|(name, _)| name.as_str()).collect();
    assert_eq!(others, ["image"], "cp Cargo.lock examples/deploy/image/, and cargo metadata there");
}
