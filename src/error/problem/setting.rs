//! Problems of environment variables and of settings of the builder.

use std::path::PathBuf;

use super::token::BadToken;
use crate::source_kind::SourceKind;
use crate::variable;

/// The rule of the EKS webhook that is the cause of most half-configured pods.
const PAIR_RULE: &str = "the EKS webhook injects a pair of variables unless the container sets one of them \
                         itself: remove the variable from the container's env and create the pod again, or set both";

/// A setting that cannot be used.
#[derive(Debug)]
pub(crate) enum Setting {
    NotUtf8 {
        name: String,
    },
    Flag {
        name: String,
        value: String,
    },
    Source {
        value: String,
    },
    /// One of a pair of variables or settings is missing.
    Half {
        source: SourceKind,
        set: &'static str,
        value: String,
        missing: &'static str,
    },
    RoleArn {
        setting: &'static str,
        value: String,
        expected: &'static str,
    },
    RolePartition {
        setting: &'static str,
        value: String,
        region: String,
        partition: &'static str,
    },
    SessionName {
        setting: &'static str,
        value: String,
    },
    Region {
        setting: &'static str,
        value: String,
        meant: Option<String>,
    },
    NoRegion {
        needed_for: &'static str,
    },
    StsUrl {
        setting: &'static str,
        shown: String,
        why: String,
    },
    /// A configured endpoint together with a switch that applies only to AWS's own endpoints.
    StsUrlAndSwitch {
        setting: &'static str,
        url: String,
        switch: &'static str,
    },
    ContainerUri {
        setting: &'static str,
        shown: String,
        why: String,
        remedy: String,
    },
    /// The EKS agent does not serve the path of the URI.
    ContainerPath {
        setting: &'static str,
        url: String,
    },
    ContainerToken(BadToken),
    NotInThisBuild {
        name: &'static str,
        value: String,
        feature: &'static str,
    },
    /// A session policy, which only STS can apply.
    NotNarrowable,
    Proxy {
        variable: String,
        expected: &'static str,
    },
    CaBundle {
        path: PathBuf,
        why: &'static str,
    },
    NoRootCertificates,
    NoHttpsClient,
    /// Any other problem, with its texts.
    Other {
        observed: String,
        remedy: String,
    },
}

impl Setting {
    pub(crate) fn observed(&self) -> String {
        match self {
            Self::NotUtf8 { name } => format!("{name} is not valid UTF-8"),
            Self::Flag { name, value } => format!("{name}=\"{value}\" is neither \"true\" nor \"false\""),
            Self::Source { value } => {
                format!("{}=\"{value}\" is not one of irsa, pod-identity and auto", variable::SOURCE)
            }
            Self::Half { source, set, value, missing } => {
                format!("{source} is only half configured: {set}=\"{value}\" is set, but {missing} is not")
            }
            Self::RoleArn { setting, value, expected } => {
                format!("{setting}=\"{value}\" is not a role ARN; expected {expected}")
            }
            Self::RolePartition { setting, value, region, partition } => format!(
                "{setting}=\"{value}\" and the region {region} belong to different partitions: the region is in \
                 {partition}"
            ),
            Self::SessionName { setting, value } => {
                format!(
                    "{setting}=\"{value}\" is not a session name; expected 2 to 64 characters of [A-Za-z0-9_+=,.@-]"
                )
            }
            Self::Region { setting, value, .. } if value.is_empty() => format!("{setting} is empty"),
            Self::Region { setting, value, meant: Some(meant) } if value.eq_ignore_ascii_case(meant) => {
                format!("{setting}=\"{value}\" is not an AWS region: region names are in lower case")
            }
            Self::Region { setting, value, meant: Some(_) } => {
                format!("{setting}=\"{value}\" is an availability zone and not an AWS region")
            }
            Self::Region { setting, value, meant: None } => {
                format!("{setting}=\"{value}\" is not an AWS region such as \"eu-central-1\"")
            }
            Self::NoRegion { needed_for } => format!(
                "no region is configured, but one is needed for {needed_for}: neither {} nor {} is set",
                variable::REGION,
                variable::DEFAULT_REGION
            ),
            Self::StsUrl { setting, shown, why } => format!("{setting}=\"{shown}\" {why}"),
            Self::StsUrlAndSwitch { setting, url, switch } => {
                format!("{switch}=true applies only to AWS's own endpoints, but {setting} sets the endpoint {url}")
            }
            Self::ContainerUri { setting, shown, why, .. } => format!("{setting}=\"{shown}\" {why}"),
            Self::ContainerPath { setting, url } => {
                format!(
                    "the EKS Pod Identity agent returned status 404 for {setting}=\"{url}\": it does not serve this \
                     path"
                )
            }
            Self::ContainerToken(token) => token.observed(),
            Self::NotInThisBuild { name, value, feature } => {
                format!("{name}=\"{value}\" is set, but this build of eks-credentials lacks the feature `{feature}`")
            }
            Self::NotNarrowable => {
                "policy(..) or policy_arns(..) was called on the builder, but requests to EKS Pod Identity cannot \
                 contain session policies"
                    .to_owned()
            }
            Self::Proxy { variable, expected } => format!("{variable} is not {expected} (its value is not shown)"),
            Self::CaBundle { path, why } => format!("{}={} {why}", variable::CA_BUNDLE, path.display()),
            Self::NoRootCertificates => "no usable root certificates were found on this system".to_owned(),
            Self::NoHttpsClient => {
                "https requires an HTTP client, but this build of eks-credentials contains none".to_owned()
            }
            Self::Other { observed, .. } => observed.clone(),
        }
    }

    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::NotUtf8 { .. } => "set it to a value that is valid UTF-8".to_owned(),
            Self::Flag { name, .. } => format!("set {name} to true or false, or remove it"),
            Self::Source { .. } => format!("correct {}, or remove it", variable::SOURCE),
            Self::Half { .. } => PAIR_RULE.to_owned(),
            Self::RoleArn { .. } => {
                "use the ARN that `aws iam get-role --role-name NAME --query Role.Arn --output text` prints; with the \
                 EKS webhook, set it in the annotation eks.amazonaws.com/role-arn of the service account"
                    .to_owned()
            }
            Self::RolePartition { .. } => {
                format!("use a role in the region's partition, or correct {}", variable::REGION)
            }
            Self::SessionName { setting, .. } => format!("correct {setting}"),
            Self::Region { setting, meant, .. } => {
                let region = meant.as_deref().unwrap_or("the cluster's region");
                match setting.starts_with("AWS_") {
                    true => format!("set {setting} to {region} in the container's env in the pod template"),
                    false => format!("pass {region} to region(..) of the builder"),
                }
            }
            Self::NoRegion { .. } => format!(
                "set {} (the EKS webhook sets both variables unless the container sets one of them), or call region(..) on the \
                 builder",
                variable::REGION
            ),
            Self::StsUrl { setting, .. } => {
                format!("set {setting} to a URL such as https://sts.example.com, or remove it")
            }
            Self::StsUrlAndSwitch { .. } => "remove one of the two".to_owned(),
            Self::ContainerUri { remedy, .. } => remedy.clone(),
            Self::ContainerPath { setting, .. } => format!(
                "the agent's path is /v1/credentials, without a trailing slash; remove {setting} from the container's \
                 env: the EKS webhook then sets it"
            ),
            Self::ContainerToken(token) => token.remedy().to_owned(),
            Self::NotInThisBuild { feature, .. } => format!("enable the feature `{feature}`"),
            Self::NotNarrowable => "use IRSA, or remove the setting and restrict the role's own policies".to_owned(),
            Self::Proxy { variable, .. } => {
                format!("set {variable} to a URL such as http://proxy.example.com:3128")
            }
            Self::CaBundle { .. } => format!(
                "{} must be the path of a readable file with certificates in PEM format; remove it to trust the system's \
                 root certificates",
                variable::CA_BUNDLE
            ),
            Self::NoRootCertificates => format!(
                "install ca-certificates in the image, set {}, or enable the feature `webpki-roots` of eks-credentials \
                 (for `scratch` images)",
                variable::CA_BUNDLE
            ),
            Self::NoHttpsClient => {
                "enable one of the features `reqwest-http-client`, `sdk-http-client` and `rustls-ring`, or pass an \
                 HTTP client to the builder"
                    .to_owned()
            }
            Self::Other { remedy, .. } => remedy.clone(),
        }
    }
}
