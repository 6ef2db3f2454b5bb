//! Every environment variable of the program, read once.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::Error;

/// The name of a variable and what it does, for the documentation.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    pub name: &'static str,
    pub meaning: &'static str,
}

/// Declares the variables once: as fields, as names for messages, and as the documented list.
macro_rules! environment {
    ($($constant:ident $field:ident: $kind:ty = $name:literal, $meaning:literal;)*) => {
        /// What the environment says. A variable that is unset or empty is `None`.
        #[derive(Clone, Default)]
        pub struct Environment {
            $(#[doc = $meaning] pub $field: Option<$kind>,)*
        }

        impl Environment {
            $(#[doc = concat!("The name of the variable: ", $meaning)] pub const $constant: &'static str = $name;)*

            /// Reads the variables through `get`.
            ///
            /// Fails on a text variable that is not UTF-8; paths may be any bytes.
            pub fn from_lookup(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
                Ok(Self { $($field: read($name, &get)?,)* })
            }

            fn names_set(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$field.is_some() { names.push($name); })*
                names
            }
        }

        /// The variables that this program reads itself.
        pub const VARIABLES: &[Variable] = &[$(Variable { name: $name, meaning: $meaning },)*];
    };
}

environment! {
    CONTEXT context: String = "FASTVM_CONTEXT", "which context to use";
    API_KEY api_key: String = "FASTVM_API_KEY", "the API key";
    API_KEY_FILE api_key_file: PathBuf = "FASTVM_API_KEY_FILE", "a file to read the API key from";
    BASE_URL base_url: String = "FASTVM_BASE_URL", "where the API is, with its scheme";
    OUTPUT output: String = "FASTVM_OUTPUT", "how results print, as --output";
    LOG log: String = "FASTVM_LOG", "info, debug or trace, as -v, -vv or -vvv";
    PROGRESS progress: String = "FASTVM_PROGRESS", "how progress shows, as --progress";
    TIMEOUT timeout: String = "FASTVM_TIMEOUT", "limit of one API request, as --timeout";
    RETRIES retries: String = "FASTVM_RETRIES", "how often a request is tried again, as --retries";
    NO_INPUT no_input: String = "FASTVM_NO_INPUT", "1 to never ask, as --no-input";
    CUSTOM_HEADERS custom_headers: String = "FASTVM_CUSTOM_HEADERS", "headers for the API host, one `Name: value` a line";
    LOCAL_DIR local_dir: PathBuf = "FASTVM_LOCAL_DIR", "where the engine on this machine keeps its data";
    LOCAL_EGRESS local_egress: String = "FASTVM_LOCAL_EGRESS", "what local VMs may reach: none, proxy (public addresses), or proxy:HOST,HOST (these too)";
    LOCAL_QUOTAS local_quotas: String = "FASTVM_LOCAL_QUOTAS", "limits of the engine on this machine, such as vcpu=400,memoryMiB=800000";
    NO_COLOR no_color: OsString = "NO_COLOR", "anything: no colour";
    CLICOLOR clicolor: OsString = "CLICOLOR", "0: no colour";
    CLICOLOR_FORCE clicolor_force: OsString = "CLICOLOR_FORCE", "anything but 0: colour, even into a pipe";
    TERM term: OsString = "TERM", "the kind of terminal; dumb: no colour";
    LC_ALL lc_all: OsString = "LC_ALL", "the character set: blocks are drawn where it is UTF-8";
    LC_CTYPE lc_ctype: OsString = "LC_CTYPE", "as LC_ALL, where that is not set";
    LANG lang: OsString = "LANG", "as LC_ALL, where neither is set";
    COLUMNS columns: OsString = "COLUMNS", "the width of the terminal";
    HOME home: PathBuf = "HOME", "the home folder";
    XDG_CONFIG_HOME xdg_config_home: PathBuf = "XDG_CONFIG_HOME", "where the folder of settings is";
    XDG_DATA_HOME xdg_data_home: PathBuf = "XDG_DATA_HOME", "where the folder of local data is";
    XDG_STATE_HOME xdg_state_home: PathBuf = "XDG_STATE_HOME", "where the folder of what copies were cut off at is";
    XDG_CACHE_HOME xdg_cache_home: PathBuf = "XDG_CACHE_HOME", "where the folder of cached names is";
    SEARCH_PATH search_path: OsString = "PATH", "folders of programs: where `mcp install` finds the name of this one";
    CLAUDE_CONFIG_DIR claude_config_dir: PathBuf = "CLAUDE_CONFIG_DIR", "where Claude Code keeps its settings and skills";
    CODEX_HOME codex_home: PathBuf = "CODEX_HOME", "where Codex keeps its settings";
    GEMINI_CLI_HOME gemini_cli_home: PathBuf = "GEMINI_CLI_HOME", "where Gemini CLI has its folder .gemini";
}

/// The variables that the HTTP and TLS libraries read for us.
pub const HONOURED: &[Variable] = &[
    Variable {
        name: "FASTVM_COMPLETE",
        meaning: "set by completion scripts when they ask for the next word",
    },
    Variable {
        name: "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY",
        meaning: "the proxy for requests",
    },
    Variable {
        name: "NO_PROXY",
        meaning: "hosts that are reached without the proxy",
    },
    Variable {
        name: "SSL_CERT_FILE, SSL_CERT_DIR",
        meaning: "certificates to trust",
    },
];

impl Environment {
    /// Reads the environment of this process, once.
    pub fn capture() -> Result<Self, Error> {
        Self::from_lookup(|name| std::env::var_os(name))
    }
}

/// Shows which variables are set, never their values: keys and headers are among them.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names_set()).finish()
    }
}

/// What a variable can be read as.
trait FromVariable: Sized {
    fn from_variable(value: OsString) -> Option<Self>;
}

impl FromVariable for String {
    fn from_variable(value: OsString) -> Option<Self> {
        value.into_string().ok()
    }
}

/// Any bytes: what other programs set for everybody is no reason to fail.
impl FromVariable for OsString {
    fn from_variable(value: OsString) -> Option<Self> {
        Some(value)
    }
}

impl FromVariable for PathBuf {
    fn from_variable(value: OsString) -> Option<Self> {
        Some(value.into())
    }
}

fn read<T: FromVariable>(
    name: &'static str,
    get: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<T>, Error> {
    match get(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => T::from_variable(value)
            .map(Some)
            .ok_or(Error::NotUtf8 { variable: name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let environment = Environment::from_lookup(|_| Some(OsString::new())).unwrap();
        assert_eq!(environment.api_key, None);
        assert_eq!(environment.home, None);
    }

    #[test]
    fn debug_names_variables_without_their_values() {
        let environment = Environment {
            api_key: Some("fv_secret".into()),
            ..Environment::default()
        };
        assert_eq!(format!("{environment:?}"), r#"{"FASTVM_API_KEY"}"#);
    }

    #[cfg(unix)]
    #[test]
    fn text_that_is_not_utf_8_names_its_variable_and_a_path_may_be_any_bytes() {
        use std::os::unix::ffi::OsStringExt as _;
        let bad = || OsString::from_vec(vec![b'/', 0xff]);
        let get = |wanted: &'static str| move |name: &str| (name == wanted).then(bad);
        let error = Environment::from_lookup(get("FASTVM_BASE_URL")).unwrap_err();
        assert_eq!(error.to_string(), "FASTVM_BASE_URL is not UTF-8");
        for any in [
            "XDG_CONFIG_HOME",
            "NO_COLOR",
            "CLICOLOR",
            "CLICOLOR_FORCE",
            "TERM",
            "COLUMNS",
            "LANG",
        ] {
            assert!(Environment::from_lookup(get(any)).is_ok(), "{any}");
        }
    }
}
