//! The pod network: whether a sandbox can be made without an API server. Known plugins by name; others are not guessed.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::check::Check;

const NAME: &str = "pod network without an API server";

/// Plugin types known to need the API server, or a daemon that needs it, when a pod starts after a reboot: flannel's, for
/// one, waits for `/run/flannel/subnet.env`, which its daemon writes once it has asked the API server.
const ASKS: [(&str, &str); 11] = [
    ("calico", "Calico"),
    ("calico-ipam", "Calico"),
    ("cilium-cni", "Cilium"),
    ("antrea", "Antrea"),
    ("ovn-k8s-cni-overlay", "OVN-Kubernetes"),
    ("kube-ovn", "Kube-OVN"),
    ("multus", "Multus"),
    ("multus-shim", "Multus"),
    ("flannel", "flannel"),
    ("weave-net", "Weave Net"),
    ("aws-cni", "Amazon VPC CNI"),
];

/// What the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Network {
    /// These plugins make do without an API server, as far as is known.
    Independent(Vec<String>),
    /// This product asks it.
    Asks(&'static str),
    /// No configuration in a directory that can be read.
    Unconfigured,
    /// The directory or the file cannot be read, and why.
    Unseen(String),
}

/// Reads the configuration that a runtime would take: the first by name of `*.conf`, `*.conflist`, `*.json`.
pub(in crate::cli) fn look(dir: &Path) -> Network {
    let mut names: Vec<_> = match fs::read_dir(dir) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Network::Unseen("is not there".to_owned()),
        Err(why) => return Network::Unseen(why.to_string()),
    };
    names.retain(|path| path.extension().is_some_and(|e| ["conf", "conflist", "json"].iter().any(|known| e == *known)));
    names.sort();
    let Some(first) = names.first() else { return Network::Unconfigured };
    match fs::read_to_string(first).map_err(|why| why.to_string()).and_then(|text| types(&text)) {
        Ok(types) => judge_types(types),
        Err(why) => Network::Unseen(format!("{}: {why}", first.display())),
    }
}

/// `type` of every plugin, and of its `ipam`. A `.conflist` has `plugins`, a `.conf` is one itself.
fn types(text: &str) -> Result<Vec<String>, String> {
    let config: Value = serde_json::from_str(text).map_err(|why| why.to_string())?;
    let plugins = match config.get("plugins").and_then(Value::as_array) {
        Some(plugins) => plugins.clone(),
        None => vec![config],
    };
    let of = |value: &Value| value.get("type").and_then(Value::as_str).map(str::to_owned);
    Ok(plugins.iter().flat_map(|plugin| [of(plugin), plugin.get("ipam").and_then(of)]).flatten().collect())
}

fn judge_types(types: Vec<String>) -> Network {
    let product = types.iter().find_map(|name| ASKS.iter().find(|(known, _)| known == name));
    match product {
        Some((_, product)) => Network::Asks(product),
        None => Network::Independent(types),
    }
}

pub(super) fn check(dir: &Path) -> Check {
    match look(dir) {
        Network::Independent(types) => Check::ok(NAME, format!("{}: not known to need one", types.join(", "))),
        Network::Asks(product) => Check::warn(
            NAME,
            format!("{product} needs the API server to start pods after a reboot"),
            "after a power cut only pods on hostNetwork come back without it; annotate the API server's own pods, which \
             are on hostNetwork, so that it comes back first",
        ),
        Network::Unconfigured => Check::warn(
            NAME,
            format!("{} holds no configuration", dir.display()),
            "only pods on hostNetwork can start; install a CNI plugin whose configuration stays in a reboot",
        ),
        Network::Unseen(why) => Check::warn(
            NAME,
            format!("{} {why}", dir.display()),
            "not visible from here: run doctor on the node, or give --cni-dir",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn configured(text: &str) -> Network {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("10-net.conflist"), text).unwrap();
        fs::write(dir.path().join("README.md"), "not a configuration").unwrap();
        look(dir.path())
    }

    #[rstest]
    #[case(
        r#"{"plugins":[{"type":"calico","ipam":{"type":"calico-ipam"}},{"type":"portmap"}]}"#,
        Network::Asks("Calico")
    )]
    #[case(r#"{"type":"cilium-cni"}"#, Network::Asks("Cilium"))]
    #[case(r#"{"plugins":[{"type":"flannel","delegate":{}}]}"#, Network::Asks("flannel"))]
    #[case(
        r#"{"plugins":[{"type":"bridge","ipam":{"type":"host-local"}}]}"#,
        Network::Independent(vec!["bridge".to_owned(), "host-local".to_owned()])
    )]
    fn plugins_that_ask_the_api_server_are_known_by_type(#[case] text: &str, #[case] expected: Network) {
        assert_eq!(configured(text), expected);
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_missing() {
        assert!(matches!(configured("{"), Network::Unseen(_)));
        assert!(matches!(look(Path::new("/does/not/exist")), Network::Unseen(_)));
        assert_eq!(look(tempfile::tempdir().unwrap().path()), Network::Unconfigured);
    }
}
