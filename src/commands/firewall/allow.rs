//! `fastvm firewall allow`

use super::{change, rule};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use fastvm_api::types::firewall::FirewallRule;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fastvm firewall allow dev tcp:80 tcp:443
  fastvm firewall allow dev 'tcp:22@2001:db8::/32#office'")]
pub struct AllowArgs {
    /// Id, exact name, or the first characters of an id (4 or more)
    vm: String,

    /// `PROTOCOL:PORT[-END][@CIDR,...][#DESCRIPTION]`
    #[arg(required = true, value_name = "RULE", value_parser = rule::parse)]
    rules: Vec<FirewallRule>,
}

pub(super) async fn run(context: &mut Context, args: AllowArgs) -> Result<Exit, Error> {
    change::apply(context, &args.vm, |_, present| {
        Ok(with(present, &args.rules))
    })
    .await?;
    Ok(Exit::SUCCESS)
}

/// The present rules and the new ones. A rule that is there already takes a new description alone.
fn with(present: &[FirewallRule], new: &[FirewallRule]) -> Vec<FirewallRule> {
    let mut rules = present.to_vec();
    for rule in new {
        match rules
            .iter_mut()
            .find(|present| change::allows_the_same(present, rule))
        {
            Some(present) if rule.description.is_some() => {
                present.description = rule.description.clone();
            }
            Some(_) => {}
            None => rules.push(rule.clone()),
        }
    }
    rules
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

    #[test]
    fn a_rule_comes_once_and_may_get_a_new_description() {
        let present = rules(&["tcp:80", "tcp:22@::/1,8000::/1#old"]);
        let new = rules(&["tcp:80-80", "tcp:22@8000::/1,::/1#new", "udp:80", "udp:80"]);
        let all: Vec<_> = with(&present, &new).iter().map(rule::typed).collect();
        assert_eq!(all, ["tcp:80", "tcp:22@::/1,8000::/1#new", "udp:80"]);
    }
}
