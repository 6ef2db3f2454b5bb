//! How services print.

use crate::api::Client;
use crate::output::{Column, SortKey, Table};
use crate::wire::Record;
use crate::wire::service::Service;

/// A service with the address that it has in public.
#[derive(Clone, Debug)]
pub(crate) struct Public {
    service: Service,
    /// None where the API's host does not tell the proxy's.
    url: Option<String>,
}

pub(crate) static SERVICES: Table<Public> = Table {
    noun: "service",
    plural: "services",
    columns: &[
        Column::<Public>::new("name", |public| public.service.name.clone()),
        Column::<Public>::new("port", |public| public.service.port.to_string())
            .sort(|public| SortKey::Number(public.service.port.into())),
        Column::<Public>::new("protocol", |public| {
            if public.service.h2c { "h2c" } else { "http" }.to_owned()
        }),
        Column::<Public>::new("url", |public| public.url.clone().unwrap_or_default()),
    ],
    name: |public| &public.service.name,
    id: |public| &public.service.name,
    empty_hint: Some("fastvm service add VM web 8080"),
};

/// Adds the public address: `https://NAME--VM.proxy.DOMAIN`, where the API is at `api.DOMAIN`.
pub(super) fn public(client: &Client, vm: &str, record: Record<Service>) -> Record<Public> {
    let domain = client
        .host()
        .and_then(|host| host.strip_prefix("api.").map(str::to_owned));
    let vm = vm.replace('-', "");
    let name = &record.value.name;
    let url = domain.map(|domain| format!("https://{name}--{vm}.proxy.{domain}"));
    Record {
        value: Public {
            service: record.value,
            url,
        },
        json: record.json,
    }
}
