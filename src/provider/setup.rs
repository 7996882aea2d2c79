//! The inputs of a provider.

use aws_smithy_async::time::SharedTimeSource;

use crate::env::Env;
use crate::source::settings::Settings;
use crate::transport::{Client, Timeouts};

/// All inputs of a provider. Besides the refresh task, three parts use them: the configuration of SDK clients, the comparison
/// of both credential sources, and the diagnosis.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The environment at the time the provider was built.
    pub(crate) env: Env,
    pub(crate) settings: Settings,
    /// `None` means the system clock, which is read directly.
    pub(crate) time: Option<SharedTimeSource>,
    /// The HTTP client for STS that was given to the builder.
    pub(crate) http: Option<Client>,
    pub(crate) timeouts: Timeouts,
}

impl Setup {
    /// The wall clock for signatures.
    pub(crate) fn time_source(&self) -> SharedTimeSource {
        self.time.clone().unwrap_or_default()
    }
}
