//! A registry that takes everything and hashes nothing: blobs are counted and dropped, manifests kept.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

/// Serves on a thread of its own until the process ends.
pub struct Sink(SocketAddr);

#[derive(Default)]
struct World {
    received: u64,
    blobs: HashMap<String, u64>,
    manifests: HashMap<String, Bytes>,
}

impl Sink {
    pub fn start() -> Result<Self, String> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|why| why.to_string())?;
        listener.set_nonblocking(true).map_err(|why| why.to_string())?;
        let address = listener.local_addr().map_err(|why| why.to_string())?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|why| why.to_string())?;
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener that does not block");
                let world = Arc::new(Mutex::new(World::default()));
                while let Ok((stream, _)) = listener.accept().await {
                    let world = Arc::clone(&world);
                    let service = service_fn(move |request| answer(Arc::clone(&world), request));
                    let http = hyper::server::conn::http1::Builder::new();
                    tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
                }
            });
        });
        Ok(Self(address))
    }

    pub fn authority(&self) -> String {
        self.0.to_string()
    }
}

async fn answer(world: Arc<Mutex<World>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let keeps = path.contains("/manifests/");
    let (mut length, mut kept) = (0, BytesMut::new());
    while let Some(Ok(frame)) = body.frame().await {
        let data = frame.into_data().unwrap_or_default();
        length += data.len() as u64;
        if keeps {
            kept.extend_from_slice(&data);
        }
    }
    let mut world = world.lock();
    let mut answer = Response::builder();
    let mut content = Bytes::new();
    if keeps && head.method == Method::PUT {
        world.manifests.insert(path, kept.freeze());
        answer = answer.status(201);
    } else if keeps {
        content = world.manifests.get(&path).cloned().unwrap_or_default();
    } else if head.method == Method::POST {
        world.received = 0;
        answer = answer.status(202).header("location", format!("{path}1"));
    } else if head.method == Method::PATCH {
        world.received += length;
        answer = answer.status(202).header("location", path);
    } else if head.method == Method::PUT {
        let digest = head.uri.query().unwrap_or_default().replace("digest=sha256%3A", "");
        let size = world.received + length;
        world.blobs.insert(digest, size);
        answer = answer.status(201);
    } else {
        let known = path.rsplit(':').next().and_then(|digest| world.blobs.get(digest));
        answer = match known {
            Some(size) => answer.header("content-length", *size),
            None => answer.status(404),
        };
    }
    Ok(answer.body(Full::new(content)).expect("headers as written above"))
}
