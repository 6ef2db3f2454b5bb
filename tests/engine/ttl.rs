//! TTLs, which act without anybody there.

use std::time::Duration;

use serde_json::{Value, json};

use super::rig::Rig;

/// How long to wait for what must come.
const LONG: Duration = Duration::from_secs(30);

impl Rig {
    async fn vm_with_ttl(&self, action: &str, seconds: i64) -> Value {
        let request =
            json!({ "machineType": "c1m1", "ttl": { "action": action, "seconds": seconds } });
        let (status, vm) = self.send("POST", "/v1/vms", request.to_string()).await;
        assert_eq!(status, 201, "{vm}");
        vm
    }

    async fn patch(&self, path: &str, body: &str) -> Value {
        let (status, vm) = self.send("PATCH", path, body).await;
        assert_eq!(status, 200, "{vm}");
        vm
    }

    /// The status of the only VM in the database, without asking an engine.
    fn noted_status(&self) -> Option<String> {
        use rusqlite::OptionalExtension as _;
        rusqlite::Connection::open(self.data.path().join("state.db"))
            .unwrap()
            .query_row("SELECT status FROM vms", [], |row| row.get(0))
            .optional()
            .unwrap()
    }

    /// Waits for a status that nobody asks an engine for.
    async fn until_noted(&self, wanted: Option<&str>) {
        let look = async {
            while self.noted_status().as_deref() != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, look).await.unwrap();
    }

    fn has_keeper(&self) -> bool {
        let lock = std::fs::File::open(self.data.path().join("keeper.lock")).unwrap();
        lock.try_lock().is_err()
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[tokio::test]
async fn a_ttl_is_set_kept_refreshed_and_cleared() {
    let rig = Rig::start();
    let before = now_ms();
    let vm = rig.vm_with_ttl("pause", 1000).await;
    let path = format!("/v1/vms/{}", vm["id"].as_str().unwrap());
    assert_eq!(vm["ttl"], json!({ "action": "pause", "seconds": 1000 }));
    let expires = vm["expiresAtMs"].as_i64().unwrap();
    assert!((before + 1_000_000..=now_ms() + 1_000_000).contains(&expires));
    assert!(vm.get("ttlRemainingMs").is_none());
    assert_eq!(rig.get(&path).await.1["expiresAtMs"], expires);

    let renamed = rig.patch(&path, r#"{"name":"other"}"#).await;
    assert_eq!(renamed["expiresAtMs"], expires);
    let longer = rig
        .patch(&path, r#"{"ttl":{"action":"delete","seconds":2000}}"#)
        .await;
    assert!(longer["expiresAtMs"].as_i64().unwrap() >= before + 2_000_000);
    let refresh = format!("{path}/ttl/refresh");
    let (status, again) = rig.send("POST", &refresh, "").await;
    assert_eq!(status, 200);
    assert!(again["expiresAtMs"].as_i64() >= longer["expiresAtMs"].as_i64());

    // It stands still in a pause.
    let (_, paused) = rig.send("POST", &format!("{path}/pause"), "").await;
    let left = paused["ttlRemainingMs"].as_i64().unwrap();
    assert!((1_900_000..=2_000_000).contains(&left), "{paused}");
    assert!(paused.get("expiresAtMs").is_none());
    let (_, full) = rig.send("POST", &refresh, "").await;
    assert_eq!(full["ttlRemainingMs"], 2_000_000);
    let (_, resumed) = rig.send("POST", &format!("{path}/resume"), "").await;
    assert!(resumed["expiresAtMs"].as_i64().unwrap() >= now_ms() + 1_900_000);
    assert!(resumed.get("ttlRemainingMs").is_none());

    let cleared = rig.patch(&path, r#"{"ttl":null}"#).await;
    for field in ["ttl", "expiresAtMs", "ttlRemainingMs"] {
        assert!(cleared.get(field).is_none(), "{field}: {cleared}");
    }
    assert_eq!(rig.send("POST", &refresh, "").await.0, 409);
    for bad in [
        json!({ "action": "stop", "seconds": 1 }),
        json!({ "action": "pause", "seconds": 0 }),
        json!({ "action": "pause", "seconds": 31_536_001 }),
    ] {
        let change = json!({ "ttl": bad }).to_string();
        assert_eq!(rig.send("PATCH", &path, change).await.0, 400, "{bad}");
        let launch = json!({ "machineType": "c1m1", "ttl": bad }).to_string();
        assert_eq!(rig.send("POST", "/v1/vms", launch).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_vm_is_deleted_though_no_engine_runs() {
    let mut rig = Rig::start();
    rig.vm_with_ttl("delete", 1).await;
    rig.engine.take().unwrap().stop();
    rig.until_noted(None).await;
    let folders = ["vms", "layers"].map(|name| rig.data.path().join(name));
    for folder in folders {
        let empty = async {
            while std::fs::read_dir(&folder).unwrap().next().is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, empty).await.unwrap();
    }
    // With nothing left to do the keeper goes.
    let gone = async {
        while rig.has_keeper() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, gone).await.unwrap();
}

#[tokio::test]
async fn a_vm_is_paused_and_its_next_run_has_a_full_cycle() {
    let rig = Rig::start();
    let vm = rig.vm_with_ttl("pause", 2).await;
    let path = format!("/v1/vms/{}", vm["id"].as_str().unwrap());
    rig.until_noted(Some("paused")).await;
    let (_, paused) = rig.get(&path).await;
    assert_eq!(
        (&paused["status"], &paused["ttlRemainingMs"]),
        (&json!("paused"), &json!(2000))
    );
    let before = now_ms();
    let (_, resumed) = rig.send("POST", &format!("{path}/resume"), "").await;
    assert_eq!(resumed["status"], "running");
    assert!(resumed["expiresAtMs"].as_i64().unwrap() >= before + 2000);
    rig.until_noted(Some("paused")).await;
}

#[tokio::test]
async fn an_earlier_deadline_is_noticed_and_there_is_one_keeper() {
    let rig = Rig::start();
    let vm = rig.vm_with_ttl("delete", 100_000).await;
    assert!(rig.has_keeper());
    let path = format!("/v1/vms/{}", vm["id"].as_str().unwrap());
    rig.patch(&path, r#"{"ttl":{"action":"pause","seconds":1}}"#)
        .await;
    rig.until_noted(Some("paused")).await;
}
