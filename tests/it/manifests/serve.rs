//! `serve`: an identity of its own with each right named, a DaemonSet that can write where it must and nowhere else, and
//! an APIService that believes nobody by default.

use serde_json::Value;

use super::{every_rule_is_commented, names, objects, root, rules_of, yaml_files};

const RBAC: &str = "rbac/serve";
const ACCOUNT: &str = "container-checkpoints";

fn daemon_set() -> Value {
    let path = root().join("manifests/serve/container-checkpoints.yaml");
    let mut found = objects(&path);
    assert_eq!(found.len(), 1, "{} holds one DaemonSet and nothing else", path.display());
    found.remove(0)
}

fn container() -> Value {
    daemon_set()["spec"]["template"]["spec"]["containers"][0].clone()
}

fn all() -> Vec<Value> {
    yaml_files(RBAC).iter().flat_map(|file| objects(file)).collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    all().into_iter().filter(|object| object["kind"] == kind).collect()
}

/// "verb group/resource[name]" of each right, and the namespace of its Role.
fn rights() -> Vec<(Option<String>, String)> {
    let mut found = Vec::new();
    for (_, namespace, rule) in rules_of(RBAC) {
        for verb in names(&rule, "verbs") {
            for resource in names(&rule, "resources") {
                let group = names(&rule, "apiGroups").join(",");
                let only = names(&rule, "resourceNames").join(",");
                found.push((namespace.clone(), format!("{verb} {group}/{resource}[{only}]")));
            }
        }
    }
    found
}

#[test]
fn no_rule_has_a_wildcard_or_reaches_into_nodes() {
    for (file, _, rule) in rules_of(RBAC) {
        assert!(!rule.to_string().contains('*'), "{}: {rule}", file.display());
        for forbidden in ["nodes/proxy", "pods/exec", "serviceaccounts/token", "pods/eviction"] {
            assert!(!names(&rule, "resources").contains(&forbidden), "{}: {rule}", file.display());
        }
    }
}

#[test]
fn no_rule_lists_or_watches_secrets() {
    for (file, _, rule) in rules_of(RBAC) {
        if names(&rule, "resources").contains(&"secrets") {
            let verbs = names(&rule, "verbs");
            assert!(
                !verbs.iter().any(|verb| ["list", "watch", "delete", "patch"].contains(verb)),
                "{}: {rule}",
                file.display()
            );
        }
    }
}

#[test]
fn every_right_is_one_that_is_known_here() {
    let cluster = |right: &str| (None, right.to_owned());
    let own = |right: &str| (Some("kube-system".to_owned()), right.to_owned());
    let mut expected = vec![
        cluster("create /nodes/checkpoint[]"),
        cluster("create authentication.k8s.io/tokenreviews[]"),
        cluster("create authorization.k8s.io/subjectaccessreviews[]"),
        cluster("get /pods[]"),
        cluster("get /nodes[]"),
        cluster("delete /pods[]"),
        cluster("get apiregistration.k8s.io/apiservices[v1alpha1.checkpointer.alpha.coreos.com]"),
        cluster("patch apiregistration.k8s.io/apiservices[v1alpha1.checkpointer.alpha.coreos.com]"),
        own("list /pods[]"),
        own("get /secrets[container-checkpoints-ca]"),
        own("update /secrets[container-checkpoints-ca]"),
        own("create /secrets[]"),
        own("get /secrets[kaniko-secret]"),
        // Retention.
        cluster("get /pods[]"),
        cluster("get /namespaces[]"),
        cluster("create /events[]"),
        cluster("get criu.org/checkpointrestoreoperators[]"),
        cluster("list criu.org/checkpointrestoreoperators[]"),
        cluster("watch criu.org/checkpointrestoreoperators[]"),
        cluster("patch criu.org/checkpointrestoreoperators/status[]"),
        // Bound to nobody here.
        cluster("get /secrets[]"),
        cluster("create checkpointer.alpha.coreos.com/pods/checkpoint[]"),
        cluster("get checkpointer.alpha.coreos.com/checkpoints[]"),
        cluster("list checkpointer.alpha.coreos.com/checkpoints[]"),
        cluster("list checkpointer.alpha.coreos.com/checkpoints[]"),
    ];
    let mut there = rights();
    expected.sort();
    there.sort();
    assert_eq!(there, expected);
}

#[test]
fn nobody_is_bound_to_read_others_secrets_or_use_the_service() {
    let bound: Vec<Value> = of_kind("ClusterRoleBinding").into_iter().chain(of_kind("RoleBinding")).collect();
    for role in of_kind("ClusterRole") {
        let name = &role["metadata"]["name"];
        let is_bound = bound.iter().any(|binding| binding["roleRef"]["name"] == *name);
        let opt_in = ["encryption", "user", "lookup"].iter().any(|end| name.as_str().unwrap().ends_with(end));
        assert_eq!(is_bound, !opt_in, "{name}");
    }
}

#[test]
fn making_secrets_is_held_to_the_one_that_it_makes() {
    let [policy, binding] =
        ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"].map(|kind| of_kind(kind).remove(0));
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    assert_eq!(names(&policy["spec"]["matchConstraints"]["resourceRules"][0], "operations"), ["CREATE"]);
    let who = policy["spec"]["matchConditions"][0]["expression"].as_str().unwrap();
    assert_eq!(who, format!("request.userInfo.username == 'system:serviceaccount:kube-system:{ACCOUNT}'"));
    let what = policy["spec"]["validations"][0]["expression"].as_str().unwrap();
    assert!(what.contains("object.metadata.name == 'container-checkpoints-ca' && object.type == "), "{what}");
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    assert_eq!(names(&binding["spec"], "validationActions"), ["Deny"]);
}

#[test]
fn every_binding_is_of_the_one_account() {
    let accounts = of_kind("ServiceAccount");
    assert_eq!(accounts.len(), 1);
    assert_eq!(accounts[0]["metadata"]["name"], ACCOUNT);
    let bindings: Vec<Value> = of_kind("ClusterRoleBinding").into_iter().chain(of_kind("RoleBinding")).collect();
    assert_eq!(bindings.len(), 6);
    for binding in bindings {
        let subjects = binding["subjects"].as_array().unwrap();
        assert_eq!(subjects.len(), 1, "{binding}");
        assert_eq!(subjects[0]["kind"], "ServiceAccount");
        assert_eq!(subjects[0]["name"], ACCOUNT);
        assert_eq!(subjects[0]["namespace"], "kube-system");
    }
    assert_eq!(daemon_set()["spec"]["template"]["spec"]["serviceAccountName"], ACCOUNT);
}

#[test]
fn every_rule_has_its_reason_beside_it() {
    every_rule_is_commented(RBAC);
}

#[test]
fn it_has_no_capability_and_writes_archives_and_records_alone() {
    let security = &container()["securityContext"];
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert!(security.get("privileged").is_none());
    assert_eq!(names(&security["capabilities"], "drop"), ["ALL"]);
    assert!(security["capabilities"].get("add").is_none());
    assert_eq!(daemon_set()["spec"]["template"]["spec"]["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let mut writable = Vec::new();
    for mount in container()["volumeMounts"].as_array().unwrap() {
        let path = mount["mountPath"].as_str().unwrap().to_owned();
        // Other pods' mounts come and go there alone.
        let expected = if path.starts_with("/run/") { Value::from("HostToContainer") } else { Value::Null };
        assert_eq!(mount["mountPropagation"], expected, "{mount}");
        if mount["readOnly"] != true {
            writable.push(path);
        }
    }
    assert_eq!(writable, ["/var/lib/kubelet/checkpoints", "/checkpointer/storage"]);
}

#[test]
fn it_is_told_where_it_is_and_asked_over_tls() {
    let container = container();
    let env = container["env"].as_array().unwrap();
    let field = |name: &str| {
        let entry = env.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        entry["valueFrom"]["fieldRef"]["fieldPath"].as_str().unwrap().to_owned()
    };
    assert_eq!(field("CHECKPOINTER_NAMESPACE"), "metadata.namespace");
    assert_eq!(field("CHECKPOINTER_NODE"), "spec.nodeName");
    assert_eq!(field("CHECKPOINTER_NODE_IP"), "status.hostIP");
    assert_eq!(container["args"], Value::from(vec!["serve"]));
    for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        let get = &container[probe]["httpGet"];
        assert_eq!((&get["scheme"], &get["path"]), (&Value::from("HTTPS"), &Value::from(path)));
    }
    let pod = &daemon_set()["spec"]["template"]["spec"];
    assert_eq!(pod["hostNetwork"], true);
    assert_eq!(pod["dnsPolicy"], "Default");
    assert_eq!(container["image"], concat!("pod-checkpointer:", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_token_for_other_instances_is_of_no_use_to_the_api_server() {
    let daemon_set = daemon_set();
    let volumes = daemon_set["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    let projected: Vec<_> = volumes.iter().filter_map(|volume| volume.get("projected")).collect();
    assert_eq!(projected.len(), 1);
    let token = &projected[0]["sources"][0]["serviceAccountToken"];
    assert_eq!(token["audience"], "pod-checkpointer");
    assert_eq!(token["expirationSeconds"], 3600);
}

#[test]
fn instances_are_found_by_the_label_that_they_have() {
    let daemon_set = daemon_set();
    let labels = &daemon_set["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["app"], ACCOUNT);
    assert_eq!(&daemon_set["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(daemon_set["metadata"]["name"], ACCOUNT);
}

#[test]
fn the_apiservice_reaches_serve_and_trusts_nobody_by_default() {
    let found = objects(&root().join("manifests/apiservice/container-checkpoints.yaml"));
    let [service, api_service] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(service["spec"]["selector"], daemon_set()["spec"]["selector"]["matchLabels"]);
    let port = &service["spec"]["ports"][0];
    assert_eq!(port["port"], 443);
    let target =
        container()["ports"].as_array().unwrap().iter().find(|there| there["name"] == port["targetPort"]).cloned();
    assert_eq!(target.unwrap()["containerPort"], 3333);
    let spec = &api_service["spec"];
    let name = format!("{}.{}", spec["version"].as_str().unwrap(), spec["group"].as_str().unwrap());
    assert_eq!(api_service["metadata"]["name"], name.as_str());
    assert_eq!(spec["service"]["name"], service["metadata"]["name"]);
    assert_eq!(spec["service"]["namespace"], service["metadata"]["namespace"]);
    assert!(spec.get("insecureSkipTLSVerify").is_none());
    assert!(spec.get("caBundle").is_none(), "serve puts its own there; one from here would be put back by each apply");
}
