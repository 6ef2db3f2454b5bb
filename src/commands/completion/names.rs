//! What is there now, within a moment, without a word.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use super::{cache, typed};
use crate::cli::GlobalOptions;
use crate::commands::job;
use crate::commands::shared::resolve_name;
use crate::config::contexts::Contexts;
use crate::config::{self, Environment, LOCAL_CONTEXT, Paths, Terminal};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::output::{Streams, Ui};
use fastvm_api::Client;
use fastvm_api::vms::VmFilter;
use fastvm_jobs::Jobs;

/// How long a shell waits for an answer.
const ANSWER_LIMIT: Duration = Duration::from_millis(800);

/// What has names.
#[derive(Clone, Debug)]
pub(super) enum Noun {
    Vm,
    Snapshot,
    Volume,
    Credential,
    /// `K=V` of all VMs.
    Label,
    /// The services of a VM.
    Service(String),
    /// The jobs of a VM.
    Job(String),
}

/// The names, or none if they do not come in time or at all.
pub(super) fn of(noun: Noun) -> Vec<String> {
    in_time(move || look_up(&noun))
}

/// The contexts that there are.
pub(super) fn contexts() -> Vec<String> {
    let known = || Ok::<_, Error>(Contexts::load(&Paths::of(&Environment::capture()?)?)?.names());
    known().unwrap_or_default()
}

/// The answer, or `None` if it does not come in time or at all.
pub(super) fn in_time<T: Default + Send + 'static>(
    look_up: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    // a thread of its own, as the program ends without it when it takes too long
    std::thread::spawn(move || {
        let answer = look_up().unwrap_or_default();
        // the shell may have gone on
        let _ = sender.send(answer);
    });
    receiver.recv_timeout(ANSWER_LIMIT).unwrap_or_default()
}

/// Asks the API that the line so far is for.
pub(super) fn ask<T>(question: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T, Error> {
    let mut context = surroundings()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Error::new(Kind::LocalIo, error.to_string()))?;
    let answer = runtime.block_on(async {
        let client = context.client().await?;
        question(&client).await
    });
    context.close();
    answer
}

fn surroundings() -> Result<Context, Error> {
    let environment = Environment::capture()?;
    let paths = Paths::of(&environment)?;
    let options = typed_options();
    let terminal = Terminal::default();
    let mut settings = config::resolve(&options, None, &environment, &paths, terminal)?;
    settings.quiet = true;
    settings.verbose = 0;
    settings.retries = 0;
    let ui = Ui::with_streams(settings.output(), Streams::none());
    Ok(Context::new(options, settings, environment, paths, ui))
}

fn look_up(noun: &Noun) -> Result<Vec<String>, Error> {
    let context = surroundings()?;
    let settings = &context.settings;
    let api = format!("{} {:?}", settings.context.name, settings.api()?);
    let file = cache::file(&context.paths.cache, &api, &format!("{noun:?}"));
    if let Some(names) = cache::read(&file) {
        return Ok(names);
    }
    let names = ask(async |client| list(client, noun).await)?;
    cache::write(&file, &names);
    Ok(names)
}

async fn list(client: &Client, noun: &Noun) -> Result<Vec<String>, Error> {
    let named = |name: String, id: String| if name.is_empty() { id } else { name };
    Ok(match noun {
        Noun::Vm => {
            let vms = client.list_vms(&VmFilter::default()).await?.into_iter();
            vms.map(|vm| named(vm.value.name.unwrap_or_default(), vm.value.id))
                .collect()
        }
        Noun::Snapshot => {
            let snapshots = client.list_snapshots().await?.into_iter();
            snapshots
                .map(|snapshot| named(snapshot.value.name.unwrap_or_default(), snapshot.value.id))
                .collect()
        }
        Noun::Volume => {
            let volumes = client.list_volumes().await?.into_iter();
            volumes
                .map(|volume| named(volume.value.name.unwrap_or_default(), volume.value.id))
                .collect()
        }
        Noun::Credential => {
            let credentials = client.list_credentials().await?.into_iter();
            credentials
                .map(|credential| {
                    named(
                        credential.value.name.unwrap_or_default(),
                        credential.value.id,
                    )
                })
                .collect()
        }
        Noun::Label => {
            let vms = client.list_vms(&VmFilter::default()).await?.into_iter();
            let labels = vms.flat_map(|vm| vm.value.metadata.unwrap_or_default());
            let texts: BTreeSet<String> = labels
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            texts.into_iter().collect()
        }
        Noun::Service(vm) => {
            let vm = resolve_name::vm(client, vm).await?;
            let services = client.list_services(&vm.id).await?.into_iter();
            services.map(|service| service.value.name).collect()
        }
        Noun::Job(vm) => {
            let vm = resolve_name::vm(client, vm).await?;
            let jobs = Jobs::of(client, &vm.id).list().await;
            let jobs = jobs.map_err(|error| job::explain(&vm, error))?.into_iter();
            jobs.map(|job| job.id.to_string()).collect()
        }
    })
}

/// Which API the line so far is for: it is not finished, so it is not parsed.
fn typed_options() -> GlobalOptions {
    let words = typed::words();
    let value = |name: &str| {
        let joined = format!("{name}=");
        let after = words.windows(2).rfind(|pair| pair[0] == name);
        after.map(|pair| pair[1].clone()).or_else(|| {
            let word = words
                .iter()
                .rev()
                .find_map(|word| word.strip_prefix(&joined));
            word.map(str::to_owned)
        })
    };
    let mut options = GlobalOptions {
        base_url: value("--base-url"),
        ..GlobalOptions::default()
    };
    options.set_context(context_of(words));
    options
}

/// The context of the last option that chooses one.
fn context_of(words: &[String]) -> Option<String> {
    let option = words.iter().rposition(|word| {
        word == "--local" || word == "--context" || word.starts_with("--context=")
    })?;
    match words[option].split_once('=') {
        Some((_, name)) => Some(name.to_owned()),
        None if words[option] == "--local" => Some(LOCAL_CONTEXT.to_owned()),
        None => words.get(option + 1).cloned(),
    }
}
