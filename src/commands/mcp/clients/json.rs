//! An entry in a JSON file, with or without comments. What else stands in the file stays as it is written.

use jsonc_parser::cst::{CstInputValue, CstObject, CstObjectProp, CstRootNode};
use jsonc_parser::{CollectOptions, ParseOptions, json, parse_to_ast};
use serde_json::Value;

use super::{EditError, IfForeign, NAME, Place, Server, is_ours};

/// What a client reads beyond JSON. A file that its client cannot read is broken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    has_comments: bool,
    has_trailing_commas: bool,
}

impl Dialect {
    pub(super) const STRICT: Self = Self {
        has_comments: false,
        has_trailing_commas: false,
    };
    pub(super) const WITH_COMMENTS: Self = Self {
        has_comments: true,
        has_trailing_commas: false,
    };
    pub(super) const LENIENT: Self = Self {
        has_comments: true,
        has_trailing_commas: true,
    };

    fn options(self) -> ParseOptions {
        ParseOptions {
            allow_comments: self.has_comments,
            allow_trailing_commas: self.has_trailing_commas,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        }
    }
}

/// The text with our entry in `section`. An entry of ours keeps what else it has.
pub(super) fn set(
    text: &str,
    section: &str,
    dialect: Dialect,
    kind: Option<(&str, &str)>,
    server: &Server,
    if_foreign: IfForeign,
) -> Result<String, EditError> {
    // White space alone would stand before the object.
    let text = if text.trim().is_empty() { "" } else { text };
    let root = parse(text, dialect)?;
    let entries = match entries_of(&root, section)? {
        Some(entries) => entries,
        None => {
            let object = root.object_value_or_set();
            object.object_value_or_set(section)
        }
    };
    match only(&entries, NAME)? {
        None => {
            entries.append(NAME, new_entry(kind, server));
        }
        Some(entry) if runs_fastvm(&entry) => update(&entry, server),
        Some(entry) if if_foreign == IfForeign::Take => entry.set_value(new_entry(kind, server)),
        Some(_) => return Err(EditError::Foreign),
    }
    Ok(root.to_string())
}

/// The text without our entry.
pub(super) fn remove(
    text: &str,
    section: &str,
    dialect: Dialect,
    if_foreign: IfForeign,
) -> Result<String, EditError> {
    let root = parse(text, dialect)?;
    let Some(entries) = entries_of(&root, section)? else {
        return Ok(text.to_owned());
    };
    match only(&entries, NAME)? {
        None => return Ok(text.to_owned()),
        Some(entry) if runs_fastvm(&entry) || if_foreign == IfForeign::Take => entry.remove(),
        Some(_) => return Err(EditError::Foreign),
    }
    Ok(root.to_string())
}

fn parse(text: &str, dialect: Dialect) -> Result<CstRootNode, EditError> {
    let options = dialect.options();
    // A tree with comments is made whether they are allowed or not.
    parse_to_ast(text, &CollectOptions::default(), &options)
        .and_then(|_| CstRootNode::parse(text, &options))
        .map_err(|error| {
            let place = Place::at(text, error.range().start);
            EditError::Broken(place, error.kind().to_string())
        })
}

/// The object of entries, `None` where there is none yet.
fn entries_of(root: &CstRootNode, section: &str) -> Result<Option<CstObject>, EditError> {
    let Some(value) = root.value() else {
        return Ok(None);
    };
    let Some(object) = value.as_object() else {
        return Err(EditError::Unexpected("it is not a JSON object".to_owned()));
    };
    let Some(entry) = only(&object, section)? else {
        return Ok(None);
    };
    match entry.object_value() {
        Some(entries) => Ok(Some(entries)),
        None => Err(EditError::Unexpected(format!(
            "`{section}` is not an object"
        ))),
    }
}

/// The property of this name. Programs differ in which of several they take.
fn only(object: &CstObject, name: &str) -> Result<Option<CstObjectProp>, EditError> {
    let named = |property: &CstObjectProp| property.decoded_name().as_deref() == Some(name);
    let mut found = object.properties().into_iter().filter(named);
    let first = found.next();
    match found.next() {
        Some(_) => Err(EditError::Unexpected(format!(
            "`{name}` stands in it twice"
        ))),
        None => Ok(first),
    }
}

fn new_entry(kind: Option<(&str, &str)>, server: &Server) -> CstInputValue {
    let kind = kind.map(|(name, value)| (name.to_owned(), json!(value)));
    let parts = [
        ("command".to_owned(), json!(server.command.as_str())),
        ("args".to_owned(), args_of(server)),
    ];
    CstInputValue::Object(kind.into_iter().chain(parts).collect())
}

fn args_of(server: &Server) -> CstInputValue {
    let args = server.args.iter();
    CstInputValue::Array(args.map(|word| json!(word.as_str())).collect())
}

/// Sets what differs.
fn update(entry: &CstObjectProp, server: &Server) {
    let Some(object) = entry.object_value() else {
        return;
    };
    let values = [
        (
            "command",
            json!(server.command.as_str()),
            Value::from(server.command.as_str()),
        ),
        ("args", args_of(server), Value::from(server.args.clone())),
    ];
    for (name, new, wanted) in values {
        match object.get(name) {
            Some(old) if old.value().and_then(|old| old.to_serde_value()) == Some(wanted) => {}
            Some(old) => old.set_value(new),
            None => {
                object.append(name, new);
            }
        }
    }
}

fn runs_fastvm(entry: &CstObjectProp) -> bool {
    let value = entry.value().and_then(|value| value.to_serde_value());
    let value = value.unwrap_or_default();
    let args = value["args"].as_array().into_iter().flatten();
    let command = value["command"].as_str().unwrap_or_default();
    is_ours(command, args.filter_map(Value::as_str))
}
