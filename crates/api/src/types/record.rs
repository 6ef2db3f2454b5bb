//! One JSON answer: its exact text with the typed value beside it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::tolerant;

/// A JSON answer of the server, or one that a command made itself.
///
/// The JSON formats print `json`, so unknown fields, their order and numbers of any size survive; tables use `value`.
#[derive(Clone, Debug)]
pub struct Record<T> {
    /// What the type knows of the answer.
    pub value: T,
    /// The whole answer, as it was sent.
    pub json: Box<RawValue>,
}

impl<T: Serialize> Record<T> {
    /// Makes the JSON from the value, for results that no server sent.
    ///
    /// # Errors
    /// A value that JSON cannot express, such as a map with keys that are no strings.
    pub fn of(value: T) -> serde_json::Result<Self> {
        let json = serde_json::value::to_raw_value(&value)?;
        Ok(Self { value, json })
    }
}

/// A thing that is asked for by its id.
#[cfg_attr(
    not(feature = "client"),
    expect(dead_code, reason = "only a client asks")
)]
pub(crate) trait Thing {
    /// Its id, empty where a server left it out.
    fn id(&mut self) -> &mut String;
}

/// Works from JSON text only (`serde_json::from_str`, `from_slice`), alone or inside a list. What does not fit `T` reads as
/// absent.
impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Record<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let value = tolerant::read(json.get());
        Ok(Self { value, json })
    }
}

/// Writes the exact text.
impl<T> Serialize for Record<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize, Serialize)]
    #[serde(default)]
    struct Named {
        name: String,
    }

    #[test]
    fn the_exact_text_survives_beside_the_value() {
        let text = r#"[{"zeta":1.10, "name":"a\u0041","big":123456789012345678901234567890}]"#;
        let records: Vec<Record<Named>> = serde_json::from_str(text).unwrap();
        assert_eq!(records[0].value.name, "aA");
        assert_eq!(records[0].json.get(), &text[1..text.len() - 1]);
        assert_eq!(serde_json::to_string(&records).unwrap(), text);
    }

    #[test]
    fn a_record_of_our_own_carries_its_json() {
        let record = Record::of(Named {
            name: "a".to_owned(),
        })
        .unwrap();
        assert_eq!(record.json.get(), r#"{"name":"a"}"#);
    }

    #[test]
    fn text_that_does_not_fit_keeps_its_json_and_text_that_is_none_is_an_error() {
        let read = serde_json::from_str::<Record<Named>>;
        let record = read(r#"{"name":7}"#).unwrap();
        assert_eq!(
            (record.value.name.as_str(), record.json.get()),
            ("", r#"{"name":7}"#)
        );
        assert!(read("<html>").is_err());
    }
}
