//! Which VMs a command runs in: those that are named, or those that options choose.

use clap::Args;

use crate::api::Client;
use crate::api::vms::VmFilter;
use crate::commands::naming::{self, Named};
use crate::error::{Error, Kind};
use crate::wire::vm::{Vm, status};

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Several VMs")]
pub(crate) struct ChooseOptions {
    /// In all running VMs with this label: K=V, K!=V, K or !K; several must all hold (can be repeated)
    #[arg(short = 'l', long = "label", value_name = "K=V")]
    labels: Vec<String>,

    /// In all VMs in this status
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,

    /// In all running VMs
    #[arg(long)]
    all: bool,
}

/// One condition on a VM's labels.
#[derive(Debug, PartialEq, Eq)]
enum Condition<'a> {
    Is(&'a str, &'a str),
    IsNot(&'a str, &'a str),
    Has(&'a str),
    Lacks(&'a str),
}

impl<'a> Condition<'a> {
    fn parse(text: &'a str) -> Result<Self, Error> {
        let condition = match (text.split_once("!="), text.split_once('=')) {
            (Some((key, value)), _) => Self::IsNot(key, value),
            (None, Some((key, value))) => Self::Is(key, value),
            (None, None) => match text.strip_prefix('!') {
                Some(key) => Self::Lacks(key),
                None => Self::Has(text),
            },
        };
        match &condition {
            Self::Is("", _) | Self::IsNot("", _) | Self::Has("") | Self::Lacks("") => {
                let message = format!("the label {text:?} has no key");
                Err(Error::usage(message).hint("write K=V, K!=V, K or !K"))
            }
            _ => Ok(condition),
        }
    }

    fn holds(&self, vm: &Vm) -> bool {
        let value = |key: &str| vm.metadata.as_ref().and_then(|labels| labels.get(key));
        match self {
            Self::Is(key, wanted) => value(key).is_some_and(|value| value == wanted),
            Self::IsNot(key, wanted) => value(key).is_none_or(|value| value != wanted),
            Self::Has(key) => value(key).is_some(),
            Self::Lacks(key) => value(key).is_none(),
        }
    }
}

impl ChooseOptions {
    /// Whether options choose, so that no VM is named.
    pub(crate) fn any(&self) -> bool {
        !self.labels.is_empty() || self.status.is_some() || self.all
    }

    fn conditions(&self) -> Result<Vec<Condition<'_>>, Error> {
        self.labels
            .iter()
            .map(|text| Condition::parse(text))
            .collect()
    }

    /// Refuses conditions that cannot be read, before anything is done.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.conditions().map(drop)
    }

    /// The VMs, each once. All must be there; none at all is a failure too.
    pub(crate) async fn targets(
        &self,
        client: &Client,
        names: &[String],
    ) -> Result<Vec<Named>, Error> {
        if self.any() {
            return self.chosen(client).await;
        }
        let mut targets: Vec<Named> = Vec::new();
        for found in naming::vms(client, names).await? {
            let named = found.map_err(|missing| match missing.is_absent() {
                true => missing.into_error().hint(
                    "words before `--` are VMs; where they are a command, put a `--` right after the VM as well",
                ),
                false => missing.into_error(),
            })?;
            if !targets.iter().any(|target| target.id == named.id) {
                targets.push(named);
            }
        }
        Ok(targets)
    }

    async fn chosen(&self, client: &Client) -> Result<Vec<Named>, Error> {
        let conditions = self.conditions()?;
        let wanted = self.status.as_deref().unwrap_or(status::RUNNING);
        let filter = VmFilter {
            status: Some(wanted.to_owned()),
            metadata: Vec::new(),
        };
        let vms = client.list_vms(&filter).await?.into_iter();
        let mut targets: Vec<Named> = vms
            .map(|vm| vm.value)
            .filter(|vm| vm.status == wanted)
            .filter(|vm| conditions.iter().all(|condition| condition.holds(vm)))
            .map(|vm| Named::vm(vm.id, vm.name))
            .collect();
        targets.sort_by(|left, right| left.name.cmp(&right.name));
        if targets.is_empty() {
            let message = format!("no VM that is {wanted} is chosen by the options");
            return Err(
                Error::new(Kind::NotFound, message).hint("see what is there with `fastvm vm list`")
            );
        }
        Ok(targets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_they_look() {
        for (text, condition) in [
            ("a=b=c", Condition::Is("a", "b=c")),
            ("a!=b", Condition::IsNot("a", "b")),
            ("a", Condition::Has("a")),
            ("!a", Condition::Lacks("a")),
        ] {
            assert_eq!(Condition::parse(text).unwrap(), condition);
        }
        for text in ["", "=b", "!=b", "!"] {
            assert!(Condition::parse(text).is_err(), "{text:?}");
        }
    }
}
