//! The configuration as an operator types it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::config::ServiceEndpoint;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: RunArgs,
}

/// A node with the directories that `run` wants.
fn node() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("manifests")).unwrap();
    dir
}

fn parse(root: &Path, more: &[&str]) -> Result<AgentConfig, ConfigError> {
    let etc = format!("--etc-dir={}", root.display());
    let manifests = format!("--manifests-dir={}/manifests", root.display());
    let probe = format!("--probe-socket={}/probe.sock", root.display());
    let line = ["run", &etc, &manifests, &probe];
    AgentConfig::from_args(Line::try_parse_from(line.iter().chain(more)).unwrap().run)
}

fn error(more: &[&str]) -> String {
    let root = node();
    parse(root.path(), &[&["--node-name=n1"], more].concat()).unwrap_err().to_string()
}

#[test]
fn a_node_name_is_all_that_must_be_given() {
    let root = node();
    let config = parse(root.path(), &["--node-name=n1"]).unwrap();
    assert_eq!(config.timings, Timings::default());
    assert_eq!(config.scope, Scope::Only(BTreeSet::from(["kube-system".to_owned()])));
    assert_eq!(config.listen, Some("127.0.0.1:9881".parse().unwrap()));
    assert_eq!(config.own, None);
}

#[test]
fn its_own_namespace_is_watched_by_default() {
    let root = node();
    let config = parse(root.path(), &["--node-name=n1", "--pod-namespace=ops", "--pod-name=pc-1"]).unwrap();
    assert!(config.scope.covers("ops"));
    assert!(!config.scope.covers("kube-system"));
}

#[test]
fn the_kubelet_says_which_instance_is_the_twin() {
    let root = node();
    let pod = ["--node-name=n1", "--pod-namespace=ops", "--pod-name=pc-1", "--config-source=file"];
    assert!(parse(root.path(), &pod).unwrap().own.unwrap().is_twin);
    let pod = ["--node-name=n1", "--pod-namespace=ops", "--pod-name=pc-1", "--config-source=api"];
    assert!(!parse(root.path(), &pod).unwrap().own.unwrap().is_twin);
}

#[test]
fn the_flags_of_the_original_still_work() {
    let root = node();
    let old = ["--node-name=n1", "--checkpoint-grace-period=5m", "--runtime-request-timeout=2m"];
    let config = parse(root.path(), &old).unwrap();
    assert_eq!(config.timings.grace, Duration::from_secs(300));
    assert_eq!(config.ignored.len(), 1);
    assert!(config.ignored[0].contains("--runtime-request-timeout=2m"));
}

#[test]
fn an_empty_listen_address_switches_the_server_off() {
    let root = node();
    assert_eq!(parse(root.path(), &["--node-name=n1", "--listen="]).unwrap().listen, None);
}

#[test]
fn everything_wrong_is_told_at_once() {
    let root = node();
    let error = parse(root.path(), &["--listen=9881", "--log-level=loud"]).unwrap_err();
    assert_eq!(error.problems.len(), 3, "{error}");
    let text = error.to_string();
    for part in ["NODE_NAME", "--listen=9881", "--log-level=loud"] {
        assert!(text.contains(part), "{text}");
    }
}

#[rstest]
#[case("--container-runtime-endpoint=unix:///var/run/dockershim.sock", "gone since Kubernetes 1.24")]
#[case("--container-runtime-endpoint=tcp://127.0.0.1:5000", "unix:///")]
#[case("--container-runtime-endpoint=/etc/hostname", "no socket")]
#[case("--manifests-dir=/etc/hostname", "staticPodPath")]
#[case("--etc-dir=/etc/hostname", "no directory")]
#[case("--run-dir=relative", "absolute")]
#[case("--api-server=10.0.0.1:6443", "https://10.0.0.1:6443")]
#[case("--api-server=http://10.0.0.1:8080", "in clear")]
#[case("--namespace=Bad_Name", "DNS-1123")]
#[case("--config-source=http", "api or file")]
#[case("--token-ttl=5m", "at least 10m")]
#[case("--log-level=info,loud", "module=level")]
#[case("--pod-name=pc-1", "POD_NAMESPACE")]
fn one_clear_error_says_what_to_do(#[case] flag: &str, #[case] expected: &str) {
    let root = node();
    // The later of two equal flags is what clap would refuse, so the layout goes in only where it is not at stake.
    let etc = format!("--etc-dir={}", root.path().display());
    let manifests = format!("--manifests-dir={}/manifests", root.path().display());
    let probe = format!("--probe-socket={}/probe.sock", root.path().display());
    let mut line = vec!["run", "--node-name=n1", flag];
    for given in [&etc, &manifests, &probe] {
        if given.split('=').next() != flag.split('=').next() {
            line.push(given);
        }
    }
    let error = AgentConfig::from_args(Line::try_parse_from(line).unwrap().run).unwrap_err();
    assert_eq!(error.problems.len(), 1, "{error}");
    let text = error.to_string();
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_a_damaged_node_lacks_does_not_end_the_start() {
    let root = node();
    let missing = root.path().join("missing");
    for flag in ["--kubeconfig", "--kubelet-kubeconfig", "--container-runtime-endpoint"] {
        let given = format!("{flag}={}", missing.display());
        assert!(parse(root.path(), &["--node-name=n1", &given]).is_ok(), "{flag}");
    }
    std::fs::remove_dir_all(root.path().join("manifests")).unwrap();
    assert!(parse(root.path(), &["--node-name=n1"]).is_ok(), "the directory is made");
}

#[test]
fn a_named_namespace_and_all_of_them_exclude_each_other() {
    assert!(error(&["--all-namespaces", "--namespace=a"]).contains("not both"));
}

#[test]
fn plain_http_is_good_enough_on_loopback() {
    let root = node();
    let config = parse(root.path(), &["--node-name=n1", "--api-server=http://127.0.0.1:8001/"]).unwrap();
    assert_eq!(config.api.servers, ["http://127.0.0.1:8001"]);
}

#[test]
fn a_service_ip_of_version_six_gets_brackets() {
    let endpoint = ServiceEndpoint { host: "fd00::1".to_owned(), port: "443".to_owned() };
    assert_eq!(endpoint.url(), "https://[fd00::1]:443");
}
