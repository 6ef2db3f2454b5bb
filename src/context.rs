//! What every command gets: settings, the voice, and the client, made when it is first asked for.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cli::GlobalOptions;
use crate::config::key::KeySource;
use crate::config::{self, Api, Environment, Paths, Remote, Settings};
use crate::error::{Error, Kind};
use crate::output::{Answer, Messages, Ui};
use fastvm_api::secret::ApiKey;
use fastvm_api::{Client, Log};

/// The surroundings of one command.
#[derive(Debug)]
pub struct Context {
    pub options: GlobalOptions,
    pub settings: Settings,
    pub environment: Environment,
    pub paths: Paths,
    pub ui: Ui,
    client: Option<Client>,
    /// Requests that a dry run did not send.
    not_sent: Arc<Mutex<Vec<String>>>,
    /// A request was sent that may have changed what there is.
    has_changed: Arc<AtomicBool>,
    #[cfg(target_os = "linux")]
    engine: Option<fastvm_engine::Engine>,
}

/// Where requests go and whose key they carry, for people to read.
#[derive(Clone, Debug)]
pub struct Origin {
    pub url: String,
    pub key: String,
}

/// All that a client is made from, before there is one.
struct Access {
    base_url: String,
    url_source: String,
    key: Option<ApiKey>,
    key_source: String,
}

impl Context {
    pub fn new(
        options: GlobalOptions,
        settings: Settings,
        environment: Environment,
        paths: Paths,
        ui: Ui,
    ) -> Self {
        Self {
            options,
            settings,
            environment,
            paths,
            ui,
            client: None,
            not_sent: Arc::default(),
            has_changed: Arc::default(),
            #[cfg(target_os = "linux")]
            engine: None,
        }
    }

    /// The client of the chosen API. For the local one, starts the engine in this process.
    pub async fn client(&mut self) -> Result<Client, Error> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let access = match self.settings.api()?.clone() {
            Api::Local { .. } => self.local()?,
            Api::Remote(remote) => {
                self.warn_of_key(&remote);
                with_key(&remote).await?
            }
        };
        let client = self.client_for(access)?;
        self.client = Some(client.clone());
        Ok(client)
    }

    /// Whether a request was sent that may have changed what there is.
    pub fn has_changed(&self) -> bool {
        self.has_changed.load(Ordering::Relaxed)
    }

    /// A client for calls that need no key, and where it sends them. A key is used where there is one.
    pub async fn client_without_key(&mut self) -> Result<(Client, Origin), Error> {
        let access = match self.settings.api()?.clone() {
            Api::Local { .. } => self.local()?,
            Api::Remote(remote) => {
                self.warn_of_key(&remote);
                match with_key(&remote).await {
                    Ok(access) => access,
                    Err(_) => without_key(&remote),
                }
            }
        };
        let key = match &access.key {
            Some(_) => access.key_source.clone(),
            None => "none".to_owned(),
        };
        let origin = Origin {
            url: format!("{} (from {})", access.base_url, access.url_source),
            key,
        };
        Ok((self.client_for(access)?, origin))
    }

    fn warn_of_key(&self, remote: &Remote) {
        if let Some(warning) = remote.key_warning() {
            self.ui.warn(&warning);
        }
    }

    /// Reads the key of `--api-key-file`, with a warning if others can read it too.
    pub async fn read_key_file(&self, path: PathBuf) -> Result<ApiKey, Error> {
        let source = KeySource::File {
            path,
            source: "--api-key-file".to_owned(),
        };
        if let Some(warning) = source.warning() {
            self.ui.warn(&warning);
        }
        Ok(source.read().await?)
    }

    /// A client of an API over the network whatever the context, and where its key comes from, or why it has none.
    pub async fn client_of(
        &self,
        remote: &Remote,
    ) -> Result<(Client, Result<String, Error>), Error> {
        match with_key(remote).await {
            Ok(access) => {
                let source = access.key_source.clone();
                Ok((self.client_for(access)?, Ok(source)))
            }
            Err(error) => Ok((self.client_for(without_key(remote))?, Err(error))),
        }
    }

    /// Reads the files of settings again, after they were changed.
    pub fn read_settings_again(&mut self) -> Result<(), Error> {
        self.settings = self.settings_with(&self.options, Some(self.settings.timeout))?;
        Ok(())
    }

    /// The settings as they would be with another context.
    pub fn settings_of_context(&self, name: Option<String>) -> Result<Settings, Error> {
        let mut options = self.options.clone();
        options.set_context(name);
        self.settings_with(&options, None)
    }

    fn settings_with(
        &self,
        options: &GlobalOptions,
        timeout: Option<Duration>,
    ) -> Result<Settings, Error> {
        Ok(config::resolve(
            options,
            timeout,
            &self.environment,
            &self.paths,
            self.settings.terminal,
        )?)
    }

    /// A client of the chosen API with another key than the configured one, to try it out.
    pub fn client_with_key(&self, base_url: &str, key: ApiKey) -> Result<Client, Error> {
        self.client_for(Access {
            base_url: base_url.to_owned(),
            url_source: "your settings".to_owned(),
            key_source: format!("your input, {}", key.hint()),
            key: Some(key),
        })
    }

    /// What the engine on this machine is started with. It is the same whatever the context.
    #[cfg(target_os = "linux")]
    pub fn local_options(&self) -> Result<fastvm_engine::Options, Error> {
        use fastvm_engine::{Egress, Options, quotas};
        let mut options = Options::new(&self.paths.local);
        options.egress = match config::egress(&self.environment)? {
            "none" => Egress::None,
            proxy => {
                let named = proxy.strip_prefix("proxy:").unwrap_or_default();
                let named = named.split(',').map(str::trim);
                Egress::Proxy {
                    named: named
                        .filter(|host| !host.is_empty())
                        .map(str::to_owned)
                        .collect(),
                }
            }
        };
        if let Some(text) = &self.environment.local_quotas {
            options.quotas =
                quotas(text).map_err(|why| config::Error::value(Environment::LOCAL_QUOTAS, why))?;
        }
        Ok(options)
    }

    /// A client of the engine on this machine, whatever the context.
    #[cfg(target_os = "linux")]
    pub fn local_client(&mut self) -> Result<Client, Error> {
        let access = self.local()?;
        self.client_for(access)
    }

    /// Returns whether [`Context::confirm`] would ask.
    pub fn will_ask(&self) -> bool {
        !self.options.dry_run && self.ui.can_ask()
    }

    /// Asks before something is destroyed.
    pub fn confirm(&mut self, question: &str) -> Result<(), Error> {
        if self.options.dry_run {
            return Ok(());
        }
        match self.ui.confirm(question)? {
            Answer::Yes => Ok(()),
            Answer::No => Err(Error::new(Kind::Declined, "nothing was done")),
        }
    }

    /// Prints what a dry run did not send: on stdout, or on stderr where stdout carries JSON. False if there is nothing.
    pub fn tell_what_was_not_sent(&mut self) -> Result<bool, Error> {
        let mut lines = self.not_sent.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut *lines);
        for line in &lines {
            if self.ui.shows_tables() {
                self.ui.line(line)?;
            } else {
                self.ui.status(line);
            }
        }
        Ok(!lines.is_empty())
    }

    /// Ends what the command started. Requests under way are finished first.
    pub fn close(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(engine) = self.engine.take() {
            engine.stop();
        }
    }

    fn client_for(&self, access: Access) -> Result<Client, Error> {
        let settings = &self.settings;
        let mut builder = Client::builder(access.base_url)
            .url_source(access.url_source)
            .key_source(access.key_source)
            .user_agent(concat!("fastvm/", env!("CARGO_PKG_VERSION")))
            .timeout(settings.timeout)
            .connect_timeout(settings.connect_timeout)
            .retries(settings.retries)
            .proxies_from_environment(true)
            .certificates_from_environment(true)
            .dry_run(self.options.dry_run)
            .log(ClientLog {
                messages: self.ui.messages(),
                not_sent: self.not_sent.clone(),
                has_changed: self.has_changed.clone(),
            });
        if let Some(key) = access.key {
            builder = builder.api_key(key);
        }
        for (name, value) in &settings.custom_headers {
            builder = builder.header(name, value);
        }
        Ok(builder.build()?)
    }

    #[cfg(target_os = "linux")]
    fn local(&mut self) -> Result<Access, Error> {
        let engine = fastvm_engine::start(self.local_options()?)?;
        let access = Access {
            base_url: engine.url().to_owned(),
            url_source: "the engine on this machine".to_owned(),
            key: Some(engine.key().clone()),
            key_source: "the engine on this machine".to_owned(),
        };
        self.engine = Some(engine);
        Ok(access)
    }

    #[cfg(not(target_os = "linux"))]
    fn local(&mut self) -> Result<Access, Error> {
        Err(engine_needs_linux(std::env::consts::OS))
    }
}

/// The failure of what needs the engine on another system than Linux, with what to do there.
#[cfg(any(test, not(target_os = "linux")))]
pub(crate) fn engine_needs_linux(system: &str) -> Error {
    let way = match system {
        "windows" => "install WSL2 with `wsl --install` and run fastvm in it",
        "macos" => "start a Linux VM with Lima (`limactl start`) and run fastvm in it",
        _ => "run fastvm in a Linux VM",
    };
    Error::new(Kind::Engine, format!("the local engine needs Linux: {way}"))
}

async fn with_key(remote: &Remote) -> Result<Access, Error> {
    let (key, source) = remote.api_key().await?;
    let key_source = format!("{source}, {}", key.hint());
    Ok(Access {
        key: Some(key),
        key_source,
        ..without_key(remote)
    })
}

fn without_key(remote: &Remote) -> Access {
    Access {
        base_url: remote.base_url.as_str().to_owned(),
        url_source: remote.base_url.source.clone(),
        key: None,
        key_source: String::new(),
    }
}

/// Hands the client's lines to stderr.
#[derive(Debug)]
struct ClientLog {
    messages: Arc<Messages>,
    not_sent: Arc<Mutex<Vec<String>>>,
    has_changed: Arc<AtomicBool>,
}

impl Log for ClientLog {
    fn changes(&self) {
        self.has_changed.store(true, Ordering::Relaxed);
    }

    fn warn(&self, text: &str) {
        self.messages.warn(text);
    }

    fn not_sent(&self, curl: &str) {
        let mut lines = self.not_sent.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(curl.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_without_the_engine_say_what_to_do_there_in_one_line() {
        for (system, way) in [
            ("windows", "wsl --install"),
            ("macos", "limactl start"),
            ("freebsd", "a Linux VM"),
        ] {
            let error = engine_needs_linux(system);
            assert!(error.to_string().contains(way), "{error}");
            assert_eq!(
                (error.to_string().lines().count(), error.hint_text()),
                (1, None)
            );
        }
    }
}
