//! Volumes and stored credentials.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::rig::Rig;

impl Rig {
    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.send("POST", path, body.to_string()).await;
        assert_eq!(status, 201, "{body}: {made}");
        made
    }

    async fn volume(&self) -> String {
        let request = json!({ "backend": "native", "sizeGiB": 5 });
        id(&self.post("/v1/volumes", request).await)
    }

    async fn vm_with(&self, volumes: Value) -> Value {
        self.post(
            "/v1/vms",
            json!({ "machineType": "c1m1", "volumes": volumes }),
        )
        .await
    }
}

fn id(made: &Value) -> String {
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_native_volume_outlives_its_vms_and_ro_is_read_only() {
    let rig = Rig::start();
    let made = rig
        .post(
            "/v1/volumes",
            json!({ "name": " my  data ", "backend": "native", "sizeGiB": 5 }),
        )
        .await;
    for (field, value) in [
        ("name", json!("my data")),
        ("consistency", json!("posix")),
        ("accessMode", json!("rw")),
        ("sizeGiB", json!(5)),
        ("status", json!("ready")),
        ("attachmentCount", json!(0)),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let volume = id(&made);
    let path = format!("/v1/volumes/{volume}");
    assert_eq!(rig.get("/v1/volumes").await, (200, json!([made])));
    let usage = rig.get("/v1/org/quotas").await.1["usage"].clone();
    assert_eq!(
        (&usage["volumeCount"], &usage["volumeGiB"]),
        (&json!(1), &json!(5))
    );

    let first = rig
        .vm_with(json!([{ "volumeId": volume, "mountPath": "/data" }]))
        .await;
    assert_eq!(
        first["volumes"],
        json!([{ "volumeId": volume, "mountPath": "/data", "readOnly": false, "mountStatus": "mounted",
            "statusMessage": "", "rotationRequired": false }])
    );
    let write = "id -u > /data/who && stat -c %u /data/who";
    assert_eq!(
        rig.exec(&id(&first), &["sh", "-c", write]).await["stdout"],
        "0\n"
    );
    // A snapshot of an idle VM boots it again.
    rig.post("/v1/snapshots", json!({ "vmId": first["id"] }))
        .await;
    assert_eq!(
        rig.exec(&id(&first), &["cat", "/data/who"]).await["stdout"],
        "0\n"
    );
    let second = rig
        .vm_with(json!([{ "volumeId": volume, "mountPath": "/mnt/deep/data", "readOnly": true }]))
        .await;
    let look = "cat /mnt/deep/data/who; touch /mnt/deep/data/x";
    let run = rig.exec(&id(&second), &["sh", "-c", look]).await;
    assert_eq!(run["stdout"], "0\n");
    assert!(
        run["stderr"]
            .as_str()
            .unwrap()
            .contains("Read-only file system"),
        "{run}"
    );

    assert_eq!(rig.get(&path).await.1["attachmentCount"], 2);
    let (_, attachments) = rig.get(&format!("{path}/attachments")).await;
    assert_eq!(attachments[1]["vmId"], second["id"]);
    assert_eq!(attachments[1]["mountPath"], "/mnt/deep/data");
    assert_eq!(attachments[1]["readOnly"], true);
    let (status, diagnostics) = rig.get(&format!("{path}/diagnostics")).await;
    assert_eq!(status, 200);
    assert!(
        diagnostics["usedBytes"].as_i64().unwrap() > 0,
        "{diagnostics}"
    );
    let (status, refused) = rig.send("DELETE", &path, "").await;
    assert_eq!(status, 409, "{refused}");
    for vm in [&first, &second] {
        let (status, _) = rig.send("DELETE", &format!("/v1/vms/{}", id(vm)), "").await;
        assert_eq!(status, 200);
    }
    let third = rig
        .vm_with(json!([{ "volumeId": volume, "mountPath": "/data" }]))
        .await;
    assert_eq!(
        rig.exec(&id(&third), &["cat", "/data/who"]).await["stdout"],
        "0\n"
    );
    rig.send("DELETE", &format!("/v1/vms/{}", id(&third)), "")
        .await;
    assert_eq!(
        rig.send("DELETE", &path, "").await,
        (200, json!({ "id": volume, "deleted": true }))
    );
    assert_eq!(rig.get(&path).await.0, 404);
    assert!(!rig.data.path().join("volumes").join(&volume).exists());
}

#[tokio::test]
async fn what_a_volume_cannot_be_is_refused() {
    let rig = Rig::with(|options| options.quotas.volume_gib = Some(6));
    for (bad, code) in [
        (json!({}), 400),
        (json!({ "backend": "tape" }), 400),
        (json!({ "backend": "native" }), 400),
        (json!({ "backend": "native", "sizeGiB": 0 }), 400),
        (
            json!({ "backend": "native", "sizeGiB": 1, "accessMode": "wo" }),
            400,
        ),
        (json!({ "backend": "native", "sizeGiB": 7 }), 403),
        (json!({ "backend": "byo-object" }), 400),
        (
            json!({ "backend": "byo-object", "byoObject": { "uri": "http://x", "credentialsRef": "a" } }),
            400,
        ),
        (
            json!({ "backend": "byo-object", "byoObject": { "uri": "s3://x", "credentialsRef": "a" } }),
            404,
        ),
    ] {
        let (status, answer) = rig.send("POST", "/v1/volumes", bad.to_string()).await;
        assert_eq!(status, code, "{bad}: {answer}");
    }
    let volume = rig.volume().await;
    let path = format!("/v1/volumes/{volume}");
    let (status, renamed) = rig.send("PATCH", &path, r#"{"name":"new"}"#).await;
    assert_eq!((status, &renamed["name"]), (200, &json!("new")));
    for bad in ["{}", r#"{"name":" "}"#, r#"{"credentialsRef":"a"}"#] {
        assert_eq!(rig.send("PATCH", &path, bad).await.0, 400, "{bad}");
    }
    for (mount, code) in [
        (json!({ "volumeId": "x", "mountPath": "/data" }), 404),
        (json!({ "volumeId": volume, "mountPath": "data" }), 400),
        (json!({ "volumeId": volume, "mountPath": "/proc/x" }), 400),
        (
            json!({ "volumeId": volume, "mountPath": "/etc/passwd" }),
            400,
        ),
    ] {
        let request = json!({ "machineType": "c1m1", "volumes": [mount] });
        let (status, answer) = rig.send("POST", "/v1/vms", request.to_string()).await;
        assert_eq!(status, code, "{mount}: {answer}");
    }
    assert_eq!(rig.get("/v1/vms").await.1, json!([]));
    assert_eq!(rig.get(&path).await.1["attachmentCount"], 0);
}

#[tokio::test]
async fn object_storage_is_kept_in_mind_and_not_mounted() {
    let rig = Rig::start();
    let secret = "AKIA-very-secret";
    let credential = |name: &str| json!({ "name": name, "type": "s3", "data": secret });
    let first = rig.post("/v1/volume-credentials", credential("one")).await;
    let second = rig.post("/v1/volume-credentials", credential("two")).await;
    let (_, listed) = rig.get("/v1/volume-credentials").await;
    assert_eq!(listed, json!([first, second]));
    assert!(!format!("{first}{listed}").contains(secret));
    let file = rig.data.path().join("credentials").join(id(&first));
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), secret);
    for name in ["state.db", "state.db-wal"] {
        let state = std::fs::read(rig.data.path().join(name)).unwrap_or_default();
        assert!(
            !state
                .windows(secret.len())
                .any(|part| part == secret.as_bytes()),
            "{name}"
        );
    }
    let (status, answer) = rig
        .send(
            "POST",
            "/v1/volume-credentials",
            json!({ "name": "", "type": "s3", "data": secret }).to_string(),
        )
        .await;
    assert_eq!(status, 400);
    assert!(!answer.to_string().contains(secret));

    let object = json!({ "uri": "s3://bucket/prefix", "credentialsRef": first["id"] });
    let volume = rig
        .post(
            "/v1/volumes",
            json!({ "backend": "byo-object", "accessMode": "ro", "byoObject": object }),
        )
        .await;
    let message = "the local engine does not mount object storage";
    assert_eq!(
        (
            &volume["sizeGiB"],
            &volume["consistency"],
            &volume["statusMessage"]
        ),
        (&Value::Null, &json!("eventual"), &json!(message))
    );
    let vm = rig
        .vm_with(json!([{ "volumeId": volume["id"], "mountPath": "/models" }]))
        .await;
    let mount = &vm["volumes"][0];
    assert_eq!(
        (
            &mount["mountStatus"],
            &mount["statusMessage"],
            &mount["readOnly"]
        ),
        (&json!("failed"), &json!(message), &json!(true))
    );
    assert_eq!(mount["rotationRequired"], false);

    let one = format!("/v1/volume-credentials/{}", id(&first));
    assert_eq!(rig.send("DELETE", &one, "").await.0, 409);
    let change = json!({ "credentialsRef": second["id"] });
    let path = format!("/v1/volumes/{}", id(&volume));
    assert_eq!(rig.send("PATCH", &path, change.to_string()).await.0, 200);
    let (_, vm) = rig.get(&format!("/v1/vms/{}", id(&vm))).await;
    assert_eq!(vm["volumes"][0]["rotationRequired"], true);
    assert_eq!(rig.send("DELETE", &one, "").await.0, 200);
    assert_eq!(rig.send("DELETE", &one, "").await.0, 404);
    assert!(!file.exists());
}
