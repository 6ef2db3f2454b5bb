//! Reading of answers that do not keep to the contract: what does not fit its field reads as absent.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Reads a type that has a default for each of its fields. Members that do not fit are left out, at any depth.
pub(super) fn read<T: DeserializeOwned + Default>(text: &str) -> T {
    if !text.trim_start().starts_with('{') {
        // serde would take an array, too, member by member.
        return T::default();
    }
    serde_json::from_str(text).unwrap_or_else(|_| {
        let value = serde_json::from_str(text).unwrap_or(Value::Null);
        let fits = |value: &Value| T::deserialize(value).is_ok();
        let fitting = fitting(&value, &fits).map(T::deserialize);
        fitting.and_then(Result::ok).unwrap_or_default()
    })
}

/// Reads an id. One that is a number is its digits.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(u64),
    }
    Ok(match Id::deserialize(deserializer)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}

/// Returns the part of a value that fits, each member and each element judged alone.
fn fitting(value: &Value, fits: &dyn Fn(&Value) -> bool) -> Option<Value> {
    if fits(value) {
        return Some(value.clone());
    }
    let part = match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let object =
                    |value: &Value| Value::Object(Map::from_iter([(name.clone(), value.clone())]));
                let fitting = fitting(value, &|value| fits(&object(value)))?;
                Some((name.clone(), fitting))
            };
            Value::Object(members.iter().filter_map(member).collect())
        }
        Value::Array(elements) => {
            let alone = |element: &Value| fits(&Value::Array(vec![element.clone()]));
            let element = |element| fitting(element, &alone);
            Value::Array(elements.iter().filter_map(element).collect())
        }
        _ => return None,
    };
    fits(&part).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::vm::Vm;

    fn vm(text: &str) -> Value {
        serde_json::to_value(read::<Vm>(text)).unwrap()
    }

    #[test]
    fn each_member_that_does_not_fit_is_absent_and_the_others_stay() {
        let odd = r#"{"id":"i","name":7,"cpu":"two","memoryMiB":1.5,"createdAt":null,"status":"running",
            "metadata":{"a":"b","c":3},"ttl":{"action":"pause"},"id2":[],
            "volumes":[null,{"volumeId":"v","readOnly":"yes"}],
            "firewall":{"mode":"restricted","ingress":[{"protocol":"icmp"},{"portStart":"x","protocol":"tcp"}]}}"#;
        let read = serde_json::json!({
            "id": "i", "status": "running", "metadata": {"a": "b"}, "volumes": [{"volumeId": "v"}],
            "firewall": {"mode": "restricted", "ingress": [{"protocol": "icmp"}, {"protocol": "tcp"}]},
        });
        assert_eq!(vm(odd), read);
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for text in ["null", "7", "[]", r#""i""#, "{}", r#"{"id":"\ud800"}"#] {
            assert_eq!(vm(text), serde_json::json!({"id": ""}), "{text}");
        }
    }

    #[test]
    fn an_id_that_is_a_number_is_its_digits() {
        assert_eq!(vm(r#"{"id":5,"cpu":"x"}"#)["id"], "5");
        assert_eq!(
            vm(r#"{"id":18446744073709551615}"#)["id"],
            "18446744073709551615"
        );
        for odd in ["1.5", "-1", "true", "null", "[5]"] {
            assert_eq!(vm(&format!(r#"{{"id":{odd}}}"#))["id"], "", "{odd}");
        }
    }

    #[test]
    fn a_member_that_comes_twice_counts_once() {
        assert_eq!(vm(r#"{"id":"a","id":"b"}"#)["id"], "b");
    }
}
