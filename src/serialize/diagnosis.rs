//! The JSON of a diagnosis.

use serde::{Serialize, Serializer};

use crate::diagnose::{Diagnosis, Finding, FindingId, Severity};
use crate::source_kind::SourceKind;

/// Changes when a field is removed or changes its meaning.
const SCHEMA_VERSION: u32 = 1;

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            id: FindingId,
            title: &'static str,
            severity: Severity,
            observed: &'a str,
            cause: Option<&'a str>,
            expected: Option<&'a str>,
            remedy: Option<&'a str>,
            commands: &'a [String],
            policy: Option<&'a str>,
            consequences: &'a [Finding],
        }
        let Self { id, title, severity, observed, cause, expected, remedy, commands, policy, consequences } = self;
        let fields = Fields {
            id: *id,
            title,
            severity: *severity,
            observed,
            cause: cause.as_deref(),
            expected: expected.as_deref(),
            remedy: remedy.as_deref(),
            commands,
            policy: policy.as_deref(),
            consequences,
        };
        fields.serialize(serializer)
    }
}

impl Serialize for Diagnosis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            schema_version: u32,
            severity: Severity,
            source: Option<SourceKind>,
            findings: &'a [Finding],
        }
        let fields = Fields {
            schema_version: SCHEMA_VERSION,
            severity: self.severity(),
            source: self.source(),
            findings: self.findings(),
        };
        fields.serialize(serializer)
    }
}
