//! An answer's typed value beside its exact text.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// One object of an answer, twice: typed for the program, and as the server wrote it for JSON output, so that unknown
/// fields, their order and numbers of any size survive.
#[derive(Clone, Debug)]
pub struct Record<T> {
    pub value: T,
    pub json: Box<RawValue>,
}

impl<T: DeserializeOwned> Record<T> {
    /// Reads one object.
    pub fn parse(json: Box<RawValue>) -> serde_json::Result<Self> {
        let value = serde_json::from_str(json.get())?;
        Ok(Self { value, json })
    }

    /// Reads an array of objects.
    pub fn parse_list(json: &RawValue) -> serde_json::Result<Vec<Self>> {
        let items: Vec<Box<RawValue>> = serde_json::from_str(json.get())?;
        items.into_iter().map(Self::parse).collect()
    }
}
