//! The fake server's port: opened, closed for real, and opened again with the same number.

use std::net::{Ipv4Addr, SocketAddr};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Mode, State, routes};

/// Whether it listens, and on which port.
pub async fn serve(state: State) -> (watch::Receiver<bool>, u16) {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = first.local_addr().unwrap();
    let (listening, open) = watch::channel(true);
    tokio::spawn(run(first, address, state, listening));
    (open, address.port())
}

async fn run(first: TcpListener, address: SocketAddr, state: State, listening: watch::Sender<bool>) {
    let mut mode = state.mode.clone();
    let mut listener = Some(first);
    loop {
        let socket = match listener.take() {
            Some(socket) => socket,
            None => TcpListener::bind(address).await.unwrap(),
        };
        listening.send_replace(true);
        let mut connections = JoinSet::new();
        let down = loop {
            tokio::select! {
                accepted = socket.accept() => {
                    let (stream, _) = accepted.unwrap();
                    let service = TowerToHyperService::new(routes::router(state.clone()));
                    connections.spawn(async move {
                        // A client that hangs up is part of the play.
                        let http = Builder::new(TokioExecutor::new());
                        let _ = http.serve_connection(TokioIo::new(stream), service).await;
                    });
                    while connections.try_join_next().is_some() {}
                }
                down = mode.wait_for(|m| *m == Mode::Down) => break down.is_ok(),
            }
        };
        drop(socket);
        connections.shutdown().await;
        if !down {
            return; // the handle is gone
        }
        listening.send_replace(false);
        if mode.wait_for(|m| *m != Mode::Down).await.is_err() {
            return;
        }
    }
}
