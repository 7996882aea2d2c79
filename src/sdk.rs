//! Support for SDK clients: their configuration, the identity cache, and the recovery after refused credentials.

mod config;
mod identity_cache;
mod recovery;

pub use self::config::SdkConfigBuilder;
pub use self::recovery::Recovery;
