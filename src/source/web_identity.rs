//! IRSA: the service account token is exchanged for credentials at STS.
//!
//! The configuration is parsed in every build, so that a pod can be explained whatever the features are. The exchange is
//! compiled with the feature `irsa`.

mod config;
#[cfg(not(feature = "irsa"))]
#[path = "web_identity/exchange/disabled.rs"]
mod exchange;
#[cfg(feature = "irsa")]
pub(crate) mod exchange;
mod parameters;
mod role_arn;
mod session_name;
pub(crate) mod sts_endpoint;

pub(crate) use self::config::{WebIdentityConfig, from_env};
pub(crate) use self::exchange::WebIdentity;
pub(crate) use self::parameters::Parameters;
#[cfg(test)]
pub(crate) use self::role_arn::RoleArn;
pub(crate) use self::session_name::SessionName;
