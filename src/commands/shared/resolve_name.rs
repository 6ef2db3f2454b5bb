//! Finding what a word names: a full id, an exact name, or a unique beginning of an id. Never a beginning of a name.

use uuid::Uuid;

use crate::error::{Error, Kind};
use crate::output::control::visible;
use fastvm_api::types::credential::VolumeCredential;
use fastvm_api::types::exec::ExecRequest;
use fastvm_api::types::snapshot::Snapshot;
use fastvm_api::types::vm::Vm;
use fastvm_api::types::volume::Volume;
use fastvm_api::vms::VmFilter;
use fastvm_api::{self as api, Client};

/// The shortest beginning of an id that is taken for one.
const SHORTEST_PREFIX: usize = 4;
/// How many candidates or similar names a message lists.
const LISTED: usize = 5;
/// From this likeness on a name is offered as a correction (1 is equal).
const ALIKE: f64 = 0.75;

/// A thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) id: String,
    /// Unknown where the id was used without a look-up.
    pub(crate) name: Option<String>,
    noun: &'static str,
    /// How the user called it. `None` where an option chose it.
    typed: Option<String>,
}

/// A word that names nothing, or too much.
#[derive(Debug)]
pub(crate) struct Missing {
    error: Error,
    absent: bool,
}

impl Named {
    /// Its name, or its id where that is all that is known.
    pub(crate) fn short(&self) -> &str {
        match &self.name {
            Some(name) if !name.is_empty() => name,
            _ => &self.id,
        }
    }

    /// How it is typed in a command that a message shows: its name, or its id where the name would need quotes.
    pub(crate) fn word(&self) -> &str {
        let is_plain = |name: &str| {
            !name.is_empty()
                && !name.starts_with('-')
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        match &self.name {
            Some(name) if is_plain(name) => name,
            _ => &self.id,
        }
    }

    /// How messages call it.
    pub(crate) fn label(&self) -> String {
        match &self.name {
            Some(name) if !name.is_empty() => {
                format!("{} ({})", visible(name), visible(&self.id))
            }
            _ => visible(&self.id).into_owned(),
        }
    }

    /// That it has a new name, in one line: `renamed dev to dev2 (…)`.
    pub(crate) fn renamed(&self, new: &Self) -> String {
        format!("renamed {} to {}", visible(self.short()), new.label())
    }

    /// A VM that a list holds.
    pub(crate) fn vm(vm: &Vm) -> Self {
        Self {
            id: vm.id.clone(),
            name: vm.name.clone(),
            noun: "VM",
            typed: None,
        }
    }

    /// A snapshot that an answer holds.
    pub(crate) fn snapshot(snapshot: &Snapshot) -> Self {
        Self {
            id: snapshot.id.clone(),
            name: snapshot.name.clone(),
            noun: "snapshot",
            typed: None,
        }
    }

    /// A volume that an answer holds.
    pub(crate) fn volume(volume: &Volume) -> Self {
        Self {
            id: volume.id.clone(),
            name: volume.name.clone(),
            noun: "volume",
            typed: None,
        }
    }

    /// A credential that an answer holds.
    pub(crate) fn credential(credential: &VolumeCredential) -> Self {
        Self {
            id: credential.id.clone(),
            name: credential.name.clone(),
            noun: "credential",
            typed: None,
        }
    }

    /// Says on which thing a request failed.
    pub(crate) fn explain(&self, error: api::Error) -> Error {
        let not_found = error.is_not_found();
        if self.noun == "VM" && error.is_vm_paused() {
            let status = error.status().map_or(409, |status| status.as_u16());
            let said = error.to_string();
            // Why, where the server says so.
            let why = said
                .split_once("not running: ")
                .map_or(String::new(), |(_, why)| format!(": {why}"));
            let message = format!("VM {} is paused{why}", self.label());
            let error = Error::new(Kind::Conflict, message).answered(status, None);
            return self
                .about(error)
                .hint(format!("resume it with `fastvm vm resume {}`", self.word()));
        }
        let error = self.about(self.named(Error::from(error)));
        if !not_found {
            return error;
        }
        let noun = self.noun.to_lowercase();
        error.or_hint(|| format!("list them with `fastvm {noun} list`"))
    }
}

impl Named {
    /// Fails where no command can run in this VM.
    pub(crate) async fn check_runs(&self, client: &Client) -> Result<(), Error> {
        let probe = ExecRequest::new(["true"]);
        let probed = async { client.exec(&self.id, &probe).await?.output().await };
        probed.await.map(drop).map_err(|error| self.explain(error))
    }

    /// Says of a failure that the thing was made all the same.
    pub(crate) fn made_all_the_same(&self, error: Error) -> Error {
        let (thing, noun) = (self.label(), self.noun.to_lowercase());
        let hint = format!(
            "{} {thing} was made; delete it with `fastvm {noun} delete {}`",
            self.noun,
            visible(&self.id)
        );
        self.about(error).hint(hint)
    }

    /// Says in the JSON form that a failure is about this thing.
    pub(crate) fn about(&self, error: Error) -> Error {
        let error = error.id(&self.id);
        match &self.typed {
            Some(word) => error.target(word),
            None => error,
        }
    }

    /// Begins a message with the thing. The server may have begun it so already, by the id alone.
    fn named(&self, error: Error) -> Error {
        let thing = format!("{} {}", self.noun, self.label());
        match self.after_own_words(error.message()) {
            Some(rest) => {
                let message = format!("{thing}{rest}");
                error.reworded(message)
            }
            None => error.within(thing),
        }
    }

    /// What follows `vm ID`, `volume credential "ID"` and the like at the beginning of a message.
    fn after_own_words<'a>(&self, message: &'a str) -> Option<&'a str> {
        let (before, rest) = message.split_once(&self.id)?;
        let before = before.trim_end_matches(['"', '`', '\'']);
        let is_noun = before.ends_with(&format!("{} ", self.noun.to_lowercase()))
            || before.ends_with(&format!("{} ", self.noun));
        let is_short = before.split_whitespace().count() <= 2;
        let rest = rest.trim_start_matches(['"', '`', '\'']);
        (is_noun && is_short && rest.starts_with([' ', ':'])).then_some(rest)
    }
}

impl Missing {
    /// Returns whether there is nothing of that name, so that deleting it is done.
    pub(crate) fn is_absent(&self) -> bool {
        self.absent
    }

    pub(crate) fn into_error(self) -> Error {
        self.error
    }
}

/// Finds one VM.
pub(crate) async fn vm(client: &Client, word: &str) -> Result<Named, Error> {
    one(vms(client, std::slice::from_ref(&word.to_owned())).await?)
}

/// Finds several VMs with one list at most.
pub(crate) async fn vms(
    client: &Client,
    words: &[String],
) -> Result<Vec<Result<Named, Missing>>, Error> {
    all("VM", words, async || {
        let vms = client.list_vms(&VmFilter::default()).await?;
        Ok(vms
            .into_iter()
            .map(|vm| (vm.value.id, vm.value.name.unwrap_or_default()))
            .collect())
    })
    .await
}

/// Finds one snapshot.
pub(crate) async fn snapshot(client: &Client, word: &str) -> Result<Named, Error> {
    one(snapshots(client, std::slice::from_ref(&word.to_owned())).await?)
}

/// Finds several snapshots with one list at most.
pub(crate) async fn snapshots(
    client: &Client,
    words: &[String],
) -> Result<Vec<Result<Named, Missing>>, Error> {
    all("snapshot", words, async || {
        let snapshots = client.list_snapshots().await?;
        Ok(snapshots
            .into_iter()
            .map(|snapshot| (snapshot.value.id, snapshot.value.name.unwrap_or_default()))
            .collect())
    })
    .await
}

/// Finds one volume.
pub(crate) async fn volume(client: &Client, word: &str) -> Result<Named, Error> {
    one(volumes(client, std::slice::from_ref(&word.to_owned())).await?)
}

/// Finds several volumes with one list at most.
pub(crate) async fn volumes(
    client: &Client,
    words: &[String],
) -> Result<Vec<Result<Named, Missing>>, Error> {
    all("volume", words, async || {
        let volumes = client.list_volumes().await?;
        Ok(volumes
            .into_iter()
            .map(|volume| (volume.value.id, volume.value.name.unwrap_or_default()))
            .collect())
    })
    .await
}

/// Finds one credential.
pub(crate) async fn credential(client: &Client, word: &str) -> Result<Named, Error> {
    one(credentials(client, std::slice::from_ref(&word.to_owned())).await?)
}

/// Finds several credentials with one list at most.
pub(crate) async fn credentials(
    client: &Client,
    words: &[String],
) -> Result<Vec<Result<Named, Missing>>, Error> {
    all("credential", words, async || {
        let credentials = client.list_credentials().await?;
        Ok(credentials
            .into_iter()
            .map(|credential| {
                (
                    credential.value.id,
                    credential.value.name.unwrap_or_default(),
                )
            })
            .collect())
    })
    .await
}

/// Finds a service among those of a VM, by its exact name.
pub(crate) fn service(word: &str, known: &[String]) -> Result<Named, Missing> {
    if known.iter().any(|name| name == word) {
        return Ok(Named {
            id: word.to_owned(),
            name: None,
            noun: "service",
            typed: Some(word.to_owned()),
        });
    }
    let known: Vec<IdAndName> = known
        .iter()
        .map(|name| (name.clone(), name.clone()))
        .collect();
    let (error, absent) = (absent("service", word, &known), true);
    Err(Missing { error, absent })
}

fn one(mut found: Vec<Result<Named, Missing>>) -> Result<Named, Error> {
    match found.pop() {
        Some(result) => result.map_err(Missing::into_error),
        None => Err(Error::usage("no name is given")),
    }
}

type IdAndName = (String, String);

async fn all(
    noun: &'static str,
    words: &[String],
    list: impl AsyncFnOnce() -> Result<Vec<IdAndName>, api::Error>,
) -> Result<Vec<Result<Named, Missing>>, Error> {
    if let Some(empty) = words.iter().find(|word| word.trim().is_empty()) {
        return Err(Error::usage(format!(
            "{empty:?} is not the name or id of a {noun}"
        )));
    }
    let ids = words
        .iter()
        .map(|word| full_id(noun, word))
        .collect::<Option<Vec<_>>>();
    if let Some(ids) = ids {
        return Ok(ids.into_iter().map(Ok).collect());
    }
    let mut known = list().await?;
    // what has no id cannot be asked for
    known.retain(|(id, _)| !id.is_empty());
    Ok(words
        .iter()
        .map(|word| full_id(noun, word).map_or_else(|| choose(noun, word, &known), Ok))
        .collect())
}

/// A full UUID is used without a look-up.
fn full_id(noun: &'static str, word: &str) -> Option<Named> {
    let is_uuid = word.len() == 36 && Uuid::try_parse(word).is_ok();
    is_uuid.then(|| Named {
        id: word.to_lowercase(),
        name: None,
        noun,
        typed: Some(word.to_owned()),
    })
}

fn choose(noun: &'static str, word: &str, known: &[IdAndName]) -> Result<Named, Missing> {
    let named = |(id, name): &IdAndName| Named {
        id: id.clone(),
        name: Some(name.clone()),
        noun,
        typed: Some(word.to_owned()),
    };
    if let Some(found) = known.iter().find(|(id, _)| id == word) {
        return Ok(named(found));
    }
    let by_name: Vec<_> = known.iter().filter(|(_, name)| name == word).collect();
    let matches = if by_name.is_empty() {
        with_prefix(word, known)
    } else {
        by_name
    };
    match matches.as_slice() {
        [found] => Ok(named(found)),
        [] => Err(Missing {
            error: absent(noun, word, known),
            absent: true,
        }),
        several => {
            let candidates: Vec<_> = several
                .iter()
                .map(|found| named(found).label())
                .take(LISTED)
                .collect();
            let more = if several.len() > LISTED { ", …" } else { "" };
            let message = format!(
                "{word:?} names {} {noun}s: {}{more}",
                several.len(),
                candidates.join(", ")
            );
            let error = Error::new(Kind::Ambiguous, message)
                .target(word)
                .hint("use a full id");
            Err(Missing {
                error,
                absent: false,
            })
        }
    }
}

fn with_prefix<'a>(word: &str, known: &'a [IdAndName]) -> Vec<&'a IdAndName> {
    if word.len() < SHORTEST_PREFIX {
        return Vec::new();
    }
    let word = word.to_lowercase();
    known
        .iter()
        .filter(|(id, _)| id.to_lowercase().starts_with(&word))
        .collect()
}

/// The names that a word may be a slip of, the most alike first.
pub(crate) fn alike<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<(f64, &'a str)> {
    let likeness = |name: &str| strsim::jaro_winkler(&word.to_lowercase(), &name.to_lowercase());
    let names = names.into_iter().map(|name| (likeness(name), name));
    let mut alike: Vec<_> = names.filter(|(likeness, _)| *likeness >= ALIKE).collect();
    alike.sort_by(|left, right| right.0.total_cmp(&left.0));
    alike.dedup_by(|left, right| left.1 == right.1);
    alike
}

fn absent(noun: &str, word: &str, known: &[IdAndName]) -> Error {
    let alike = alike(word, known.iter().map(|(_, name)| name.as_str()));
    let error =
        Error::new(Kind::NotFound, format!("there is no {noun} named {word:?}")).target(word);
    if alike.is_empty() {
        let of = if noun == "service" { " VM" } else { "" };
        return error.hint(format!(
            "list them with `fastvm {} list{of}`",
            noun.to_lowercase()
        ));
    }
    let names: Vec<_> = alike
        .iter()
        .take(LISTED)
        .map(|(_, name)| visible(name))
        .collect();
    error.hint(format!("did you mean {}?", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<IdAndName> {
        [
            ("dead0000-0000-4000-8000-000000000001", "web-1"),
            ("dead0000-0000-4000-8000-000000000002", "web-2"),
            ("beef0000-0000-4000-8000-000000000003", "dead"),
            ("cafe0000-0000-4000-8000-000000000004", "twin"),
            ("cafe1111-0000-4000-8000-000000000005", "twin"),
        ]
        .map(|(id, name)| (id.to_owned(), name.to_owned()))
        .to_vec()
    }

    fn id(word: &str) -> Result<String, Kind> {
        choose("VM", word, &known())
            .map(|named| named.id)
            .map_err(|missing| missing.error.kind())
    }

    #[test]
    fn a_thing_that_a_message_begins_with_is_named_once() {
        let named = Named {
            id: "1234".to_owned(),
            name: Some("data".to_owned()),
            noun: "credential",
            typed: None,
        };
        for (said, shown) in [
            (
                "credential 1234 is in use",
                "credential data (1234) is in use",
            ),
            (
                "volume credential 1234 is in use",
                "credential data (1234) is in use",
            ),
            (
                "credential \"1234\" not found",
                "credential data (1234) not found",
            ),
            ("it is in use", "credential data (1234): it is in use"),
            (
                "the volume of credential 1234 is in use",
                "credential data (1234): the volume of credential 1234 is in use",
            ),
            ("vm 1234 uses it", "credential data (1234): vm 1234 uses it"),
        ] {
            let error = named.named(Error::new(Kind::Conflict, said));
            assert_eq!(error.message(), shown);
        }
    }

    #[test]
    fn an_exact_name_wins_over_a_beginning_of_an_id() {
        assert_eq!(id("dead").unwrap(), "beef0000-0000-4000-8000-000000000003");
    }

    #[test]
    fn a_beginning_of_an_id_needs_four_characters_and_must_be_unique() {
        assert_eq!(id("beef").unwrap(), "beef0000-0000-4000-8000-000000000003");
        assert_eq!(id("CAFE1").unwrap(), "cafe1111-0000-4000-8000-000000000005");
        assert_eq!(id("bee"), Err(Kind::NotFound));
        assert_eq!(id("dead0"), Err(Kind::Ambiguous));
    }

    #[test]
    fn a_beginning_of_a_name_is_never_taken() {
        assert_eq!(id("web"), Err(Kind::NotFound));
        assert_eq!(id("web-"), Err(Kind::NotFound));
    }

    #[test]
    fn two_of_one_name_are_ambiguous() {
        assert_eq!(id("twin"), Err(Kind::Ambiguous));
    }

    #[test]
    fn a_misspelt_name_is_corrected() {
        let missing = choose("VM", "wbe-1", &known()).unwrap_err();
        assert!(missing.is_absent());
        assert_eq!(
            missing.error.hint_text(),
            Some("did you mean web-1, web-2?")
        );
    }
}
