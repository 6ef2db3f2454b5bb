use super::*;
use crate::cli::Typed;
use crate::config::contexts::{self, Entry};
use crate::config::credentials::{self, Credential};
use crate::config::{Api, KeySource, Remote, shared};
use crate::output::{ColorChoice, Format, Order, ProgressMode};
use fastvm_api::secret::ApiKey;

/// A home of its own, an environment and options to change.
struct Case {
    home: tempfile::TempDir,
    files: Paths,
    environment: Environment,
    options: GlobalOptions,
    terminal: Terminal,
}

impl Case {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        Self {
            files: Paths::in_folder(home.path()),
            home,
            environment: Environment::default(),
            options: GlobalOptions::default(),
            terminal: Terminal::default(),
        }
    }

    /// The context `prod` with a key, and `config.toml` with another.
    fn with_files() -> Self {
        let case = Self::new();
        let url = "https://prod.example".to_owned();
        let entry = Entry {
            base_url: Some(url.clone()),
            output: Some("yaml".into()),
            ..Entry::default()
        };
        contexts::put(&case.files, "prod", &entry).unwrap();
        let credential = Credential {
            api_key: ApiKey::new("fv_prod"),
            base_url: url,
        };
        credentials::store(&case.files, "prod", &credential).unwrap();
        shared::set(&case.files, &[(shared::Entry::ApiKey, Some("fv_shared"))]).unwrap();
        case
    }

    fn settings(&self) -> Settings {
        self.resolve().unwrap()
    }

    fn resolve(&self) -> Result<Settings, Error> {
        resolve(
            &self.options,
            None,
            &self.environment,
            &self.files,
            self.terminal,
        )
    }

    fn remote(&self) -> Remote {
        match self.settings().api().unwrap() {
            Api::Remote(remote) => remote.clone(),
            local @ Api::Local { .. } => panic!("{local:?}"),
        }
    }

    /// URL, its source, key, its source.
    fn place(&self) -> [String; 4] {
        let remote = self.remote();
        let key = match remote.key.unwrap() {
            Some(KeySource::Value { key, source, .. }) => [key.expose().to_owned(), source],
            Some(KeySource::File { path, source }) => [path.display().to_string(), source],
            Some(KeySource::Command { argv, source }) => [argv.join(" "), source],
            None => ["none".to_owned(), String::new()],
        };
        let [key, key_source] = key;
        let folder = format!("{}/", self.files.config.display());
        [
            remote.base_url.as_str().to_owned(),
            remote.base_url.source.clone(),
            key,
            key_source,
        ]
        .map(|text| text.replace(&folder, ""))
    }

    fn refusal(&self) -> String {
        self.settings().api().unwrap_err().to_string()
    }
}

#[test]
fn without_anything_the_service_is_used_and_no_key_is_no_error_yet() {
    let case = Case::new();
    assert_eq!(
        case.place(),
        ["https://api.fastvm.org", "the default", "none", ""]
    );
    let settings = case.settings();
    assert_eq!(
        (settings.context.name.as_str(), settings.notices.len()),
        ("default", 0)
    );
    assert_eq!(settings.timeout, Duration::from_secs(60));
    assert_eq!(settings.connect_timeout, Duration::from_secs(10));
    assert_eq!((settings.retries, settings.verbose), (2, 0));
    assert!(settings.header && settings.truncate && !settings.no_input);
}

#[tokio::test]
async fn a_missing_key_says_how_to_give_one() {
    let error = crate::error::Error::from(Case::new().remote().api_key().await.unwrap_err());
    assert_eq!(error.message(), "no API key for the context default");
    assert!(error.hint_text().unwrap().contains("--local"));
    assert_eq!(error.exit(), crate::exit::Exit::AUTH);
}

#[test]
fn option_beats_variable_beats_context_beats_default() {
    let mut case = Case::with_files();
    assert_eq!(
        case.place(),
        [
            "https://api.fastvm.org",
            "the default",
            "fv_shared",
            "config.toml"
        ]
    );
    contexts::set_current(&case.files, "prod").unwrap();
    assert_eq!(
        case.place(),
        [
            "https://prod.example",
            "context prod",
            "fv_prod",
            "context prod"
        ]
    );
    case.environment.api_key_file = Some("/k".into());
    case.environment.base_url = Some("https://env.example/".into());
    assert_eq!(
        case.place(),
        [
            "https://env.example",
            "FASTVM_BASE_URL",
            "/k",
            "FASTVM_API_KEY_FILE"
        ]
    );
    case.environment.api_key = Some("fv_env".into());
    assert_eq!(case.place()[2..], ["fv_env", "FASTVM_API_KEY"]);
    case.options.base_url = Some("https://option.example".into());
    case.options.api_key_file = Some("-".into());
    assert_eq!(
        case.place(),
        [
            "https://option.example",
            "--base-url",
            "-",
            "--api-key-file"
        ]
    );
    case.options.api_key = Some("fv_option".into());
    assert_eq!(case.place()[2..], ["fv_option", "--api-key"]);
    let notices = case.settings().notices;
    assert!(
        notices[0].starts_with("--api-key shows in `ps`"),
        "{notices:?}"
    );
}

#[test]
fn an_explicit_context_beats_the_variables_and_says_so_once() {
    let mut case = Case::with_files();
    case.environment.api_key = Some("fv_env".into());
    case.environment.base_url = Some("https://env.example".into());
    case.options.set_context(Some("prod".into()));
    assert_eq!(
        case.place(),
        [
            "https://prod.example",
            "context prod",
            "fv_prod",
            "context prod"
        ]
    );
    let expected = ["--context prod sets FASTVM_API_KEY and FASTVM_BASE_URL aside"];
    assert_eq!(case.settings().notices, expected);
}

#[test]
fn a_context_named_by_a_variable_gives_way_to_the_variables_for_url_and_key() {
    let mut case = Case::with_files();
    case.environment.context = Some("prod".into());
    assert_eq!(case.place()[2..], ["fv_prod", "context prod"]);
    case.environment.api_key = Some("fv_env".into());
    assert_eq!(
        case.place(),
        [
            "https://prod.example",
            "context prod",
            "fv_env",
            "FASTVM_API_KEY"
        ]
    );
}

#[test]
fn a_stored_key_is_never_for_another_host() {
    let mut case = Case::with_files();
    case.options.base_url = Some("https://elsewhere.example".into());
    let file = case.files.shared().display().to_string();
    let error = case.remote().key.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the API key from {file} is for https://api.fastvm.org and is not sent to https://elsewhere.example"
        )
    );
    case.options.set_context(Some("prod".into()));
    let error = case.remote().key.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the API key from context prod is for https://prod.example ")
    );
    case.options.base_url = Some("https://prod.example/v2".into());
    assert_eq!(case.place()[2], "fv_prod");
}

#[test]
fn a_context_that_was_led_elsewhere_does_not_take_its_key_along() {
    let case = Case::with_files();
    let entry = Entry {
        base_url: Some("https://new.example".into()),
        ..Entry::default()
    };
    contexts::put(&case.files, "prod", &entry).unwrap();
    contexts::set_current(&case.files, "prod").unwrap();
    assert!(matches!(case.remote().key, Err(Error::ForeignHost { .. })));
}

#[test]
fn the_key_of_the_shared_file_belongs_to_its_url() {
    let case = Case::with_files();
    shared::set(
        &case.files,
        &[(shared::Entry::BaseUrl, Some("http://localhost:8080/"))],
    )
    .unwrap();
    assert_eq!(
        case.place(),
        [
            "http://localhost:8080",
            "config.toml",
            "fv_shared",
            "config.toml"
        ]
    );
}

#[test]
fn a_program_can_hold_the_key() {
    let mut case = Case::with_files();
    let argv = Some(vec!["pass".to_owned(), "fastvm".to_owned()]);
    let entry = Entry {
        base_url: Some("https://prod.example".into()),
        api_key_command: argv,
        ..Entry::default()
    };
    contexts::put(&case.files, "prod", &entry).unwrap();
    case.options.set_context(Some("prod".into()));
    assert_eq!(case.place()[2..], ["pass fastvm", "context prod"]);
    case.options.base_url = Some("https://elsewhere.example".into());
    assert!(matches!(case.remote().key, Err(Error::ForeignHost { .. })));
}

#[test]
fn local_is_this_machine_and_takes_no_url_or_key() {
    let mut case = Case::with_files();
    case.options.local = Typed::new(true, 0);
    let data = case.home.path().join("local");
    let local = |egress: &str| Api::Local {
        data: data.clone(),
        egress: egress.to_owned(),
    };
    assert_eq!(case.settings().api().unwrap(), &local("proxy"));
    case.environment.local_egress = Some("none".into());
    case.environment.base_url = Some("https://env.example".into());
    assert_eq!(case.settings().api().unwrap(), &local("none"));
    assert_eq!(
        case.settings().notices,
        ["--local sets FASTVM_BASE_URL aside"]
    );
    case.environment.local_egress = Some("all".into());
    assert_eq!(
        case.refusal(),
        "FASTVM_LOCAL_EGRESS: \"all\" is neither none, nor proxy, nor proxy:HOST,HOST"
    );
    case.options.base_url = Some("https://h".into());
    assert_eq!(
        case.resolve().unwrap_err().to_string(),
        "--base-url cannot be used with --local"
    );
    case.options.base_url = None;
    case.options.set_context(Some("local".into()));
    case.options.api_key = Some("k".into());
    assert_eq!(
        case.resolve().unwrap_err().to_string(),
        "--api-key cannot be used with --context local"
    );
}

#[test]
fn a_local_context_and_a_url_in_the_environment_are_not_guessed_between() {
    let mut case = Case::new();
    case.environment.context = Some("local".into());
    case.environment.api_key = Some("fv_env".into());
    assert!(matches!(case.settings().api().unwrap(), Api::Local { .. }));
    case.environment.base_url = Some("https://env.example".into());
    assert_eq!(
        case.refusal(),
        "FASTVM_BASE_URL cannot be used with FASTVM_CONTEXT=local"
    );
    case.options.base_url = Some("https://option.example".into());
    assert_eq!(case.place()[0], "https://option.example");
    case.options.base_url = None;
    case.environment.base_url = Some("http://127.0.0.1:8080".into());
    assert!(matches!(case.settings().api().unwrap(), Api::Local { .. }));
    assert_eq!(
        case.settings().notices,
        ["FASTVM_CONTEXT=local sets FASTVM_API_KEY and FASTVM_BASE_URL aside"]
    );
}

#[test]
fn a_broken_file_of_contexts_stops_only_what_needs_it() {
    let mut case = Case::with_files();
    std::fs::write(case.files.contexts(), "current = prod\n").unwrap();
    let settings = case.settings();
    assert_eq!(settings.context.name, "default");
    assert!(
        case.refusal()
            .contains("contexts.toml: line 1, column 11: "),
        "{}",
        case.refusal()
    );
    case.options.local = Typed::new(true, 0);
    assert!(matches!(case.settings().api().unwrap(), Api::Local { .. }));
    assert!(case.settings().notices[0].contains("contexts.toml: line 1"));
}

#[test]
fn an_unknown_context_or_a_bad_url_is_an_error_when_the_api_is_needed() {
    let mut case = Case::with_files();
    case.environment.context = Some("prdo".into());
    assert_eq!(case.refusal(), "there is no context named \"prdo\"");
    case.environment.context = None;
    shared::set(
        &case.files,
        &[(shared::Entry::BaseUrl, Some("api.fastvm.org"))],
    )
    .unwrap();
    let file = case.files.shared().display().to_string();
    let expected =
        format!("the base URL from {file}: it needs a scheme: try https://api.fastvm.org");
    assert_eq!(case.refusal(), expected);
    case.options.base_url = Some("http://10.0.0.1".into());
    assert!(
        case.refusal()
            .contains("--base-url: http://10.0.0.1 is plain HTTP")
    );
    case.options.allow_http = true;
    case.options.api_key = Some("k".into());
    assert_eq!(case.place()[0], "http://10.0.0.1");
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_can_write_to_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let case = Case::with_files();
    let open = |mode| {
        std::fs::set_permissions(&case.files.config, std::fs::Permissions::from_mode(mode))
            .unwrap();
        case.settings().notices.len()
    };
    assert_eq!((open(0o755), open(0o777)), (0, 1));
}

#[test]
fn the_format_comes_from_option_variable_or_context() {
    let mut case = Case::with_files();
    assert_eq!(case.settings().format, None);
    contexts::set_current(&case.files, "prod").unwrap();
    assert_eq!(case.settings().format, Some(Format::Yaml));
    case.environment.output = Some("CSV".into());
    assert_eq!(case.settings().format, Some(Format::Csv));
    case.options.json = Typed::new(true, 0);
    assert_eq!(case.settings().format, Some(Format::Json));
    case.options.json = Typed::default();
    case.environment.output = Some("xml".into());
    let error = case.resolve().unwrap_err().to_string();
    assert_eq!(
        error,
        "FASTVM_OUTPUT: \"xml\" is not one of table, wide, json, jsonl, yaml, csv, name, id"
    );
}

#[test]
fn a_list_is_sorted_up_or_down() {
    let mut case = Case::new();
    let mut sort = |text: &str| {
        case.options.sort = Some(text.to_owned());
        case.resolve().map(|settings| {
            settings
                .sort
                .map(|sort| (sort.column, sort.order == Order::Descending))
        })
    };
    assert_eq!(sort("name").unwrap(), Some(("name".to_owned(), false)));
    assert_eq!(sort("age:desc").unwrap(), Some(("age".to_owned(), true)));
    assert_eq!(
        sort("age:down").unwrap_err().to_string(),
        "--sort: invalid sort order 'age:down': write COLUMN, COLUMN:asc or COLUMN:desc"
    );
    assert!(sort(":desc").is_err());
}

#[test]
fn limits_come_from_options_or_variables_and_bad_ones_are_named() {
    let mut case = Case::new();
    case.environment.timeout = Some("5s".into());
    case.environment.retries = Some("7".into());
    case.environment.no_input = Some("1".into());
    case.environment.progress = Some("plain".into());
    let settings = case.settings();
    assert_eq!(
        (settings.timeout, settings.retries),
        (Duration::from_secs(5), 7)
    );
    assert!(settings.no_input);
    assert_eq!(settings.progress, ProgressMode::Plain);
    case.options.timeout = Some(Duration::from_secs(9));
    case.options.retries = Some(0);
    assert_eq!(
        (case.settings().timeout, case.settings().retries),
        (Duration::from_secs(9), 0)
    );
    for (text, expected) in [("0", false), (" Off ", false), ("no", false), ("YES", true)] {
        case.environment.no_input = Some(text.into());
        assert_eq!(case.settings().no_input, expected, "{text}");
    }
    case.environment.no_input = Some("perhaps".into());
    assert_eq!(
        case.resolve().unwrap_err().to_string(),
        "FASTVM_NO_INPUT: give 1 or 0"
    );
    case.options.timeout = Some(Duration::ZERO);
    assert_eq!(
        case.resolve().unwrap_err().to_string(),
        "--timeout: give more than 0"
    );
}

#[test]
fn the_log_variable_is_a_count_of_v() {
    let mut case = Case::new();
    for (text, expected) in [
        ("info", 1),
        ("DEBUG", 2),
        ("trace", 3),
        ("error", 0),
        ("x", 0),
    ] {
        case.environment.log = Some(text.to_owned());
        assert_eq!(case.settings().verbose, expected, "{text}");
    }
    assert_eq!(
        case.settings().notices,
        ["FASTVM_LOG is not one of info, debug, trace"]
    );
    case.options.verbose = 1;
    assert_eq!(case.settings().verbose, 1);
}

#[test]
fn colour_is_decided_for_each_stream() {
    let mut case = Case::new();
    case.terminal = Terminal {
        stdin: true,
        stdout: false,
        stderr: true,
        width: Some(80),
    };
    let colors = |case: &Case| (case.settings().stdout_color, case.settings().stderr_color);
    assert_eq!(colors(&case), (false, true));
    case.environment.term = Some("dumb".into());
    assert_eq!(colors(&case), (false, false));
    case.environment.clicolor_force = Some("1".into());
    assert_eq!(colors(&case), (true, true));
    case.environment.no_color = Some("1".into());
    assert_eq!(colors(&case), (false, false));
    case.options.color = Some(ColorChoice::Always);
    assert_eq!(colors(&case), (true, true));
}

#[test]
fn columns_of_the_environment_beat_the_terminal() {
    let mut case = Case::new();
    case.terminal.width = Some(80);
    assert_eq!(case.settings().terminal.width, Some(80));
    case.environment.columns = Some("132".into());
    assert_eq!(case.settings().terminal.width, Some(132));
    case.environment.columns = Some("0".into());
    assert_eq!(case.settings().terminal.width, Some(80));
}

#[test]
fn no_debug_output_holds_a_key() {
    let mut case = Case::with_files();
    case.environment.api_key = Some("fv_env".into());
    let text = format!(
        "{:?} {:?} {:?}",
        case.environment,
        case.settings(),
        case.remote()
    );
    assert!(!text.contains("fv_"), "{text}");
}
