//! Which context, which URL, which key.

use super::DEFAULT_SOURCE;
use crate::cli::GlobalOptions;
use crate::config::contexts::{self, Contexts};
use crate::config::key::{self, KeySource};
use crate::config::shared::Shared;
use crate::config::url::PlainHttp;
use crate::config::{
    Api, BaseUrl, DEFAULT_CONTEXT, DEFAULT_URL, Environment, Error, LOCAL_CONTEXT, Named, Paths,
    Remote, credentials,
};
use crate::output::ApiOption;

pub(super) struct Found {
    pub(super) context: Named,
    pub(super) api: Result<Api, Error>,
    /// The format that the context asks for, and where that stands.
    pub(super) output: Option<Named>,
}

/// What the context was chosen by. Only an option beats the variables for URL and key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chosen {
    Option,
    Variable,
    File,
}

/// Returns the option that chose the context as it is typed, for commands in messages.
pub(super) fn option(options: &GlobalOptions) -> ApiOption {
    match options.context() {
        Some((LOCAL_CONTEXT, _)) => ApiOption::new("--local"),
        Some((name, _)) if contexts::is_built_in(name) || contexts::check_name(name).is_ok() => {
            ApiOption::new(format!("--context {name}"))
        }
        _ => ApiOption::default(),
    }
}

pub(super) fn resolve(
    options: &GlobalOptions,
    environment: &Environment,
    files: &Paths,
    notices: &mut Vec<String>,
) -> Result<Found, Error> {
    let file = Contexts::load(files);
    let (context, chosen) = choose(options, environment, files, file.as_ref().ok());
    let is_local = context.name == LOCAL_CONTEXT;
    if is_local && chosen == Chosen::Option {
        refuse_beside_local(options, &context)?;
    }
    let is_own_url = is_local && has_url_of_this_machine(environment);
    let chosen = match chosen {
        // It says the same as the URL that `local env` prints, which a server that has ended leaves behind.
        Chosen::Variable if is_own_url && options.base_url.is_none() => Chosen::Option,
        chosen => chosen,
    };
    if chosen == Chosen::Option {
        notices.extend(overruled(environment, &context));
    }
    let entry = match file.and_then(|contexts| contexts.get(&context.name)) {
        Ok(entry) => entry,
        Err(error) if is_local && chosen == Chosen::Option => {
            notices.push(error.to_string());
            contexts::Entry::default()
        }
        Err(error) => {
            return Ok(Found {
                context,
                api: Err(error),
                output: None,
            });
        }
    };
    let output = entry.output.clone().map(|name| Named {
        name,
        source: format!("context {}", context.name),
    });
    let place = Place {
        options,
        environment,
        files,
        context: &context,
        chosen,
        entry,
    };
    Ok(Found {
        api: place.api(),
        context,
        output,
    })
}

fn choose(
    options: &GlobalOptions,
    environment: &Environment,
    files: &Paths,
    contexts: Option<&Contexts>,
) -> (Named, Chosen) {
    let named = |name: &str, source: &str| Named {
        name: name.to_owned(),
        source: source.to_owned(),
    };
    if let Some((name, option)) = options.context() {
        return (named(name, option), Chosen::Option);
    }
    if let Some(name) = &environment.context {
        return (named(name, Environment::CONTEXT), Chosen::Variable);
    }
    let context = match contexts.and_then(|contexts| contexts.current.as_deref()) {
        Some(name) => named(name, &files.contexts().display().to_string()),
        None => named(DEFAULT_CONTEXT, DEFAULT_SOURCE),
    };
    (context, Chosen::File)
}

/// What VMs on this machine may reach: `none`, `proxy`, or `proxy:HOST,HOST`.
pub(crate) fn egress(environment: &Environment) -> Result<&str, Error> {
    let egress = environment.local_egress.as_deref().unwrap_or("proxy");
    if ["none", "proxy"].contains(&egress) || egress.starts_with("proxy:") {
        return Ok(egress);
    }
    let why = format!("{egress:?} is neither none, nor proxy, nor proxy:HOST,HOST");
    Err(Error::value(Environment::LOCAL_EGRESS, why))
}

/// Returns whether the URL in the environment is one of this machine, as that of its engine is.
fn has_url_of_this_machine(environment: &Environment) -> bool {
    environment.base_url.as_ref().is_some_and(|url| {
        BaseUrl::parse(url, Environment::BASE_URL, PlainHttp::Anywhere)
            .is_ok_and(|url| url.is_of_this_machine())
    })
}

/// The engine on this machine has no URL and no key.
fn refuse_beside_local(options: &GlobalOptions, context: &Named) -> Result<(), Error> {
    let given = [
        ("--base-url", options.base_url.is_some()),
        ("--api-key", options.api_key.is_some()),
        ("--api-key-file", options.api_key_file.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Error::Conflict {
            option: option.to_owned(),
            other: as_typed(context),
        }),
        None => Ok(()),
    }
}

/// Says which variables an explicit context sets aside.
fn overruled(environment: &Environment, context: &Named) -> Option<String> {
    let set = [
        (Environment::API_KEY, environment.api_key.is_some()),
        (
            Environment::API_KEY_FILE,
            environment.api_key_file.is_some(),
        ),
        (Environment::BASE_URL, environment.base_url.is_some()),
    ];
    let names: Vec<&str> = set
        .into_iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| name)
        .collect();
    match names.as_slice() {
        [] => None,
        names => Some(format!(
            "{} sets {} aside",
            as_typed(context),
            names.join(" and ")
        )),
    }
}

fn as_typed(context: &Named) -> String {
    match context.source.as_str() {
        "--context" => format!("--context {}", context.name),
        Environment::CONTEXT => format!("{}={}", Environment::CONTEXT, context.name),
        source => source.to_owned(),
    }
}

/// All that decides about URL and key.
struct Place<'a> {
    options: &'a GlobalOptions,
    environment: &'a Environment,
    files: &'a Paths,
    context: &'a Named,
    chosen: Chosen,
    entry: contexts::Entry,
}

impl Place<'_> {
    fn api(&self) -> Result<Api, Error> {
        let variable = match self.chosen {
            Chosen::Option => None,
            Chosen::Variable | Chosen::File => self.environment.base_url.as_deref(),
        };
        let plain = match self.options.allow_http {
            true => PlainHttp::Anywhere,
            false => PlainHttp::ToThisMachine,
        };
        let is_local = self.context.name == LOCAL_CONTEXT;
        let base_url = match (&self.options.base_url, variable) {
            (Some(url), _) => BaseUrl::parse(url, "--base-url", plain)?,
            // the two variables contradict each other, and the wrong guess could delete VMs
            (None, Some(_)) if is_local && self.chosen == Chosen::Variable => {
                return Err(Error::Conflict {
                    option: Environment::BASE_URL.to_owned(),
                    other: format!("{}={LOCAL_CONTEXT}", Environment::CONTEXT),
                });
            }
            (None, Some(url)) => BaseUrl::parse(url, Environment::BASE_URL, plain)?,
            (None, None) if is_local => return self.engine(),
            (None, None) => self.own_url(plain)?,
        };
        Ok(Api::Remote(Remote {
            context: self.context.name.clone(),
            key: self.key(&base_url),
            base_url,
        }))
    }

    fn engine(&self) -> Result<Api, Error> {
        refuse_beside_local(self.options, self.context)?;
        Ok(Api::Local {
            data: self.files.local.clone(),
            egress: egress(self.environment)?.to_owned(),
        })
    }

    /// The URL that the context itself has.
    fn own_url(&self, plain: PlainHttp) -> Result<BaseUrl, Error> {
        let (url, source) = match self.context.name.as_str() {
            DEFAULT_CONTEXT => (
                Shared::load(self.files)?.base_url,
                self.files.shared().display().to_string(),
            ),
            name => (self.entry.base_url.clone(), format!("context {name}")),
        };
        match url {
            Some(url) => BaseUrl::parse(&url, source, plain),
            None => BaseUrl::parse(DEFAULT_URL, DEFAULT_SOURCE, plain),
        }
    }

    fn key(&self, base_url: &BaseUrl) -> Result<Option<KeySource>, Error> {
        let value = |key: &str, source: &str| {
            Ok(Some(KeySource::Value {
                key: key::check(key, source)?,
                source: source.to_owned(),
                warning: None,
            }))
        };
        let file = |path: &std::path::PathBuf, source: &str| {
            Ok(Some(KeySource::File {
                path: path.clone(),
                source: source.to_owned(),
            }))
        };
        if let Some(key) = &self.options.api_key {
            return value(key, "--api-key");
        }
        if let Some(path) = &self.options.api_key_file {
            return file(path, "--api-key-file");
        }
        if self.chosen != Chosen::Option {
            if let Some(key) = &self.environment.api_key {
                return value(key, Environment::API_KEY);
            }
            if let Some(path) = &self.environment.api_key_file {
                return file(path, Environment::API_KEY_FILE);
            }
        }
        self.own_key(base_url)
    }

    /// The key that the context itself has, unless it is for another host.
    fn own_key(&self, base_url: &BaseUrl) -> Result<Option<KeySource>, Error> {
        let name = &self.context.name;
        let context = format!("context {name}");
        let (source, stored_for) = if let Some(argv) = &self.entry.api_key_command {
            let argv = argv.clone();
            let source = KeySource::Command {
                argv,
                source: context,
            };
            (source, self.own_url(PlainHttp::Anywhere)?)
        } else if name == DEFAULT_CONTEXT {
            let file = self.files.shared().display().to_string();
            let shared = Shared::load(self.files)?;
            let Some(key) = shared.api_key else {
                return Ok(None);
            };
            let source = KeySource::Value {
                key: key::check(key.expose(), &file)?,
                source: file,
                warning: shared.warning,
            };
            (source, self.own_url(PlainHttp::Anywhere)?)
        } else {
            let Some(stored) = credentials::load(self.files, name)? else {
                return Ok(None);
            };
            let key = key::check(stored.api_key.expose(), &context)?;
            let stored_for =
                BaseUrl::parse(&stored.base_url, context.as_str(), PlainHttp::Anywhere)?;
            (
                KeySource::Value {
                    key,
                    source: context,
                    warning: None,
                },
                stored_for,
            )
        };
        match stored_for.origin() == base_url.origin() {
            true => Ok(Some(source)),
            false => Err(Error::ForeignHost {
                source_name: source.source().to_owned(),
                stored_for: stored_for.origin(),
                wanted: base_url.origin(),
            }),
        }
    }
}
