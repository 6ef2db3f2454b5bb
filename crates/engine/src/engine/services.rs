//! HTTP services of VMs: named ports that the firewall opens.

use super::{Core, Error};
use crate::store::vms;
use fastvm_api::types::service::{
    LONGEST_NAME, LOWEST_PORT, RegisterServiceRequest, Service, UpdateServiceRequest,
};

/// How many services a VM may have.
const MOST_SERVICES: usize = 16;

impl Core {
    /// The services of a VM, by name.
    pub(crate) fn list_services(&self, id: &str) -> Result<Vec<Service>, Error> {
        Ok(self.vm_row(id)?.services)
    }

    /// Registers a service. The same one again changes nothing; another one under its name is a conflict.
    pub(crate) fn register_service(
        &self,
        id: &str,
        request: RegisterServiceRequest,
    ) -> Result<Service, Error> {
        let wanted = Service {
            name: request.name,
            port: request.port,
            h2c: request.h2c,
        };
        check(&wanted)?;
        self.change_services(id, |services| {
            match services.iter().find(|known| known.name == wanted.name) {
                Some(known) if *known == wanted => Ok(wanted),
                Some(known) => Err(Error::Conflict(format!(
                    "service {:?} is registered with port {} and h2c {}: change it with PUT",
                    known.name, known.port, known.h2c
                ))),
                None => add(services, wanted),
            }
        })
    }

    /// Makes a service or changes it.
    pub(crate) fn update_service(
        &self,
        id: &str,
        name: &str,
        change: &UpdateServiceRequest,
    ) -> Result<Service, Error> {
        self.change_services(id, |services| {
            let known = services.iter_mut().find(|known| known.name == name);
            let wanted = Service {
                name: name.to_owned(),
                port: change.port,
                h2c: change
                    .h2c
                    .unwrap_or(known.as_ref().is_some_and(|known| known.h2c)),
            };
            check(&wanted)?;
            match known {
                Some(known) => {
                    known.clone_from(&wanted);
                    Ok(wanted)
                }
                None => add(services, wanted),
            }
        })
    }

    /// Removes a service. One that is not there is fine.
    pub(crate) fn delete_service(&self, id: &str, name: &str) -> Result<(), Error> {
        check_name(name)?;
        self.change_services(id, |services| {
            services.retain(|known| known.name != name);
            Ok(())
        })
    }

    fn change_services<T>(
        &self,
        id: &str,
        change: impl FnOnce(&mut Vec<Service>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.store.write(|transaction| {
            let mut vm = vms::get(transaction, id)?.ok_or_else(|| Error::no_vm(id))?;
            let outcome = change(&mut vm.services)?;
            vms::set_services(transaction, id, &vm.services)?;
            Ok(outcome)
        })
    }
}

/// Puts one where its name belongs.
fn add(services: &mut Vec<Service>, service: Service) -> Result<Service, Error> {
    if services.len() >= MOST_SERVICES {
        return Err(Error::OverQuota(format!(
            "the vm has {MOST_SERVICES} services, which is the most that it may have"
        )));
    }
    let place = services.partition_point(|known| known.name < service.name);
    services.insert(place, service.clone());
    Ok(service)
}

fn check(service: &Service) -> Result<(), Error> {
    check_name(&service.name)?;
    if !(LOWEST_PORT..=65_535).contains(&service.port) {
        return Err(Error::Invalid(format!(
            "service port {} is not {LOWEST_PORT} to 65535",
            service.port
        )));
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "service name {name:?} is not 1 to {LONGEST_NAME} of a-z, 0-9 and hyphens, with none at the ends"
    )))
}

/// Returns whether it can be a part of a host name.
fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_part_of_a_host_name() {
        for good in ["a", "web", "a-1", "0", &"x".repeat(29)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "ä", &"x".repeat(30)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
