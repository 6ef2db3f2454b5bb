//! Files of the configuration that are in a bad way, or are being written.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;

use super::{Random, ended, signal, start};
use crate::common::{Home, Ran};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

/// T43.
#[test]
fn a_key_is_for_its_owner_alone_whatever_was_there() {
    let folder = ".config/fastvm";
    let file = ".config/fastvm/config.toml";
    let set = ["config", "set", "api_key", "fv_0123456789abcdef"];
    let home = Home::new();
    let masked = |home: &Home| {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "umask 000; exec \"$0\" config set api_key fv_0123456789abcdef",
        ]);
        let command = home.command(&[]);
        shell.arg(command.get_program()).env_clear();
        for (name, value) in command.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        Ran::of(&shell.current_dir(home.path()).output().unwrap())
    };
    assert_eq!(masked(&home).code, 0);
    assert_eq!(
        (mode(&home.join(folder)), mode(&home.join(file))),
        (0o700, 0o600)
    );
    fs::set_permissions(home.join(file), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(home.join(folder), fs::Permissions::from_mode(0o777)).unwrap();
    home.ok(&set);
    assert_eq!(mode(&home.join(file)), 0o600);
    // A file that is kept elsewhere stays there.
    fs::rename(home.join(file), home.join("kept.toml")).unwrap();
    symlink(home.join("kept.toml"), home.join(file)).unwrap();
    home.ok(&["config", "set", "api_key", "fv_another_key_12345"]);
    assert!(fs::symlink_metadata(home.join(file)).unwrap().is_symlink());
    let kept = fs::read_to_string(home.join("kept.toml")).unwrap();
    assert!(kept.contains("fv_another_key_12345"), "{kept}");
    assert_eq!(mode(&home.join("kept.toml")), 0o600);
}

/// T43.
#[test]
fn a_home_that_cannot_be_written_is_named() {
    let home = Home::new().set("XDG_CONFIG_HOME", "/proc/nowhere");
    let ran = home.run(&["config", "set", "api_key", "fv_0123456789abcdef"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(
        ran.stderr.contains("/proc/nowhere") && !ran.stderr.contains("fv_0123456789abcdef"),
        "{ran}"
    );
}

/// T44.
#[test]
fn broken_files_stop_what_needs_them_and_can_be_mended() {
    for (name, content) in [
        ("invalid", b"api_key = \n".to_vec()),
        ("nul", b"api_key = \"a\0b\"\n".to_vec()),
        ("not utf-8", b"api_key = \"\xff\xfe\"\n".to_vec()),
        ("huge", vec![b'#'; 10_000_000]),
        (
            "a key with a line break",
            b"api_key = \"two\\nlines\"\n".to_vec(),
        ),
    ] {
        let home = Home::new();
        let file = home.join(".config/fastvm/config.toml");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let ran = home.run(&["vm", "list"]);
        assert!([1, 2, 4].contains(&ran.code), "{name}\n{ran}");
        assert!(ran.stderr.contains("config.toml"), "{name}\n{ran}");
        assert!(
            !ran.stderr.contains('\0') && !ran.stderr.contains("panicked"),
            "{name}\n{ran}"
        );
        // What needs no configuration runs, and so does what mends it.
        assert_eq!(home.run(&["--version"]).code, 0, "{name}");
        assert_eq!(home.run(&["config", "path"]).code, 0, "{name}");
    }
}

fn kills(rounds: u64) {
    let home = Home::new();
    home.ok(&["config", "set", "api_key", "fv_0123456789abcdef"]);
    let mut random = Random::new(31);
    for round in 0..rounds {
        let key = format!("fv_round_{round}_0123456789");
        let child = start(&home, &["config", "set", "api_key", &key]);
        for _ in 0..random.below(3000) {
            std::hint::spin_loop();
        }
        std::thread::sleep(std::time::Duration::from_micros(random.below(12_000)));
        signal(&child, "KILL");
        ended(child);
        let got = home.ok(&["config", "get", "api_key"]);
        assert!(got.starts_with("fv_"), "{round}: {got}");
        let file = home.join(".config/fastvm/config.toml");
        assert_eq!(mode(&file), 0o600, "{round}");
    }
    home.ok(&["config", "set", "api_key", "fv_0123456789abcdef"]);
    assert_eq!(
        home.ok(&["config", "get", "api_key"]),
        "fv_0123456789abcdef"
    );
}

/// T44.
#[test]
fn a_writer_that_is_killed_leaves_the_last_good_file() {
    kills(15);
}

/// T44.
#[test]
#[ignore = "a longer sweep"]
fn a_writer_that_is_killed_200_times_leaves_the_last_good_file() {
    kills(200);
}
