//! What a firewall policy may say.

use std::net::Ipv6Addr;

use super::{Core, Error};
use crate::store::vms::{self, VmRow};
use fastvm_api::types::firewall::{
    FirewallPolicy, FirewallPolicyPatch, FirewallRule, OPEN, RESTRICTED,
};
use fastvm_api::types::service::Service;
use fastvm_api::types::vm::Vm;

impl Core {
    /// Replaces the policy of a VM.
    pub(crate) fn set_firewall(&self, id: &str, policy: FirewallPolicy) -> Result<Vm, Error> {
        self.change_firewall(id, |_| policy)
    }

    /// Changes what is given of the policy of a VM. Rules that are given replace all rules.
    pub(crate) fn patch_firewall(&self, id: &str, patch: FirewallPolicyPatch) -> Result<Vm, Error> {
        if patch.mode.is_none() && patch.ingress.is_none() {
            return Err(Error::Invalid(
                "nothing to change: give mode or ingress".to_owned(),
            ));
        }
        self.change_firewall(id, |before| FirewallPolicy {
            mode: patch.mode.unwrap_or(before.mode),
            ingress: patch.ingress.unwrap_or(before.ingress),
        })
    }

    fn change_firewall(
        &self,
        id: &str,
        change: impl FnOnce(FirewallPolicy) -> FirewallPolicy,
    ) -> Result<Vm, Error> {
        let vm = self.store.write(|transaction| {
            let mut vm = vms::get(transaction, id)?.ok_or_else(|| Error::no_vm(id))?;
            vm.firewall = change(vm.firewall);
            check(&vm.firewall)?;
            vms::set_firewall(transaction, id, &vm.firewall)?;
            Ok::<_, Error>(vm)
        })?;
        Ok(self.describe(&vm))
    }
}

/// The policy that is enforced: that of the user, with a rule for each service.
pub(super) fn effective(vm: &VmRow) -> FirewallPolicy {
    let mut policy = vm.firewall.clone();
    policy.ingress.extend(vm.services.iter().map(rule_of));
    policy
}

fn rule_of(service: &Service) -> FirewallRule {
    FirewallRule {
        protocol: "tcp".to_owned(),
        port_start: service.port,
        port_end: None,
        source_cidrs: Some(vec!["::/0".to_owned()]),
        description: Some(format!("auto: proxy service {}", service.name)),
    }
}

/// The policy of a VM that was launched without one: nothing comes in.
pub(super) fn default_policy() -> FirewallPolicy {
    FirewallPolicy {
        mode: RESTRICTED.to_owned(),
        ingress: Vec::new(),
    }
}

pub(super) fn check(policy: &FirewallPolicy) -> Result<(), Error> {
    if ![OPEN, RESTRICTED].contains(&policy.mode.as_str()) {
        return Err(Error::Invalid(format!(
            "firewall mode {:?} is not open or restricted",
            policy.mode
        )));
    }
    for (index, rule) in policy.ingress.iter().enumerate() {
        check_rule(rule)
            .map_err(|problem| Error::Invalid(format!("firewall ingress[{index}]: {problem}")))?;
    }
    Ok(())
}

fn check_rule(rule: &FirewallRule) -> Result<(), String> {
    if !["tcp", "udp"].contains(&rule.protocol.as_str()) {
        return Err(format!("protocol {:?} is not tcp or udp", rule.protocol));
    }
    let last = rule.port_end.unwrap_or(rule.port_start);
    for port in [rule.port_start, last] {
        if !(1..=65_535).contains(&port) {
            return Err(format!("port {port} is not 1 to 65535"));
        }
    }
    if last < rule.port_start {
        return Err(format!(
            "portEnd {last} is below portStart {}",
            rule.port_start
        ));
    }
    rule.source_cidrs
        .iter()
        .flatten()
        .try_for_each(|cidr| check_cidr(cidr))
}

fn check_cidr(cidr: &str) -> Result<(), String> {
    match is_cidr(cidr) {
        true => Ok(()),
        false => Err(format!(
            "source {cidr:?} is not an IPv6 CIDR like 2001:db8::/32"
        )),
    }
}

fn is_cidr(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, length)| {
        address.parse::<Ipv6Addr>().is_ok()
            && length.parse::<u8>().is_ok_and(|length| length <= 128)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(protocol: &str, port_start: i32, port_end: Option<i32>, cidr: &str) -> FirewallPolicy {
        FirewallPolicy {
            mode: OPEN.to_owned(),
            ingress: vec![FirewallRule {
                protocol: protocol.to_owned(),
                port_start,
                port_end,
                source_cidrs: Some(vec![cidr.to_owned()]),
                description: None,
            }],
        }
    }

    #[test]
    fn only_sound_rules_pass() {
        assert!(check(&default_policy()).is_ok());
        assert!(check(&rule("tcp", 1, Some(65_535), "::/0")).is_ok());
        for bad in [
            rule("icmp", 1, None, "::/0"),
            rule("tcp", 0, None, "::/0"),
            rule("tcp", 10, Some(9), "::/0"),
            rule("udp", 1, Some(65_536), "::/0"),
            rule("udp", 1, None, "10.0.0.0/8"),
            rule("udp", 1, None, "::/129"),
            rule("udp", 1, None, "2001:db8::"),
        ] {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }
}
