//! Consoles: a one-time token, and a WebSocket that knows nothing else.

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{CONNECTION, UPGRADE};
use reqwest::{StatusCode, Upgraded, Url};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

use super::error::{Error, text_of};
use super::request::Request;
use super::send::read;
use super::tls::Protocols;
use super::{Client, server_of};
use crate::types::console::{ConsoleToken, Resize};

/// How long a server may take to open the socket.
const OPEN_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
/// How much of an error body is shown, in bytes.
const SHOWN: usize = 2000;

type Socket = WebSocketStream<Upgraded>;

/// The side of a console that is typed on.
#[derive(Debug)]
pub struct Keys(SplitSink<Socket, Message>);

/// The side of a console that is shown.
#[derive(Debug)]
pub struct Screen {
    socket: SplitStream<Socket>,
    server: String,
    /// What the server said when it closed.
    reason: Option<String>,
}

impl Client {
    /// Opens a console of a VM: a shell on a terminal of its own.
    ///
    /// # Errors
    /// The VM is not there or does not run, or the socket cannot be opened.
    pub async fn console(&self, vm: &str) -> Result<(Keys, Screen), Error> {
        let request = Request::post(["v1", "vms", vm, "console-token"]).once();
        let token = self.object::<ConsoleToken>(request).await?.value;
        let url = self.console_url(&token)?;
        let socket = tokio::time::timeout(OPEN_LIMIT, self.open(url.clone()));
        let socket = socket
            .await
            .map_err(|_| Error::timed_out(server_of(&url), OPEN_LIMIT))??;
        let (keys, screen) = socket.split();
        let server = server_of(&url);
        Ok((
            Keys(keys),
            Screen {
                socket: screen,
                server,
                reason: None,
            },
        ))
    }

    /// The URL of the socket, with an HTTP scheme: the path of the answer behind the base URL, or its own server.
    fn console_url(&self, token: &ConsoleToken) -> Result<Url, Error> {
        let path = &token.websocket_path;
        if path.is_empty() || token.token.is_empty() {
            let reason = "it has no token or no websocketPath";
            return Err(self.unexpected("console-token", &reason));
        }
        let text = if let Some(rest) = path.strip_prefix("wss://") {
            format!("https://{rest}")
        } else if let Some(rest) = path.strip_prefix("ws://") {
            format!("http://{rest}")
        } else {
            let base = self.0.base.as_str().trim_end_matches('/');
            format!("{base}/{}", path.trim_start_matches('/'))
        };
        let mut url = Url::parse(&text).map_err(|error| {
            self.unexpected("console-token", &format!("a bad websocketPath ({error})"))
        })?;
        // The contract has it on the API host; whatever is typed goes there, so never to another, and never less protected.
        let base = &self.0.base;
        if url.host_str() != base.host_str() || (base.scheme(), url.scheme()) == ("https", "http") {
            let reason = format!("a websocketPath that leads to {}", server_of(&url));
            return Err(self.unexpected("console-token", &reason));
        }
        url.query_pairs_mut().append_pair("session", &token.token);
        Ok(url)
    }

    /// Shakes hands. The token in the URL is the only credential: no key goes along, nor any header of the user's.
    async fn open(&self, url: Url) -> Result<Socket, Error> {
        let transport = &self.0.transport;
        let http = transport.build(
            &url,
            OPEN_LIMIT,
            Protocols::Http1,
            reqwest::ClientBuilder::http1_only,
        )?;
        let key = generate_key();
        let accept = derive_accept_key(key.as_bytes());
        let failed = |error| transport.failure(server_of(&url), OPEN_LIMIT, error);
        let response = http
            .get(url.clone())
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", key)
            .send()
            .await
            .map_err(failed)?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            let body = read(response, SHOWN).await.unwrap_or_default();
            return Err(Error::Status {
                status,
                message: self.without_key(text_of(status, &body)),
                request_id: None,
                retryable: false,
                key_source: Some("the console's own token".to_owned()),
            });
        }
        let accepted = response.headers().get("sec-websocket-accept");
        if accepted.is_none_or(|value| value.as_bytes() != accept.as_bytes()) {
            return Err(self.unexpected("the console", &"a wrong Sec-WebSocket-Accept"));
        }
        let upgraded = response.upgrade().await.map_err(failed)?;
        Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await)
    }
}

impl Keys {
    /// Types text.
    ///
    /// # Errors
    /// [`Error::StreamLost`] if the connection broke. Not cancel-safe: part of the text may be sent.
    pub async fn text(&mut self, text: String) -> Result<(), Error> {
        self.send(Message::text(text)).await
    }

    /// Tells the terminal's size, in characters.
    ///
    /// # Errors
    /// As [`Keys::text`].
    pub async fn size(&mut self, cols: u16, rows: u16) -> Result<(), Error> {
        let text = serde_json::to_string(&Resize { cols, rows })
            .map_err(|error| Error::set_up(error.to_string()).caused_by(error))?;
        self.send(Message::text(text)).await
    }

    /// Closes the console. That the server is gone already is no failure.
    pub async fn close(&mut self) {
        // What is left to say is said by closing the connection.
        let _ = self.0.close().await;
    }

    async fn send(&mut self, message: Message) -> Result<(), Error> {
        let sent = self.0.send(message).await;
        sent.map_err(|error| Error::lost().caused_by(error))
    }
}

impl Screen {
    /// Returns why the server closed, or `None` if it has not, or gave no reason.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Returns the next bytes to show, or `None` once the server has closed. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Broken`] if the connection broke.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => return Ok(Some(bytes)),
                Some(Ok(Message::Text(text))) => return Ok(Some(text.into())),
                Some(Ok(Message::Close(last))) => {
                    self.reason = last.and_then(|frame| farewell(&frame));
                    return Ok(None);
                }
                None => return Ok(None),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => {
                    let broken = Error::broken(self.server.clone(), error.to_string());
                    return Err(broken.caused_by(error));
                }
            }
        }
    }
}

/// What a close frame says beyond the usual.
fn farewell(frame: &CloseFrame) -> Option<String> {
    match (frame.code, frame.reason.as_str()) {
        (CloseCode::Normal | CloseCode::Away | CloseCode::Status, "") => None,
        (code, "") => Some(format!("code {code}")),
        (_, reason) => Some(reason.to_owned()),
    }
}
