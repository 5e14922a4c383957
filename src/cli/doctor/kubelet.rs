//! The kubelet: it reads static pods where we write them, can be told from its successor, says where its API server is,
//! and is new enough.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::check::Check;
use super::layout::Layout;
use crate::agent::config::NodeConfig;
use crate::cluster::client::ApiClient;
use crate::cluster::requests;
use crate::node::kubelet::{KubeletDir, KubeletError};
use crate::pod::kubelet_version::KubeletVersion;
use crate::pod::runtime::KubeletIdentity;

const LIMIT: Duration = Duration::from_secs(5);

pub(super) fn checks(node: &NodeConfig) -> Vec<Check> {
    let kubelet = KubeletDir::new(&node.kubelet_dir);
    vec![
        static_pods(kubelet.static_pod_path(), kubelet.flags().is_some(), &node.manifests_dir)
            .or_by(Layout::seen(Path::new("/"))),
        identity(kubelet.identity(), &node.kubelet_dir),
        server(&kubelet.api_server(node.kubelet_kubeconfig.as_deref())),
    ]
}

/// `flags`: those of the running kubelet were seen, and its drop-ins with them.
fn static_pods(configured: Result<Option<PathBuf>, KubeletError>, flags: bool, ours: &Path) -> Check {
    const NAME: &str = "kubelet reads static pods there";
    match configured {
        Ok(Some(path)) if same(&path, ours) && flags => Check::ok(NAME, path.display()),
        Ok(Some(path)) if same(&path, ours) => Check::ok(
            NAME,
            format!(
                "{}, by its configuration file; its flags and drop-ins cannot be seen from here, only on the node itself or with hostPID",
                path.display()
            ),
        ),
        Ok(Some(path)) => Check::fail(
            NAME,
            format!("it reads {}, checkpoints go to {}", path.display(), ours.display()),
            format!("run the agent with --manifests-dir={} (mounted there too)", path.display()),
        ),
        Ok(None) if flags => Check::fail(
            NAME,
            "it reads none: neither its flags nor its configuration file and drop-ins name a directory",
            format!("set staticPodPath: {} in its configuration file, and restart it", ours.display()),
        ),
        Ok(None) => Check::warn(
            NAME,
            "its configuration file names no staticPodPath; its flags and drop-ins cannot be seen from here",
            format!(
                "set staticPodPath: {} in it, unless its flags or drop-ins already say so: run doctor on the node itself to see them",
                ours.display()
            ),
        ),
        Err(why) => {
            Check::warn(NAME, why, "not visible from here; mount the kubelet's directory, or give --kubelet-dir")
        }
    }
}

impl Check {
    /// What is to be done on a distribution that has the kubelet's things elsewhere.
    fn or_by(mut self, layout: Option<&Layout>) -> Self {
        if let (Some(remedy), Some(layout)) = (&mut self.remedy, layout) {
            *remedy = format!("{remedy}; {}", layout.advice());
        }
        self
    }
}

/// One directory under two names is one directory.
fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

fn identity(seen: Option<KubeletIdentity>, dir: &Path) -> Check {
    const NAME: &str = "kubelet's restarts can be seen";
    match seen {
        Some(_) => Check::ok(NAME, "by its pod-resources socket"),
        None => Check::warn(
            NAME,
            format!("{}/pod-resources/kubelet.sock cannot be seen", dir.display()),
            "every outage is then taken for one with a restarted kubelet; mount the kubelet's directory, or start the kubelet",
        ),
    }
}

fn server(found: &Result<String, KubeletError>) -> Check {
    const NAME: &str = "kubelet's API server is known";
    match found {
        Ok(server) => Check::ok(NAME, server),
        Err(why) => Check::warn(
            NAME,
            why,
            "the Service IP alone is asked then, which needs kube-proxy; give --kubelet-kubeconfig or --api-server",
        ),
    }
}

/// Its release, which the kubelet tells nobody but the API server.
pub(super) async fn version(client: &Result<ApiClient, String>, node: &str) -> Check {
    let asked = match client {
        Ok(client) => requests::get_node(client, node, LIMIT).await.map_err(|why| why.to_string()),
        Err(why) => Err(why.clone()),
    };
    judge_version(asked.map(|node| KubeletVersion::of_node(&node)))
}

fn judge_version(seen: Result<Option<KubeletVersion>, String>) -> Check {
    const NAME: &str = "kubelet is new enough";
    let oldest = KubeletVersion::OLDEST_SUPPORTED;
    let remedy = format!(
        "compare `kubelet --version` with {oldest}, the oldest that this program is tried with; where the agent may not read its \
         Node (kubectl apply -f rbac/pod-checkpointer-node.yaml), it takes the kubelet for that one"
    );
    match seen {
        Ok(Some(version)) if version >= oldest => Check::ok(NAME, version),
        Ok(Some(version)) => Check::warn(
            NAME,
            format!("{version}, and this program is tried with {oldest} and newer"),
            "it may refuse checkpoints or start them with something missing; update it",
        ),
        Ok(None) => Check::warn(NAME, "not known: the Node does not say it", remedy),
        Err(why) => Check::warn(NAME, format!("not known: {why}"), remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::CheckOutcome;
    use super::*;

    #[test]
    fn a_kubelet_that_reads_elsewhere_fails_and_says_what_to_pass() {
        let check =
            static_pods(Ok(Some("/var/lib/rancher/pods".into())), false, Path::new("/etc/kubernetes/manifests"));
        assert_eq!(check.outcome, CheckOutcome::Fail);
        assert!(check.remedy.unwrap().contains("--manifests-dir=/var/lib/rancher/pods"));
    }

    #[test]
    fn one_directory_by_two_names_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert_eq!(static_pods(Ok(Some(link)), true, dir.path()).outcome, CheckOutcome::Ok);
    }

    #[test]
    fn a_kubelet_older_than_the_oldest_tried_is_a_warning() {
        let of = |minor| judge_version(Ok(Some(KubeletVersion { major: 1, minor })));
        assert_eq!(of(34).outcome, CheckOutcome::Ok);
        let old = of(33);
        assert_eq!(old.outcome, CheckOutcome::Warn);
        assert!(old.finding.contains("1.33") && old.finding.contains("1.34"), "{old:?}");
        for unknown in [judge_version(Ok(None)), judge_version(Err("not allowed".to_owned()))] {
            assert_eq!(unknown.outcome, CheckOutcome::Warn);
            assert!(unknown.finding.starts_with("not known"), "{unknown:?}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_a_warning() {
        assert_eq!(static_pods(Ok(None), false, Path::new("/m")).outcome, CheckOutcome::Warn);
        let by_file = static_pods(Ok(Some("/m".into())), false, Path::new("/m"));
        assert!(by_file.outcome == CheckOutcome::Ok && by_file.finding.contains("hostPID"), "{by_file:?}");
        assert_eq!(
            static_pods(Ok(None), true, Path::new("/m")).outcome,
            CheckOutcome::Fail,
            "all was seen, and it reads none"
        );
        assert_eq!(identity(None, Path::new("/k")).outcome, CheckOutcome::Warn);
    }
}
