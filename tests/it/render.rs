//! `render`: from files as people keep them to checkpoints, offline.

use clap::Parser;
use pod_checkpointer::cli::render::{BadInput, Render, Rendered};
use rstest::rstest;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    render: Render,
}

fn try_render(text: &str) -> Result<Rendered, BadInput> {
    Cli::parse_from(["render", "-f", "-", "--node", "n1", "--api-host", "10.0.0.1"]).render.render(text)
}

fn render(text: &str) -> Rendered {
    try_render(text).unwrap()
}

const DAEMON_SET: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: agent}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: kube-system}
spec:
  template:
    metadata:
      labels: {app: agent}
      annotations: {checkpointer.alpha.coreos.com/checkpoint: "true"}
    spec:
      serviceAccountName: agent
      securityContext: {fsGroup: 5}
      containers:
        - name: agent
          image: agent:1
          envFrom: [{configMapRef: {name: env}}]
          env: [{name: MODE, valueFrom: {configMapKeyRef: {name: conf, key: mode}}}]
          ports: [{containerPort: 80, hostPort: 80}]
          volumeMounts: [{name: tls, mountPath: /tls}]
      volumes: [{name: tls, secret: {secretName: tls, defaultMode: 0400}}]
"#;

#[test]
fn a_daemonset_of_a_file_with_other_objects() {
    let rendered = render(DAEMON_SET);
    insta::assert_snapshot!(rendered.checkpoints);
    assert_eq!(rendered.reasons, Vec::<String>::new());
    assert_eq!(rendered.notes, ["ServiceAccount has no pods; left out"]);
}

#[test]
fn what_is_printed_is_yaml_that_the_kubelet_reads_as_one_pod() {
    let printed: serde_json::Value = serde_yaml::from_str(&render(DAEMON_SET).checkpoints).unwrap();
    assert_eq!(printed["kind"], "Pod");
    assert_eq!(
        printed["metadata"]["annotations"]["checkpointer.alpha.coreos.com/lineage"],
        "kube-system/DaemonSet/agent"
    );
}

#[test]
fn claims_of_a_statefulset_speak_against_it() {
    let set = r#"{"kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
        "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        "template": {"spec": {"containers": [{"name": "db", "image": "db:1"}]}}}}"#;
    let rendered = render(set);
    assert_eq!(rendered.checkpoints, "");
    assert_eq!(rendered.reasons[0], "default/db-0 is not restorable:");
    assert!(rendered.reasons[1].contains("PersistentVolumeClaim"), "{:?}", rendered.reasons);
    assert!(rendered.notes[0].contains("db-0 has no annotation"), "{:?}", rendered.notes);
}

#[test]
fn lists_are_rendered_item_by_item() {
    let list = r#"{"kind": "List", "items": [
        {"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        {"kind": "Deployment", "metadata": {"name": "b"}, "spec": {"template": {"spec":
            {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}]}"#;
    let rendered = render(list);
    assert!(rendered.checkpoints.contains("# checkpoint of default/a\n"), "{}", rendered.checkpoints);
    assert_eq!(rendered.reasons[0], "default/b-xxxxxxxxxx-xxxxx is not restorable:");
}

#[test]
fn a_pod_of_a_running_cluster_gets_no_second_token() {
    let pod = r#"{"kind": "Pod", "metadata": {"name": "a", "uid": "u"},
        "spec": {"nodeName": "elsewhere", "containers": [{"name": "c", "image": "i"}]}}"#;
    assert!(!render(pod).checkpoints.contains("kube-api-access"));
}

#[test]
fn the_command_prints_and_tells_by_its_exit_code() {
    let command = |input: &str| {
        let mut command = assert_cmd::Command::cargo_bin("pod-checkpointer").unwrap();
        command.args(["render", "-f", "-"]).write_stdin(input).assert()
    };
    let kept = command(DAEMON_SET).code(0).get_output().clone();
    let text = String::from_utf8(kept.stdout).unwrap();
    assert!(text.contains("every container also has KUBERNETES_SERVICE_HOST"), "{text}");
    let refused = command(&DAEMON_SET.replace("volumes: [", "volumes: [{name: c, csi: {driver: d}}, "));
    let refused = refused.code(1).get_output().clone();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("volume c: csi needs a CSI driver"), "{refused:?}");
    command("kind: Service").code(2);
}

#[test]
fn useless_input_is_told_from_pods_that_cannot_be_kept() {
    assert!(matches!(try_render("kind: Service"), Err(BadInput::NoPods)));
    assert!(matches!(try_render(""), Err(BadInput::NoPods)));
    assert!(matches!(try_render("a: [1"), Err(BadInput::Syntax(_))));
    assert!(matches!(try_render("{kind: Pod, metadata: {name: a}}"), Err(BadInput::Pod(_))));
    assert!(matches!(try_render("{kind: Pod, metadata: {name: ../a}, spec: {containers: []}}"), Err(BadInput::Pod(_))));
    for template in ["1", "{metadata: 1}", "{metadata: {labels: 1}, spec: {}}", "[]"] {
        let text = format!("{{kind: Deployment, metadata: {{name: a}}, spec: {{template: {template}}}}}");
        assert!(try_render(&text).is_err(), "{text}");
    }
    let checkpoint = r"{kind: Pod, metadata: {name: a, annotations: {checkpointer.alpha.coreos.com/checkpoint-of: a}},
        spec: {containers: []}}";
    assert!(matches!(try_render(checkpoint), Err(BadInput::NoParent)));
}

/// Checkpoints and notes of a pod of a file, with this spec beside its containers.
fn of_pod(metadata: &str, container: &str, volumes: &str) -> Rendered {
    render(&format!(
        r"{{kind: Pod, metadata: {{name: a, {metadata}}}, spec: {{automountServiceAccountToken: false, hostname: h,
        containers: [{{name: c, image: i, {container}}}], volumes: [{volumes}]}}}}"
    ))
}

const CHECKPOINT: &str = r#"checkpointer.alpha.coreos.com/checkpoint: "true""#;

#[test]
fn a_volume_inside_a_config_map_has_its_mount_point() {
    let mounts = "volumeMounts: [{name: in, mountPath: /etc/memberlist/x}, {name: out, mountPath: /etc/memberlist},
        {name: in, mountPath: /etc/memberlist/key, subPath: key}]";
    let volumes = "{name: in, secret: {secretName: memberlist}}, {name: out, configMap: {name: excludel2}}";
    let rendered = of_pod("", mounts, volumes);
    assert_eq!(rendered.reasons, Vec::<String>::new());
    for line in ["#     x/ (mount point)\n", "#     key (mount point)\n", "#     0644 key\n"] {
        assert!(rendered.checkpoints.contains(line), "{line} is not in {}", rendered.checkpoints);
    }
}

#[test]
fn what_a_pod_would_lack_is_told() {
    let annotations = format!("annotations: {{k8s.v1.cni.cncf.io/networks: lan, {CHECKPOINT}}}");
    let rendered = of_pod(&annotations, "args: ['--db=$(DB_SERVICE_HOST)']", "");
    let lacking: Vec<_> = rendered.checkpoints.lines().filter(|line| line.starts_with("# lacking: ")).collect();
    assert!(lacking.len() == 2 && lacking[0].contains("$(DB_SERVICE_HOST)"), "{lacking:?}");
    assert!(lacking[1].contains("k8s.v1.cni.cncf.io/networks"), "{lacking:?}");
}

#[test]
fn a_field_that_no_api_server_would_store_is_left_out_and_noted() {
    let rendered = of_pod(&format!("annotations: {{{CHECKPOINT}}}"), "imagePullpolicy: Always", "");
    assert!(rendered.reasons.is_empty() && !rendered.checkpoints.contains("imagePullpolicy"));
    assert!(rendered.notes[0].contains("a: spec.containers[0].imagePullpolicy is no field of"), "{:?}", rendered.notes);

    let stored = of_pod(&format!("uid: u, annotations: {{{CHECKPOINT}}}"), "fieldOfTomorrow: 1", "");
    assert!(stored.reasons[1].contains("spec.containers[0].fieldOfTomorrow is not known"), "{:?}", stored.reasons);
}

#[rstest]
#[case("unconfined", "type: \"Unconfined\"")]
#[case("runtime/default", "type: \"RuntimeDefault\"")]
#[case("localhost/hub", "localhostProfile: \"hub\"")]
#[case("localhost/", "")]
#[case("nonsense", "")]
fn an_apparmor_annotation_becomes_the_field(#[case] value: &str, #[case] expected: &str) {
    let key = "container.apparmor.security.beta.kubernetes.io/c";
    let rendered = of_pod(&format!("annotations: {{{key}: {value}, {CHECKPOINT}}}"), "", "").checkpoints;
    assert!(rendered.contains(&format!("{key}: {value:?}")), "{rendered}");
    assert_eq!(rendered.contains("appArmorProfile"), !expected.is_empty(), "{rendered}");
    assert!(rendered.contains(expected), "{rendered}");
}

#[test]
fn a_field_of_the_container_counts_before_an_annotation() {
    let annotations =
        format!("annotations: {{container.apparmor.security.beta.kubernetes.io/c: unconfined, {CHECKPOINT}}}");
    let own = "securityContext: {appArmorProfile: {type: RuntimeDefault}}";
    assert!(!of_pod(&annotations, own, "").checkpoints.contains("Unconfined"));
}

#[rstest]
#[case("Rollout", "default/ReplicaSet/web")]
#[case("Deployment", "default/ReplicaSet/web")]
#[case("ReplicationController", "default/ReplicationController/web")]
#[case("CloneSet", "default/CloneSet/web")]
#[case("StatefulSet", "default/StatefulSet/web")]
fn a_controllers_first_pod_is_of_its_lineage(#[case] kind: &str, #[case] lineage: &str) {
    let set = format!(
        "{{kind: {kind}, metadata: {{name: web}}, spec: {{template: {{spec: {{containers: [{{name: c, image: i}}]}}}}}}}}"
    );
    let rendered = render(&set).checkpoints;
    assert!(rendered.contains(&format!("checkpointer.alpha.coreos.com/lineage: {lineage:?}")), "{rendered}");
}

#[test]
fn a_statefulsets_pod_has_what_its_controller_adds() {
    let set = r"{kind: StatefulSet, metadata: {name: db}, spec: {serviceName: peers, template: {spec: {containers: [
        {name: c, image: i, env: [{name: ME, valueFrom: {fieldRef: {fieldPath: 'metadata.labels[''apps.kubernetes.io/pod-index'']'}}}]}]}}}}";
    let rendered = render(set).checkpoints;
    assert!(rendered.contains("subdomain: \"peers\"") && rendered.contains("value: \"0\""), "{rendered}");
}
