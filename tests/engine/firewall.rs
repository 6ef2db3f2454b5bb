//! Firewalls and services.

use serde_json::json;

use super::rig::Rig;

#[tokio::test]
async fn a_policy_is_replaced_and_changed_in_parts() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    let path = format!("/v1/vms/{vm}/firewall");
    let rule = json!({ "protocol": "tcp", "portStart": 80, "portEnd": 90, "sourceCidrs": ["2001:db8::/32"], "description": "web" });
    let policy = json!({ "mode": "restricted", "ingress": [rule] });
    let (status, answer) = rig.send("PUT", &path, policy.to_string()).await;
    assert_eq!((status, &answer["firewall"]), (200, &policy));
    assert_eq!(answer["effectiveFirewall"], policy);

    let (status, answer) = rig.send("PATCH", &path, r#"{"mode":"open"}"#).await;
    assert_eq!((status, &answer["firewall"]["mode"]), (200, &json!("open")));
    assert_eq!(answer["firewall"]["ingress"], json!([rule]));
    let (_, answer) = rig.send("PATCH", &path, r#"{"ingress":[]}"#).await;
    assert_eq!(answer["firewall"], json!({ "mode": "open", "ingress": [] }));
    let (_, answer) = rig.send("PUT", &path, r#"{"mode":"restricted"}"#).await;
    assert_eq!(
        answer["firewall"],
        json!({ "mode": "restricted", "ingress": [] })
    );

    for (method, bad) in [
        ("PATCH", json!({})),
        ("PUT", json!({ "ingress": [] })),
        ("PUT", json!({ "mode": "closed" })),
        (
            "PATCH",
            json!({ "ingress": [{ "protocol": "tcp", "portStart": 0 }] }),
        ),
        (
            "PATCH",
            json!({ "ingress": [{ "protocol": "tcp", "portStart": 9, "portEnd": 8 }] }),
        ),
        (
            "PATCH",
            json!({ "ingress": [{ "protocol": "tcp", "portStart": 9, "sourceCidrs": ["10.0.0.0/8"] }] }),
        ),
    ] {
        let (status, answer) = rig.send(method, &path, bad.to_string()).await;
        assert_eq!(
            (status, answer["error"].is_string()),
            (400, true),
            "{method} {bad}"
        );
    }
    let (_, after) = rig.get(&format!("/v1/vms/{vm}")).await;
    assert_eq!(after["firewall"], answer["firewall"]);
    assert_eq!(
        rig.send("PUT", "/v1/vms/x/firewall", r#"{"mode":"open"}"#)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn services_are_sorted_idempotent_and_open_the_firewall() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    let path = format!("/v1/vms/{vm}/services");
    assert_eq!(rig.get(&path).await, (200, json!([])));
    let web = json!({ "name": "web", "port": 8080, "h2c": false });
    let api = json!({ "name": "api", "port": 9000, "h2c": true });
    for _ in 0..2 {
        let request = r#"{"name":"web","port":8080}"#;
        assert_eq!(rig.send("POST", &path, request).await, (201, web.clone()));
    }
    assert_eq!(
        rig.send("POST", &path, api.to_string()).await,
        (201, api.clone())
    );
    for other in [
        r#"{"name":"web","port":8081}"#,
        r#"{"name":"web","port":8080,"h2c":true}"#,
    ] {
        assert_eq!(rig.send("POST", &path, other).await.0, 409, "{other}");
    }
    for bad in [
        r#"{"name":"","port":8080}"#,
        r#"{"name":"-x","port":8080}"#,
        r#"{"name":"x","port":1023}"#,
        r#"{"name":"x","port":65536}"#,
        r#"{"name":"x"}"#,
    ] {
        assert_eq!(rig.send("POST", &path, bad).await.0, 400, "{bad}");
    }
    assert_eq!(rig.get(&path).await.1, json!([api, web]));
    let rule = |name: &str, port: u16| json!({ "protocol": "tcp", "portStart": port, "sourceCidrs": ["::/0"], "description": format!("auto: proxy service {name}") });
    let (_, seen) = rig.get(&format!("/v1/vms/{vm}")).await;
    assert_eq!(seen["firewall"]["ingress"], json!([]));
    assert_eq!(
        seen["effectiveFirewall"],
        json!({ "mode": "restricted", "ingress": [rule("api", 9000), rule("web", 8080)] })
    );

    let one = |name: &str| format!("{path}/{name}");
    // What is not said about h2c stays.
    let (status, changed) = rig.send("PUT", &one("api"), r#"{"port":9001}"#).await;
    assert_eq!(
        (status, changed),
        (200, json!({ "name": "api", "port": 9001, "h2c": true }))
    );
    let (status, made) = rig.send("PUT", &one("new"), r#"{"port":9002}"#).await;
    assert_eq!(
        (status, made),
        (200, json!({ "name": "new", "port": 9002, "h2c": false }))
    );
    assert_eq!(
        rig.send("PUT", &one("Bad"), r#"{"port":9002}"#).await.0,
        400
    );
    for _ in 0..2 {
        assert_eq!(rig.send("DELETE", &one("new"), "").await.0, 204);
    }
    for number in 2..16 {
        let request = json!({ "name": format!("s{number}"), "port": 2000 + number });
        assert_eq!(rig.send("POST", &path, request.to_string()).await.0, 201);
    }
    assert_eq!(
        rig.send("POST", &path, r#"{"name":"more","port":2000}"#)
            .await
            .0,
        403
    );
    assert_eq!(
        rig.send("PUT", &one("more"), r#"{"port":2000}"#).await.0,
        403
    );
    assert_eq!(rig.send("PUT", &one("s2"), r#"{"port":2000}"#).await.0, 200);
    assert_eq!(rig.get("/v1/vms/x/services").await.0, 404);
}

#[tokio::test]
async fn services_are_captured_and_registered_again() {
    let rig = Rig::start();
    let vm = rig.vm().await;
    let service = json!({ "name": "web", "port": 8080, "h2c": false });
    rig.send(
        "POST",
        &format!("/v1/vms/{vm}/services"),
        service.to_string(),
    )
    .await;
    let (_, snapshot) = rig
        .send("POST", "/v1/snapshots", json!({ "vmId": vm }).to_string())
        .await;
    assert_eq!(snapshot["services"], json!([service]));
    let request = json!({ "snapshotId": snapshot["id"] });
    let (_, copy) = rig.send("POST", "/v1/vms", request.to_string()).await;
    assert!(copy.get("snapshotRestoreWarnings").is_none());
    assert_eq!(copy["effectiveFirewall"]["ingress"][0]["portStart"], 8080);
    let id = copy["id"].as_str().unwrap();
    assert_eq!(
        rig.get(&format!("/v1/vms/{id}/services")).await.1,
        json!([service])
    );
}
