//! An entry in a TOML file. What else stands in the file stays as it is written.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::{EditError, IfForeign, NAME, Place, Server, is_ours};

/// The text with our entry in `section`. An entry of ours keeps what else it has.
pub(super) fn set(
    text: &str,
    section: &str,
    server: &Server,
    if_foreign: IfForeign,
) -> Result<String, EditError> {
    let mut document = parse(text)?;
    let item = document.entry(section).or_insert_with(implicit_table);
    let is_inline = item.is_inline_table();
    let entries = table_of(item, section)?;
    match entries.get_mut(NAME) {
        Some(entry) if runs_fastvm(entry) => update(entry, server),
        Some(_) if if_foreign == IfForeign::Refuse => return Err(EditError::Foreign),
        Some(entry) => *entry = new_entry(server, is_inline || entry.is_value()),
        None => {
            entries.insert(NAME, new_entry(server, is_inline));
        }
    }
    Ok(with_line_breaks_of(text, document.to_string()))
}

/// The text without our entry.
pub(super) fn remove(
    text: &str,
    section: &str,
    if_foreign: IfForeign,
) -> Result<String, EditError> {
    let mut document = parse(text)?;
    let Some(item) = document.get_mut(section) else {
        return Ok(text.to_owned());
    };
    let entries = table_of(item, section)?;
    match entries.get(NAME) {
        None => return Ok(text.to_owned()),
        Some(entry) if runs_fastvm(entry) || if_foreign == IfForeign::Take => {
            entries.remove(NAME);
        }
        Some(_) => return Err(EditError::Foreign),
    }
    Ok(with_line_breaks_of(text, document.to_string()))
}

fn parse(text: &str) -> Result<DocumentMut, EditError> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let offset = error.span().map_or(0, |span| span.start);
        let why = error.message().trim().replace('\n', ", ");
        EditError::Broken(Place::at(text, offset), why)
    })
}

/// A table without a header of its own.
fn implicit_table() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

fn table_of<'a>(item: &'a mut Item, section: &str) -> Result<&'a mut dyn TableLike, EditError> {
    item.as_table_like_mut()
        .ok_or_else(|| EditError::Unexpected(format!("`{section}` is not a table")))
}

fn new_entry(server: &Server, is_inline: bool) -> Item {
    let command = Value::from(server.command.as_str());
    let args = Value::Array(args_of(server));
    match is_inline {
        true => Item::Value(Value::InlineTable(InlineTable::from_iter([
            ("command", command),
            ("args", args),
        ]))),
        false => Item::Table(Table::from_iter([("command", command), ("args", args)])),
    }
}

fn args_of(server: &Server) -> Array {
    server.args.iter().collect()
}

/// Sets what differs.
fn update(entry: &mut Item, server: &Server) {
    let Some(table) = entry.as_table_like_mut() else {
        return;
    };
    if command_of(table) != server.command {
        table.insert("command", toml_edit::value(server.command.as_str()));
    }
    if !args_in(table).eq(server.args.iter().map(String::as_str)) {
        table.insert("args", toml_edit::value(args_of(server)));
    }
}

fn runs_fastvm(entry: &Item) -> bool {
    let table = entry.as_table_like();
    table.is_some_and(|table| is_ours(command_of(table), args_in(table)))
}

fn command_of(table: &dyn TableLike) -> &str {
    let command = table.get("command").and_then(Item::as_str);
    command.unwrap_or_default()
}

fn args_in(table: &dyn TableLike) -> impl Iterator<Item = &str> {
    let args = table.get("args").and_then(Item::as_array);
    let args = args.into_iter().flat_map(Array::iter);
    args.map(|word| word.as_str().unwrap_or_default())
}

/// The parser makes each line break a plain one.
fn with_line_breaks_of(text: &str, edited: String) -> String {
    let breaks = text.matches('\n').count();
    match breaks > 0 && text.matches("\r\n").count() == breaks {
        true => edited.replace('\n', "\r\n"),
        false => edited,
    }
}
