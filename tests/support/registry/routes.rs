//! The distribution specification, as far as a client that pushes sees it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use pod_checkpointer::registry::Digest;

use super::{Asked, Manners, World};

type Body = BoxBody<Bytes, Infallible>;
type Shared = Arc<Mutex<World>>;

/// Dying in the middle of a request.
#[derive(Debug)]
pub struct Dead;

impl std::fmt::Display for Dead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dead")
    }
}

impl std::error::Error for Dead {}

fn say(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Full::new(body.into()).boxed());
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
    answer
}

fn no(status: u16, code: &str, message: &str) -> Response<Body> {
    say(status, serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string())
}

fn with(mut answer: Response<Body>, name: &'static str, value: &str) -> Response<Body> {
    answer.headers_mut().insert(name, value.parse().expect("a header"));
    answer
}

pub async fn answer(world: Shared, here: SocketAddr, request: Request<Incoming>) -> Result<Response<Body>, Dead> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().expect("a path").to_string();
    let asked = Asked { method: head.method, path, headers: head.headers };
    let manners = {
        let mut world = world.lock().expect("whole");
        world.asked.push(asked.clone());
        if world.manners.busy > 0 {
            world.manners.busy -= 1;
            return Ok(with(no(429, "TOOMANYREQUESTS", "slow down"), "retry-after", "0"));
        }
        world.manners.clone()
    };
    let said = asked.authorization().unwrap_or_default();
    if let Some(status) = manners.echoes {
        let secret = said.split(' ').nth(1).unwrap_or_default();
        return Ok(no(status, "ECHO", &format!("you said {said}, that is {secret}")));
    }
    if asked.path.starts_with("/token") {
        return Ok(token(&manners, &asked));
    }
    if let Some(challenge) = challenge(&manners, said, here) {
        return Ok(with(no(401, "UNAUTHORIZED", "who are you"), "www-authenticate", &challenge));
    }
    let uploads = matches!(asked.method, Method::PATCH) || asked.path.contains("digest=");
    if uploads && manners.hangs {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    if uploads && manners.endless {
        let forever = stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b' '; 8192]))));
        let mut answer = Response::new(BodyExt::boxed(StreamBody::new(forever)));
        *answer.status_mut() = StatusCode::FORBIDDEN;
        return Ok(answer);
    }
    if let (&Method::PATCH, Some(status)) = (&asked.method, manners.no_patch) {
        return Ok(no(status, "UNSUPPORTED", "no streamed uploads"));
    }
    let body = read(&world, body, uploads).await?;
    Ok(route(&mut world.lock().expect("whole"), &asked, body, here))
}

/// The body; or its end with the connection's, if that is how it is.
async fn read(world: &Shared, mut body: Incoming, upload: bool) -> Result<Vec<u8>, Dead> {
    let slow = world.lock().expect("whole").manners.slow;
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(Ok(data)) = frame.map(Frame::into_data) else { return Err(Dead) };
        all.extend_from_slice(&data);
        tokio::time::sleep(slow).await;
        let mut world = world.lock().expect("whole");
        if let Some((times, after)) = &mut world.manners.breaks
            && upload
            && *times > 0
            && all.len() > *after
        {
            *times -= 1;
            return Err(Dead);
        }
    }
    Ok(all)
}

fn basic((user, password): &(String, String)) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

const TOKEN: &str = "the.token.of-today";

/// What is missing, if anything is.
fn challenge(manners: &Manners, said: &str, here: SocketAddr) -> Option<String> {
    let login = manners.login.as_ref()?;
    match &manners.realm {
        None => (said != basic(login)).then(|| "Basic realm=\"fake\"".to_owned()),
        Some(realm) => {
            let realm = if realm.starts_with('/') { format!("http://{here}{realm}") } else { realm.clone() };
            let scope = "repository:somebody/else:pull,push,delete";
            let challenge = format!("Bearer realm=\"{realm}\",service=\"fake\",scope=\"{scope}\"");
            (said != format!("Bearer {TOKEN}")).then_some(challenge)
        }
    }
}

fn token(manners: &Manners, asked: &Asked) -> Response<Body> {
    let wanted = manners.login.as_ref().map(basic);
    if asked.method != Method::POST && wanted.as_deref() != asked.authorization() {
        return no(401, "UNAUTHORIZED", "wrong password");
    }
    say(200, serde_json::json!({"token": TOKEN, "expires_in": manners.expires_in}).to_string())
}

fn route(world: &mut World, asked: &Asked, body: Vec<u8>, here: SocketAddr) -> Response<Body> {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let path = path.trim_start_matches("/v2/");
    if let Some((repository, rest)) = path.split_once("/blobs/uploads/") {
        return upload(world, asked, (repository, rest, query), body, here);
    }
    if let (Some(place), &(Method::GET | Method::HEAD)) = (&world.manners.leads_to, &asked.method) {
        return with(say(307, ""), "location", &format!("{place}{}", asked.path));
    }
    if let Some((repository, digest)) = path.split_once("/blobs/") {
        return match world.blobs.get(&(repository.to_owned(), digest.to_owned())) {
            Some(blob) => {
                // The HTTP library leaves out a length of 0 in answer to HEAD.
                let answer = with(say(200, blob.clone()), "content-length", &blob.len().to_string());
                with(answer, "docker-content-digest", digest)
            }
            None => no(404, "BLOB_UNKNOWN", "no such blob"),
        };
    }
    let Some((repository, name)) = path.split_once("/manifests/") else { return no(404, "NAME_UNKNOWN", "no route") };
    if asked.method == Method::PUT { put(world, asked, repository, name, &body) } else { get(world, repository, name) }
}

fn upload(
    world: &mut World,
    asked: &Asked,
    (repository, session, query): (&str, &str, &str),
    body: Vec<u8>,
    here: SocketAddr,
) -> Response<Body> {
    let parameter = |key: &str| query.split('&').find_map(|p| p.strip_prefix(&format!("{key}="))).map(unescaped);
    if asked.method == Method::POST {
        if let (Some(digest), Some(from)) = (parameter("mount"), parameter("from"))
            && let Some(blob) = world.blobs.get(&(from, digest.clone())).cloned()
        {
            world.blobs.insert((repository.to_owned(), digest.clone()), blob);
            return with(say(201, ""), "docker-content-digest", &digest);
        }
        world.next += 1;
        let session = format!("session-{}", world.next);
        world.sessions.insert(session.clone(), Vec::new());
        let place = world.manners.uploads_at.clone().unwrap_or_else(|| format!("http://{here}"));
        return with(say(202, ""), "location", &format!("{place}/v2/{repository}/blobs/uploads/{session}?state=a%3Db"));
    }
    // Another registry began it, where this one is only the storage.
    let mut so_far = world.sessions.remove(session).unwrap_or_default();
    so_far.extend(body);
    if asked.method == Method::PATCH {
        world.sessions.insert(session.to_owned(), so_far);
        return with(say(202, ""), "location", &format!("{}&patched=1", asked.path));
    }
    let Some(digest) = parameter("digest") else { return no(400, "DIGEST_INVALID", "none") };
    if Digest::of(&so_far).to_string() != digest {
        return no(400, "DIGEST_INVALID", "it is another one");
    }
    if world.manners.shortens {
        so_far.pop();
    }
    if !world.manners.forgets {
        world.blobs.insert((repository.to_owned(), digest.clone()), so_far.into());
    }
    with(say(201, ""), "docker-content-digest", world.manners.claims.as_deref().unwrap_or(&digest))
}

fn put(world: &mut World, asked: &Asked, repository: &str, name: &str, body: &[u8]) -> Response<Body> {
    let Ok(parsed) = serde_json::from_slice::<serde_json::Value>(body) else {
        return no(400, "MANIFEST_INVALID", "no");
    };
    let named = |key: &str| {
        parsed[key]
            .as_array()
            .into_iter()
            .flatten()
            .chain([&parsed[key]])
            .filter_map(|part| part["digest"].as_str())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let has = |digest: &String| world.blobs.contains_key(&(repository.to_owned(), digest.clone()));
    let known = |digest: &String| world.manifests.contains_key(&(repository.to_owned(), digest.clone()));
    if !named("layers").iter().chain(&named("config")).all(has) || !named("manifests").iter().all(known) {
        return no(400, "MANIFEST_BLOB_UNKNOWN", "it names what is not there");
    }
    let digest = Digest::of(body).to_string();
    let media_type = asked.headers["content-type"].to_str().expect("text").to_owned();
    for name in [name, digest.as_str()] {
        let kept = (media_type.clone(), Bytes::copy_from_slice(body));
        world.manifests.insert((repository.to_owned(), name.to_owned()), kept);
    }
    with(say(201, ""), "docker-content-digest", &digest)
}

fn get(world: &World, repository: &str, name: &str) -> Response<Body> {
    let Some((media_type, bytes)) = world.manifests.get(&(repository.to_owned(), name.to_owned())) else {
        return no(404, "MANIFEST_UNKNOWN", "no such manifest");
    };
    if world.manners.alters {
        return with(say(200, [bytes.as_ref(), b" "].concat()), "content-type", media_type);
    }
    let answer = with(say(200, bytes.clone()), "content-type", media_type);
    with(answer, "docker-content-digest", &Digest::of(bytes).to_string())
}

fn unescaped(text: &str) -> String {
    text.replace("%3A", ":").replace("%2F", "/")
}
