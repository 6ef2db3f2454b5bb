//! How services print.

use crate::commands::shared::resolve_name::Named;
use crate::output::control::visible;
use crate::output::{Column, SortKey, Table};
use fastvm_api::Client;
use fastvm_api::types::Record;
use fastvm_api::types::service::ServiceAnswer;

/// A service with the address that it has in public.
#[derive(Clone, Debug)]
pub(crate) struct Public {
    service: ServiceAnswer,
    /// None where the API's host does not tell the proxy's.
    url: Option<String>,
}

pub(crate) static SERVICES: Table<Public> = Table {
    noun: "service",
    plural: "services",
    columns: &[
        Column::<Public>::new("name", |public| public.service.name.clone()),
        Column::<Public>::new("port", |public| {
            let port = public.service.port;
            port.map(|port| port.to_string()).unwrap_or_default()
        })
        .sort(|public| SortKey::number(public.service.port.map(i64::from))),
        Column::<Public>::new("protocol", |public| {
            let protocol = |h2c| if h2c { "h2c" } else { "http" };
            public
                .service
                .h2c
                .map(protocol)
                .unwrap_or_default()
                .to_owned()
        }),
        Column::<Public>::new("url", |public| public.url.clone().unwrap_or_default()),
    ],
    name: |public| &public.service.name,
    id: |public| &public.service.name,
    empty_hint: Some("fastvm service add VM web 8080"),
};

/// Adds the public address: `https://NAME--VM.proxy.DOMAIN`, where the API is at `api.DOMAIN`.
pub(super) fn public(client: &Client, vm: &str, record: Record<ServiceAnswer>) -> Record<Public> {
    let domain = client
        .host()
        .and_then(|host| host.strip_prefix("api.").map(str::to_owned));
    let vm = vm.replace('-', "");
    let name = &record.value.name;
    let url = domain
        .filter(|_| !name.is_empty())
        .map(|domain| format!("https://{name}--{vm}.proxy.{domain}"));
    Record {
        value: Public {
            service: record.value,
            url,
        },
        json: record.json,
    }
}

/// What was done to a service of a VM, with its address where it is known.
pub(super) fn line(done: &str, vm: &Named, service: &Public) -> String {
    let port = service.service.port;
    let port = port.map_or(String::new(), |port| format!(", port {port}"));
    let url = match &service.url {
        Some(url) => format!(", at {}", visible(url)),
        None => String::new(),
    };
    format!(
        "{done} {} of VM {}{port}{url}; see all services with `fastvm service list {}`",
        visible(&service.service.name),
        vm.label(),
        visible(vm.word())
    )
}
