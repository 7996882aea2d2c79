//! What a provider was built from.

use aws_smithy_async::time::SharedTimeSource;

use crate::env::Env;
use crate::source::settings::Settings;
use crate::transport::{Client, Timeouts};

/// All inputs of a provider, for everything that works beside the refresh task: the configuration of SDK clients, a comparison
/// of both credential sources, and a diagnosis.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The environment as it was when the provider was built.
    pub(crate) env: Env,
    pub(crate) settings: Settings,
    /// `None`: the system's clock, which is read directly.
    pub(crate) time: Option<SharedTimeSource>,
    /// The HTTP client for STS that the program gave to the builder.
    pub(crate) http: Option<Client>,
    pub(crate) timeouts: Timeouts,
}

impl Setup {
    /// The wall clock that requests are signed by.
    pub(crate) fn time_source(&self) -> SharedTimeSource {
        self.time.clone().unwrap_or_default()
    }
}
