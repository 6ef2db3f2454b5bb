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
    pub protocol: String,
    /// First port, inclusive.
    pub port_start: i32,
    /// Last port, inclusive; absent for a single port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_end: Option<i32>,
    /// Allowed sources as IPv6 CIDRs; none means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_cidrs: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A whole policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallPolicy {
    pub mode: String,
    #[serde(default)]
    pub ingress: Vec<FirewallRule>,
}

/// A change of a policy: what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FirewallPolicyPatch {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Vec<FirewallRule>>,
}
