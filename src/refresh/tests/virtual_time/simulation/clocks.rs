//! The clock of the server, which is correct, and the local clock, which jumps.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use tokio::time::Instant;

use super::super::bench::secs;

/// The difference between the local clock and the clock of the server. One of the fields is zero.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offset {
    ahead: Duration,
    behind: Duration,
}

impl Offset {
    /// Converts a time from the clock of the server to the local clock.
    pub(super) fn of(self, time: SystemTime) -> SystemTime {
        time + self.ahead - self.behind
    }

    fn plus(self, ahead: Duration, behind: Duration) -> Self {
        let (ahead, behind) = (self.ahead + ahead, self.behind + behind);
        Self { ahead: ahead.saturating_sub(behind), behind: behind.saturating_sub(ahead) }
    }

    pub(super) fn by(self) -> Duration {
        self.ahead + self.behind
    }
}

/// The local clock.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// A time on the clock of the server, and the same moment on the virtual clock.
    server: Arc<Mutex<(SystemTime, Instant)>>,
    offset: Arc<Mutex<Offset>>,
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.offset().of(self.of_the_server())
    }
}

impl Clock {
    pub(super) fn starting_at(start: SystemTime) -> Self {
        Self { server: Arc::new(Mutex::new((start, Instant::now()))), offset: Arc::default() }
    }

    pub(super) fn of_the_server(&self) -> SystemTime {
        let (then, since) = *self.server.lock().unwrap();
        then + since.elapsed()
    }

    /// Continues on another runtime, whose virtual time has another origin.
    pub(super) fn continue_from(&self, server: SystemTime) {
        *self.server.lock().unwrap() = (server, Instant::now());
    }

    pub(super) fn offset(&self) -> Offset {
        *self.offset.lock().unwrap()
    }

    pub(super) fn jump(&self, ahead: Duration, behind: Duration) {
        let mut offset = self.offset.lock().unwrap();
        let jumped = offset.plus(ahead, behind);
        // A difference near 30 s must not occur: whether it is corrected depends on the latency of the response.
        *offset = if (secs(27)..secs(33)).contains(&jumped.by()) { Offset::default() } else { jumped };
    }
}
