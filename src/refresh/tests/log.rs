//! What is said of a failed refresh.

use std::io;

use tracing_subscriber::fmt::MakeWriter;

use super::*;

#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What has been said since the last call.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// As an operator sees it: whether callers have anything, and how bad it is.
#[tokio::test(start_paused = true)]
async fn a_failed_refresh_is_told_with_what_is_served_meanwhile() {
    for (serve_expired, at_the_end) in [
        (true, " WARN refreshing credentials failed serving=\"serving credentials that expired at "),
        (false, "ERROR fetching credentials failed serving=\"there are no credentials to serve\""),
    ] {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false);
        let _set = tracing::subscriber::set_default(subscriber.with_writer(log.clone()).finish());
        let bench = Bench::with(Mode::Issue(3600), Policy { serve_expired, ..POLICY });
        bench.ask().await.unwrap();
        bench.upstream.set(Mode::Fail(ErrorKind::Unavailable));
        log.take();
        for expected in
            [" WARN refreshing credentials failed serving=\"the credentials at hand are valid until ", at_the_end]
        {
            sleep(HOUR - secs(60)).await;
            let said = log.take();
            let said = said.lines().rfind(|line| line.contains("failed")).unwrap_or(&said);
            let said = said.replace(" source=\"irsa\" error=scripted", "");
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
