//! How the policy of a VM prints: the policy object for programs, its mode and rules for people.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::rule;
use crate::commands::prints::{self, Columns};
use crate::commands::shared::resolve_name::Named;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::output::control::visible;
use crate::output::{Column, Table};
use fastvm_api::types::Record;
use fastvm_api::types::firewall::{PolicyAnswer, RuleAnswer};
use fastvm_api::types::vm::Vm;

/// Which of a VM's policies is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// What the user set.
    Set,
    /// What is enforced: a rule for each service comes on top.
    Effective,
}

#[derive(Debug, Serialize)]
struct Row {
    rule: String,
    #[serde(flatten)]
    wire: RuleAnswer,
}

static RULES: Table<Row> = Table {
    noun: "rule",
    plural: "rules",
    columns: &[
        Column::<Row>::new("protocol", |row| {
            row.wire.protocol.clone().unwrap_or_default()
        }),
        Column::<Row>::new("ports", |row| rule::ports(&row.wire)),
        Column::<Row>::new("sources", |row| {
            row.wire
                .source_cidrs
                .iter()
                .flatten()
                .cloned()
                .collect::<Vec<_>>()
                .join(",")
        })
        .text(|row, _| match row.wire.source_cidrs.as_deref() {
            None | Some([]) => "any".to_owned(),
            Some(sources) => sources.join(","),
        }),
        Column::<Row>::new("description", |row| {
            row.wire.description.clone().unwrap_or_default()
        }),
    ],
    name: |row| &row.rule,
    id: |row| &row.rule,
    empty_hint: None,
};

/// Its columns.
pub(crate) fn columns() -> Columns {
    prints::names(&RULES)
}

/// The policies in the text of a VM, as they came.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Texts {
    firewall: Option<Box<RawValue>>,
    effective_firewall: Option<Box<RawValue>>,
}

/// Prints a policy of a VM.
pub(super) fn show(context: &mut Context, vm: &Record<Vm>, which: Which) -> Result<(), Error> {
    if context.settings.jq.is_some() || is_document(context) {
        let texts: Texts = serde_json::from_str(vm.json.get())
            .map_err(|error| Error::new(Kind::Server, error.to_string()))?;
        let text = match which {
            Which::Set => texts.firewall,
            Which::Effective => texts.effective_firewall.or(texts.firewall),
        };
        context
            .ui
            .raw_json(&text.unwrap_or_else(|| RawValue::NULL.to_owned()))?;
        return Ok(());
    }
    let policy = match which {
        Which::Set => vm.value.firewall.as_ref(),
        Which::Effective => vm
            .value
            .effective_firewall
            .as_ref()
            .or(vm.value.firewall.as_ref()),
    };
    let rules = policy
        .and_then(|policy| policy.ingress.as_deref())
        .unwrap_or_default();
    if context.ui.shows_tables() {
        context.ui.pairs(&[("mode:", mode(policy))])?;
    }
    let rows = rules.iter().map(|rule| Row {
        rule: rule::text(rule),
        wire: rule.clone(),
    });
    context.ui.values(rows.collect(), &RULES)?;
    Ok(())
}

/// Says that a policy was changed, or prints it where a form was asked for.
pub(super) fn tell(
    context: &mut Context,
    what: &str,
    named: &Named,
    vm: &Record<Vm>,
) -> Result<(), Error> {
    if context.ui.wants_data() {
        return show(context, vm, Which::Set);
    }
    let policy = vm.value.firewall.as_ref();
    let rules = policy
        .and_then(|policy| policy.ingress.as_deref())
        .map_or(0, <[_]>::len);
    let count = match rules {
        0 => "no rules".to_owned(),
        1 => "1 rule".to_owned(),
        many => format!("{many} rules"),
    };
    context.ui.told(&format!(
        "{what} of VM {}: {}, {count}; see it with `fastvm firewall get {}`",
        named.label(),
        visible(mode(policy)),
        visible(named.word())
    ))?;
    Ok(())
}

/// Returns whether one JSON or YAML document was asked for, not a list of rules.
fn is_document(context: &Context) -> bool {
    use crate::output::Format;
    matches!(
        context.settings.format,
        Some(Format::Json | Format::Jsonl | Format::Yaml)
    )
}

fn mode(policy: Option<&PolicyAnswer>) -> &str {
    policy
        .and_then(|policy| policy.mode.as_deref())
        .unwrap_or("not set")
}
