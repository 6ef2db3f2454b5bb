//! HTTP services of a VM, public through the proxy.

use serde::{Deserialize, Serialize};

/// The longest name of a service, in characters.
pub const LONGEST_NAME: usize = 29;
/// Ports below this one are refused.
pub const LOWEST_PORT: i32 = 1024;

/// A service of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The first part of the public host name.
    pub name: String,
    /// TCP port in the VM.
    pub port: i32,
    /// Whether the proxy speaks cleartext HTTP/2 to the VM, as gRPC needs.
    #[serde(default)]
    pub h2c: bool,
}

/// A service in an answer, of a VM or of a snapshot: nothing in it is sure to be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceAnswer {
    /// Empty where a server left it out.
    pub name: String,
    /// TCP port in the VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// Whether the proxy speaks cleartext HTTP/2 to the VM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h2c: Option<bool>,
}

impl From<Service> for ServiceAnswer {
    fn from(service: Service) -> Self {
        Self {
            name: service.name,
            port: Some(service.port),
            h2c: Some(service.h2c),
        }
    }
}

/// Registers a service. The same one again is accepted; another port or h2c under its name is a conflict.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegisterServiceRequest {
    /// The first part of the public host name, at most [`LONGEST_NAME`] characters.
    pub name: String,
    /// TCP port in the VM, at least [`LOWEST_PORT`].
    pub port: i32,
    /// Whether the proxy speaks cleartext HTTP/2 to the VM.
    #[serde(default)]
    pub h2c: bool,
}

/// Makes a service, or changes it. Without `h2c` the present value stays.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdateServiceRequest {
    /// TCP port in the VM, at least [`LOWEST_PORT`].
    pub port: i32,
    /// Whether the proxy speaks cleartext HTTP/2 to the VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h2c: Option<bool>,
}
