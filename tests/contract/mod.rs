//! The client's requests and the engine's answers against the contract, `docs/openapi.yaml`.

pub(crate) mod description;
mod proxy;

use proxy::Proxy;

use crate::common::{Home, Serving};

/// Every command that speaks to the API, and the exit code it has against the local engine. `name = ` keeps what a command prints for
/// `{name}` in later ones.
const COMMANDS: &[(&str, i32)] = &[
    ("health", 0),
    ("quota", 0),
    // volumes and their credentials
    ("volume create data --size-gib 2 --access rw", 0),
    ("volume create data2 --size-gib 1", 0),
    (
        "credential create bucket --type gcs-hmac --data-file secret.txt",
        0,
    ),
    (
        "volume create far --byo s3://bucket/prefix --credential bucket --access ro",
        0,
    ),
    ("volume list", 0),
    ("volume get data", 0),
    ("volume update data2 --name spare", 0),
    ("volume attachments data", 0),
    ("volume diagnostics far", 0),
    ("credential list", 0),
    // VMs with everything a launch takes
    (
        "vm launch --name dev --type c1m1 --disk-gib 5 -e A=b --env-file env.txt --metadata env=prod --metadata role=api --firewall restricted --rule tcp:80@2001:db8::/32#web --rule udp:5000-5010 --volume data:/data --volume far:/far:ro --ttl 1h:pause",
        0,
    ),
    ("vm launch --name w-{n} --count 2", 0),
    ("vm launch --type c9999m1", 5),
    ("vm launch --type c64m1", 6),
    ("vm list", 0),
    ("vm list -l env=prod -l role=api --status running", 0),
    ("vm get dev", 0),
    ("dev = vm get dev -o id", 0),
    ("vm rename w-2 w-two", 0),
    (
        "vm update dev --metadata env=test --unset role --ttl 2h:delete",
        0,
    ),
    ("vm update dev --clear-metadata --no-ttl", 0),
    ("vm update dev --ttl 1h", 0),
    ("vm refresh-ttl dev", 0),
    ("vm wait dev --for running", 0),
    ("vm wait dev --for exec", 0),
    (
        "exec -e X=y -w /tmp --timeout 60s dev -- sh -c 'echo out; echo err >&2'",
        0,
    ),
    ("exec -o json dev 'exit 3'", 3),
    ("exec --group dev w-1 -- true", 0),
    ("exec --timeout 1s dev 'sleep 60'", 124),
    ("exec -i dev cat", 0),
    ("run --type c1m1 -- true", 0),
    ("cp small.txt dev:/root/small.txt", 0),
    ("cp large.bin dev:/root/large.bin", 0),
    ("cp tree dev:/root/tree", 0),
    ("cp dev:/root/tree back", 0),
    ("cp dev:/root/large.bin back.bin", 0),
    ("cp dev:/root/tree w-1:/root/tree", 0),
    ("firewall get dev", 0),
    ("firewall set dev --mode open", 0),
    ("firewall patch dev --mode restricted", 0),
    ("firewall allow dev tcp:443", 0),
    ("firewall deny dev tcp:443", 0),
    ("service add dev web 8080 --h2c", 0),
    ("service add dev web 8080 --h2c", 0),
    ("service add dev web 9090", 5),
    ("service update dev web 9090", 0),
    ("service list dev", 0),
    ("service delete dev web --yes", 0),
    ("vm pause w-1", 0),
    ("exec w-1 true", 125),
    ("snapshot create w-1 --name paused", 0),
    ("vm resume w-1", 0),
    ("snapshot create dev --name golden --wait", 0),
    ("snapshot list", 0),
    ("snapshot get golden", 0),
    ("snapshot rename golden gold", 0),
    (
        "snapshot restore gold --name copy --env-file env.txt --metadata a=b",
        0,
    ),
    ("snapshot get missing-snapshot", 3),
    ("build create --image debian --name none", 5),
    ("build create --context tree", 5),
    ("build get 00000000-0000-4000-8000-000000000000", 3),
    ("api POST /v1/vms/{dev}/console-token", 0),
    (
        "url = api POST /v1/vms/{dev}/files/presign -F path=/tmp/small -q .downloadUrl",
        0,
    ),
    (
        "api POST /v1/vms/{dev}/files/fetch -F path=/tmp/small -f url={url}",
        0,
    ),
    ("api POST /v1/build-contexts/presign", 0),
    ("api PATCH /v1/vms/{dev} -F name=dev", 0),
    ("api GET /v1/vms/00000000-0000-4000-8000-000000000000", 3),
    ("snapshot delete gold paused --yes", 0),
    ("rm --all --yes", 0),
    ("volume delete data spare far --yes", 0),
    ("credential delete bucket --yes", 0),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_sends_and_the_engine_answers_is_as_the_contract_describes() {
    let home = Home::new();
    let engine = Serving::start(&home);
    let proxy = Proxy::start(&engine.url).await;
    let client = Home::with_server(&proxy.url).set("FASTVM_API_KEY", &engine.key);
    lay_out(&client);
    let mut kept: Vec<(&str, String)> = Vec::new();
    for (line, code) in COMMANDS {
        let (name, command) = line.split_once(" = ").unwrap_or(("", line));
        let words = shell_words::split(command).unwrap().into_iter();
        let words: Vec<String> = words
            .map(|word| {
                let fill = |word: String, (name, value): &(&str, String)| {
                    word.replace(&format!("{{{name}}}"), value)
                };
                kept.iter().fold(word, fill)
            })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = client.run(&words);
        assert_eq!(ran.code, *code, "fastvm {line}\n{ran}");
        if !name.is_empty() {
            kept.push((name, ran.stdout.trim().to_owned()));
        }
    }
    assert_eq!(proxy.faults(), [""; 0]);
    assert_eq!(proxy.silent(), [""; 0]);
}

fn lay_out(home: &Home) {
    let write = |name: &str, bytes: &[u8]| std::fs::write(home.join(name), bytes).unwrap();
    write(
        "secret.txt",
        b"{\"accessKeyId\":\"a\",\"secretAccessKey\":\"b\"}",
    );
    write("env.txt", b"C=d\n");
    write("small.txt", b"small\n");
    write("large.bin", &vec![7; 600_000]);
    std::fs::create_dir(home.join("tree")).unwrap();
    write("tree/Dockerfile", b"FROM scratch\n");
    write("tree/more.bin", &vec![9; 400_000]);
}
