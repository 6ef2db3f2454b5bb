//! JSON of requests as typed values. What does not fit is told in the words of JSON, by the field that it is in.
//!
//! A type alone would take too much: a struct that derives `Deserialize` takes an array too, field by field.

use std::fmt::{self, Display};

use serde::de::value::StringDeserializer;
use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// Reads a JSON document.
///
/// # Errors
/// In words, with the path of the field.
pub(super) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let Document(value) = serde_json::from_slice(bytes)
        .map_err(|error| format!("the body is not a JSON document: {error}"))?;
    T::deserialize(Node(value)).map_err(|mismatch| mismatch.to_string())
}

/// A value in which no object has two members of one name: which of them is meant would depend on the reader.
struct Document(Value);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON document")
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
        Ok(Document(Value::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
        Ok(Document(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
        Ok(Document(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
        Ok(Document(
            Number::from_f64(value).map_or(Value::Null, Value::Number),
        ))
    }

    fn visit_str<E>(self, value: &str) -> Result<Document, E> {
        Ok(Document(Value::String(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Document, E> {
        Ok(Document(Value::String(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Document, A::Error> {
        let mut array = Vec::new();
        while let Some(Document(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Document(Value::Array(array)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Document, A::Error> {
        let mut object = Map::new();
        while let Some((name, Document(value))) = members.next_entry::<String, Document>()? {
            match object.entry(name) {
                Entry::Vacant(free) => drop(free.insert(value)),
                Entry::Occupied(taken) => {
                    let message = format!("`{}` is given twice", taken.key());
                    return Err(de::Error::custom(message));
                }
            }
        }
        Ok(Document(Value::Object(object)))
    }
}

/// Where something does not fit, and why.
#[derive(Debug)]
struct Mismatch {
    /// Names of members and indexes of elements, the innermost first.
    path: Vec<Step>,
    problem: Problem,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Element(usize),
}

#[derive(Debug)]
enum Problem {
    /// Something else is there than is expected.
    Unfit {
        found: String,
        expected: String,
    },
    /// A member of the object is missing.
    Missing(String),
    Other(String),
}

impl Mismatch {
    fn new(problem: Problem) -> Self {
        Self {
            path: Vec::new(),
            problem,
        }
    }

    fn unfit(value: &Value, expected: &str) -> Self {
        Self::new(Problem::Unfit {
            found: kind_of(value).to_owned(),
            expected: expected.to_owned(),
        })
    }

    fn inside(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Member(name) if place.is_empty() => place.push_str(name),
                Step::Member(name) => {
                    place.push('.');
                    place.push_str(name);
                }
                Step::Element(index) => place.push_str(&format!("[{index}]")),
            }
        }
        match &self.problem {
            Problem::Missing(name) if place.is_empty() => write!(f, "`{name}` is missing"),
            Problem::Missing(name) => write!(f, "`{place}.{name}` is missing"),
            Problem::Unfit { found, expected } if place.is_empty() => {
                write!(f, "the body is {found}: {expected} is expected")
            }
            Problem::Unfit { found, expected } => {
                write!(f, "`{place}` is {found}: {expected} is expected")
            }
            Problem::Other(message) if place.is_empty() => f.write_str(message),
            Problem::Other(message) => write!(f, "`{place}`: {message}"),
        }
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(Problem::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Problem::Unfit {
            found: kind_of_unexpected(&found).to_owned(),
            expected: in_json_words(&expected.to_string()),
        })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Unsigned(number) => number.to_string(),
            other => kind_of_unexpected(&other).to_owned(),
        };
        Self::new(Problem::Unfit {
            found,
            expected: in_json_words(&expected.to_string()),
        })
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(Problem::Missing(name.to_owned()))
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn kind_of_unexpected(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Bool(true) => "true",
        Unexpected::Bool(false) => "false",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a number",
        Unexpected::Seq => "an array",
        Unexpected::Map | Unexpected::StructVariant => "an object",
        _ => "a string",
    }
}

/// What a type calls itself, as a JSON author would.
fn in_json_words(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => "a whole number from 0".to_owned(),
        "i8" => "a whole number from -128 to 127".to_owned(),
        "i16" => "a whole number from -32768 to 32767".to_owned(),
        "i32" => format!("a whole number from {} to {}", i32::MIN, i32::MAX),
        "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        "unit" => "null".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other => other.to_owned(),
    }
}

/// A value that a type is made of.
struct Node(Value);

impl<'de> Deserializer<'de> for Node {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => visit_number(&number, visitor),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(elements) => visitor.visit_seq(Elements {
                index: 0,
                rest: elements.into_iter(),
            }),
            Value::Object(members) => visitor.visit_map(Members {
                rest: members.into_iter(),
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            other => Err(Mismatch::unfit(&other, "an object")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.0 {
            Value::String(text) => {
                let variant: StringDeserializer<Mismatch> = text.into_deserializer();
                variant.deserialize_enum(name, variants, visitor)
            }
            other => Err(Mismatch::unfit(&other, "a string")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

fn visit_number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, Mismatch> {
    if let Some(number) = number.as_u64() {
        visitor.visit_u64(number)
    } else if let Some(number) = number.as_i64() {
        visitor.visit_i64(number)
    } else {
        visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
    }
}

struct Elements {
    index: usize,
    rest: std::vec::IntoIter<Value>,
}

impl<'de> SeqAccess<'de> for Elements {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mismatch> {
        let Some(element) = self.rest.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Node(element))
            .map(Some)
            .map_err(|mismatch| mismatch.inside(Step::Element(index)))
    }
}

struct Members {
    rest: serde_json::map::IntoIter,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mismatch> {
        let Some((name, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some((name.clone(), value));
        seed.deserialize(Node(Value::String(name))).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Mismatch> {
        let (name, value) = self.value.take().unwrap_or_default();
        seed.deserialize(Node(value))
            .map_err(|mismatch| mismatch.inside(Step::Member(name)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use fastvm_api::types::exec::ExecRequest;
    use fastvm_api::types::service::RegisterServiceRequest;
    use fastvm_api::types::vm::{LaunchRequest, UpdateVmRequest};

    fn problem<T: DeserializeOwned>(body: &str) -> String {
        from_slice::<T>(body.as_bytes()).err().unwrap_or_default()
    }

    #[test]
    fn what_fits_is_read_with_its_optional_and_unknown_members() {
        let body = json!({ "machineType": "c1m1", "diskGiB": 7, "ttl": { "action": "pause", "seconds": 60 },
            "metadata": { "a": "b" }, "volumes": [{ "volumeId": "v", "mountPath": "/v" }], "name": null, "new": [1.5, {}] });
        let request: LaunchRequest = from_slice(body.to_string().as_bytes()).unwrap();
        assert_eq!(request.machine_type.as_deref(), Some("c1m1"));
        assert_eq!((request.disk_gib, request.name), (Some(7), None));
        assert_eq!(request.ttl.unwrap().seconds, 60);
        assert_eq!(request.volumes.unwrap()[0].mount_path, "/v");
        let change: UpdateVmRequest = from_slice(br#"{"ttl":null}"#).unwrap();
        assert!(matches!(change.ttl, Some(None)));
        let change: UpdateVmRequest = from_slice(b"{}").unwrap();
        assert!(change.ttl.is_none());
    }

    #[test]
    fn what_does_not_fit_is_told_by_field_in_words_of_json() {
        for (body, told) in [
            ("[]", "the body is an array: an object is expected"),
            (r#"["c1m1"]"#, "the body is an array: an object is expected"),
            ("null", "the body is null: an object is expected"),
            ("7", "the body is a number: an object is expected"),
            (r#""x""#, "the body is a string: an object is expected"),
            ("true", "the body is true or false: an object is expected"),
            (r#"{"name":7}"#, "`name` is a number: a string is expected"),
            (r#"{"name":true}"#, "`name` is true: a string is expected"),
            (
                r#"{"name":{}}"#,
                "`name` is an object: a string is expected",
            ),
            (
                r#"{"diskGiB":"7"}"#,
                "`diskGiB` is a string: a whole number is expected",
            ),
            (
                r#"{"diskGiB":1.5}"#,
                "`diskGiB` is a number with a fraction: a whole number is expected",
            ),
            (
                r#"{"diskGiB":18446744073709551615}"#,
                "`diskGiB` is 18446744073709551615: a whole number is expected",
            ),
            (
                r#"{"ttl":["pause",60]}"#,
                "`ttl` is an array: an object is expected",
            ),
            (r#"{"ttl":{"action":"pause"}}"#, "`ttl.seconds` is missing"),
            (
                r#"{"volumes":{}}"#,
                "`volumes` is an object: an array is expected",
            ),
            (
                r#"{"volumes":[["v","/v"]]}"#,
                "`volumes[0]` is an array: an object is expected",
            ),
            (
                r#"{"metadata":[]}"#,
                "`metadata` is an array: an object is expected",
            ),
            (
                r#"{"metadata":{"a":1}}"#,
                "`metadata.a` is a number: a string is expected",
            ),
            (
                r#"{"firewall":{"mode":"open","ingress":[{"protocol":"tcp","portStart":3000000000}]}}"#,
                "`firewall.ingress[0].portStart` is 3000000000: a whole number from -2147483648 to 2147483647 is expected",
            ),
        ] {
            assert_eq!(problem::<LaunchRequest>(body), told, "{body}");
        }
        assert_eq!(problem::<ExecRequest>("{}"), "`command` is missing");
        assert_eq!(
            problem::<ExecRequest>(r#"{"command":["a",null]}"#),
            "`command[1]` is null: a string is expected"
        );
        assert_eq!(
            problem::<RegisterServiceRequest>(r#"{"name":"a","port":8080,"h2c":"yes"}"#),
            "`h2c` is a string: true or false is expected"
        );
    }

    #[test]
    fn what_is_not_json_is_told_by_place() {
        for (body, told) in [
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("{}x", "trailing characters at line 1 column 3"),
            ("{'a':1}", "key must be a string at line 1 column 2"),
            (
                r#"{"name":"a","name":"b"}"#,
                "`name` is given twice at line 1 column 23",
            ),
            (
                r#"{"x":{"y":1,"y":1}}"#,
                "`y` is given twice at line 1 column 18",
            ),
        ] {
            let told = format!("the body is not a JSON document: {told}");
            assert_eq!(problem::<LaunchRequest>(body), told, "{body}");
        }
        assert!(from_slice::<LaunchRequest>(b"{\"name\":\"\xff\"}").is_err());
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(problem::<LaunchRequest>(&deep).contains("recursion limit exceeded"));
    }
}
