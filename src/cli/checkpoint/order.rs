//! What the flags ask for, and the requests that say so.

use serde_json::{Value, json};

use super::CheckpointArgs;
use crate::cli::service_api::url::Target;

/// A checkpoint to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) target: Target,
    pub(super) delete_pod: bool,
    made: Made,
}

/// What becomes of the checkpoint, and what that takes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Made {
    /// Images that are pushed, of one container or of all.
    Images { all: bool, no_wait: bool },
    /// Archives that stay on the node.
    Archives { encryption_secret: Option<String>, timeout: Option<u32> },
}

impl Order {
    pub(super) fn of(args: &CheckpointArgs) -> Result<Self, String> {
        let parts: Vec<&str> = args.target.split('/').collect();
        let target = match parts.as_slice() {
            [namespace, pod] => Target::new(namespace, pod, None),
            [namespace, pod, container] => Target::new(namespace, pod, Some(container)),
            _ => return Err(format!("{:?} is not NAMESPACE/POD or NAMESPACE/POD/CONTAINER", args.target)),
        };
        let target = target.map_err(|why| why.to_string())?;
        if args.all && target.container.is_some() {
            return Err("--all and one container exclude each other".to_owned());
        }
        let made = if args.image {
            Made::Images { all: args.all, no_wait: args.no_wait }
        } else {
            Made::Archives { encryption_secret: args.encryption_secret.clone(), timeout: args.timeout }
        };
        Ok(Self { target, delete_pod: args.delete_pod || !args.leave_running, made })
    }

    /// Its identifier is wanted, not its end.
    pub(super) fn no_wait(&self) -> bool {
        matches!(self.made, Made::Images { no_wait: true, .. })
    }

    /// It is encrypted to what a Secret holds.
    pub(super) fn encrypts(&self) -> bool {
        matches!(&self.made, Made::Archives { encryption_secret: Some(_), .. })
    }

    /// An image is of one container, and none was named.
    pub(super) fn needs_containers(&self) -> bool {
        matches!(self.made, Made::Images { .. }) && self.target.container.is_none()
    }

    /// The containers that images are to be made of.
    pub(super) fn containers_of(&self, pod: &Value) -> Result<Vec<String>, String> {
        let list = pod.pointer("/spec/containers").and_then(Value::as_array);
        let names: Option<Vec<String>> =
            list.map(|all| all.iter().filter_map(|c| c["name"].as_str()).map(str::to_owned).collect());
        let names = names.filter(|names| !names.is_empty()).ok_or("the pod has no containers")?;
        if names.len() > 1 && !matches!(self.made, Made::Images { all: true, .. }) {
            return Err(format!(
                "the pod has several containers: name one of {} after the pod, or say --all",
                names.join(", ")
            ));
        }
        if names.len() > 1 && self.delete_pod {
            return Err(
                "the pod would be gone after the first of several images: say --delete-pod with the last alone"
                    .to_owned(),
            );
        }
        Ok(names)
    }

    /// Path and body for one container, or for all of them together.
    pub(super) fn request(&self, container: Option<&str>) -> (String, Value) {
        match (&self.made, container) {
            (Made::Images { no_wait, .. }, Some(container)) => {
                (self.target.image(container), json!({"deletePod": self.delete_pod, "async": no_wait}))
            }
            (made, container) => {
                let (secret, timeout) = match made {
                    Made::Archives { encryption_secret, timeout } => (encryption_secret.as_deref(), *timeout),
                    Made::Images { .. } => (None, None),
                };
                let body = json!({
                    "leaveRunning": !self.delete_pod,
                    "encrypt": secret.is_some(),
                    "encryptionSecret": secret.unwrap_or_default(),
                    "container": container.unwrap_or_default(),
                    "timeout": timeout.unwrap_or(0),
                });
                (self.target.archives(), body)
            }
        }
    }

    /// What is being done, for people who wait.
    pub(super) fn told(&self, container: Option<&str>) -> String {
        let Target { namespace, pod, .. } = &self.target;
        let what = container.map_or_else(|| format!("{namespace}/{pod}"), |c| format!("{namespace}/{pod}/{c}"));
        format!("checkpointing {what}")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CheckpointArgs,
    }

    fn order(line: &str) -> Result<Order, String> {
        let line = Line::try_parse_from(format!("x {line}").split_whitespace()).map_err(|why| why.to_string())?;
        Order::of(&line.args)
    }

    fn asks(line: &str) -> (String, Value) {
        let order = order(line).unwrap();
        let (path, body) = order.request(order.target.container.as_deref());
        (path.rsplit_once("/pods/").unwrap().1.to_owned(), body)
    }

    #[test]
    fn flags_become_the_bodies_of_the_two_interfaces() {
        let archives = |leave: bool, secret: &str, container: &str, timeout: u32| {
            json!({"leaveRunning": leave, "encrypt": !secret.is_empty(), "encryptionSecret": secret,
                   "container": container, "timeout": timeout})
        };
        let image = |delete: bool, no_wait: bool| json!({"deletePod": delete, "async": no_wait});
        for (line, path, body) in [
            ("d/p", "p/checkpoint", archives(true, "", "", 0)),
            ("d/p/c --timeout 300", "p/checkpoint", archives(true, "", "c", 300)),
            ("d/p --encryption-secret s --delete-pod", "p/checkpoint", archives(false, "s", "", 0)),
            ("d/p --leave-running=false", "p/checkpoint", archives(false, "", "", 0)),
            ("d/p/c --image", "p/checkpoint/c", image(false, false)),
            ("d/p/c --image --async --delete-pod", "p/checkpoint/c", image(true, true)),
        ] {
            assert_eq!(asks(line), (path.to_owned(), body), "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_said_before_anybody_is_asked() {
        for line in [
            "p",
            "d/p/c/x",
            "d/../c",
            "d/P",
            "d/p --async",
            "d/p/c --image --all",
            "d/p --all",
            "d/p --image --encryption-secret s",
            "d/p --image --timeout 3",
            "d/p --delete-pod --leave-running=true",
            "/p",
        ] {
            assert!(order(line).is_err(), "{line}");
        }
    }

    #[test]
    fn an_image_is_of_the_one_container_or_of_all_asked_for() {
        let pod = |names: &[&str]| json!({"spec": {"containers": names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()}});
        let names = |line: &str, pod: &Value| order(line).unwrap().containers_of(pod);
        assert_eq!(names("d/p --image", &pod(&["a"])), Ok(vec!["a".to_owned()]));
        assert!(names("d/p --image", &pod(&["a", "b"])).unwrap_err().contains("a, b"));
        assert_eq!(names("d/p --image --all", &pod(&["a", "b"])).unwrap().len(), 2);
        assert!(names("d/p --image --all --delete-pod", &pod(&["a", "b"])).is_err());
        assert!(names("d/p --image", &json!({})).is_err());
    }
}
