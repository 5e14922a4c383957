//! Ports of a container. On the host's network every declared port becomes a hostPort, over which twin and parent
//! would keep each other out, so there the declarations go, and the names that probes and hooks use for them.

use serde_json::{Map, Value, json};

use super::findings::Findings;

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
const HOOKS: [&str; 2] = ["postStart", "preStop"];
const ACTIONS: [&str; 2] = ["httpGet", "tcpSocket"];

/// Takes the ports away and writes numbers where their names stood.
pub(super) fn strip(container: &mut Map<String, Value>, findings: &mut Findings) {
    let name = container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let ports = container.remove("ports").unwrap_or_default();
    let mut number = |handler: &mut Value, what: &str| {
        for action in ACTIONS {
            let Some(port) = handler.get_mut(action).and_then(|a| a.get_mut("port")) else { continue };
            let Some(wanted) = port.as_str().map(str::to_owned) else { continue };
            let declared = ports.as_array().into_iter().flatten().find(|p| p["name"] == wanted.as_str());
            match declared.and_then(|p| p["containerPort"].as_u64()).or_else(|| wanted.parse().ok()) {
                Some(found) => *port = json!(found),
                None => findings.refuse(format!(
                    "{what} of container {name} names port {wanted:?}, which the container does not declare; declare \
                     it, or write its number"
                )),
            }
        }
    };
    for probe in PROBES {
        if let Some(handler) = container.get_mut(probe) {
            number(handler, probe);
        }
    }
    for hook in HOOKS {
        if let Some(handler) = container.get_mut("lifecycle").and_then(|l| l.get_mut(hook)) {
            number(handler, hook);
        }
    }
}

/// Whether a container takes a port of the host.
pub(super) fn takes_host_port(container: &Value) -> bool {
    container["ports"].as_array().into_iter().flatten().any(|port| port["hostPort"].as_u64().unwrap_or(0) > 0)
}
