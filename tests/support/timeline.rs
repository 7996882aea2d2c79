//! A timeline of a test: the events of this crate and the steps of the test, each with its time and its pod.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// All clones share the same lines.
#[derive(Clone)]
pub(crate) struct Timeline {
    began: Instant,
    /// The name for lines from a thread that is not a pod's.
    operator: &'static str,
    lines: Arc<Mutex<Vec<Line>>>,
}

struct Line {
    seconds: f64,
    /// The name of the thread.
    who: String,
    what: String,
}

impl Timeline {
    pub(crate) fn begin(operator: &'static str) -> Self {
        Self { began: Instant::now(), operator, lines: Arc::default() }
    }

    pub(crate) fn say(&self, what: &str) {
        let thread = std::thread::current();
        // The threads of the pods have names. The test runs on a thread with the name of the test, or on a thread of tokio.
        let who = thread.name().filter(|name| !name.contains(['_', ' ']) && !name.starts_with("tokio"));
        let line = Line {
            seconds: self.began.elapsed().as_secs_f64(),
            who: who.unwrap_or(self.operator).to_owned(),
            what: what.to_owned(),
        };
        self.lines.lock().unwrap().push(line);
    }

    pub(crate) fn layer(&self) -> Listener {
        Listener(self.clone())
    }

    /// Asserts that the timeline contains these lines in this order. Other lines may be between them.
    #[allow(dead_code, reason = "not every test compares an order")]
    #[track_caller]
    pub(crate) fn assert_tells(&self, expected: &[(&str, &str)]) {
        let lines = self.lines.lock().unwrap();
        let mut lines = lines.iter();
        for (who, beginning) in expected {
            let found = lines.any(|line| line.who == *who && line.what.starts_with(beginning));
            assert!(found, "after the earlier lines there is no line of {who} that begins with: {beginning}");
        }
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { seconds, who, what } in self.lines.lock().unwrap().iter() {
            writeln!(f, "{seconds:5.1} s  {who:24} {what}")?;
        }
        Ok(())
    }
}

pub(crate) struct Listener(Timeline);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target().starts_with("eks_credentials") && *metadata.level() <= tracing::Level::DEBUG {
            let mut text = Text::default();
            event.record(&mut text);
            self.0.say(&format!("{} {}{}", metadata.level(), text.message, text.fields));
        }
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => write!(self.fields, " {name}={value:?}").unwrap(),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.fields, " {}={value}", field.name()).unwrap();
    }
}
