//! The names of the things that are there now, within a moment, without a word.

use std::sync::mpsc;
use std::time::Duration;

use super::cache;
use crate::api::Client;
use crate::api::vms::VmFilter;
use crate::cli::GlobalOptions;
use crate::config::{self, Environment, Paths, Terminal};
use crate::context::Context;
use crate::error::Error;
use crate::output::Ui;

/// How long a shell waits for names.
const PATIENCE: Duration = Duration::from_millis(800);

/// What has names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Noun {
    Vm,
    Snapshot,
    Volume,
    Credential,
}

/// The names, or none if they do not come in time or at all.
pub(super) fn of(noun: Noun) -> Vec<String> {
    let (sender, receiver) = mpsc::channel();
    // a thread of its own, as the program ends without it when it takes too long
    std::thread::spawn(move || {
        let names = look_up(noun).unwrap_or_default();
        // the shell may have gone on
        let _ = sender.send(names);
    });
    receiver.recv_timeout(PATIENCE).unwrap_or_default()
}

fn look_up(noun: Noun) -> Result<Vec<String>, Error> {
    let environment = Environment::capture()?;
    let paths = Paths::of(&environment)?;
    let options = typed_options();
    let terminal = Terminal::default();
    let mut settings = config::resolve(&options, None, &environment, &paths, terminal)?;
    settings.quiet = true;
    settings.verbose = 0;
    settings.retries = 0;
    let api = format!("{} {:?}", settings.context.name, settings.api()?);
    let file = cache::file(&paths.cache, &api, &format!("{noun:?}"));
    if let Some(names) = cache::read(&file) {
        return Ok(names);
    }
    let ui = Ui::new(settings.output());
    let mut context = Context::new(options, settings, environment, paths, ui);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| Error::new(crate::error::Kind::LocalIo, error.to_string()))?;
    let names = runtime.block_on(async {
        let client = context.client().await?;
        list(&client, noun).await
    });
    context.close();
    let names = names?;
    cache::write(&file, &names);
    Ok(names)
}

async fn list(client: &Client, noun: Noun) -> Result<Vec<String>, Error> {
    let named = |name: String, id: String| if name.is_empty() { id } else { name };
    Ok(match noun {
        Noun::Vm => {
            let vms = client.list_vms(&VmFilter::default()).await?.into_iter();
            vms.map(|vm| named(vm.value.name, vm.value.id)).collect()
        }
        Noun::Snapshot => {
            let snapshots = client.list_snapshots().await?.into_iter();
            snapshots
                .map(|snapshot| named(snapshot.value.name, snapshot.value.id))
                .collect()
        }
        Noun::Volume => {
            let volumes = client.list_volumes().await?.into_iter();
            volumes
                .map(|volume| named(volume.value.name, volume.value.id))
                .collect()
        }
        Noun::Credential => {
            let credentials = client.list_credentials().await?.into_iter();
            credentials
                .map(|credential| named(credential.value.name, credential.value.id))
                .collect()
        }
    })
}

/// Which API the line so far is for: it is not finished, so it is not parsed.
fn typed_options() -> GlobalOptions {
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let value = |name: &str| {
        let joined = format!("{name}=");
        let after = words.windows(2).find(|pair| pair[0] == name);
        after.map(|pair| pair[1].clone()).or_else(|| {
            let word = words.iter().find_map(|word| word.strip_prefix(&joined));
            word.map(str::to_owned)
        })
    };
    GlobalOptions {
        context: value("--context"),
        local: words.iter().any(|word| word == "--local"),
        base_url: value("--base-url"),
        ..GlobalOptions::default()
    }
}
