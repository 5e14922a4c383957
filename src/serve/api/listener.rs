//! The port of `serve`: who may connect, how long they may take to say what they want, and how much of it. One connection
//! carries one request. What a request means is the router's.
//!
//! A connection over its address's share is closed unheard; when all are taken, the next waits in the kernel's queue.

mod request;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ca::ServingTls;
use crate::accept_loop;
use request::Door;

/// First byte of every TLS connection: a handshake record (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// Room for the head of a request: a caller may have many groups, each a header of its own.
const HEAD_BYTES: usize = 64 << 10;
const HEADERS: usize = 1000;

/// Who is at the other end; in every request's extensions.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// What the client presented, leaf first. It holds the leaf's key; who issued it has still to be judged
    /// (`identity` does).
    pub certificates: Vec<CertificateDer<'static>>,
    /// Not plain HTTP.
    pub tls: bool,
}

/// What one client, and all of them, may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections at a time.
    pub connections: usize,
    /// Of those, from one address.
    pub per_address: usize,
    /// From the connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From there to the end of the request's head.
    pub head: Duration,
    /// From there to the end of its body.
    pub body: Duration,
    /// The body; more is answered with 413.
    pub body_bytes: usize,
    /// From the word to stop to the end of the requests that are running then.
    pub drain: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            per_address: 256,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(20),
            body_bytes: 64 << 10,
            drain: Duration::from_secs(25),
        }
    }
}

/// Serves `router` over TLS until `stop`; then takes no more connections and lets running requests finish for
/// `limits.drain`. A request in plain HTTP is told how to ask properly.
pub async fn serve_https(
    listener: TcpListener,
    tls: Arc<ServingTls>,
    router: Router,
    limits: ListenerLimits,
    stop: impl Future<Output = ()>,
) {
    serve(listener, Some(tls), router, limits, stop).await;
}

/// The same without TLS. Only where an operator said so.
pub async fn serve_plain(
    listener: TcpListener,
    router: Router,
    limits: ListenerLimits,
    stop: impl Future<Output = ()>,
) {
    serve(listener, None, router, limits, stop).await;
}

async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServingTls>>,
    router: Router,
    limits: ListenerLimits,
    stop: impl Future<Output = ()>,
) {
    let shares = AddressShares::new(limits.per_address);
    let mut open = JoinSet::new();
    let handle = |(stream, address): (TcpStream, SocketAddr)| {
        let share = shares.take(address.ip())?;
        let connection = connection(stream, address, tls.clone(), router.clone(), limits);
        Some(async move {
            connection.await;
            drop(share);
        })
    };
    let accepting = accept_loop::run(limits.connections, &mut open, || listener.accept(), handle);
    tokio::select! {
        () = stop => {}
        never = accepting => match never {},
    }
    drop(listener);
    // Whoever is not done by then is cut off with the set.
    let _ = timeout(limits.drain, async { while open.join_next().await.is_some() {} }).await;
}

/// What goes wrong on a connection is its client's loss.
async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Arc<ServingTls>>,
    router: Router,
    limits: ListenerLimits,
) {
    let _ = stream.set_nodelay(true);
    let peer = Peer { address, certificates: Vec::new(), tls: false };
    let Some(tls) = tls else { return http(stream, Door::open(router, peer, limits), limits).await };
    let shaken = timeout(limits.handshake, async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[0] != HANDSHAKE {
            return Ok(Opened::Plain(stream));
        }
        let acceptor = tokio_rustls::TlsAcceptor::from(tls.config());
        acceptor.accept(stream).await.map(|stream| Opened::Tls(Box::new(stream)))
    });
    match shaken.await {
        Ok(Ok(Opened::Plain(stream))) => http(stream, Door::closed(peer, limits), limits).await,
        Ok(Ok(Opened::Tls(stream))) => {
            let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let certificates = certificates.iter().map(|c| c.clone().into_owned()).collect();
            let peer = Peer { certificates, tls: true, ..peer };
            http(*stream, Door::open(router, peer, limits), limits).await;
        }
        Ok(Err(why)) => tracing::debug!(%address, error = %why, "no TLS handshake"),
        Err(_) => tracing::debug!(%address, "no TLS handshake in time"),
    }
}

enum Opened {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, door: Door, limits: ListenerLimits) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .keep_alive(false)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES);
    let _ = builder.serve_connection(TokioIo::new(stream), door).await;
}

/// How many connections each address has.
struct AddressShares {
    most: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's part of its address's share; given back when dropped.
struct Share {
    address: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl AddressShares {
    fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// None: this address has its share.
    fn take(&self, address: IpAddr) -> Option<Share> {
        let mut taken = self.taken.lock();
        let own = taken.entry(address).or_insert(0);
        if *own >= self.most {
            return None;
        }
        *own += 1;
        Some(Share { address, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        if let Some(own) = taken.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.address);
            }
        }
    }
}
