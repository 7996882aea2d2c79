//! The JSON documents of container credentials servers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

use crate::error::problem::agent::Said;
use crate::error::problem::table::is_code;

/// A success or an error document. Names of fields are case-insensitive. Unknown fields are ignored.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) access_key_id: Field,
    pub(super) secret_access_key: Field,
    pub(super) token: Field,
    pub(super) expiration: Field,
    pub(super) account_id: Field,
    code: Field,
    message: Field,
}

/// The value of a field. A field that is not needed may have any type.
#[derive(Default)]
pub(super) enum Field {
    #[default]
    Absent,
    Text(Zeroizing<String>),
    /// A number, a boolean, a list or an object.
    Other,
}

impl Field {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Other => None,
        }
    }
}

impl Answer {
    /// A document with a code and without credentials is a refusal, whatever the HTTP status. A code together with credentials
    /// is not: some servers send `Success`.
    pub(super) fn refusal(&self) -> Option<Said<'_>> {
        let has_keys = self.access_key_id.text().is_some() || self.secret_access_key.text().is_some();
        let code = self.code.text().filter(|code| !has_keys && is_code(code))?;
        Some(Said::json(code, self.message.text().unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnswerVisitor)
    }
}

struct AnswerVisitor;

impl<'de> Visitor<'de> for AnswerVisitor {
    type Value = Answer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
        let mut answer = Answer::default();
        while let Some(key) = map.next_key::<String>()? {
            let field = match key.to_ascii_lowercase().as_str() {
                "accesskeyid" => &mut answer.access_key_id,
                "secretaccesskey" => &mut answer.secret_access_key,
                "token" | "sessiontoken" => &mut answer.token,
                "expiration" | "expiresat" => &mut answer.expiration,
                "accountid" => &mut answer.account_id,
                "code" => &mut answer.code,
                "message" => &mut answer.message,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = map.next_value()?;
        }
        Ok(answer)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Field, E> {
        Ok(Field::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Field, E> {
        Ok(Field::Text(Zeroizing::new(text)))
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::Absent)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
}
