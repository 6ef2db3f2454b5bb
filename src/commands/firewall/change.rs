//! Changing the present rules of a VM: read them, change the list, show the difference, send it.

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Value;

use super::policy;
use super::rule;
use crate::commands::shared::resolve_name::{self, Named};
use crate::context::Context;
use crate::error::{Error, Kind};
use fastvm_api::error::describe_json_error;
use fastvm_api::types::Record;
use fastvm_api::types::firewall::{FirewallPolicyPatch, FirewallRule, OPEN};
use fastvm_api::types::vm::Vm;

/// Applies `change` to the rules that the VM has now. Nothing is sent where nothing changes.
pub(super) async fn apply(
    context: &mut Context,
    word: &str,
    change: impl FnOnce(&Named, &[FirewallRule]) -> Result<Vec<FirewallRule>, Error>,
) -> Result<(), Error> {
    let client = context.client().await?;
    let vm = resolve_name::vm(&client, word).await?;
    let explain = |error| vm.explain(error);
    let before = client.get_vm(&vm.id).await.map_err(explain)?;
    let present = rules(&before).map_err(|error| unreadable(&vm, &error))?;
    let wanted = change(&vm, &present)?;
    warn_of_an_open_firewall(context, &vm, &before.value);
    let lines = difference(&present, &wanted);
    if lines.is_empty() {
        if context.ui.wants_data() {
            context.ui.status("the firewall already has these rules");
        }
        return policy::tell(context, "nothing to change in the firewall", &vm, &before);
    }
    for line in lines {
        context.ui.status(&line);
    }
    let patch = FirewallPolicyPatch {
        mode: None,
        ingress: Some(wanted),
    };
    let after = client
        .patch_firewall(&vm.id, &patch)
        .await
        .map_err(explain)?;
    policy::tell(context, "changed the firewall", &vm, &after)
}

/// Returns whether two rules let the same in; their descriptions may differ.
pub(super) fn allows_the_same(left: &FirewallRule, right: &FirewallRule) -> bool {
    ends(left) == ends(right) && sources(left) == sources(right)
}

/// Protocol and first and last port.
pub(super) fn ends(rule: &FirewallRule) -> (&str, i32, i32) {
    (
        &rule.protocol,
        rule.port_start,
        rule.port_end.unwrap_or(rule.port_start),
    )
}

fn sources(rule: &FirewallRule) -> Vec<&str> {
    let mut sources: Vec<_> = rule
        .source_cidrs
        .iter()
        .flatten()
        .map(String::as_str)
        .collect();
    sources.sort_unstable();
    sources
}

/// The rules of a VM, every one of them whole: they replace what is there, so none may get lost.
fn rules(vm: &Record<Vm>) -> serde_json::Result<Vec<FirewallRule>> {
    #[derive(Deserialize)]
    struct Strict {
        firewall: Option<Value>,
    }
    let strict: Strict = serde_json::from_str(vm.json.get())?;
    match strict.firewall {
        None => Ok(Vec::new()),
        Some(Value::Object(mut policy)) => {
            let rules = policy.remove("ingress").unwrap_or_default();
            let rules: Option<Vec<FirewallRule>> = serde_json::from_value(rules)?;
            Ok(rules.unwrap_or_default())
        }
        Some(_) => Err(serde_json::Error::custom("its firewall is not an object")),
    }
}

fn unreadable(vm: &Named, error: &serde_json::Error) -> Error {
    let message = format!(
        "cannot read the present rules of VM {}: {}",
        vm.label(),
        describe_json_error(&error.to_string())
    );
    vm.about(Error::new(Kind::Server, message))
        .hint("replace all rules with `fastvm firewall set`")
}

fn warn_of_an_open_firewall(context: &Context, named: &Named, vm: &Vm) {
    let is_open = vm
        .firewall
        .as_ref()
        .is_some_and(|policy| policy.mode.as_deref() == Some(OPEN));
    if is_open {
        context.ui.warn(&format!(
            "the firewall of VM {} is open: rules have no effect until its mode is restricted",
            named.label()
        ));
    }
}

/// A line with `-` for each rule that goes and with `+` for each that comes.
fn difference(before: &[FirewallRule], after: &[FirewallRule]) -> Vec<String> {
    let only = |these: &[FirewallRule], those: &[FirewallRule], sign: char| {
        these
            .iter()
            .filter(|rule| !those.contains(rule))
            .map(|rule| format!("{sign} {}", rule::typed(rule)))
            .collect::<Vec<_>>()
    };
    [only(before, after, '-'), only(after, before, '+')].concat()
}
