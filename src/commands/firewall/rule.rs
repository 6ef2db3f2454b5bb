//! `tcp:443@2001:db8::/32#text`: a rule of a firewall as typed and as shown.

use std::net::{Ipv4Addr, Ipv6Addr};

use fastvm_api::types::firewall::{FirewallRule, RuleAnswer};

const HIGHEST_PORT: i64 = 65535;

/// Reads `PROTOCOL:PORT[-END][@CIDR,…][#DESCRIPTION]`. The message of an error says the limit and what came.
pub(crate) fn parse(text: &str) -> Result<FirewallRule, String> {
    let (rule, description) = match text.split_once('#') {
        Some((rule, description)) => (rule, Some(description.trim().to_owned())),
        None => (text, None),
    };
    let (rule, sources) = match rule.split_once('@') {
        Some((rule, sources)) => (rule, Some(sources)),
        None => (rule, None),
    };
    let Some((protocol, ports)) = rule.trim().split_once(':') else {
        return Err(
            "write PROTOCOL:PORT, such as tcp:80, udp:5000-5010 or tcp:443@2001:db8::/32"
                .to_owned(),
        );
    };
    let protocol = protocol.to_ascii_lowercase();
    if !["tcp", "udp"].contains(&protocol.as_str()) {
        return Err(format!("the protocol {protocol:?} is neither tcp nor udp"));
    }
    let (start, end) = match ports.split_once('-') {
        Some((start, end)) => (port(start)?, Some(port(end)?)),
        None => (port(ports)?, None),
    };
    if end.is_some_and(|end| end < start) {
        return Err(format!(
            "the ports {ports} go down; write the lower one first"
        ));
    }
    Ok(FirewallRule {
        protocol,
        port_start: start,
        port_end: end.filter(|&end| end != start),
        source_cidrs: sources.map(cidrs).transpose()?,
        description: description.filter(|text| !text.is_empty()),
    })
}

/// A rule of ours as [`parse`] reads it.
pub(crate) fn typed(rule: &FirewallRule) -> String {
    text(&rule.clone().into())
}

/// A rule of a server's, as [`parse`] reads it where it is whole.
pub(crate) fn text(rule: &RuleAnswer) -> String {
    let protocol = rule.protocol.as_deref().unwrap_or("-");
    let mut text = match ports(rule) {
        none if none.is_empty() => protocol.to_owned(),
        ports => format!("{protocol}:{ports}"),
    };
    if let Some(sources) = rule.source_cidrs.as_ref().filter(|all| !all.is_empty()) {
        text.push('@');
        text.push_str(&sources.join(","));
    }
    if let Some(description) = rule.description.as_ref().filter(|text| !text.is_empty()) {
        text.push('#');
        text.push_str(description);
    }
    text
}

/// `80` or `5000-5010`; empty for a rule that has no ports.
pub(crate) fn ports(rule: &RuleAnswer) -> String {
    match (rule.port_start, rule.port_end) {
        (Some(start), Some(end)) if end != start => format!("{start}-{end}"),
        (Some(port), _) | (None, Some(port)) => port.to_string(),
        (None, None) => String::new(),
    }
}

fn port(text: &str) -> Result<i32, String> {
    let text = text.trim();
    let number = text
        .parse::<i64>()
        .map_err(|_| format!("the port {text:?} is not a number from 1 to {HIGHEST_PORT}"))?;
    match i32::try_from(number) {
        Ok(port) if (1..=HIGHEST_PORT).contains(&number) => Ok(port),
        _ => Err(format!("the port {number} is not from 1 to {HIGHEST_PORT}")),
    }
}

fn cidrs(text: &str) -> Result<Vec<String>, String> {
    text.split(',').map(|cidr| checked(cidr.trim())).collect()
}

fn checked(cidr: &str) -> Result<String, String> {
    let (address, length) = match cidr.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (cidr, None),
    };
    if address.parse::<Ipv4Addr>().is_ok() {
        return Err(format!(
            "the source {cidr:?} is IPv4; VMs are reached by IPv6 alone, such as 2001:db8::/32"
        ));
    }
    if address.parse::<Ipv6Addr>().is_err() {
        return Err(format!(
            "the source {cidr:?} is not an IPv6 range such as 2001:db8::/32"
        ));
    }
    match length.map(str::parse::<u8>) {
        Some(Ok(0..=128)) => Ok(cidr.to_owned()),
        Some(_) => Err(format!(
            "the length of the source {cidr:?} is not a number from 0 to 128"
        )),
        None => Err(format!(
            "the source {cidr:?} has no length; write {cidr}/128 for one address"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_shown_as_it_is_typed() {
        for rule in [
            "tcp:80",
            "udp:5000-5010",
            "tcp:443@2001:db8::/32,2001:db8:1::/48",
            "tcp:22@::1/128#from home: #1",
            "tcp:1-65535#all",
        ] {
            assert_eq!(text(&parse(rule).unwrap().into()), rule);
        }
        assert_eq!(text(&parse("TCP:8080-8080#").unwrap().into()), "tcp:8080");
    }

    #[test]
    fn a_wrong_rule_is_refused_with_the_limit_and_what_came() {
        for (rule, message) in [
            (
                "80",
                "write PROTOCOL:PORT, such as tcp:80, udp:5000-5010 or tcp:443@2001:db8::/32",
            ),
            ("icmp:1", r#"the protocol "icmp" is neither tcp nor udp"#),
            ("tcp:0", "the port 0 is not from 1 to 65535"),
            ("tcp:65536", "the port 65536 is not from 1 to 65535"),
            (
                "tcp:4294967297",
                "the port 4294967297 is not from 1 to 65535",
            ),
            (
                "tcp:http",
                r#"the port "http" is not a number from 1 to 65535"#,
            ),
            ("tcp:", r#"the port "" is not a number from 1 to 65535"#),
            (
                "tcp:20-10",
                "the ports 20-10 go down; write the lower one first",
            ),
            (
                "tcp:1@10.0.0.0/8",
                r#"the source "10.0.0.0/8" is IPv4; VMs are reached by IPv6 alone, such as 2001:db8::/32"#,
            ),
            (
                "tcp:1@::1",
                r#"the source "::1" has no length; write ::1/128 for one address"#,
            ),
            (
                "tcp:1@::/129",
                r#"the length of the source "::/129" is not a number from 0 to 128"#,
            ),
            (
                "tcp:1@",
                r#"the source "" is not an IPv6 range such as 2001:db8::/32"#,
            ),
            (
                "tcp:1@::/0,",
                r#"the source "" is not an IPv6 range such as 2001:db8::/32"#,
            ),
        ] {
            assert_eq!(parse(rule).unwrap_err(), message, "{rule}");
        }
    }
}
