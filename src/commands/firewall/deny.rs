//! `fastvm firewall deny`

use super::{change, rule};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::exit::Exit;
use fastvm_api::types::firewall::FirewallRule;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Removes the rules with just these ports; without sources, whatever their sources are.

Examples:
  fastvm firewall deny dev tcp:80
  fastvm firewall deny dev tcp:22@2001:db8::/32")]
pub struct DenyArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// `PROTOCOL:PORT[-END][@CIDR,...]`
    #[arg(required = true, value_name = "RULE", value_parser = rule::parse)]
    rules: Vec<FirewallRule>,
}

pub(super) async fn run(context: &mut Context, args: DenyArgs) -> Result<Exit, Error> {
    change::apply(context, &args.vm, |vm, present| {
        without(present, &args.rules).map_err(|error| {
            let see = || format!("see the rules with `fastvm firewall get {}`", vm.word());
            error.within(format!("VM {}", vm.label())).or_hint(see)
        })
    })
    .await?;
    Ok(Exit::SUCCESS)
}

fn without(present: &[FirewallRule], denied: &[FirewallRule]) -> Result<Vec<FirewallRule>, Error> {
    let mut rules = present.to_vec();
    for deny in denied {
        if !present.iter().any(|rule| is_meant(rule, deny)) {
            return Err(nothing_to_remove(present, deny));
        }
        rules.retain(|rule| !is_meant(rule, deny));
    }
    Ok(rules)
}

fn is_meant(rule: &FirewallRule, deny: &FirewallRule) -> bool {
    match deny.source_cidrs {
        Some(_) => change::allows_the_same(rule, deny),
        None => change::ends(rule) == change::ends(deny),
    }
}

/// No rule is taken apart: what is left of it would be a guess.
fn nothing_to_remove(present: &[FirewallRule], deny: &FirewallRule) -> Error {
    let (protocol, start, end) = change::ends(deny);
    let covers = |rule: &&FirewallRule| {
        let (its_protocol, its_start, its_end) = change::ends(rule);
        its_protocol == protocol && its_start <= start && end <= its_end
    };
    let shown = rule::typed(deny);
    let error = Error::new(Kind::NotFound, format!("no rule allows just {shown}")).target(shown);
    match present.iter().find(covers) {
        Some(wider) => {
            let wider = rule::typed(wider);
            error.hint(format!(
                "{wider} covers it: deny that, then allow what shall stay"
            ))
        }
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<FirewallRule> {
        texts
            .iter()
            .map(|text| rule::parse(text).unwrap())
            .collect()
    }

    fn left(present: &[&str], denied: &[&str]) -> Result<Vec<String>, Error> {
        let left = without(&rules(present), &rules(denied))?;
        Ok(left.iter().map(rule::typed).collect())
    }

    #[test]
    fn rules_of_just_these_ports_go() {
        let present = ["tcp:80", "tcp:80@::/1#x", "udp:80", "tcp:80-90"];
        assert_eq!(
            left(&present, &["tcp:80"]).unwrap(),
            ["udp:80", "tcp:80-90"]
        );
        assert_eq!(
            left(&present, &["tcp:80@::/1"]).unwrap(),
            ["tcp:80", "udp:80", "tcp:80-90"]
        );
    }

    #[test]
    fn a_wider_rule_is_named_and_not_taken_apart() {
        let error = left(&["tcp:1-100#all"], &["tcp:80"]).unwrap_err();
        assert_eq!(error.message(), "no rule allows just tcp:80");
        assert_eq!(
            error.hint_text(),
            Some("tcp:1-100#all covers it: deny that, then allow what shall stay")
        );
        assert_eq!(left(&[], &["tcp:80"]).unwrap_err().hint_text(), None);
    }
}
