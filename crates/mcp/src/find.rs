//! Finding the VM that a word names: by its whole id, or by a name that one VM alone has. Nothing is guessed.

use fastvm_api::types::vm::Vm;
use fastvm_api::vms::VmFilter;

use crate::failure::Failure;
use crate::session::Session;
use crate::text::visible_word;

/// How many candidates a failure lists.
const LISTED: usize = 5;
/// From this likeness on a name is a candidate (1 is equal).
const ALIKE: f64 = 0.7;

/// A VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
}

impl Named {
    pub(crate) fn of(vm: &Vm) -> Self {
        Self {
            id: vm.id.clone(),
            name: vm.name.clone().filter(|name| !name.is_empty()),
        }
    }

    /// How answers call it.
    pub(crate) fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{} ({})", visible_word(name), visible_word(&self.id)),
            None => visible_word(&self.id),
        }
    }

    fn is_called(&self, word: &str) -> bool {
        self.name.as_deref() == Some(word)
    }
}

impl Session {
    /// Finds the VM that a word names.
    pub(crate) async fn find_vm(&self, word: &str) -> Result<Named, Failure> {
        if word.is_empty() {
            return Err(Failure::usage("the name of the VM is empty"));
        }
        let own = self.own_vms();
        if let Some(vm) = own.iter().find(|vm| vm.id == word) {
            return Ok(vm.clone());
        }
        let client = self.client().await?;
        let all = client.list_vms(&VmFilter::default()).await;
        let all = all.map_err(|error| self.explain(error))?;
        let all: Vec<_> = all.iter().map(|vm| Named::of(&vm.value)).collect();
        if let Some(vm) = all.iter().find(|vm| vm.id == word) {
            return Ok(vm.clone());
        }
        let called: Vec<_> = all.iter().filter(|vm| vm.is_called(word)).collect();
        match called.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(absent(word, &own, &all)),
            several => {
                let ids = several.iter().map(|vm| visible_word(&vm.id));
                let ids = ids.take(LISTED).collect::<Vec<_>>().join(", ");
                Err(Failure::new(
                    "ambiguous",
                    format!("{} VMs are called {word}: {ids}", several.len()),
                )
                .hint("use an id"))
            }
        }
    }
}

/// The failure of a word that names no VM, with those that may be meant.
fn absent(word: &str, own: &[Named], all: &[Named]) -> Failure {
    let likeness = |vm: &&Named| {
        let names = [Some(vm.id.as_str()), vm.name.as_deref()];
        let likeness = names.into_iter().flatten().map(|name| match name {
            name if name.starts_with(word) || word.starts_with(name) => 1.0,
            name => strsim::jaro_winkler(name, word),
        });
        likeness.fold(0.0, f64::max)
    };
    let mut alike: Vec<_> = all.iter().filter(|vm| likeness(vm) >= ALIKE).collect();
    alike.sort_by(|left, right| likeness(right).total_cmp(&likeness(left)));
    let others = own
        .iter()
        .filter(|vm| all.iter().any(|there| there.id == vm.id));
    for vm in others {
        if !alike.iter().any(|known| known.id == vm.id) {
            alike.push(vm);
        }
    }
    let failure = Failure::new("not_found", format!("there is no VM {word}"));
    if alike.is_empty() {
        return failure.hint("launch one with the tool launch, or see all with the tool list");
    }
    let labels: Vec<_> = alike.iter().take(LISTED).map(|vm| vm.label()).collect();
    failure.hint(format!("candidates: {}", labels.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_those_that_look_alike_and_those_of_this_server() {
        let vm = |id: &str, name: &str| Named {
            id: id.to_owned(),
            name: Some(name.to_owned()),
        };
        let all = [vm("1", "build"), vm("2", "web"), vm("3", "own")];
        let failure = absent("biuld", &all[2..], &all);
        let hint = failure.hint.unwrap();
        assert_eq!(hint, "candidates: build (1), own (3)");
        assert!(absent("x", &[], &[]).hint.unwrap().contains("launch"));
    }
}
