//! What is installed: least rights, each with its reason, and a DaemonSet that its own agent can save.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

mod metrics;
mod monitoring;
mod overlays;
mod reference;
mod serve;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The YAML files of a folder beneath the project's, sorted.
fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(!files.is_empty(), "no YAML in {folder}");
    files
}

fn objects(path: &Path) -> Vec<Value> {
    use serde::Deserialize;
    let text = text(path);
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents
        .map(|document| Value::deserialize(document).unwrap_or_else(|why| panic!("{}: {why}", path.display())))
        .collect()
}

fn agent() -> Value {
    let path = root().join("manifests/pod-checkpointer.yaml");
    let mut found = objects(&path);
    assert_eq!(found.len(), 1, "{} holds one DaemonSet and nothing else", path.display());
    found.remove(0)
}

/// Every rule of the agent's.
fn rules() -> Vec<(PathBuf, Option<String>, Value)> {
    rules_of("rbac")
}

/// Every rule of every Role and ClusterRole in a folder: (file, namespace of the Role, rule).
fn rules_of(folder: &str) -> Vec<(PathBuf, Option<String>, Value)> {
    let mut found = Vec::new();
    for file in yaml_files(folder) {
        for object in objects(&file) {
            let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
            for rule in object["rules"].as_array().into_iter().flatten() {
                found.push((file.clone(), namespace.clone(), rule.clone()));
            }
        }
    }
    found
}

fn names<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn no_rule_has_a_wildcard() {
    for (file, _, rule) in rules() {
        assert!(!rule.to_string().contains('*'), "{}: {rule}", file.display());
    }
}

#[test]
fn no_rule_lists_secrets_reaches_into_nodes_or_changes_things() {
    for (file, _, rule) in rules() {
        let (resources, verbs) = (names(&rule, "resources"), names(&rule, "verbs"));
        let at = format!("{}: {rule}", file.display());
        assert!(!resources.contains(&"nodes/proxy"), "{at}");
        if resources.contains(&"secrets") || resources.contains(&"configmaps") {
            assert_eq!(verbs, ["get"], "{at}");
        }
        let is_token = resources == ["serviceaccounts/token"];
        let reads = ["get", "list", "watch"];
        assert!(verbs.iter().all(|verb| reads.contains(verb) || (is_token && *verb == "create")), "{at}");
    }
}

#[test]
fn tokens_can_be_made_for_the_agents_own_account_alone() {
    let tokens: Vec<_> = rules()
        .into_iter()
        .filter(|(_, _, rule)| names(rule, "resources").contains(&"serviceaccounts/token"))
        .collect();
    assert_eq!(tokens.len(), 1);
    let (_, namespace, rule) = &tokens[0];
    assert_eq!(namespace.as_deref(), Some("kube-system"));
    assert_eq!(names(rule, "resourceNames"), ["pod-checkpointer"]);
}

#[test]
fn cluster_wide_rules_only_get_single_objects() {
    for (file, namespace, rule) in rules() {
        if namespace.is_none() {
            assert_eq!(names(&rule, "verbs"), ["get"], "{}: {rule}", file.display());
            assert!(!names(&rule, "resources").contains(&"secrets"), "{}: {rule}", file.display());
        }
    }
}

#[test]
fn every_rule_has_its_reason_beside_it() {
    every_rule_is_commented("rbac");
}

fn every_rule_is_commented(folder: &str) {
    for file in yaml_files(folder) {
        let mut commented = false;
        for line in text(&file).lines() {
            if line.trim_start().starts_with("- apiGroups:") {
                assert!(commented, "{}: no comment above {line}", file.display());
            }
            commented = line.trim_start().starts_with("# ");
        }
    }
}

#[test]
fn every_role_is_bound_to_the_one_account() {
    let all: Vec<Value> = yaml_files("rbac").iter().flat_map(|file| objects(file)).collect();
    let of_kind = |kind: &str| all.iter().filter(|object| object["kind"] == kind).cloned().collect::<Vec<_>>();
    assert_eq!(of_kind("ServiceAccount").len(), 1);
    for (role, binding) in [("Role", "RoleBinding"), ("ClusterRole", "ClusterRoleBinding")] {
        let bindings = of_kind(binding);
        assert_eq!(of_kind(role).len(), bindings.len());
        for role in of_kind(role) {
            let bound = bindings.iter().find(|b| b["roleRef"]["name"] == role["metadata"]["name"]);
            let bound = bound.unwrap_or_else(|| panic!("{} is bound to nobody", role["metadata"]["name"]));
            assert_eq!(bound["roleRef"]["kind"], role["kind"]);
            assert_eq!(bound["metadata"]["namespace"], role["metadata"]["namespace"]);
            let subjects = bound["subjects"].as_array().unwrap();
            assert_eq!(subjects.len(), 1);
            assert_eq!(subjects[0]["name"], "pod-checkpointer");
            assert_eq!(subjects[0]["namespace"], "kube-system");
        }
    }
}

#[test]
fn the_agent_saves_itself_and_knows_what_it_is() {
    let agent = agent();
    let template = &agent["spec"]["template"];
    assert_eq!(template["metadata"]["annotations"]["checkpointer.alpha.coreos.com/checkpoint"], "true");
    assert_eq!(template["spec"]["serviceAccountName"], "pod-checkpointer");
    assert_eq!(template["spec"]["hostNetwork"], true);
    assert_eq!(agent["spec"]["selector"]["matchLabels"], template["metadata"]["labels"]);
    let env = template["spec"]["containers"][0]["env"].as_array().unwrap();
    let field = |name: &str| {
        let entry = env.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        entry["valueFrom"]["fieldRef"]["fieldPath"].as_str().unwrap().to_owned()
    };
    assert_eq!(field("NODE_NAME"), "spec.nodeName");
    assert_eq!(field("POD_NAME"), "metadata.name");
    assert_eq!(field("POD_NAMESPACE"), "metadata.namespace");
    assert_eq!(field("POD_CONFIG_SOURCE"), "metadata.annotations['kubernetes.io/config.source']");
}

#[test]
fn the_agent_needs_nothing_that_a_static_pod_may_not_have() {
    let agent = agent();
    for volume in agent["spec"]["template"]["spec"]["volumes"].as_array().unwrap() {
        let kinds: Vec<_> = volume.as_object().unwrap().keys().filter(|key| *key != "name").collect();
        assert!(matches!(kinds[..], [kind] if kind == "hostPath" || kind == "emptyDir"), "{volume}");
    }
    let container = &agent["spec"]["template"]["spec"]["containers"][0];
    assert!(container.get("ports").is_none(), "a port would keep the next version from starting beside this one");
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
}

#[test]
fn the_agent_is_as_little_privileged_as_its_work_allows() {
    let agent = agent();
    let security = &agent["spec"]["template"]["spec"]["containers"][0]["securityContext"];
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert!(security.get("privileged").is_none());
    assert_eq!(names(&security["capabilities"], "drop"), ["ALL"]);
    assert!(!names(&security["capabilities"], "add").contains(&"SYS_ADMIN"));
    assert_eq!(agent["spec"]["template"]["spec"]["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &agent["spec"]["template"]["spec"]["containers"][0];
    for mount in container["volumeMounts"].as_array().unwrap() {
        let follows = ["/run", "/var/lib/kubelet"].contains(&mount["mountPath"].as_str().unwrap());
        let expected = if follows { Value::from("HostToContainer") } else { Value::Null };
        assert_eq!(mount["mountPropagation"], expected, "{mount}: a private copy would pin other pods' mounts");
    }
}

#[test]
fn both_daemonsets_reach_the_nodes_directories_under_selinux() {
    for file in ["manifests/pod-checkpointer.yaml", "manifests/serve/container-checkpoints.yaml"] {
        let daemon_set = &objects(&root().join(file))[0];
        let security = &daemon_set["spec"]["template"]["spec"]["securityContext"];
        assert_eq!(security["seLinuxOptions"], serde_json::json!({"type": "spc_t", "level": "s0"}), "{file}");
    }
}

#[test]
fn the_image_is_of_this_version() {
    let agent = agent();
    let image = agent["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    assert_eq!(image, concat!("pod-checkpointer:", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_kustomization_installs_the_same_files_from_outside() {
    let listed = &objects(&root().join("kustomization.yaml"))[0];
    let mut listed: Vec<&str> = names(listed, "resources");
    listed.sort_unstable();
    let mut there: Vec<String> = Vec::new();
    for folder in ["manifests", "rbac"] {
        for file in yaml_files(folder) {
            // `kubectl apply -f` of a folder takes every YAML file in it for an object.
            assert_ne!(file.file_name().unwrap(), "kustomization.yaml");
            there.push(file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
    there.sort_unstable();
    assert_eq!(listed, there);
}

#[test]
fn the_example_is_annotated_and_restorable_in_kind() {
    let example = &objects(&root().join("docs/example-daemonset.yaml"))[0];
    let template = &example["spec"]["template"];
    assert_eq!(template["metadata"]["annotations"]["checkpointer.alpha.coreos.com/checkpoint"], "true");
    for volume in template["spec"]["volumes"].as_array().unwrap() {
        assert!(volume.get("persistentVolumeClaim").is_none(), "{volume}");
    }
}

#[test]
fn the_container_image_is_the_binary_and_nothing_else() {
    let dockerfile = text(&root().join("Dockerfile"));
    let stage = dockerfile.rsplit("\nFROM ").next().unwrap();
    assert!(stage.starts_with("scratch\n"), "{stage}");
    let copies: Vec<_> = stage.lines().filter(|line| line.starts_with("COPY") || line.starts_with("ADD")).collect();
    assert_eq!(copies, ["COPY --from=build /pod-checkpointer /pod-checkpointer"]);
}
