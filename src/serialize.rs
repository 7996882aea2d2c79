//! `serde::Serialize` for the public types that describe a provider: stable names, and the same fields as their accessors.

#[cfg(feature = "diagnose")]
mod diagnosis;

use std::time::SystemTime;

use serde::{Serialize, Serializer};

use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::migration::Preference;
use crate::refresh::status::{Health, Status};
use crate::source::detection::Detection;
use crate::source_kind::SourceKind;

impl Serialize for SourceKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for Health {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Expired => "expired",
            Self::Failed => "failed",
        })
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            message: String,
            kind: ErrorKind,
            code: Option<&'a str>,
        }
        Fields { message: self.to_string(), kind: self.kind(), code: self.code() }.serialize(serializer)
    }
}

impl Serialize for Preference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields {
            decided_by: &'static str,
            first: SourceKind,
        }
        let decided_by = match self {
            Self::SdkOrder => "sdk-order",
            Self::Builder(_) => "builder",
            Self::Environment(_) => "environment",
        };
        Fields { decided_by, first: self.first() }.serialize(serializer)
    }
}

impl Serialize for Detection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            source: SourceKind,
            settings: &'a [&'static str],
            preference: Preference,
            other: Option<SourceKind>,
            other_problem: Option<&'a Error>,
            fallback: bool,
        }
        let fields = Fields {
            source: self.source(),
            settings: self.settings(),
            preference: self.preference(),
            other: self.other(),
            other_problem: self.other_problem(),
            fallback: self.fallback(),
        };
        fields.serialize(serializer)
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            health: Health,
            source: Option<SourceKind>,
            assumed_role: Option<&'a str>,
            expiry: Option<String>,
            fetched_at: Option<String>,
            next_fetch: Option<String>,
            last_error: Option<&'a Error>,
            consecutive_failures: u32,
            refreshes: u64,
            clock_skew_seconds: Option<i64>,
        }
        let text = |time: Option<SystemTime>| time.map(clock::rfc3339);
        let fields = Fields {
            health: self.health,
            source: self.source,
            assumed_role: self.assumed_role.as_deref(),
            expiry: text(self.expiry),
            fetched_at: text(self.fetched_at),
            next_fetch: text(self.next_fetch),
            last_error: self.last_error.as_ref(),
            consecutive_failures: self.consecutive_failures,
            refreshes: self.refreshes,
            clock_skew_seconds: self.clock_skew_seconds,
        };
        fields.serialize(serializer)
    }
}
