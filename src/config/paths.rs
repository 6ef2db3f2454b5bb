//! Where our files are.

#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

use super::{Environment, Error};

/// The folders of the program, and the files in the one of settings. Nothing of it need exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The folder of settings.
    pub config: PathBuf,
    /// The data of the engine on this machine.
    pub local: PathBuf,
    /// What may be thrown away: names for completion.
    pub cache: PathBuf,
    /// Journals of copies that were cut off.
    pub transfers: PathBuf,
    /// Locks of launches by name.
    pub launches: PathBuf,
    /// Forwards in the background.
    pub forwards: PathBuf,
}

impl Paths {
    /// `$XDG_CONFIG_HOME/fastvm` or `~/.config/fastvm`, and so on. Settings are there on every system, as the official client
    /// has them; the rest is on Windows where that system says.
    ///
    /// Fails without a home folder. A relative `XDG_*` counts as unset, as its specification asks.
    pub fn of(environment: &Environment) -> Result<Self, Error> {
        let home = home_folder(environment);
        let folder = |xdg: &Option<PathBuf>, system: Option<PathBuf>| {
            xdg.clone()
                .filter(|path| path.is_absolute())
                .or(system)
                .map(|folder| folder.join("fastvm"))
                .ok_or(Error::NoHome)
        };
        let below_home = |custom: &str| home.as_ref().map(|home| home.join(custom));
        let under = |xdg: &Option<PathBuf>, custom: &str, system: fn() -> Option<PathBuf>| match cfg!(
            windows
        ) {
            true => folder(xdg, system()),
            false => folder(xdg, below_home(custom)),
        };
        let local = match &environment.local_dir {
            Some(folder) => folder.clone(),
            None => under(
                &environment.xdg_data_home,
                ".local/share",
                dirs::data_local_dir,
            )?
            .join("local"),
        };
        let state = under(
            &environment.xdg_state_home,
            ".local/state",
            dirs::data_local_dir,
        )?;
        Ok(Self {
            config: folder(&environment.xdg_config_home, below_home(".config"))?,
            local,
            cache: under(&environment.xdg_cache_home, ".cache", dirs::cache_dir)?,
            transfers: state.join("transfers"),
            launches: state.join("launches"),
            forwards: state.join("forwards"),
        })
    }

    /// The file that the official client shares with us: the context `default`.
    pub fn shared(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The named contexts.
    pub fn contexts(&self) -> PathBuf {
        self.config.join("contexts.toml")
    }

    /// The keys of the named contexts.
    pub fn credentials(&self) -> PathBuf {
        self.config.join("credentials.toml")
    }

    /// The folder with the keys and the configuration for OpenSSH.
    pub fn ssh(&self) -> PathBuf {
        self.config.join("ssh")
    }

    /// All three files in a folder, for tests.
    #[cfg(test)]
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self {
            config: folder.join("fastvm"),
            local: folder.join("local"),
            cache: folder.join("cache"),
            transfers: folder.join("transfers"),
            launches: folder.join("launches"),
            forwards: folder.join("forwards"),
        }
    }
}

fn home_folder(environment: &Environment) -> Option<PathBuf> {
    // A HOME of another shell is on Windows not what the official client takes.
    match cfg!(windows) {
        true => dirs::home_dir().or_else(|| environment.home.clone()),
        false => environment.home.clone().or_else(dirs::home_dir),
    }
}

/// Where other programs keep their settings.
#[derive(Clone, Debug)]
pub(crate) struct UserFolders {
    pub home: PathBuf,
    /// `$XDG_CONFIG_HOME` or `~/.config`, `~/Library/Application Support`, `%APPDATA%`.
    pub config: PathBuf,
    /// As `config`, for programs that use `~/.config` on macOS too.
    pub xdg_config: PathBuf,
}

impl UserFolders {
    /// Fails without a home folder.
    pub(crate) fn of(environment: &Environment) -> Result<Self, Error> {
        let home = home_folder(environment).ok_or(Error::NoHome)?;
        let xdg = environment.xdg_config_home.clone();
        let dot_config = home.join(".config");
        let linux = xdg.filter(|path| path.is_absolute());
        let linux = linux.unwrap_or_else(|| dot_config.clone());
        let (config, xdg_config) = if cfg!(windows) {
            let roaming = dirs::config_dir().ok_or(Error::NoHome)?;
            (roaming.clone(), roaming)
        } else if cfg!(target_os = "macos") {
            (home.join("Library/Application Support"), dot_config)
        } else {
            (linux.clone(), linux)
        };
        Ok(Self {
            home,
            config,
            xdg_config,
        })
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn environment(home: &str, config: Option<&str>) -> Environment {
        Environment {
            home: Some(home.into()),
            xdg_config_home: config.map(Into::into),
            ..Environment::default()
        }
    }

    #[test]
    fn the_home_folder_is_where_files_are_unless_xdg_says_otherwise() {
        let paths = Paths::of(&environment("/home/u", None)).unwrap();
        assert_eq!(
            paths.shared(),
            Path::new("/home/u/.config/fastvm/config.toml")
        );
        assert_eq!(paths.local, Path::new("/home/u/.local/share/fastvm/local"));
        assert_eq!(paths.cache, Path::new("/home/u/.cache/fastvm"));
        let paths = Paths::of(&environment("/home/u", Some("/etc/xdg"))).unwrap();
        assert_eq!(paths.contexts(), Path::new("/etc/xdg/fastvm/contexts.toml"));
    }

    #[test]
    fn a_relative_xdg_folder_counts_as_unset() {
        let paths = Paths::of(&environment("/home/u", Some("here"))).unwrap();
        assert_eq!(paths.config, Path::new("/home/u/.config/fastvm"));
    }

    #[test]
    fn the_engine_folder_can_be_named_outright() {
        let environment = Environment {
            local_dir: Some("/data/vms".into()),
            ..environment("/home/u", None)
        };
        assert_eq!(
            Paths::of(&environment).unwrap().local,
            Path::new("/data/vms")
        );
    }
}
