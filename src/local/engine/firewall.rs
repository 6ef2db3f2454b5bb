//! What a firewall policy may say.

use std::net::Ipv6Addr;

use super::Error;
use crate::wire::firewall::{FirewallPolicy, FirewallRule, OPEN, RESTRICTED};

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
    let parsed = cidr.split_once('/').and_then(|(address, length)| {
        Some((
            address.parse::<Ipv6Addr>().ok()?,
            length.parse::<u8>().ok()?,
        ))
    });
    match parsed {
        Some((_, 0..=128)) => Ok(()),
        _ => Err(format!(
            "source {cidr:?} is not an IPv6 CIDR like 2001:db8::/32"
        )),
    }
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
