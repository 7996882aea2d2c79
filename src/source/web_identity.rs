//! IRSA: exchanges the service account token for credentials at STS.
//!
//! The configuration is parsed in every build, because `diagnose` explains it whatever the features are. The request itself
//! needs the feature `irsa`.

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

pub(crate) use self::config::{WebIdentityConfig, from_env, parse_role_arn};
pub(crate) use self::exchange::WebIdentity;
pub(crate) use self::parameters::{Parameters, check_policies};
pub(crate) use self::role_arn::RoleArn;
pub(crate) use self::session_name::SessionName;
