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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::ca::ServingTls;
use request::Door;

/// First byte of every TLS connection: a handshake record (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// Out of file descriptors: accepting again at once would spin.
const PAUSE: Duration = Duration::from_millis(500);
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
    let guests = ConnectionLimits::new(limits);
    let mut open = JoinSet::new();
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&guests.all).acquire_owned().await else { continue };
            while open.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, address)) => {
                    let Some(seat) = guests.seat(address.ip(), place) else { continue };
                    let (tls, router) = (tls.clone(), router.clone());
                    open.spawn(async move {
                        connection(stream, address, tls, router, limits).await;
                        drop(seat);
                    });
                }
                Err(why) => pause_after(&why).await,
            }
        }
    };
    tokio::select! {
        () = stop => {}
        () = accepting => {}
    }
    drop(listener);
    // Whoever is not done by then is cut off with the set.
    let _ = timeout(limits.drain, async { while open.join_next().await.is_some() {} }).await;
}

async fn pause_after(why: &io::Error) {
    tracing::debug!(error = %why, "cannot accept a connection");
    tokio::time::sleep(PAUSE).await;
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

/// Who is here, by address.
struct ConnectionLimits {
    all: Arc<Semaphore>,
    per_address: usize,
    seats: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place; given back when dropped.
struct ConnectionPermit {
    address: IpAddr,
    seats: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _place: OwnedSemaphorePermit,
}

impl ConnectionLimits {
    fn new(limits: ListenerLimits) -> Self {
        let all = Arc::new(Semaphore::new(limits.connections));
        Self { all, per_address: limits.per_address, seats: Arc::default() }
    }

    /// None: this address has its share.
    fn seat(&self, address: IpAddr, place: OwnedSemaphorePermit) -> Option<ConnectionPermit> {
        let mut seats = self.seats.lock();
        let taken = seats.entry(address).or_insert(0);
        if *taken >= self.per_address {
            return None;
        }
        *taken += 1;
        Some(ConnectionPermit { address, seats: Arc::clone(&self.seats), _place: place })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut seats = self.seats.lock();
        if let Some(taken) = seats.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                seats.remove(&self.address);
            }
        }
    }
}
