//! One line as the fields that stand in it, before anybody asks what they mean.

use super::decimal::DecimalError;
use super::vocabulary::{Field, Kind, listed};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use thiserror::Error;

/// Why a line is no request. What is quoted of the line is cut to a few dozen characters.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)]
pub enum LineError {
    #[error("not one JSON object: {what}, at column {column}")]
    Json { what: String, column: usize },
    #[error("the field {field:?} stands there twice: once would be right")]
    Twice { field: &'static str },
    #[error("the unknown field {field:?}; {right}")]
    UnknownField { field: String, right: String },
    #[error("the field {field:?} is missing; it is {right}")]
    Missing { field: &'static str, right: String },
    #[error("the unknown command {command:?}; there are {}", Kind::names())]
    UnknownCommand { command: String },
    #[error("{field:?} is {found}; it should be {right}")]
    Value { field: &'static str, found: String, right: &'static str },
    #[error("{field:?} is {found:?}, which {fault}; it should be {right}")]
    Decimal { field: &'static str, found: String, fault: DecimalError, right: &'static str },
}

/// A field's value, as far as requests have any.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Integer(u64),
    /// A JSON number that is no `u64`.
    OtherNumber(f64),
    Text(Cow<'a, str>),
    List,
    Object,
}

impl Value<'_> {
    /// For a message.
    pub fn found(&self) -> String {
        match self {
            Value::Null => "null".to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => format!("the number {value}"),
            Value::OtherNumber(value) => format!("the number {value:e}"),
            Value::Text(text) => format!("{:?}", clipped(text)),
            Value::List => "a list".to_string(),
            Value::Object => "an object".to_string(),
        }
    }
}

/// The beginning of what somebody sent, for a message.
pub(super) fn clipped(text: &str) -> String {
    const MOST: usize = 40;
    let mut out: String = text.chars().take(MOST).collect();
    if out.len() < text.len() {
        out.push_str("...");
    }
    out
}

/// The fields of one line.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    values: [Option<Value<'a>>; Field::COUNT],
    twice: Option<Field>,
    unknown: Option<String>,
}

impl<'a> Fields<'a> {
    pub fn parse(line: &'a [u8]) -> Result<Self, LineError> {
        serde_json::from_slice(line).map_err(|error| {
            // It counts lines, too, but there is only this one.
            let what = error.to_string();
            let place = format!(" at line {} column {}", error.line(), error.column());
            LineError::Json { what: what.strip_suffix(&place).unwrap_or(&what).to_string(), column: error.column() }
        })
    }

    pub fn get(&self, field: Field) -> Option<&Value<'a>> {
        self.values[field as usize].as_ref()
    }

    /// Refuses fields that stand there twice.
    pub fn check_once(&self) -> Result<(), LineError> {
        self.twice.map_or(Ok(()), |field| Err(LineError::Twice { field: field.name() }))
    }

    /// Refuses fields that this command has not; without a command, those that none has.
    pub fn check_known(&self, kind: Option<Kind>) -> Result<(), LineError> {
        let foreign = || {
            let kind = kind?;
            let knows = |field: &Field| Field::OF_ALL.contains(field) || kind.fields().contains(field);
            Field::all().find(|field| self.get(*field).is_some() && !knows(field)).map(|field| field.name().to_string())
        };
        let Some(field) = self.unknown.clone().or_else(foreign) else { return Ok(()) };
        let right = match kind {
            Some(kind) => format!("{:?} has {}, {}", kind.name(), listed(&Field::OF_ALL), listed(kind.fields())),
            None => format!("every request has {}", listed(&Field::OF_ALL)),
        };
        Err(LineError::UnknownField { field, right })
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object, {\"client\": ...}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields { values: [const { None }; Field::COUNT], twice: None, unknown: None };
                while let Some(name) = map.next_key()? {
                    match name {
                        Name::Known(field) => {
                            let before = fields.values[field as usize].replace(map.next_value()?);
                            if before.is_some() {
                                fields.twice.get_or_insert(field);
                            }
                        }
                        Name::Unknown(name) => {
                            map.next_value::<IgnoredAny>()?;
                            fields.unknown.get_or_insert(name);
                        }
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

enum Name {
    Known(Field),
    Unknown(String),
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(Field::by_name(name).map_or_else(|| Name::Unknown(clipped(name)), Name::Known))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = Value<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Value<'de>, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
                Ok(Value::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
                Ok(Value::Integer(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
                Ok(Value::OtherNumber(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
                Ok(Value::OtherNumber(value))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
                Ok(Value::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
                Ok(Value::Text(Cow::Owned(text.to_string())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::Object)
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}
