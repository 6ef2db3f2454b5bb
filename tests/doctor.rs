//! `fastvm doctor`: what works, what does not, and what mends it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::common::scripted::json;
use crate::common::{Front, Home, Ran, Say, Served};

/// One check of a JSON answer.
fn check(ran: &Ran, area: &str, name: &str) -> Value {
    let json = ran.json();
    let all = json.as_array().unwrap();
    let found = all
        .iter()
        .find(|check| check["area"] == area && check["check"] == name);
    found
        .unwrap_or_else(|| panic!("no {area} {name}\n{ran}"))
        .clone()
}

fn state(ran: &Ran, area: &str, name: &str) -> String {
    check(ran, area, name)["state"].as_str().unwrap().to_owned()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_engine_of_this_machine_works_whatever_the_cloud_does() {
    let home = Home::new().set("FASTVM_BASE_URL", "http://127.0.0.1:1");
    let ran = home.run(&["--local", "doctor", "--json"]);
    assert_eq!(ran.code, 0, "{ran}");
    for name in [
        "kernel",
        "user namespaces",
        "overlay",
        "VMs",
        "data folder",
        "leftovers",
    ] {
        assert_eq!(state(&ran, "engine", name), "ok", "{ran}");
    }
    assert_eq!(home.ok(&["--local", "vm", "ls", "--json"]), "[]");
    let trials = std::fs::read_dir(home.join("local/images"))
        .unwrap()
        .flatten();
    let left = trials.filter(|entry| entry.file_name().to_string_lossy().starts_with("trial"));
    assert_eq!(left.count(), 0);
    let full = home.set("FASTVM_LOCAL_QUOTAS", "vcpu=0");
    let ran = full.run(&["--local", "doctor", "--json"]);
    assert_eq!(
        (ran.code, state(&ran, "engine", "quota").as_str()),
        (1, "failed")
    );
    let home = full.set("FASTVM_LOCAL_QUOTAS", "");
    let cloud = home.run(&["doctor", "--json"]);
    assert_eq!(cloud.code, 1, "{cloud}");
    assert_eq!(state(&cloud, "cloud", "connection"), "failed");
    assert_eq!(state(&cloud, "cloud", "TLS"), "skipped");
    assert_eq!(state(&cloud, "engine", "VMs"), "ok");
}

#[test]
fn an_engine_that_cannot_work_fails_and_does_not_concern_the_cloud() {
    let served = Served::start();
    let home = served.client().set("FASTVM_LOCAL_DIR", "/proc/nowhere");
    let local = home.run(&["--local", "doctor", "--json"]);
    assert_eq!(local.code, 1, "{local}");
    assert_eq!(state(&local, "engine", "VMs"), "failed");
    let cloud = home.run(&["doctor", "--json"]);
    assert_eq!(cloud.code, 0, "{cloud}");
}

#[test]
fn a_cloud_that_works_is_told_step_by_step_for_people_too() {
    let served = Served::start();
    let home = served.client();
    let ran = home.run(&["doctor", "--json"]);
    assert_eq!(ran.code, 0, "{ran}");
    for name in [
        "settings",
        "proxy",
        "connection",
        "TLS",
        "latency",
        "key",
        "quota",
    ] {
        assert_eq!(state(&ran, "cloud", name), "ok", "{ran}");
    }
    let api = check(&ran, "cloud", "API");
    assert_eq!(
        api["detail"],
        "v1 with VMs, snapshots, volumes, credentials, quotas"
    );
    let text = home.run(&["doctor"]);
    assert!(
        text.stdout.starts_with("Cloud (in use)\n  ✓ settings"),
        "{text}"
    );
    assert_eq!(text.code, 0, "{text}");
    let csv = home.ok(&["doctor", "-o", "csv", "--columns", "check,state"]);
    assert!(csv.starts_with("check,state\nsettings,ok\n"), "{csv}");
}

#[test]
fn a_wrong_key_and_no_key_are_told_with_what_mends_them() {
    let served = Served::start();
    let wrong = served
        .client()
        .set("FASTVM_API_KEY", "fv_another_key_0123456789");
    let none = served.client().set("FASTVM_API_KEY", "");
    for home in [wrong, none] {
        let ran = home.run(&["doctor", "--json"]);
        assert_eq!(ran.code, 1, "{ran}");
        let key = check(&ran, "cloud", "key");
        assert_eq!(key["state"], "failed", "{ran}");
        assert!(
            key["fix"].as_str().unwrap().contains("fastvm login"),
            "{key}"
        );
        assert_eq!(state(&ran, "cloud", "connection"), "ok");
        assert!(!ran.stdout.contains("fv_another"), "{ran}");
    }
}

/// A doctor whose requests meet what `say` makes of their lines.
fn doctor(served: &Served, mut say: impl FnMut(&str) -> Say + Send + 'static) -> Ran {
    let front = Front::new(served.url(), "uploadUrl", move |asked| say(&asked.line));
    Home::with_server(front.url()).run(&["doctor", "--json"])
}

#[test]
fn an_api_is_known_by_what_it_lists() {
    let served = Served::start();
    let missing = |path: &'static str| {
        move |line: &str| match line.ends_with(path) {
            true => Say::Answer(json("404 Not Found", r#"{"error":"no"}"#)),
            false => Say::Pass,
        }
    };
    let without_volumes = doctor(&served, missing("/v1/volumes"));
    assert_eq!(without_volumes.code, 0, "{without_volumes}");
    let api = check(&without_volumes, "cloud", "API");
    assert_eq!(api["state"], "warning");
    assert!(
        api["detail"].as_str().unwrap().ends_with("without volumes"),
        "{api}"
    );
    let another = doctor(&served, missing("/v1/vms"));
    assert_eq!(
        (another.code, state(&another, "cloud", "API").as_str()),
        (1, "failed")
    );
    let broken = doctor(&served, |line| match line.ends_with("/v1/snapshots") {
        true => Say::Answer(json("500 Oops", r#"{"error":"no"}"#)),
        false => Say::Pass,
    });
    assert_eq!(
        (broken.code, state(&broken, "cloud", "API").as_str()),
        (1, "failed")
    );
}

#[test]
fn a_clock_that_is_wrong_and_a_quota_that_is_used_up_are_told() {
    let served = Served::start();
    let clock = doctor(&served, |line| match line.ends_with("/healthz") {
        true => {
            let answer = json("200 OK", r#"{"status":"ok"}"#);
            let dated = "200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT";
            Say::Answer(answer.replacen("200 OK", dated, 1))
        }
        false => Say::Pass,
    });
    assert_eq!(clock.code, 0, "{clock}");
    let found = check(&clock, "cloud", "clock");
    assert_eq!(found["state"], "warning", "{found}");
    assert!(
        found["detail"].as_str().unwrap().contains("ahead"),
        "{found}"
    );

    let values = r#"{"vcpu":4,"memoryMiB":1,"diskGiB":1,"snapshotCount":0}"#;
    let quotas = format!(r#"{{"orgId":"o","limits":{values},"usage":{values}}}"#);
    let full = doctor(&served, move |line| {
        match line.ends_with("/v1/org/quotas") {
            true => Say::Answer(json("200 OK", &quotas)),
            false => Say::Pass,
        }
    });
    assert_eq!(
        (full.code, state(&full, "cloud", "quota").as_str()),
        (1, "failed")
    );
}

#[test]
fn a_proxy_is_named_without_its_password() {
    let home = Home::new()
        .set("FASTVM_BASE_URL", "https://api.example.invalid")
        .set("HTTPS_PROXY", "http://user:s3cret@127.0.0.1:1");
    let ran = home.run(&["doctor", "--json"]);
    assert_eq!(ran.code, 1, "{ran}");
    let proxy = check(&ran, "cloud", "proxy");
    assert_eq!(proxy["detail"], "requests go through http://127.0.0.1:1");
    let connection = check(&ran, "cloud", "connection").to_string();
    assert!(
        connection.contains("cannot connect to the proxy http://127.0.0.1:1")
            && !connection.contains("go through"),
        "{connection}"
    );
    assert!(!ran.stdout.contains("\"name\""), "{ran}");
    assert!(!ran.stdout.contains("s3cret"), "{ran}");
    let direct = home
        .set("NO_PROXY", "example.invalid")
        .run(&["doctor", "--json"]);
    assert_eq!(check(&direct, "cloud", "proxy")["detail"], "none");
    assert_eq!(state(&direct, "cloud", "name"), "failed");
}

#[test]
fn what_others_can_read_is_closed_by_fix_alone() {
    let home = Home::new();
    home.ok(&["--local", "vm", "ls"]);
    let secret = home.join(".config/fastvm/credentials.toml");
    std::fs::create_dir_all(secret.parent().unwrap()).unwrap();
    std::fs::write(&secret, "").unwrap();
    set_mode(&secret, 0o644);
    let key = home.join("local/key");
    set_mode(&key, 0o644);
    let told = home.run(&["--local", "doctor", "--json"]);
    assert_eq!(state(&told, "settings", "permissions"), "warning");
    assert_eq!(state(&told, "engine", "data folder"), "warning");
    assert_eq!((mode(&secret), mode(&key)), (0o644, 0o644));
    let refused = home.run(&["--local", "--dry-run", "doctor", "--fix"]);
    assert_eq!(refused.code, 2, "{refused}");
    let mended = home.run(&["--local", "doctor", "--fix", "--json"]);
    assert_eq!(mended.code, 0, "{mended}");
    assert_eq!((mode(&secret), mode(&key)), (0o600, 0o600));
    assert_eq!(state(&mended, "settings", "permissions"), "ok");
    assert!(!mended.stderr.contains("removed"), "{mended}");
    std::fs::create_dir(home.join("local/layers/stray")).unwrap();
    let swept = home.run(&["--local", "doctor", "--fix", "--json"]);
    assert!(
        swept
            .stderr
            .contains("removed what engines had left: 1 folder"),
        "{swept}"
    );
    swept.json();
    assert_eq!(state(&mended, "engine", "data folder"), "ok");
}

#[test]
fn leftovers_are_told_and_stay_until_they_are_pruned() {
    let home = Home::new();
    home.ok(&["--local", "vm", "ls"]);
    let broken = home.join("local/state.db.broken-1");
    std::fs::write(&broken, "x").unwrap();
    let ran = home.run(&["--local", "doctor", "--fix", "--json"]);
    let leftovers = check(&ran, "engine", "leftovers");
    assert_eq!(leftovers["state"], "warning", "{ran}");
    assert_eq!(leftovers["fix"], "fastvm --local prune --only leftovers");
    assert!(broken.exists());
}
