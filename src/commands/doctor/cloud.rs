//! The API over the network, step by step from the settings to the quota.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hyper_util::client::proxy::matcher::Matcher;
use jiff::Timestamp;
use reqwest::{StatusCode, Url};
use tokio_tungstenite::tungstenite::http::Uri;

use super::check::{Check, State};
use super::room::room;
use crate::config::{Api, DEFAULT_CONTEXT, Remote};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::output::control::visible;
use crate::output::human;
use fastvm_api::is_loopback;
use fastvm_api::raw::RawRequest;
use fastvm_api::types::quota::QuotaUsage;
use fastvm_api::{self as api, Client};

/// Where a check says what it is about.
const AREA: &str = "cloud";

/// A look-up or a connection that takes longer is of no use.
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// Signed URLs and certificates are refused where clocks differ by more.
const LARGEST_SKEW: Duration = Duration::from_secs(120);

/// What an API of this version lists, by its path and in words.
const ROUTES: [(&str, &str); 5] = [
    ("v1/vms", "VMs"),
    ("v1/snapshots", "snapshots"),
    ("v1/volumes", "volumes"),
    ("v1/volume-credentials", "credentials"),
    ("v1/org/quotas", "quotas"),
];

/// Looks at each step. What needs a step that failed is skipped.
pub(super) async fn examine(context: &Context) -> Vec<Check> {
    let mut checks = Vec::new();
    let remote = match remote(context) {
        Ok(remote) => remote,
        Err(error) => return vec![Check::failed(AREA, "settings", &error)],
    };
    checks.push(ok(
        "settings",
        format!(
            "context {}, {} (from {})",
            remote.context,
            remote.base_url.as_str(),
            remote.base_url.source
        ),
    ));
    if reach(context, &remote, &mut checks).await.is_none() {
        checks.extend(["TLS", "latency", "clock"].map(skipped));
        checks.push(untried_key(&remote).await);
        checks.extend(["API", "quota"].map(skipped));
        return checks;
    }
    answers(context, &remote, &mut checks).await;
    checks
}

/// The API of the chosen context; of the one in the files where the engine of this machine was chosen.
fn remote(context: &Context) -> Result<Remote, Error> {
    if let Api::Remote(remote) = context.settings.api()? {
        return Ok(remote.clone());
    }
    for name in [None, Some(DEFAULT_CONTEXT.to_owned())] {
        let settings = context.settings_of_context(name)?;
        if let Api::Remote(remote) = settings.api()? {
            return Ok(remote.clone());
        }
    }
    Err(Error::new(Kind::NotFound, "the only context is local")
        .hint("fastvm context create NAME --base-url URL"))
}

/// Proxy, name and connection.
async fn reach(context: &Context, remote: &Remote, checks: &mut Vec<Check>) -> Option<()> {
    let url = Url::parse(remote.base_url.as_str()).ok()?;
    let proxy = proxy_for(&url);
    checks.push(match &proxy {
        Some(proxy) => ok("proxy", format!("requests go through {}", visible(proxy))),
        None => ok("proxy", "none"),
    });
    let next = match &proxy {
        Some(proxy) => Url::parse(proxy).ok()?,
        None => url,
    };
    let limit = context.settings.connect_timeout.min(LONGEST_STEP);
    let addresses = resolved(&next, proxy.is_some(), limit, checks).await;
    let Some(addresses) = addresses else {
        checks.push(skipped("connection"));
        return None;
    };
    connected(&addresses, proxy.as_deref(), limit, checks).await
}

/// The proxy that requests to a URL go through, without its password: found as the HTTP client finds it.
fn proxy_for(url: &Url) -> Option<String> {
    if is_loopback(url) {
        return None;
    }
    let uri: Uri = url.as_str().parse().ok()?;
    let found = Matcher::from_system().intercept(&uri)?;
    let uri = found.uri();
    let port = uri.port_u16().map(|port| format!(":{port}"));
    Some(format!(
        "{}://{}{}",
        uri.scheme_str().unwrap_or("http"),
        uri.host()?,
        port.unwrap_or_default()
    ))
}

async fn resolved(
    url: &Url,
    is_proxy: bool,
    limit: Duration,
    checks: &mut Vec<Check>,
) -> Option<Vec<SocketAddr>> {
    const CHECK: &str = "name";
    let host = url.host_str()?.trim_matches(['[', ']']);
    // Proxies of SOCKS have a port of their own.
    let port = url.port_or_known_default().unwrap_or(1080);
    let found = tokio::time::timeout(limit, tokio::net::lookup_host((host, port))).await;
    let problem = match found {
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.collect();
            if !addresses.is_empty() {
                let told: Vec<_> = addresses.iter().map(|at| at.ip().to_string()).collect();
                if host.parse::<IpAddr>().is_err() {
                    checks.push(ok(CHECK, format!("{host} is {}", told.join(", "))));
                }
                return Some(addresses);
            }
            "it has no address".to_owned()
        }
        Ok(Err(error)) => api::error::root_cause(&error),
        Err(_) => format!("no answer within {}", human::duration(limit)),
    };
    let fix = match is_proxy {
        true => "set HTTPS_PROXY to the proxy's URL, or unset it".to_owned(),
        false => format!("check the base URL and the DNS of this machine: getent hosts {host}"),
    };
    let detail = format!("{host} cannot be resolved: {problem}");
    checks.push(Check::new(AREA, CHECK, State::Failed, detail).fix(fix));
    None
}

async fn connected(
    addresses: &[SocketAddr],
    proxy: Option<&str>,
    limit: Duration,
    checks: &mut Vec<Check>,
) -> Option<()> {
    const CHECK: &str = "connection";
    let mut problems = Vec::new();
    for address in addresses {
        let start = Instant::now();
        let stream = tokio::time::timeout(limit, tokio::net::TcpStream::connect(address)).await;
        let problem = match stream {
            Ok(Ok(_)) => {
                let mut detail = format!("{address} in {}", milliseconds(start.elapsed()));
                let mut state = State::Ok;
                if !problems.is_empty() {
                    // The client tries them in turn, too, and loses the time.
                    state = State::Warning;
                    detail = format!("{detail}, but not {}", problems.join(", "));
                }
                checks.push(Check::new(AREA, CHECK, state, detail));
                return Some(());
            }
            Ok(Err(error)) => api::error::root_cause(&error),
            Err(_) => format!("no answer within {}", human::duration(limit)),
        };
        problems.push(format!("{address} ({problem})"));
    }
    let problems = problems.join(", ");
    let (detail, fix) = match proxy.map(visible) {
        Some(proxy) => (
            format!("cannot connect to the proxy {proxy}: {problems}"),
            "start the proxy, or set HTTPS_PROXY to one that runs, or unset it",
        ),
        None => (
            format!("cannot connect to {problems}"),
            "check the firewall, or go through a proxy: export HTTPS_PROXY=http://HOST:PORT",
        ),
    };
    checks.push(Check::new(AREA, CHECK, State::Failed, detail).fix(fix));
    None
}

/// What the API says.
async fn answers(context: &Context, remote: &Remote, checks: &mut Vec<Check>) {
    let (client, key) = match context.client_of(remote).await {
        Ok(found) => found,
        Err(error) => {
            checks.push(Check::failed(AREA, "TLS", &error));
            return;
        }
    };
    let Some(date) = health(&client, remote, checks).await else {
        checks.extend(["latency", "clock"].map(skipped));
        checks.push(untried_key(remote).await);
        checks.extend(["API", "quota"].map(skipped));
        return;
    };
    checks.push(latency(&client).await);
    checks.push(clock(date.as_deref()));
    match key {
        Err(error) => {
            checks.push(Check::failed(AREA, "key", &error));
            checks.extend(["API", "quota"].map(skipped));
        }
        Ok(source) => routes(&client, &source, checks).await,
    }
}

/// The key, where nobody can be asked whether it is right.
async fn untried_key(remote: &Remote) -> Check {
    match remote.api_key().await {
        Ok((_, source)) => {
            let detail = format!("not tried, from {source}");
            Check::new(AREA, "key", State::Skipped, detail)
        }
        Err(error) => Check::failed(AREA, "key", &error.into()),
    }
}

/// Asks whether the API is there, which makes the first secure connection. Returns its clock.
async fn health(
    client: &Client,
    remote: &Remote,
    checks: &mut Vec<Check>,
) -> Option<Option<String>> {
    let is_plain = remote.base_url.as_str().starts_with("http://");
    match client.raw(&get("healthz")).await {
        Ok(answer) => {
            checks.push(match is_plain {
                true => ok("TLS", "none: the URL is plain http"),
                false => ok("TLS", "the certificate is accepted"),
            });
            Some(answer.header("date"))
        }
        Err(error) => {
            let clock = "check the clock with `timedatectl`, or trust a proxy's certificate: \
                         export SSL_CERT_FILE=/path/to/ca.pem";
            let check = Check::failed(AREA, "TLS", &error.into());
            let has_fix = check.fix.is_some();
            checks.push(if has_fix { check } else { check.fix(clock) });
            None
        }
    }
}

/// How long a request takes on a connection that is there.
async fn latency(client: &Client) -> Check {
    let start = Instant::now();
    match client.health().await {
        Ok(_) => ok(
            "latency",
            format!("{} a request", milliseconds(start.elapsed())),
        ),
        Err(error) => {
            let failed = Check::failed(AREA, "latency", &error.into());
            Check {
                state: State::Warning,
                ..failed
            }
        }
    }
}

fn clock(date: Option<&str>) -> Check {
    const CHECK: &str = "clock";
    let parsed = date.and_then(|date| {
        jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(date)
            .ok()
    });
    let Some(theirs) = parsed else {
        return Check::new(
            AREA,
            CHECK,
            State::Skipped,
            "the API does not tell the time",
        );
    };
    let skew = Timestamp::now().duration_since(theirs);
    let size = skew.unsigned_abs();
    // The header has whole seconds.
    if size <= Duration::from_secs(2) {
        return ok(CHECK, "as the API's");
    }
    let way = if skew.is_negative() {
        "behind"
    } else {
        "ahead"
    };
    let detail = format!("{} {way} of the API's", human::duration(size));
    match size > LARGEST_SKEW {
        true => {
            Check::new(AREA, CHECK, State::Warning, detail).fix("sudo timedatectl set-ntp true")
        }
        false => ok(CHECK, detail),
    }
}

/// Asks each list of the API for itself: which of them are there shows what version it is, and that the key is right.
async fn routes(client: &Client, source: &str, checks: &mut Vec<Check>) {
    let asked = futures_util::future::join_all(ROUTES.map(|(path, _)| status_of(client, path)));
    let answers = asked.await;
    let (mut there, mut missing, mut failed) = (Vec::new(), Vec::new(), None);
    let mut quota = None;
    for ((path, name), answer) in ROUTES.iter().zip(answers) {
        match answer {
            Ok(body) => {
                there.push(*name);
                if *path == "v1/org/quotas" {
                    quota = serde_json::from_slice::<QuotaUsage>(&body).ok();
                }
            }
            Err(error) if is_missing(&error) => missing.push(*name),
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    if let Some(error) = failed {
        let is_key = matches!(
            error.status(),
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        );
        let failure = Error::from(error);
        if is_key {
            checks.push(Check::failed(AREA, "key", &failure));
            checks.extend(["API", "quota"].map(skipped));
        } else {
            checks.push(ok("key", format!("from {source}")));
            checks.push(Check::failed(AREA, "API", &failure));
            checks.push(skipped("quota"));
        }
        return;
    }
    checks.push(match there.as_slice() {
        [] => Check::new(
            AREA,
            "key",
            State::Skipped,
            format!("not tried, from {source}"),
        ),
        _ => ok("key", format!("accepted, from {source}")),
    });
    checks.push(version(&there, &missing));
    checks.push(quota.map_or_else(|| skipped("quota"), |quota| room(AREA, &quota)));
}

/// The body of an answer that succeeds.
async fn status_of(client: &Client, path: &str) -> Result<Vec<u8>, api::Error> {
    let mut answer = client.raw(&get(path)).await?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
    }
    match answer.failure(&body) {
        Some(error) => Err(error),
        None => Ok(body),
    }
}

fn is_missing(error: &api::Error) -> bool {
    matches!(
        error.status(),
        Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
    )
}

fn version(there: &[&str], missing: &[&str]) -> Check {
    const CHECK: &str = "API";
    if !there.contains(&"VMs") {
        let detail = "there are no VMs of version 1 at this URL";
        return Check::new(AREA, CHECK, State::Failed, detail)
            .fix("check the base URL with `fastvm context show`");
    }
    let detail = format!("v1 with {}", there.join(", "));
    match missing {
        [] => ok(CHECK, detail),
        missing => {
            let detail = format!("{detail}; without {}", missing.join(", "));
            Check::new(AREA, CHECK, State::Warning, detail)
        }
    }
}

fn get(path: &str) -> RawRequest {
    RawRequest {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
    }
}

fn ok(check: &'static str, detail: impl Into<String>) -> Check {
    Check::new(AREA, check, State::Ok, detail)
}

fn skipped(check: &'static str) -> Check {
    Check::new(AREA, check, State::Skipped, "not tried")
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_far_off_is_told_with_the_way() {
        let at = |seconds: i64| {
            let time = Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            let text = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let check = clock(Some(&text));
            (check.state, check.detail)
        };
        assert_eq!(at(0).0, State::Ok);
        let (state, detail) = at(3600);
        assert!(
            state == State::Warning && detail.contains("behind"),
            "{detail}"
        );
        let (state, detail) = at(-3600);
        assert!(
            state == State::Warning && detail.contains("ahead"),
            "{detail}"
        );
        assert_eq!(clock(Some("noon")).state, State::Skipped);
        assert_eq!(clock(None).state, State::Skipped);
    }

    #[test]
    fn an_api_without_vms_is_none() {
        assert_eq!(version(&["snapshots"], &["VMs"]).state, State::Failed);
        assert_eq!(version(&["VMs"], &["volumes"]).state, State::Warning);
        assert_eq!(version(&["VMs"], &[]).state, State::Ok);
    }
}
