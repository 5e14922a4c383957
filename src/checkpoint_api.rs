//! Our API of container checkpoints: its group, and its URLs, which are made and read here alone. `serve` reads them, the
//! command line makes them, the proxy and the OpenAPI documents name them.

use crate::percent::{component_with_colons as escaped, decode as decoded};

macro_rules! group {
    () => {
        "checkpointer.alpha.coreos.com"
    };
}
macro_rules! version {
    () => {
        "v1alpha1"
    };
}

/// API group.
pub const GROUP: &str = group!();
/// The one version of the group that there is.
pub const VERSION: &str = version!();
/// Both, as `apiVersion` has them.
pub const GROUP_VERSION: &str = concat!(group!(), "/", version!());
/// Name of the APIService object.
pub const APISERVICE: &str = concat!(version!(), ".", group!());

/// The groups of a server, where discovery begins.
pub const GROUPS_URL: &str = "/apis";
/// The group's own document.
pub const GROUP_URL: &str = concat!("/apis/", group!());
/// The version's document, and what all URLs behind the API server begin with.
pub const BASE_URL: &str = concat!("/apis/", group!(), "/", version!());
/// The OpenAPI 3 document of the version.
pub const OPENAPI_URL: &str = concat!("/openapi/v3/apis/", group!(), "/", version!());

/// A pod's archives, below [`BASE_URL`].
pub const ARCHIVES: &str = "/namespaces/{namespace}/pods/{pod}/checkpoint";
/// An image of a container, below [`BASE_URL`].
pub const IMAGE: &str = "/namespaces/{namespace}/pods/{pod}/checkpoint/{container}";
/// A checkpoint of a namespace, below [`BASE_URL`].
pub const CHECKPOINT: &str = "/namespaces/{namespace}/checkpoints/{identifier}";
/// A checkpoint wherever it is, below [`BASE_URL`]; the query says which.
pub const CHECKPOINTS: &str = "/checkpoints";

/// A pod's archives, as if the API server itself had them.
pub const ARCHIVES_OF_CORE: &str = "/api/v1/namespaces/{namespace}/pods/{pod}/checkpoint";
/// An image of a container, as the checkpoint service itself has it.
pub const IMAGE_OF_SERVICE: &str = "/checkpoint/{namespace}/{pod}/{container}";
/// A checkpoint, as the checkpoint service itself has it; the query says which.
pub const CHECKPOINT_OF_SERVICE: &str = "/checkpoint";

/// In a query: which checkpoint.
pub const IDENTIFIER: &str = "checkpointIdentifier";
/// In a query: seconds to wait for the end.
pub const WAIT: &str = "wait";

/// What a URL is of, every name decoded and none checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiPlace {
    /// The archives of a pod.
    Archives {
        /// Namespace of the pod.
        namespace: String,
        /// Name of the pod.
        pod: String,
    },
    /// An image of a container.
    Image {
        /// Namespace of the pod.
        namespace: String,
        /// Name of the pod.
        pod: String,
        /// Name of the container within the pod.
        container: String,
    },
    /// A checkpoint that the query names.
    Checkpoints,
    /// A checkpoint of a namespace.
    Checkpoint {
        /// Where it must be.
        namespace: String,
        /// As the URL has it.
        identifier: String,
    },
}

/// A path with a % that is not followed by two hexadecimal digits of UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadEscape;

/// What `path` is of; none where we have nothing there.
///
/// # Errors
/// It cannot be decoded.
pub fn place(path: &str) -> Result<Option<ApiPlace>, BadEscape> {
    let segments: Option<Vec<String>> = path.strip_prefix('/').unwrap_or(path).split('/').map(decoded).collect();
    let segments = segments.ok_or(BadEscape)?;
    let archives = || captures("", ARCHIVES_OF_CORE, &segments).or_else(|| captures(BASE_URL, ARCHIVES, &segments));
    let image = || captures("", IMAGE_OF_SERVICE, &segments).or_else(|| captures(BASE_URL, IMAGE, &segments));
    let found = if let Some([namespace, pod]) = archives() {
        Some(ApiPlace::Archives { namespace, pod })
    } else if let Some([namespace, pod, container]) = image() {
        Some(ApiPlace::Image { namespace, pod, container })
    } else if let Some([namespace, identifier]) = captures(BASE_URL, CHECKPOINT, &segments) {
        Some(ApiPlace::Checkpoint { namespace, identifier })
    } else {
        let one = captures("", CHECKPOINT_OF_SERVICE, &segments).or_else(|| captures(BASE_URL, CHECKPOINTS, &segments));
        one.map(|[]: [String; 0]| ApiPlace::Checkpoints)
    };
    Ok(found)
}

/// What stands for the names in braces, where everything else is as the pattern has it.
fn captures<const N: usize>(base: &str, pattern: &str, segments: &[String]) -> Option<[String; N]> {
    let wanted: Vec<&str> = base.split('/').skip(1).chain(pattern.split('/').skip(1)).collect();
    if wanted.len() != segments.len() {
        return None;
    }
    let mut names = Vec::new();
    for (wanted, segment) in wanted.into_iter().zip(segments) {
        if wanted.starts_with('{') {
            names.push(segment.clone());
        } else if wanted != segment {
            return None;
        }
    }
    names.try_into().ok()
}

/// The URL behind the API server for the archives of a pod.
pub fn archives_url(namespace: &str, pod: &str) -> String {
    filled(ARCHIVES, &[namespace, pod])
}

/// The URL behind the API server for an image of a container.
pub fn image_url(namespace: &str, pod: &str, container: &str) -> String {
    filled(IMAGE, &[namespace, pod, container])
}

/// The URL behind the API server of a checkpoint, in the namespace that it is of.
pub fn checkpoint_url(namespace: &str, identifier: &str) -> String {
    filled(CHECKPOINT, &[namespace, identifier])
}

/// The URL behind the API server of a checkpoint by its identifier alone.
pub fn checkpoint_anywhere_url(identifier: &str) -> String {
    format!("{}?{IDENTIFIER}={}", filled(CHECKPOINTS, &[]), escaped(identifier))
}

/// The same question, to be answered within `seconds`.
pub fn waiting(url: &str, seconds: u64) -> String {
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{WAIT}={seconds}")
}

fn filled(pattern: &str, names: &[&str]) -> String {
    let mut names = names.iter();
    let segments = pattern.split('/').map(|segment| match segment.strip_prefix('{') {
        Some(_) => names.next().map_or_else(String::new, |name| escaped(name)),
        None => segment.to_owned(),
    });
    format!("{BASE_URL}{}", segments.collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_what_is_read() {
        let (namespace, pod, container) = ("default".to_owned(), "counter".to_owned(), "main".to_owned());
        let of = |url: String| place(url.split('?').next().unwrap_or_default()).unwrap().unwrap();
        let archives = ApiPlace::Archives { namespace: namespace.clone(), pod: pod.clone() };
        assert_eq!(of(archives_url("default", "counter")), archives);
        let image = ApiPlace::Image { namespace: namespace.clone(), pod, container };
        assert_eq!(of(image_url("default", "counter", "main")), image);
        for identifier in ["n1:0a", "../x?y", "%2f"] {
            let one = ApiPlace::Checkpoint { namespace: namespace.clone(), identifier: identifier.to_owned() };
            assert_eq!(of(checkpoint_url("default", identifier)), one);
        }
        assert_eq!(of(checkpoint_anywhere_url("n1:0a")), ApiPlace::Checkpoints);
    }

    #[test]
    fn urls_are_those_of_the_interface() {
        let pod = "/apis/checkpointer.alpha.coreos.com/v1alpha1/namespaces/default/pods/counter/checkpoint";
        assert_eq!(archives_url("default", "counter"), pod);
        assert_eq!(image_url("default", "counter", "c"), format!("{pod}/c"));
        assert!(checkpoint_url("a", "n1:0a").ends_with("/namespaces/a/checkpoints/n1:0a"));
        assert!(checkpoint_url("a", "../x?y").ends_with("/namespaces/a/checkpoints/..%2Fx%3Fy"));
        let anywhere = checkpoint_anywhere_url("n1:0a&b");
        assert!(anywhere.ends_with("/v1alpha1/checkpoints?checkpointIdentifier=n1:0a%26b"));
        assert!(waiting(&anywhere, 5).ends_with("&wait=5") && waiting(pod, 5).ends_with("?wait=5"));
    }
}
