//! `key=value` of `fastvm api`: fields of a JSON body or of a query.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Kind};

/// A field with its value, text or typed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    key: String,
    value: Value,
}

/// `-f`: the value is text.
pub(super) fn text(word: &str) -> Result<Field, Error> {
    if let Some(list) = empty_list(word) {
        return Ok(list);
    }
    let (key, value) = split(word)?;
    Ok(Field {
        key: key.to_owned(),
        value: Value::from(value),
    })
}

/// `-F KEY=@FILE`, where the path may be no text.
pub(super) fn file(key: &str, path: &OsStr) -> Result<Field, Error> {
    let path = Path::new(path);
    let text = String::from_utf8(read(path)?).map_err(|_| {
        let message = format!("{} is not UTF-8; send it with --input", path.display());
        Error::usage(message)
    })?;
    Ok(Field {
        key: key.to_owned(),
        value: Value::from(text),
    })
}

/// `-F`: `true`, `false`, `null` and whole numbers are what they say; `@FILE` is the text of a file, `@-` of standard input.
pub(super) fn typed(word: &str) -> Result<Field, Error> {
    if let Some(list) = empty_list(word) {
        return Ok(list);
    }
    let (key, value) = split(word)?;
    let value = match value {
        "true" => Value::from(true),
        "false" => Value::from(false),
        "null" => Value::Null,
        value => match (value.strip_prefix('@'), value.parse::<i64>()) {
            (Some(path), _) => return file(key, OsStr::new(path)),
            (None, Ok(number)) => Value::from(number),
            (None, Err(_)) => Value::from(value),
        },
    };
    Ok(Field {
        key: key.to_owned(),
        value,
    })
}

/// `K[]` without a value.
fn empty_list(word: &str) -> Option<Field> {
    let is_list = word.ends_with("[]") && !word.contains('=') && word.len() > 2;
    is_list.then(|| Field {
        key: word.to_owned(),
        value: Value::Array(Vec::new()),
    })
}

/// The bytes of a file, or of standard input as `-`.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let bytes = if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    bytes.map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::LocalIo,
        };
        Error::new(kind, format!("cannot read {}: {error}", file.display()))
    })
}

/// The fields as one object, as `gh api` makes it: `a[b]=1` is a field of a field, `a[]=1` an item of a list, `a[]` an empty
/// list, and `a[][b]=1` a field of the last item, or of a new one where the last has that field.
pub(super) fn object(fields: Vec<Field>) -> Result<Value, Error> {
    let mut body = Value::Object(Map::new());
    for field in fields {
        let mut path = path(&field.key);
        if field.value == Value::Array(Vec::new()) {
            // the key of an empty list ends in the name of an item that it does not have
            path.pop();
        }
        put(&mut body, &path, field.value).ok_or_else(|| {
            Error::usage(format!(
                "the field {:?} conflicts with another of its name",
                field.key
            ))
        })?;
    }
    Ok(body)
}

/// The fields as a query.
pub(super) fn query(fields: Vec<Field>) -> Vec<(String, String)> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    fields
        .into_iter()
        .map(|field| (field.key, text(field.value)))
        .collect()
}

fn split(word: &str) -> Result<(&str, &str), Error> {
    match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key, value)),
        _ => Err(Error::usage(format!("the field {word:?} is not KEY=VALUE"))),
    }
}

/// `a[b][]` as `a`, `b` and the empty name of an item.
fn path(key: &str) -> Vec<&str> {
    match key.strip_suffix(']').and_then(|key| key.split_once('[')) {
        Some((first, rest)) => std::iter::once(first).chain(rest.split("][")).collect(),
        None => vec![key],
    }
}

/// None where something else stands at a part of the path.
fn put(place: &mut Value, path: &[&str], value: Value) -> Option<()> {
    let Some((first, rest)) = path.split_first() else {
        *place = value;
        return Some(());
    };
    if first.is_empty() {
        if place.is_null() {
            *place = Value::Array(Vec::new());
        }
        let items = place.as_array_mut()?;
        if !items.last().is_some_and(|last| is_free(last, rest)) {
            items.push(Value::Null);
        }
        return put(items.last_mut()?, rest, value);
    }
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    let field = place.as_object_mut()?.entry(*first).or_insert(Value::Null);
    put(field, rest, value)
}

/// Returns whether something more can be put into an item without taking the place of what is there.
fn is_free(place: &Value, path: &[&str]) -> bool {
    match (path.split_first(), place) {
        (Some((&"", _)), Value::Array(_)) => true,
        (Some((name, rest)), Value::Object(members)) => members
            .get(*name)
            .is_none_or(|member| is_free(member, rest)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_fields_are_what_they_say_and_text_stays_text() {
        let words = [
            "a=1", "b=true", "c=null", "d=x=y", "e[f]=2", "g[]=1", "g[]=x",
        ];
        let fields = words.iter().map(|word| typed(word).unwrap()).collect();
        assert_eq!(
            object(fields).unwrap(),
            serde_json::json!({"a": 1, "b": true, "c": null, "d": "x=y", "e": {"f": 2}, "g": [1, "x"]})
        );
        assert_eq!(text("a=1").unwrap().value, Value::from("1"));
        assert!(text("a").is_err() && text("=1").is_err());
    }

    #[test]
    fn items_of_a_list_are_filled_until_a_field_comes_again() {
        let words = [
            "r[][port]=22",
            "r[][from][]=a",
            "r[][from][]=b",
            "r[][port]=80",
            "r[][to][end]=90",
            "r[][to][start]=80",
            "r[][to][start]=1",
            "none[]",
        ];
        let fields = words.iter().map(|word| typed(word).unwrap()).collect();
        assert_eq!(
            object(fields).unwrap(),
            serde_json::json!({
                "r": [
                    {"port": 22, "from": ["a", "b"]},
                    {"port": 80, "to": {"end": 90, "start": 80}},
                    {"to": {"start": 1}},
                ],
                "none": [],
            })
        );
    }

    #[test]
    fn fields_that_do_not_fit_each_other_are_refused() {
        let fields = ["a=1", "a[b]=2"].iter().map(|word| text(word).unwrap());
        assert!(object(fields.collect()).is_err());
    }
}
