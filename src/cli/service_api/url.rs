//! The URLs of our API behind the API server, made of names that were checked before.

use crate::dns_name::{InvalidName, check_name};
use crate::percent::component_with_colons;

const BASE: &str = "/apis/checkpointer.alpha.coreos.com/v1alpha1";

/// A pod, or one container of it, as an operator or a source document's URL names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Target {
    pub(in crate::cli) namespace: String,
    pub(in crate::cli) pod: String,
    pub(in crate::cli) container: Option<String>,
}

impl Target {
    /// Checks every name: nothing in it can mean anything in a URL.
    pub(in crate::cli) fn new(namespace: &str, pod: &str, container: Option<&str>) -> Result<Self, InvalidName> {
        check_name("namespace", namespace)?;
        check_name("pod", pod)?;
        if let Some(container) = container {
            check_name("container", container)?;
        }
        let container = container.map(str::to_owned);
        Ok(Self { namespace: namespace.to_owned(), pod: pod.to_owned(), container })
    }

    /// All containers' archives, or one's: the body says which.
    pub(in crate::cli) fn archives(&self) -> String {
        format!("{BASE}/namespaces/{}/pods/{}/checkpoint", self.namespace, self.pod)
    }

    /// An image of `container`.
    pub(in crate::cli) fn image(&self, container: &str) -> String {
        format!("{}/{container}", self.archives())
    }
}

/// A checkpoint by its identifier, in the namespace that it is of.
pub(in crate::cli) fn checkpoint(namespace: &str, identifier: &str) -> String {
    format!("{BASE}/namespaces/{namespace}/checkpoints/{}", component_with_colons(identifier))
}

/// A checkpoint by its identifier alone.
pub(in crate::cli) fn checkpoint_anywhere(identifier: &str) -> String {
    format!("{BASE}/checkpoints?checkpointIdentifier={}", component_with_colons(identifier))
}

/// The same question, to be answered within `seconds`.
pub(in crate::cli) fn waiting(path: &str, seconds: u64) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}wait={seconds}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_lead_elsewhere_makes_no_url() {
        for bad in ["", "..", "a/b", "a%2fb", "a?b", "A", "a#", "a b", "-a", &"a".repeat(254)] {
            assert!(Target::new(bad, "p", None).is_err(), "{bad:?}");
            assert!(Target::new("n", bad, None).is_err(), "{bad:?}");
            assert!(Target::new("n", "p", Some(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn urls_are_those_of_the_interface() {
        let target = Target::new("default", "counter", None).unwrap();
        let pod = "/apis/checkpointer.alpha.coreos.com/v1alpha1/namespaces/default/pods/counter/checkpoint";
        assert_eq!(target.archives(), pod);
        assert_eq!(target.image("c"), format!("{pod}/c"));
        assert!(checkpoint("a", "n1:0a").ends_with("/namespaces/a/checkpoints/n1:0a"));
        assert!(checkpoint("a", "../x?y").ends_with("/namespaces/a/checkpoints/..%2Fx%3Fy"));
        let anywhere = checkpoint_anywhere("n1:0a&b");
        assert!(anywhere.ends_with("/checkpoints?checkpointIdentifier=n1:0a%26b"));
        assert!(waiting(&anywhere, 5).ends_with("&wait=5") && waiting(pod, 5).ends_with("?wait=5"));
    }
}
