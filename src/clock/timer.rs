//! A timer of tokio in the form that the HTTP clients of the SDK require.

use std::time::Duration;

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};

/// Sleeps with a timer of tokio.
///
/// The SDK has a type for this, but it requires the Cargo feature `rt-tokio`, which sets a default timer for every SDK
/// client of the program. This type has no effect outside this crate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokioSleep;

impl AsyncSleep for TokioSleep {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(duration))
    }
}
