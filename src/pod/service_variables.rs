//! Variables that the kubelet sets for Services (`DB_SERVICE_HOST`), as far as a pod reads them by `$(DB_SERVICE_HOST)`. It
//! sets them from what the API server tells it, so a twin has none; the container that runs has the values. Which are
//! read is said here, by the rules of kubernetes `third_party/forked/golang/expansion` and `pkg/kubelet/envvars`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Those of the API server's own Service that `sanitize` writes down from the node's facts.
pub(crate) const OF_THE_API: [&str; 2] = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"];

/// What running containers have of the variables that were asked for: by container, then by variable.
pub type ServiceVariables = BTreeMap<String, BTreeMap<String, String>>;

/// All that the containers of a pod read and may not set themselves.
pub fn wanted(pod: &Value) -> BTreeSet<String> {
    let spec = &pod["spec"];
    let containers = list(&spec["initContainers"]).chain(list(&spec["containers"]));
    containers.flat_map(|container| read_by(spec, container, &BTreeSet::new())).collect()
}

/// Those that one container reads and does not set; `from`: the names that its `envFrom` sets.
pub(crate) fn read_by(spec: &Value, container: &Value, from: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut set = from.clone();
    let mut read = BTreeSet::new();
    let mut look = |text: &Value, set: &BTreeSet<&str>| {
        let names = text.as_str().map(references).unwrap_or_default();
        read.extend(names.into_iter().filter(|name| !set.contains(name)).map(str::to_owned));
    };
    for variable in list(&container["env"]) {
        look(&variable["value"], &set);
        set.extend(variable["name"].as_str());
    }
    list(&container["command"]).chain(list(&container["args"])).for_each(|text| look(text, &set));
    list(&container["volumeMounts"]).for_each(|mount| look(&mount["subPathExpr"], &set));
    let links = spec["enableServiceLinks"] != false;
    read.retain(|name| {
        is_of_a_service(name) && (links || name.starts_with("KUBERNETES_")) && !OF_THE_API.contains(&name.as_str())
    });
    read
}

/// The value that the kubelet gave to a container of the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    /// The container has the variable, with this text.
    Set(&'a str),
    /// It set none, so the text stays as it is written.
    Unset,
    /// Nobody could be asked.
    Unknown,
}

/// Looks a variable up: in the container itself, or in one beside it that does not set it itself.
pub(crate) fn known<'a>(spec: &Value, seen: &'a ServiceVariables, container: &str, variable: &str) -> Known<'a> {
    let sets = |name: &str| {
        let mut all = list(&spec["initContainers"]).chain(list(&spec["containers"]));
        let of = all.find(|container| container["name"] == name);
        of.is_none_or(|c| {
            list(&c["envFrom"]).next().is_some() || list(&c["env"]).any(|entry| entry["name"] == variable)
        })
    };
    let own = seen.get(container);
    let beside = || seen.iter().find(|(name, _)| !sets(name)).map(|(_, variables)| variables);
    match own.or_else(beside).map(|variables| variables.get(variable)) {
        Some(Some(value)) => Known::Set(value),
        Some(None) => Known::Unset,
        None => Known::Unknown,
    }
}

/// Names in `$(NAME)`, where that is not escaped as `$$(NAME)`.
fn references(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('$') {
        rest = after.strip_prefix('$').unwrap_or(after);
        if let Some(inside) = after.strip_prefix('(')
            && let Some((name, behind)) = inside.split_once(')')
        {
            names.push(name);
            rest = behind;
        }
    }
    names
}

/// Whether the kubelet could set it for a Service: `<NAME>_SERVICE_HOST`, `<NAME>_SERVICE_PORT[_<PORT>]`, and the names
/// that Docker's links had, `<NAME>_PORT[_<number>_<protocol>[_PROTO|_PORT|_ADDR]]`.
fn is_of_a_service(name: &str) -> bool {
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_')
    };
    let is_link = |rest: &str| {
        let mut parts = rest.split('_');
        let number = parts.next().is_some_and(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()));
        let protocol = matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"));
        number && protocol && matches!(parts.next(), None | Some("PROTO" | "PORT" | "ADDR")) && parts.next().is_none()
    };
    let of = |(service, rest): (&str, &str), fits: &dyn Fn(&str) -> bool| is_name(service) && fits(rest);
    name.strip_suffix("_SERVICE_HOST").or_else(|| name.strip_suffix("_PORT")).is_some_and(is_name)
        || name.match_indices("_SERVICE_PORT_").any(|(at, by)| of((&name[..at], &name[at + by.len()..]), &is_name))
        || name.match_indices("_PORT_").any(|(at, by)| of((&name[..at], &name[at + by.len()..]), &is_link))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_services_are_told_from_others() {
        for name in [
            "DB_SERVICE_HOST",
            "A_B_SERVICE_PORT",
            "DB_SERVICE_PORT_HTTP_API",
            "DB_PORT",
            "DB_PORT_53_UDP",
            "DB_PORT_80_TCP_ADDR",
        ] {
            assert!(is_of_a_service(name), "{name}");
        }
        for name in [
            "date",
            "HOME",
            "_SERVICE_HOST",
            "db_SERVICE_HOST",
            "DB_PORT_x_TCP",
            "DB_PORT_80_TCP_X",
            "PORT",
            "DB_SERVICE_PORT_",
        ] {
            assert!(!is_of_a_service(name), "{name}");
        }
    }

    #[test]
    fn references_are_found_as_the_kubelet_does() {
        for (text, names) in [
            ("a$(A)b$(B)", &["A", "B"][..]),
            ("$$(A) $$$(B)", &["B"]),
            ("$(A", &[]),
            ("$ $( $(A)", &[" $(A"]),
            ("$A $", &[]),
        ] {
            assert_eq!(references(text), names, "{text}");
        }
    }

    #[test]
    fn what_a_container_sets_before_it_reads_it_is_its_own() {
        let pod = |container: Value| json!({"spec": {"containers": [container]}});
        let env = json!([
            {"name": "X", "value": "$(A_SERVICE_HOST) $(B_SERVICE_HOST)"},
            {"name": "B_SERVICE_HOST", "value": "own"},
            {"name": "Y", "value": "$(B_SERVICE_HOST) $(X) $(KUBERNETES_SERVICE_HOST) $(C_SERVICE_HOST)"},
        ]);
        let mut pod = pod(json!({"env": env, "args": ["$(D_PORT) $(B_SERVICE_HOST) $(date)"],
            "volumeMounts": [{"subPathExpr": "$(KUBERNETES_PORT)"}]}));
        let names: Vec<_> = wanted(&pod).into_iter().collect();
        assert_eq!(names, ["A_SERVICE_HOST", "B_SERVICE_HOST", "C_SERVICE_HOST", "D_PORT", "KUBERNETES_PORT"]);
        let read = read_by(&pod["spec"], &pod["spec"]["containers"][0], &BTreeSet::from(["C_SERVICE_HOST"]));
        assert!(!read.contains("C_SERVICE_HOST"));
        pod["spec"]["enableServiceLinks"] = json!(false);
        assert_eq!(wanted(&pod).into_iter().collect::<Vec<_>>(), ["KUBERNETES_PORT"]);
    }

    #[test]
    fn a_container_beside_it_answers_unless_it_sets_it_itself() {
        let spec = json!({"containers": [{"name": "a"}, {"name": "b", "env": [{"name": "X_PORT", "value": "1"}]}]});
        let seen = |container: &str| -> ServiceVariables {
            let variables = [("X_PORT", "1"), ("Y_PORT", "2")].map(|(n, v)| (n.to_owned(), v.to_owned()));
            [(container.to_owned(), variables.into())].into()
        };
        assert_eq!(known(&spec, &seen("a"), "a", "X_PORT"), Known::Set("1"));
        assert_eq!(known(&spec, &seen("a"), "a", "Z_PORT"), Known::Unset);
        assert_eq!(known(&spec, &seen("a"), "b", "X_PORT"), Known::Set("1"));
        assert_eq!(known(&spec, &seen("b"), "a", "X_PORT"), Known::Unknown);
        assert_eq!(known(&spec, &seen("b"), "a", "Y_PORT"), Known::Set("2"));
    }
}
