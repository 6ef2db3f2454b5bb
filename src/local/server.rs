//! Speaks HTTP/1.1 and HTTP/2 (with prior knowledge) on a listener until told to stop.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

/// How long answers under way may take once the server is told to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before accepting again when the system refuses, for example for want of descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// What one HTTP/2 stream may send ahead, in bytes: uploads over loopback should not wait for window updates.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;

/// Answers on `listener` until `stop` is done; then accepts no more and waits, at most 5 s, for answers under way.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(2 * STREAM_WINDOW);
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        // Without it small answers would wait for an acknowledgement. Failure costs only time.
        socket.set_nodelay(true).ok();
        let connection = builder
            .serve_connection_with_upgrades(
                TokioIo::new(socket),
                TowerToHyperService::new(router.clone()),
            )
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // A connection that breaks concerns its client alone.
            connection.await.ok();
        });
    }
    drop(listener);
    tokio::time::timeout(PATIENCE, connections.shutdown())
        .await
        .ok();
}
