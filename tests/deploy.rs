//! Tests of the files in `examples/deploy`: the credential source that the pods of an overlay use after the EKS webhook has
//! changed them, the connections that its NetworkPolicies allow, probes, shutdown, monitoring, runbooks, and the build of the
//! image without the feature `testing`.
#![cfg(all(feature = "irsa", feature = "pod-identity"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

#[path = "deploy/kustomize.rs"]
mod kustomize;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use eks_credentials::SourceKind::{self, PodIdentity, WebIdentity};
use serde_json::{Value, json};
use support::{whole, with, without};

const OVERLAYS: [&str; 3] = ["irsa", "pod-identity", "both"];
/// What the webhook sets for EKS Pod Identity in an IPv4 cluster and in an IPv6 cluster.
const AGENTS: [&str; 2] = ["http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials"];
const AGENT_TOKEN: &str = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token";
const TOKEN: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
/// The paths of the example `readiness`.
const READY: &str = "/readyz";
const METRICS: &str = "/metrics";
const PORT: u64 = 8080;
/// Where docs.rs has the documentation pages of `src/docs`.
const PAGES: &str = "https://docs.rs/eks-credentials/latest/eks_credentials/docs/";

type Env = Vec<(String, String)>;

/// An overlay, and the eksctl configuration that belongs to it.
struct Deployment {
    objects: Vec<Value>,
    eksctl: Value,
}

impl Deployment {
    fn of(overlay: &str) -> Self {
        let folder = deploy().join(overlay);
        let eksctl = kustomize::read(&folder.join("eksctl.yaml")).remove(0);
        Self { objects: kustomize::render(&folder), eksctl }
    }

    fn objects(&self, kind: &str) -> Vec<&Value> {
        self.objects.iter().filter(|object| object["kind"] == kind).collect()
    }

    fn object(&self, kind: &str) -> &Value {
        let [object] = self.objects(kind)[..] else { panic!("not one {kind}") };
        object
    }

    fn pod(&self) -> &Value {
        &self.object("Deployment")["spec"]["template"]["spec"]
    }

    fn container(&self) -> &Value {
        &self.pod()["containers"][0]
    }

    /// Whether eksctl creates an association for the service account of the pods.
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

    /// The environment of the pod's container in a cluster whose agent has the URL `agent`.
    fn env(&self, agent: &str) -> Env {
        let role = self.object("ServiceAccount")["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].as_str();
        webhook(self.own_env(), role, self.is_associated().then_some(agent))
    }
}

/// Adds the variables of the EKS webhook to the environment of a container. An association has precedence over the annotation
/// with a role. If the container itself sets one variable of a pair, the webhook does not add the pair.
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

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn deploy() -> PathBuf {
    root().join("examples/deploy")
}

/// The text of a file of the repository.
fn text(file: &str) -> String {
    let path = root().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn detected(env: &Env) -> Option<SourceKind> {
    // With a fallback, the configuration of both sources must be complete, also of the one that is not used.
    let provider = support::builder(env.clone()).fallback(true).build().unwrap_or_else(|e| panic!("{}", whole(&e)));
    provider.status().source
}

#[test]
fn overlay_configures_the_source_in_its_name() {
    for agent in AGENTS {
        assert_eq!(detected(&Deployment::of("irsa").env(agent)), Some(WebIdentity));
        assert_eq!(detected(&Deployment::of("pod-identity").env(agent)), Some(PodIdentity));
    }
    let (irsa, pod_identity) = (Deployment::of("irsa"), Deployment::of("pod-identity"));
    assert_eq!((irsa.own_env(), pod_identity.own_env()), (vec![], vec![]), "the webhook sets all variables");
}

#[test]
fn overlay_both_uses_irsa_until_its_variable_says_pod_identity() {
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
    // After a return to IRSA by deleting the association, the manifest needs no change.
    let rolled_back = webhook(both.own_env(), Some("arn:aws:iam::111122223333:role/demo-app"), None);
    assert_eq!(detected(&with(rolled_back, "EKS_CREDENTIALS_SOURCE", "pod-identity")), Some(WebIdentity));
}

#[test]
fn overlay_both_needs_its_own_variables_for_irsa() {
    let both = Deployment::of("both");
    let role = Some("arn:aws:iam::111122223333:role/demo-app");
    let own = without(without(both.own_env(), "AWS_ROLE_ARN"), "AWS_WEB_IDENTITY_TOKEN_FILE");
    assert_eq!(detected(&webhook(own, role, Some(AGENTS[0]))), Some(PodIdentity), "the annotation has no effect");

    // If the container sets one variable of a pair, the webhook does not add the other.
    let half = without(both.own_env(), "AWS_WEB_IDENTITY_TOKEN_FILE");
    let error = support::builder(webhook(half, role, None)).build().unwrap_err();
    assert!(whole(&error).contains("AWS_WEB_IDENTITY_TOKEN_FILE is not"), "{error}");
}

#[test]
fn overlay_both_mounts_the_token_that_its_variable_names() {
    let both = Deployment::of("both");
    let (volume, mount) = (&both.pod()["volumes"][0], &both.container()["volumeMounts"][0]);
    assert_eq!(volume["name"], "aws-iam-token", "the name that the webhook uses, so that it adds no second volume");
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
fn network_policies_allow_the_source_and_no_metadata_service() {
    let (sts, sts_v6) = ("52.94.0.1", "2a05:d000::1");
    for overlay in OVERLAYS {
        let deployment = Deployment::of(overlay);
        let policies = deployment.objects("NetworkPolicy");
        let selector = &deployment.object("Deployment")["spec"]["selector"];
        assert!(policies.iter().all(|policy| policy["spec"]["podSelector"] == *selector), "{overlay}");
        assert!(
            policies.iter().any(|policy| policy["spec"]["policyTypes"] == json!(["Ingress", "Egress"])),
            "{overlay}"
        );
        let allowed = |address: &str, port| policies.iter().any(|policy| allows(policy, address, port));
        for agent in AGENTS {
            let host = url::Url::parse(agent).unwrap().host_str().unwrap().trim_matches(['[', ']']).to_owned();
            assert_eq!(allowed(&host, 80), deployment.is_associated(), "{overlay}: {agent}");
        }
        assert!(allowed(sts, 443) && allowed(sts_v6, 443), "{overlay}: STS");
        for metadata in ["169.254.169.254", "fd00:ec2::254"] {
            assert!(!allowed(metadata, 80), "{overlay}: pods must not use the node's role");
        }
        let dns = r#""port":53,"protocol":"UDP""#;
        assert!(policies.iter().any(|policy| policy["spec"]["egress"].to_string().contains(dns)), "{overlay}: DNS");
    }
}

/// Whether a NetworkPolicy allows its pods to open a TCP connection to an address.
fn allows(policy: &Value, address: &str, port: u64) -> bool {
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
fn probes_and_ports_are_those_of_the_service() {
    for overlay in OVERLAYS {
        let deployment = Deployment::of(overlay);
        let container = deployment.container();
        assert_eq!(container["ports"], json!([{"name": "http", "containerPort": PORT}]));
        assert_eq!(container["readinessProbe"]["httpGet"], json!({"path": READY, "port": "http"}));
        // Not READY: a restart during an outage would discard credentials that are still valid.
        assert_eq!(container["livenessProbe"]["tcpSocket"], json!({"port": "http"}));
        let mut ingress = deployment.objects("NetworkPolicy").into_iter().map(|policy| &policy["spec"]["ingress"][0]);
        assert!(ingress.any(|rule| rule["ports"] == json!([{"protocol": "TCP", "port": PORT}])), "{overlay}");
    }
    assert!(text("examples/deploy/Dockerfile").contains(&format!("\nEXPOSE {PORT}\n")));
}

#[test]
fn pod_monitor_and_annotations_scrape_the_pods() {
    let deployment = Deployment::of("irsa");
    let app = deployment.object("Deployment");
    let annotations = &app["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], PORT.to_string());
    assert_eq!(annotations["prometheus.io/path"], METRICS);

    let monitoring = kustomize::render(&deploy().join("monitoring"));
    let monitor = monitoring.iter().find(|object| object["kind"] == "PodMonitor").unwrap();
    assert_eq!(monitor["metadata"]["namespace"], app["metadata"]["namespace"]);
    assert_eq!(monitor["spec"]["selector"], app["spec"]["selector"]);
    assert_eq!(monitor["spec"]["podMetricsEndpoints"], json!([{"port": "http", "path": METRICS}]));
}

/// One source for both formats. `promtool` reads only the first, and prometheus-operator only the second.
#[test]
fn prometheus_rule_contains_the_groups_of_the_rules_file() {
    let rules = text("examples/deploy/prometheus-rules.yaml");
    let groups = &rules[rules.find("\ngroups:\n").unwrap() + 1..];
    let groups = groups.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") });
    let header = "\
# Generated from ../prometheus-rules.yaml: EKS_CREDENTIALS_BLESS=1 cargo test --test deploy prometheus_rule
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: eks-credentials
  namespace: demo
  # Add the labels that your Prometheus resource selects by (`ruleSelector`), for example `release: prometheus`.
spec:
";
    let path = deploy().join("monitoring/prometheus-rule.yaml");
    support::bless_or_compare(&path, &format!("{header}{}", groups.collect::<String>()));

    let rules = &kustomize::read(&deploy().join("prometheus-rules.yaml"))[0];
    assert_eq!(kustomize::read(&path)[0]["spec"], *rules);
}

#[test]
fn runbook_urls_lead_to_a_heading_for_each_alert() {
    let rules = &kustomize::read(&deploy().join("prometheus-rules.yaml"))[0];
    let rules = rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    let rules: Vec<&Value> = rules.collect();
    assert!(rules.len() >= 5, "{}", rules.len());
    for rule in rules {
        let (alert, url) = (rule["alert"].as_str().unwrap(), rule["annotations"]["runbook_url"].as_str());
        let url = url.unwrap_or_else(|| panic!("{alert} has no runbook_url"));
        let (page, anchor) = url.strip_prefix(PAGES).unwrap().split_once("/index.html#").unwrap();
        assert!(text("src/docs.rs").contains(&format!("\npub mod {page}")), "{alert}: there is no page {page}");
        assert_eq!(anchor, alert.to_ascii_lowercase());
        assert!(anchors(&text(&format!("src/docs/{page}.md"))).contains(anchor), "{page}.md has no heading #{anchor}");
    }
}

/// The ids that rustdoc gives to the headings of a page.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.split("```").step_by(2).flat_map(str::lines).filter(|line| line.starts_with('#'));
    let id = |heading: &str| {
        let text = heading.trim_start_matches('#').trim();
        let text = text.chars().filter(|c| c.is_alphanumeric() || c.is_whitespace() || ['-', '_'].contains(c));
        text.map(|c| if c.is_whitespace() { '-' } else { c.to_ascii_lowercase() }).collect()
    };
    headings.map(id).collect()
}

/// kubelet sends SIGKILL when the grace period is over.
#[test]
fn grace_period_is_longer_than_the_shutdown_of_the_service() {
    let seconds = |file: &str, constant: &str| -> u64 {
        let text = text(file);
        let start = format!("const {constant}: Duration = Duration::from_secs(");
        let (_, value) = text.split_once(&start).unwrap_or_else(|| panic!("{file} has no {constant} in seconds"));
        value.split_once(')').unwrap().0.parse().unwrap()
    };
    let shutdown =
        seconds("examples/readiness.rs", "DRAIN_TIMEOUT") + seconds("examples/support/program.rs", "SHUTDOWN_TIMEOUT");
    let grace = Deployment::of("irsa").pod()["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace >= 2 * shutdown, "{grace} s, and the shutdown takes up to {shutdown} s");
}

#[test]
fn replicas_are_spread_over_zones_and_nodes_where_possible() {
    let deployment = Deployment::of("irsa");
    let constraints = deployment.pod()["topologySpreadConstraints"].as_array().unwrap();
    let keys: Vec<_> = constraints.iter().map(|constraint| constraint["topologyKey"].as_str().unwrap()).collect();
    assert_eq!(keys, ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]);
    for constraint in constraints {
        assert_eq!(constraint["labelSelector"], deployment.object("Deployment")["spec"]["selector"]);
        assert_eq!(constraint["whenUnsatisfiable"], "ScheduleAnyway", "a cluster may have one node");
    }
}

#[test]
fn pods_of_the_overlays_differ_in_nothing_else_and_have_no_privileges() {
    let pods = OVERLAYS.map(|overlay| {
        let mut pod = Deployment::of(overlay).pod().clone();
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
    assert_eq!((&pod["runAsNonRoot"], &pod["fsGroup"]), (&json!(true), user), "fsGroup makes the token readable");
    assert!(text("examples/deploy/Dockerfile").contains(&format!("\nUSER {user}:{user}\n")));
    assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(container["readOnlyRootFilesystem"], json!(true));
    assert_eq!(container["allowPrivilegeEscalation"], json!(false));
}

#[test]
#[ignore = "needs kubectl"]
fn kustomize_overlays_are_rendered_as_by_kubectl() {
    for folder in OVERLAYS.into_iter().chain(["base", "monitoring"]) {
        let folder = deploy().join(folder);
        let done = Command::new("kubectl").arg("kustomize").arg(&folder).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut by_kubectl: Vec<Value> = serde_saphyr::from_multiple(str::from_utf8(&done.stdout).unwrap()).unwrap();
        let mut rendered = kustomize::render(&folder);
        for objects in [&mut by_kubectl, &mut rendered] {
            objects.sort_by(|a, b| kustomize::identity(a).cmp(&kustomize::identity(b)));
        }
        assert_eq!(rendered, by_kubectl, "{}", folder.display());
    }
}

/// Cargo builds an example with the dev-dependencies of its package, which enable `testing`. The image therefore has a
/// package of its own. `.ci/run` also searches its programs for the stand-ins.
#[test]
fn image_is_built_from_a_package_without_the_feature_testing() {
    let dockerfile = text("examples/deploy/Dockerfile");
    let commands = dockerfile.lines().filter(|line| !line.starts_with('#'));
    let builds: Vec<_> = commands.filter(|line| line.contains("cargo build")).collect();
    let [build] = builds.as_slice() else { panic!("{builds:?}") };
    assert!(build.contains(" --manifest-path examples/deploy/image/Cargo.toml "), "{build}");
    assert!(!build.contains("--example") && !build.contains("features"), "{build}");

    let manifest = text("examples/deploy/image/Cargo.toml");
    let settings: Vec<_> = manifest.lines().filter(|line| !line.starts_with('#')).collect();
    for section in ["[features]", "[dev-dependencies]", "[build-dependencies]"] {
        assert!(!settings.contains(&section), "{section}");
    }
    let testing: Vec<_> = settings.iter().filter(|line| line.contains("testing")).collect();
    assert_eq!(testing.len(), 1, "only the lint that knows this feature: {testing:?}");
    assert!(testing[0].starts_with("unexpected_cfgs ="), "{testing:?}");
    let programs: Vec<_> = settings.iter().filter_map(|line| line.strip_prefix("path = \"../../")).collect();
    assert_eq!(programs, ["readiness.rs\"", "list_buckets.rs\"", "migrate.rs\"", "doctor.rs\""]);
    assert!(dockerfile.contains("for program in readiness list_buckets migrate doctor; do"));
}

/// A version that only the image has would not be tested.
#[test]
fn image_has_the_locked_versions_of_the_crate() {
    let packages = |lock: &str| -> BTreeSet<(String, String)> {
        let value = |line: &str, name| Some(line.strip_prefix(name)?.trim_matches('"').to_owned());
        let package = |package: &str| {
            let mut lines = package.lines().skip(1);
            Some((value(lines.next()?, "name = ")?, value(lines.next()?, "version = ")?))
        };
        lock.split("\n\n").filter_map(package).collect()
    };
    let of_crate = packages(&text("Cargo.lock"));
    let of_image = packages(&text("examples/deploy/image/Cargo.lock"));
    assert!(of_image.len() > 100, "{}", of_image.len());
    let others: Vec<_> = of_image.difference(&of_crate).map(|(name, _)| name.as_str()).collect();
    assert_eq!(others, ["image"], "cp Cargo.lock examples/deploy/image/, and cargo metadata there");
}
