//! What operators are told, counted.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;

#[derive(Clone, Debug, Default)]
pub(super) struct Told(Arc<Counts>);

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) successes: AtomicU64,
    pub(super) failures: AtomicU64,
    /// Whether the last failure was a WARN and not an ERROR.
    pub(super) only_warned: AtomicBool,
}

impl std::ops::Deref for Told {
    type Target = Counts;

    fn deref(&self) -> &Counts {
        &self.0
    }
}

impl Subscriber for Told {
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
            "first credentials" | "credentials are refreshed again" | "credentials refreshed" => {
                self.successes.fetch_add(1, Relaxed);
            }
            "refreshing credentials failed" | "fetching credentials failed" => {
                self.failures.fetch_add(1, Relaxed);
                self.only_warned.store(*event.metadata().level() == Level::WARN, Relaxed);
            }
            "a service has refused the credentials: they count as expired"
            | "the first attempt to fetch credentials failed: it is repeated"
            | "this machine's clock differs from that of STS: the expiry of credentials is corrected; synchronise the clock"
            | "credentials have expired and are not renewed yet" => {}
            unknown => panic!("an event that the simulation does not know: {unknown}"),
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
