//! Choosing VMs by what they are, not by name: labels, status, a pattern of names, age.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::glob;
use super::resolve_name::{self, Missing, Named};
use crate::error::Error;
use crate::quantity::parse_duration;
use fastvm_api::types::Record;
use fastvm_api::types::vm::{Vm, status};
use fastvm_api::vms::VmFilter;
use fastvm_api::{self as api, Client};

// Conditions that must all hold. No doc comment, as it would become help.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FilterOptions {
    /// Only VMs with this label: K=V, K!=V, K, !K; several must all hold (can be repeated)
    #[arg(short = 'l', long = "label", value_name = "LABEL")]
    labels: Vec<LabelRule>,

    /// Only VMs in this status (can be repeated: any of them)
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,

    /// Only VMs whose name fits this pattern, such as 'web-*'
    #[arg(id = "name_pattern", long = "name", value_name = "GLOB")]
    name: Option<String>,

    /// Only VMs that are at least this old, such as 2h
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    older_than: Option<Duration>,

    /// Whether it was said that a status is unknown: a list may be asked for again and again.
    #[arg(skip)]
    has_warned: std::sync::OnceLock<()>,
}

// VMs by name, or by conditions. No doc comment, as it would become help.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TargetOptions {
    /// Ids, exact names, or the first characters of ids (4 or more)
    #[arg(value_name = "VM")]
    vms: Vec<String>,

    #[command(flatten)]
    filter: FilterOptions,

    /// All VMs
    #[arg(long, conflicts_with_all = ["vms", "labels", "status", "name_pattern", "older_than"])]
    all: bool,
}

/// A condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LabelRule {
    Is(String, String),
    IsNot(String, String),
    Has(String),
    HasNot(String),
}

impl FromStr for LabelRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = match (text.split_once('='), text.strip_prefix('!')) {
            (Some((key, value)), _) => match key.strip_suffix('!') {
                Some(key) => Self::IsNot(key.to_owned(), value.to_owned()),
                None => Self::Is(key.to_owned(), value.to_owned()),
            },
            (None, Some(key)) => Self::HasNot(key.to_owned()),
            (None, None) => Self::Has(text.to_owned()),
        };
        match &rule {
            Self::Is(key, _) | Self::IsNot(key, _) | Self::Has(key) | Self::HasNot(key)
                if key.is_empty() =>
            {
                Err("the key is empty; write K=V, K!=V, K or !K".to_owned())
            }
            _ => Ok(rule),
        }
    }
}

impl LabelRule {
    fn holds(&self, vm: &Vm) -> bool {
        let label = |key: &str| vm.metadata.as_ref().and_then(|labels| labels.get(key));
        match self {
            Self::Is(key, value) => label(key) == Some(value),
            Self::IsNot(key, value) => label(key) != Some(value),
            Self::Has(key) => label(key).is_some(),
            Self::HasNot(key) => label(key).is_none(),
        }
    }
}

impl FilterOptions {
    /// Returns whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty()
            && self.status.is_empty()
            && self.name.is_none()
            && self.older_than.is_none()
    }

    /// Returns whether VMs are chosen by their status.
    pub(crate) fn names_a_status(&self) -> bool {
        !self.status.is_empty()
    }

    /// The VMs that fit. The server filters what it can, and everything is checked here.
    pub(crate) async fn list(&self, client: &Client) -> Result<Vec<Record<Vm>>, api::Error> {
        let mut vms = client.list_vms(&self.for_the_server()).await?;
        if let Some(warning) = self.unknown_status(&vms)
            && self.has_warned.set(()).is_ok()
        {
            client.warn(&warning);
        }
        let now = Timestamp::now();
        vms.retain(|vm| self.holds(&vm.value, now));
        Ok(vms)
    }

    /// What is to be said about a status that the contract does not name, unless a VM has it: servers may have more.
    fn unknown_status(&self, vms: &[Record<Vm>]) -> Option<String> {
        let is_unknown = |asked: &&String| {
            !status::KNOWN.contains(&asked.as_str())
                && !vms.iter().any(|vm| vm.value.has_status(asked))
        };
        let asked = self.status.iter().find(is_unknown)?;
        let alike = resolve_name::alike(asked, status::KNOWN.iter().copied());
        let meant = match alike.first() {
            Some((_, known)) => format!("did you mean {known}?"),
            None => format!("those of the API are {}", status::KNOWN.join(", ")),
        };
        Some(format!("no VM has the status {asked:?}; {meant}"))
    }

    fn for_the_server(&self) -> VmFilter {
        let equal = self.labels.iter().filter_map(|rule| match rule {
            LabelRule::Is(key, value) => Some((key.clone(), value.clone())),
            _ => None,
        });
        VmFilter {
            status: match self.status.as_slice() {
                [one] => Some(one.clone()),
                _ => None,
            },
            metadata: equal.collect(),
        }
    }

    fn holds(&self, vm: &Vm, now: Timestamp) -> bool {
        // a VM from the future, or of no time, is young
        let age = vm
            .created_at
            .as_deref()
            .unwrap_or_default()
            .parse::<Timestamp>()
            .map(|created| now.duration_since(created));
        let is_old = |limit: Duration| {
            age.as_ref()
                .is_ok_and(|age| Duration::try_from(*age).is_ok_and(|age| age >= limit))
        };
        self.labels.iter().all(|rule| rule.holds(vm))
            && (self.status.is_empty()
                || vm
                    .status
                    .as_ref()
                    .is_some_and(|status| self.status.contains(status)))
            && self.name.as_ref().is_none_or(|pattern| {
                glob::matches(pattern, vm.name.as_deref().unwrap_or_default())
            })
            && self.older_than.is_none_or(is_old)
    }
}

impl TargetOptions {
    /// The VMs that are meant, with one list at most: in the order of their words, or of their names where conditions choose.
    pub(crate) async fn find(&self, client: &Client) -> Result<Vec<Result<Named, Missing>>, Error> {
        if !self.vms.is_empty() {
            return resolve_name::vms(client, &self.vms).await;
        }
        let mut vms = self.filter.list(client).await?;
        vms.sort_by(|left, right| left.value.name.cmp(&right.value.name));
        Ok(vms.iter().map(|vm| Ok(Named::vm(&vm.value))).collect())
    }

    /// Refuses to choose where nothing, or two things, were said. To be asked before anything is sent.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match (self.vms.is_empty(), self.filter.is_empty() && !self.all) {
            (true, true) => Err(Error::usage("no VM is given")
                .hint("name VMs, or choose them with -l, --status, --name, --older-than or --all")),
            (false, false) => Err(Error::usage(
                "VMs are given by name and by conditions: use one of the two",
            )),
            _ => Ok(()),
        }
    }

    /// As [`TargetOptions::check`], where saying nothing means all.
    pub(crate) fn check_any(&self) -> Result<(), Error> {
        match self.vms.is_empty() && self.filter.is_empty() {
            true => Ok(()),
            false => self.check(),
        }
    }

    /// The ids of the VMs that are named. `None` if none is.
    pub(crate) async fn ids(&self, client: &Client) -> Result<Option<Vec<String>>, Error> {
        if self.vms.is_empty() {
            return Ok(None);
        }
        let found = resolve_name::vms(client, &self.vms).await?.into_iter();
        let ids: Result<Vec<_>, _> = found
            .map(|named| named.map(|named| named.id).map_err(Missing::into_error))
            .collect();
        Ok(Some(ids?))
    }

    /// What VMs are chosen by.
    pub(crate) fn filter(&self) -> &FilterOptions {
        &self.filter
    }

    /// Returns whether one VM was named, so that its result is one object.
    pub(crate) fn is_one(&self) -> bool {
        self.vms.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm() -> Vm {
        serde_json::from_str(
            r#"{"id":"i","name":"web-1","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"status":"running",
                "createdAt":"2026-01-02T03:00:00Z","metadata":{"env":"ci","empty":""}}"#,
        )
        .unwrap()
    }

    fn holds(labels: &[&str], change: impl FnOnce(&mut FilterOptions)) -> bool {
        let labels = labels.iter().map(|label| label.parse().unwrap());
        let mut filter = FilterOptions {
            labels: labels.collect(),
            ..FilterOptions::default()
        };
        change(&mut filter);
        filter.holds(&vm(), "2026-01-02T05:00:00Z".parse().unwrap())
    }

    #[test]
    fn all_conditions_on_labels_must_hold() {
        for label in ["env=ci", "env!=prod", "env", "!nope", "empty=", "nope!=x"] {
            assert!(holds(&[label], |_| ()), "{label}");
        }
        for label in ["env=prod", "env!=ci", "nope", "!env", "nope="] {
            assert!(!holds(&[label], |_| ()), "{label}");
        }
        assert!(!holds(&["env=ci", "nope"], |_| ()));
    }

    #[test]
    fn a_rule_without_a_key_is_refused() {
        for label in ["", "=x", "!", "!=x"] {
            assert!(label.parse::<LabelRule>().is_err(), "{label}");
        }
    }

    #[test]
    fn status_name_and_age_narrow_too() {
        assert!(holds(&[], |filter| filter.status =
            vec!["error".into(), "running".into()]));
        assert!(!holds(&[], |filter| filter.status = vec!["paused".into()]));
        assert!(!holds(&[], |filter| filter.name = Some("web".into())));
        assert!(holds(&[], |filter| filter.name = Some("web-*".into())));
        let age = |hours: u64| Some(Duration::from_secs(hours * 3600));
        assert!(holds(&[], |filter| filter.older_than = age(2)));
        assert!(!holds(&[], |filter| filter.older_than = age(3)));
    }

    #[test]
    fn the_server_filters_equality_and_a_single_status() {
        let filter = FilterOptions {
            labels: vec!["a=b".parse().unwrap(), "c!=d".parse().unwrap()],
            status: vec!["running".into()],
            ..FilterOptions::default()
        };
        let sent = filter.for_the_server();
        assert_eq!(sent.status.as_deref(), Some("running"));
        assert_eq!(sent.metadata, [("a".to_owned(), "b".to_owned())]);
    }
}
