//! What SDK clients use besides the credentials: their configuration, the identity cache, and the recovery after a refusal.

mod config;
mod identity_cache;
mod recovery;

pub use self::config::SdkConfigBuilder;
pub use self::recovery::Recovery;
