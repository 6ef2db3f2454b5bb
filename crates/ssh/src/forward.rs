//! A connection from a port of the client to a port as the VM sees it.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex, split};

use crate::Server;
use crate::channel::{Channel, Data, Incoming, Kind};

/// How much may be between the channel and the stream in each direction, in bytes.
const BETWEEN: usize = 64 * 1024;

/// Connects, and passes bytes both ways until both sides have ended theirs, or the client closes the channel.
pub(crate) async fn run(
    server: Arc<Server>,
    (host, port): (String, u32),
    channel: Channel,
    incoming: Incoming,
) {
    let Incoming { data, mut requests } = incoming;
    tokio::select! {
        () = connect(&server, (&host, port), &channel, data) => {}
        // It has none to send: this is its end.
        _ = requests.recv() => {}
    }
    channel.close().await;
}

async fn connect(server: &Server, (host, port): (&str, u32), channel: &Channel, data: Data) {
    let (near, far) = duplex(BETWEEN);
    let (near_reader, near_writer) = split(near);
    let (far_reader, mut far_writer) = split(far);
    // It owns its end, which closes with it.
    let there = async move {
        let Ok(number) = u16::try_from(port) else {
            return Err(format!("{port} is not a port"));
        };
        let target = (host, number);
        let (client, vm) = (&server.client, &server.vm);
        let passed = fastvm_stream::connect(client, vm, target, far_reader, &mut far_writer).await;
        passed.map_err(|error| error.to_string())
    };
    let down = pass_down(near_reader, channel);
    tokio::select! {
        (passed, ()) = async { tokio::join!(there, down) } => {
            if let Err(reason) = passed {
                server.host.tell(&format!("{host}:{port}: {reason}"));
            }
        }
        never = pass_up(data, near_writer) => match never {},
    }
}

/// Sends what the VM sends to the client, and its end, whether the other direction has ended or not.
async fn pass_down(mut reader: impl AsyncRead + Unpin, channel: &Channel) {
    loop {
        let mut buffer = BytesMut::with_capacity(BETWEEN);
        match reader.read_buf(&mut buffer).await {
            Ok(1..) => channel.data(Kind::Output, buffer.freeze()).await,
            _ => return channel.end().await,
        }
    }
}

/// Sends what the client sends to the VM.
async fn pass_up(mut data: Data, mut writer: impl AsyncWrite + Unpin) -> std::convert::Infallible {
    while let Some(bytes) = data.next().await {
        // Where nobody reads it any more the other direction says why.
        let _ = writer.write_all(&bytes).await;
    }
    let _ = writer.shutdown().await;
    std::future::pending().await
}
