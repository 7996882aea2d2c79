//! Counts the log events of the provider.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

#[derive(Clone, Debug, Default)]
pub(super) struct EventCounter(Arc<Counts>);

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) successes: AtomicU64,
    pub(super) failures: AtomicU64,
    /// Whether the last failure was logged at WARN and not at ERROR.
    pub(super) last_was_warning: AtomicBool,
}

impl std::ops::Deref for EventCounter {
    type Target = Counts;

    fn deref(&self) -> &Counts {
        &self.0
    }
}

impl Subscriber for EventCounter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("eks_credentials")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        match message.0.as_str() {
            "fetched the first credentials" | "credentials refreshed after failures" | "credentials refreshed" => {
                self.successes.fetch_add(1, Relaxed);
            }
            "refreshing credentials failed" | "fetching credentials failed" => {
                self.failures.fetch_add(1, Relaxed);
                self.last_was_warning.store(*event.metadata().level() == Level::WARN, Relaxed);
            }
            "a service has refused the credentials: they are treated as expired"
            | "the first attempt to fetch credentials failed, retrying"
            | "the local clock differs from the clock of STS: the expiry of the credentials was corrected; synchronize the local clock"
            | "credentials have expired and have not been refreshed yet" => {}
            unknown => panic!("the simulation does not know this event: {unknown}"),
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
