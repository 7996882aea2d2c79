//! The loopback server: it accepts connections, and answers one request on each.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::time::sleep;

use super::protocol::{Protocol, Verdict};
use super::state::Shared;
use crate::testing::answer::Kind;
use crate::testing::wire::{Connection, Request, Response};

/// The size of the body of a truncated response: it ends inside the first key.
const TRUNCATED_BODY: usize = 20;

pub(super) async fn serve<P: Protocol>(listener: TcpListener, shared: Arc<Shared>, protocol: Arc<P>) {
    // When the task of the server is aborted, this set is dropped, and all connections end.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, protocol) = (Arc::clone(&shared), Arc::clone(&protocol));
        connections.spawn(async move {
            let mut connection = Connection::new(stream);
            match connection.read_request().await {
                Ok(Some(request)) => {
                    let _in_progress = shared.begin_request();
                    answer(&shared, &*protocol, request, connection).await;
                }
                // A client may connect and close the connection without a request.
                Ok(None) => {}
                Err(e) => {
                    shared.record_unexpected(&format!("not an HTTP request: {e}"));
                    let refusal = Response::new(400, "text/plain; charset=utf-8", "Bad Request".to_owned());
                    connection.send(&refusal, shared.now()).await;
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer<P: Protocol>(shared: &Shared, protocol: &P, request: Request, mut connection: Connection) {
    let answer = shared.next_answer();
    let latency = shared.state().latency;
    // An unexpected request is rejected even if a fault is scripted. Otherwise the fault would hide the client's error.
    let verdict = protocol.validate(&request, shared.now());
    if let Verdict::Unexpected(response, what) = verdict {
        shared.record_unexpected(&what);
        return connection.send(&response, shared.now()).await;
    }
    let pause = latency.saturating_add(answer.delay);
    if !pause.is_zero() {
        sleep(pause).await;
    }
    match (answer.kind, verdict) {
        (Kind::Hang, _) => connection.wait_for_close().await,
        (Kind::Reset, _) => connection.reset(),
        (Kind::Close, _) => {}
        (Kind::Http { status, content_type, body }, _) => {
            connection.send(&Response::new(status, &content_type, body), shared.now()).await;
        }
        (Kind::Refuse { code, message }, _) => {
            connection.send(&protocol.refusal(&code, &message), shared.now()).await;
        }
        (_, Verdict::Reply(response)) => connection.send(&response, shared.now()).await,
        (kind, _) => {
            let response = match shared.issue::<P>(&kind, protocol.assumed_role_arn(&request)).await {
                Ok(issued) => protocol.credentials(&request, &issued),
                Err((code, message)) => return connection.send(&protocol.refusal(&code, &message), shared.now()).await,
            };
            match kind {
                Kind::Truncated => connection.send_truncated(&response, shared.now(), TRUNCATED_BODY).await,
                _ => connection.send(&response, shared.now()).await,
            }
        }
    }
}
