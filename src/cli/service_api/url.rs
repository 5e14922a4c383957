//! Whose URLs are asked for: names that were checked before any URL is made of them.

use crate::checkpoint_api::{archives_url, image_url};
use crate::dns_name::{InvalidName, check_name};

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
        archives_url(&self.namespace, &self.pod)
    }

    /// An image of `container`.
    pub(in crate::cli) fn image(&self, container: &str) -> String {
        image_url(&self.namespace, &self.pod, container)
    }
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
}
