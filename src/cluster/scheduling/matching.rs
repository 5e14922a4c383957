//! Does a DaemonSet keep a pod on a Node? Pure; the rules are those of the DaemonSet controller for a pod that is
//! already there, so a NoSchedule taint alone does not end it. What is not understood excludes nothing.

use serde_json::Value;

/// Whether the DaemonSet wants a pod on the Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheduled {
    /// A pod of it may stay.
    Runs,
    /// The controller would remove it, because of this.
    Excluded(String),
}

/// Taints that the DaemonSet controller makes every one of its pods tolerate (with effect NoExecute).
const ALWAYS_TOLERATED: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// Both as the API gives them.
pub fn runs_on(daemonset: &Value, node: &Value) -> Scheduled {
    let spec = &daemonset["spec"]["template"]["spec"];
    let objections =
        [node_name(spec, node), node_selector(spec, node), node_affinity(spec, node), untolerated(spec, node)];
    objections.into_iter().flatten().next().map_or(Scheduled::Runs, Scheduled::Excluded)
}

fn node_name(spec: &Value, node: &Value) -> Option<String> {
    let wanted = spec["nodeName"].as_str().filter(|name| !name.is_empty())?;
    (node["metadata"]["name"].as_str() != Some(wanted)).then(|| format!("its nodeName is {wanted}"))
}

fn node_selector(spec: &Value, node: &Value) -> Option<String> {
    let unmet = |(key, value): &(&String, &Value)| node["metadata"]["labels"].get(key.as_str()) != Some(*value);
    let (key, value) = spec["nodeSelector"].as_object()?.iter().find(unmet)?;
    Some(format!("its nodeSelector wants label {key}={}", value.as_str().unwrap_or("?")))
}

fn node_affinity(spec: &Value, node: &Value) -> Option<String> {
    let required = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    // Terms are alternatives; within one everything must hold, and an empty one holds nowhere.
    let terms = required.get("nodeSelectorTerms")?.as_array()?;
    (!terms.iter().any(|term| term_holds(term, node))).then(|| "none of its node affinity terms fits".to_owned())
}

fn term_holds(term: &Value, node: &Value) -> bool {
    let list = |name: &str| term[name].as_array().map_or(&[][..], Vec::as_slice);
    let (expressions, fields) = (list("matchExpressions"), list("matchFields"));
    let label = |key: &str| node["metadata"]["labels"].get(key).and_then(Value::as_str);
    // metadata.name is the only field that the API allows there.
    let field = |key: &str| node["metadata"]["name"].as_str().filter(|_| key == "metadata.name");
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|e| requirement_holds(e, label))
        && fields.iter().all(|f| requirement_holds(f, field))
}

fn requirement_holds<'n>(requirement: &Value, value_of: impl Fn(&str) -> Option<&'n str>) -> bool {
    let found = requirement["key"].as_str().and_then(value_of);
    let values = requirement["values"].as_array().map_or(&[][..], Vec::as_slice);
    let listed = |found: &str| values.iter().any(|v| v.as_str() == Some(found));
    let number = |text: Option<&str>| text.and_then(|t| t.parse::<i64>().ok());
    let bound = || number(values.first().filter(|_| values.len() == 1).and_then(Value::as_str));
    match requirement["operator"].as_str() {
        Some("In") => found.is_some_and(listed),
        Some("NotIn") => !found.is_some_and(listed),
        Some("Exists") => found.is_some(),
        Some("DoesNotExist") => found.is_none(),
        Some("Gt") => number(found).zip(bound()).is_some_and(|(found, bound)| found > bound),
        Some("Lt") => number(found).zip(bound()).is_some_and(|(found, bound)| found < bound),
        _ => true,
    }
}

fn untolerated(spec: &Value, node: &Value) -> Option<String> {
    let tolerations = spec["tolerations"].as_array().map_or(&[][..], Vec::as_slice);
    let taints = node["spec"]["taints"].as_array()?;
    let evicting = taints.iter().filter(|t| t["effect"] == "NoExecute");
    let mut unmet = evicting.filter(|taint| {
        let key = taint["key"].as_str().unwrap_or_default();
        !ALWAYS_TOLERATED.contains(&key) && !tolerations.iter().any(|t| tolerates(t, taint))
    });
    unmet.next().map(|taint| format!("it does not tolerate taint {}", taint["key"].as_str().unwrap_or("?")))
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (key, effect) = (text(&toleration["key"]), text(&toleration["effect"]));
    let key_fits = key.is_empty() || key == text(&taint["key"]);
    let effect_fits = effect.is_empty() || effect == text(&taint["effect"]);
    let value_fits = match toleration["operator"].as_str() {
        None | Some("" | "Equal") => text(&toleration["value"]) == text(&taint["value"]),
        // Exists; and operators of tomorrow (numeric ones are an alpha), which must not evict us.
        Some(_) => true,
    };
    key_fits && effect_fits && value_fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn node() -> Value {
        json!({
            "metadata": {"name": "n1", "labels": {"role": "edge", "gen": "7", "word": "x", "empty": ""}},
            "spec": {}
        })
    }

    fn with_spec(spec: &Value) -> Value {
        json!({"spec": {"template": {"spec": spec}}})
    }

    fn with_terms(terms: &Value) -> Value {
        with_spec(&json!({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}}))
    }

    fn stays(daemonset: &Value, node: &Value) -> bool {
        runs_on(daemonset, node) == Scheduled::Runs
    }

    #[rstest]
    #[case::in_listed("role", "In", json!(["edge", "core"]), true)]
    #[case::in_other("role", "In", json!(["core"]), false)]
    #[case::in_absent("none", "In", json!(["edge"]), false)]
    #[case::in_empty_value("empty", "In", json!([""]), true)]
    #[case::not_in_listed("role", "NotIn", json!(["edge"]), false)]
    #[case::not_in_other("role", "NotIn", json!(["core"]), true)]
    #[case::not_in_absent("none", "NotIn", json!(["edge"]), true)]
    #[case::exists("role", "Exists", json!(null), true)]
    #[case::exists_absent("none", "Exists", json!(null), false)]
    #[case::does_not_exist("none", "DoesNotExist", json!(null), true)]
    #[case::does_not_exist_present("role", "DoesNotExist", json!(null), false)]
    #[case::greater("gen", "Gt", json!(["6"]), true)]
    #[case::greater_equal("gen", "Gt", json!(["7"]), false)]
    #[case::greater_word("word", "Gt", json!(["6"]), false)]
    #[case::greater_absent("none", "Gt", json!(["6"]), false)]
    #[case::greater_of_two("gen", "Gt", json!(["1", "2"]), false)]
    #[case::less("gen", "Lt", json!(["8"]), true)]
    #[case::less_equal("gen", "Lt", json!(["7"]), false)]
    #[case::operator_of_tomorrow("role", "Like", json!(["c*"]), true)]
    fn label_requirements(#[case] key: &str, #[case] operator: &str, #[case] values: Value, #[case] fits: bool) {
        let expression = json!({"key": key, "operator": operator, "values": values});
        assert_eq!(stays(&with_terms(&json!([{"matchExpressions": [expression]}])), &node()), fits);
    }

    #[rstest]
    #[case::alternatives(json!([{"matchExpressions": [{"key": "none", "operator": "Exists"}]},
                                {"matchExpressions": [{"key": "role", "operator": "Exists"}]}]), true)]
    #[case::all_of_one(json!([{"matchExpressions": [{"key": "none", "operator": "Exists"},
                                                    {"key": "role", "operator": "Exists"}]}]), false)]
    #[case::no_terms(json!([]), false)]
    #[case::an_empty_term(json!([{}]), false)]
    #[case::field_name(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]), true)]
    #[case::other_name(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}]), false)]
    #[case::field_and_label(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}],
                                    "matchExpressions": [{"key": "none", "operator": "Exists"}]}]), false)]
    fn affinity_terms(#[case] terms: Value, #[case] fits: bool) {
        assert_eq!(stays(&with_terms(&terms), &node()), fits);
    }

    #[rstest]
    #[case::no_rules(json!({}), true)]
    #[case::selector(json!({"nodeSelector": {"role": "edge"}}), true)]
    #[case::selector_other(json!({"nodeSelector": {"role": "core"}}), false)]
    #[case::selector_of_two(json!({"nodeSelector": {"role": "edge", "none": ""}}), false)]
    #[case::this_node(json!({"nodeName": "n1"}), true)]
    #[case::other_node(json!({"nodeName": "n2"}), false)]
    #[case::affinity_that_only_prefers(json!({"affinity": {"nodeAffinity": {}}}), true)]
    fn selectors(#[case] spec: Value, #[case] fits: bool) {
        assert_eq!(stays(&with_spec(&spec), &node()), fits);
    }

    #[rstest]
    #[case::no_schedule(json!({"key": "k", "effect": "NoSchedule"}), json!([]), true)]
    #[case::no_execute(json!({"key": "k", "effect": "NoExecute"}), json!([]), false)]
    #[case::of_an_outage(json!({"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}), json!([]), true)]
    #[case::by_exists(json!({"key": "k", "value": "v", "effect": "NoExecute"}),
                      json!([{"key": "k", "operator": "Exists"}]), true)]
    #[case::by_everything(json!({"key": "k", "value": "v", "effect": "NoExecute"}),
                          json!([{"operator": "Exists"}]), true)]
    #[case::by_value(json!({"key": "k", "value": "v", "effect": "NoExecute"}),
                     json!([{"key": "k", "value": "v", "effect": "NoExecute"}]), true)]
    #[case::other_value(json!({"key": "k", "value": "v", "effect": "NoExecute"}),
                        json!([{"key": "k", "operator": "Equal", "value": "w"}]), false)]
    #[case::other_effect(json!({"key": "k", "effect": "NoExecute"}),
                         json!([{"key": "k", "operator": "Exists", "effect": "NoSchedule"}]), false)]
    fn taints(#[case] taint: Value, #[case] tolerations: Value, #[case] fits: bool) {
        let mut node = node();
        node["spec"]["taints"] = json!([taint]);
        assert_eq!(stays(&with_spec(&json!({"tolerations": tolerations})), &node), fits);
    }
}
