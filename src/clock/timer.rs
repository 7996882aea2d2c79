//! tokio's timer, in the form in which the SDK's clients take it.

use std::time::Duration;

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};

/// Sleeps on tokio's timer.
///
/// The SDK's own type for this comes with a Cargo feature (`rt-tokio`) that gives a timer to every SDK client of the
/// program. This one changes nothing outside this crate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokioSleep;

impl AsyncSleep for TokioSleep {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(duration))
    }
}
