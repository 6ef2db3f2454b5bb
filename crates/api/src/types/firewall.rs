//! The inbound policy of a VM.

use serde::{Deserialize, Serialize};

/// Everything may come in.
pub const OPEN: &str = "open";
/// Only what `ingress` lists may come in.
pub const RESTRICTED: &str = "restricted";

/// Lets one protocol and port range in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FirewallRule {
    /// An open enumeration: `tcp` and `udp` are known.
    pub protocol: String,
    /// First port, inclusive.
    pub port_start: i32,
    /// Last port, inclusive; absent for a single port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_end: Option<i32>,
    /// Allowed sources as IPv6 CIDRs; none means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_cidrs: Option<Vec<String>>,
    /// A note for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A whole policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallPolicy {
    /// [`OPEN`] or [`RESTRICTED`].
    pub mode: String,
    /// What may come in if the mode is [`RESTRICTED`].
    #[serde(default)]
    pub ingress: Vec<FirewallRule>,
}

/// A policy in an answer: nothing in it is sure to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyAnswer {
    /// [`OPEN`] or [`RESTRICTED`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What may come in if the mode is [`RESTRICTED`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Vec<RuleAnswer>>,
}

/// A rule in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuleAnswer {
    /// As [`FirewallRule::protocol`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// As [`FirewallRule::port_start`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_start: Option<i32>,
    /// As [`FirewallRule::port_end`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_end: Option<i32>,
    /// As [`FirewallRule::source_cidrs`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_cidrs: Option<Vec<String>>,
    /// As [`FirewallRule::description`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl From<FirewallPolicy> for PolicyAnswer {
    fn from(policy: FirewallPolicy) -> Self {
        Self {
            mode: Some(policy.mode),
            ingress: Some(policy.ingress.into_iter().map(RuleAnswer::from).collect()),
        }
    }
}

impl From<FirewallRule> for RuleAnswer {
    fn from(rule: FirewallRule) -> Self {
        Self {
            protocol: Some(rule.protocol),
            port_start: Some(rule.port_start),
            port_end: rule.port_end,
            source_cidrs: rule.source_cidrs,
            description: rule.description,
        }
    }
}

/// A change of a policy: what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FirewallPolicyPatch {
    /// [`OPEN`] or [`RESTRICTED`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The whole list of rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Vec<FirewallRule>>,
}
