//! One request and its answer over a connection of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error_chain::chain;

/// A server: where it is, and whether it must prove that it is the one.
#[derive(Clone)]
pub struct Host {
    /// A name or an IP address, an IPv6 one without its brackets; also what the certificate must be for.
    pub name: String,
    /// TCP port.
    pub port: u16,
    /// How its certificate is judged; none is plain HTTP.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracketed = self.name.contains(':');
        if bracketed { write!(f, "[{}]:{}", self.name, self.port) } else { write!(f, "{}:{}", self.name, self.port) }
    }
}

/// How long each part may take.
#[derive(Debug, Clone, Copy)]
pub struct ExchangeLimits {
    /// Name lookup, TCP and TLS together.
    pub connect: Duration,
    /// From the first byte of the request to the head of the answer: sending the body is part of it.
    pub answer: Duration,
    /// Between two pieces of the answer's body.
    pub silence: Duration,
}

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// No connection: lookup, TCP or deadline.
    #[error("cannot connect to {host}: {why}")]
    Connect {
        /// Host and port that were asked.
        host: String,
        /// What the system says.
        why: String,
    },
    /// It is there, but is not who it should be, or speaks no TLS.
    #[error("no TLS connection to {host}: {why}; is its certificate of a CA that is trusted here?")]
    Tls {
        /// Host and port that were asked.
        host: String,
        /// What the TLS library says.
        why: TlsFailure,
    },
    /// It did not answer in time.
    #[error("{host} has not answered within {limit:?}")]
    Silent {
        /// Host and port that were asked.
        host: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("the exchange with {host} broke off: {why}")]
    Broken {
        /// Host and port that were asked.
        host: String,
        /// What the HTTP library says.
        why: String,
    },
    /// More than the asker is willing to read.
    #[error("the answer of {host} is longer than {limit} bytes")]
    TooLong {
        /// Host and port that were asked.
        host: String,
        /// The most bytes that are read.
        limit: usize,
    },
}

/// What the TLS library says, and whether that means that there is no TLS at all.
#[derive(Debug, thiserror::Error)]
pub enum TlsFailure {
    /// It answers in plain text, as a server for HTTP does.
    #[error("{0}")]
    PlainText(String),
    /// Anything else: most often a certificate that is not believed.
    #[error("{0}")]
    Failed(String),
}

impl TlsFailure {
    fn of(error: &std::io::Error) -> Self {
        let why = error.to_string();
        match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => Self::PlainText(why),
            _ => Self::Failed(why),
        }
    }
}

/// An answer whose body has still to be read. Dropping it closes the connection.
#[derive(Debug)]
pub struct HttpAnswer {
    host: String,
    head: http::response::Parts,
    body: Incoming,
    silence: Duration,
    _connection: Connection,
}

/// Ends with its answer.
#[derive(Debug)]
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl HttpAnswer {
    /// HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// Headers of the answer.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// A header that is text.
    pub fn header(&self, name: &header::HeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The next piece of the body; none at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        loop {
            let Ok(frame) = timeout(self.silence, self.body.frame()).await else {
                return Err(WireError::Silent { host: self.host.clone(), limit: self.silence });
            };
            match frame {
                None => return Ok(None),
                Some(Err(why)) => return Err(WireError::Broken { host: self.host.clone(), why: chain(&why) }),
                // Trailers say nothing that anyone here wants.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body, of at most `limit` bytes.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, WireError> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > limit {
                return Err(WireError::TooLong { host: self.host, limit });
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

/// Sends `request`, whose URI is the path and query alone, over a new connection. `Host` is set here.
pub async fn exchange<B>(host: &Host, mut request: Request<B>, limits: ExchangeLimits) -> Result<HttpAnswer, WireError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let shown = host.to_string();
    let broken = |why: String| WireError::Broken { host: shown.clone(), why };
    let value =
        HeaderValue::from_str(&authority(host)).map_err(|why| broken(format!("its name cannot be sent: {why}")))?;
    request.headers_mut().insert(header::HOST, value);
    let Ok(stream) = timeout(limits.connect, connect(host, &shown)).await else {
        return Err(WireError::Connect { host: shown, why: format!("not within {:?}", limits.connect) });
    };
    let (mut sender, connection) =
        http1::handshake::<_, B>(TokioIo::new(stream?)).await.map_err(|why| broken(chain(&why)))?;
    let connection = Connection(tokio::spawn(async move {
        // Its failure is the request's.
        let _ = connection.await;
    }));
    let Ok(answer) = timeout(limits.answer, sender.send_request(request)).await else {
        return Err(WireError::Silent { host: shown, limit: limits.answer });
    };
    let (head, body) = answer.map_err(|why| broken(chain(&why)))?.into_parts();
    Ok(HttpAnswer { host: shown, head, body, silence: limits.silence, _connection: connection })
}

/// As `Host:` has it: without the port that the scheme implies.
fn authority(host: &Host) -> String {
    let implied = if host.tls.is_some() { 443 } else { 80 };
    let whole = host.to_string();
    if host.port == implied { whole[..whole.len() - host.port.to_string().len() - 1].to_owned() } else { whole }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(host: &Host, shown: &str) -> Result<Box<dyn Stream>, WireError> {
    let failed = |why: std::io::Error| WireError::Connect { host: shown.to_owned(), why: why.to_string() };
    let stream = TcpStream::connect((host.name.as_str(), host.port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let Some(tls) = &host.tls else { return Ok(Box::new(stream)) };
    let refused = |why: TlsFailure| WireError::Tls { host: shown.to_owned(), why };
    let name = ServerName::try_from(host.name.clone()).map_err(|why| refused(TlsFailure::Failed(why.to_string())))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(tls));
    Ok(Box::new(connector.connect(name, stream).await.map_err(|why| refused(TlsFailure::of(&why)))?))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
