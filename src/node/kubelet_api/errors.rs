//! What the kubelet's answers mean, from its status and its words (Kubernetes 1.30 to 1.36; containerd, CRI-O, runc and
//! CRIU speak through it). Pure. Words that are not known are passed on as they are.

use serde::Deserialize;

/// The kubelet's words are cut here: a runtime may answer with pages.
const LONGEST: usize = 2000;

/// Why there is no archive, as the kubelet tells it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The kubelet does not run this pod.
    #[error("the kubelet does not know the pod (yet, or any more)")]
    NoPod,
    /// The pod has no such container.
    #[error("the kubelet says: {0}")]
    NoContainer(String),
    /// It has no checkpoint API.
    #[error("this kubelet has no checkpoint API: set the feature gate ContainerCheckpoint (on by default since 1.30)")]
    FeatureOff,
    /// 401
    #[error(
        "the kubelet does not accept our credentials (401): {0}; it needs authentication.webhook.enabled, or a client certificate of its client CA"
    )]
    Unauthorized(String),
    /// 403
    #[error(
        "the kubelet does not let us checkpoint (403): {0}; our ServiceAccount needs `create` on nodes/checkpoint (it remembers a refusal for 30 s)"
    )]
    Forbidden(String),
    /// No CRIU where the runtime looks for it, or one too old.
    #[error(
        "CRIU is missing on this node, or too old: {0}; install criu 3.16 or newer where the container runtime finds it"
    )]
    CriuMissing(String),
    /// The runtime was told not to, or cannot.
    #[error(
        "the container runtime does not take checkpoints: {0}; containerd 2.0 or newer has them on (enable_criu), CRI-O with enable_criu_support"
    )]
    Unsupported(String),
    /// An open connection cannot be dumped without an option that runtimes do not pass.
    #[error("the container has an established TCP connection, which cannot be saved; close it and ask again: {0}")]
    EstablishedTcp(String),
    /// The runtime gave up.
    #[error("the checkpoint took longer than it was given: {0}")]
    Timeout(String),
    /// Anything else, in the runtime's words.
    #[error("the runtime could not take the checkpoint: {0}")]
    Runtime(String),
    /// What came is not what kubelets answer.
    #[error("the kubelet's answer cannot be read: {0}")]
    Nonsense(String),
}

impl Fault {
    /// Of an answer other than 200.
    pub fn of(status: u16, body: &[u8]) -> Self {
        let said = words(body);
        let lower = said.to_lowercase();
        match status {
            401 => Self::Unauthorized(said),
            403 => Self::Forbidden(said),
            404 if lower.contains("pod does not exist") => Self::NoPod,
            404 if lower.contains("container") && lower.contains("does not exist") => Self::NoContainer(said),
            404 if lower.is_empty() || lower.contains("page not found") => Self::FeatureOff,
            // The pod is there, the container is there; the rest of its 404s are about the request.
            404 => Self::Nonsense(said),
            _ => Self::failed(said),
        }
    }

    /// The runtime's own words: also for those of CRIU's log.
    pub fn failed(said: String) -> Self {
        let lower = said.to_lowercase();
        let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if any(&["connected tcp socket", "tcp-established", "established tcp"]) {
            Self::EstablishedTcp(said)
        } else if any(&[
            "criu binary not found",
            "requires at least criu",
            "\"criu\": executable file not found",
            "criu: not found",
            "could not find criu",
        ]) {
            Self::CriuMissing(said)
        } else if any(&[
            "unimplemented",
            "checkpoint/restore support not available",
            "checkpoint restore is disabled",
            "disabled by configuration",
            "not supported",
        ]) {
            Self::Unsupported(said)
        } else if any(&["deadlineexceeded", "deadline exceeded"]) {
            Self::Timeout(said)
        } else {
            Self::Runtime(said)
        }
    }

    /// CRIU's own line says more than the runtime's `criu failed: type NOTIFY errno 0`.
    #[must_use]
    pub fn explained(self, line: &str) -> Self {
        match self {
            Self::Runtime(said) => Self::failed(format!("{said}; CRIU says: {line}")),
            other => other,
        }
    }
}

#[derive(Deserialize)]
struct Items {
    items: Vec<String>,
}

/// The path in an answer of 200.
pub fn path(body: &[u8]) -> Result<String, Fault> {
    let items: Items = serde_json::from_slice(body).map_err(|why| Fault::Nonsense(why.to_string()))?;
    match <[String; 1]>::try_from(items.items) {
        Ok([path]) => Ok(path),
        Err(items) => Err(Fault::Nonsense(format!("{} archives for one container", items.len()))),
    }
}

/// An error to CRIU, that it goes on from: without CAP_SYS_RESOURCE every dump has it (criu/util.c, `rlimit_unlimit_nofile`).
const HARMLESS: &str = ": rlimit: ";

/// The line of CRIU's log that says why: its first error is the cause, the others follow from it.
pub fn criu_line(log: &str) -> Option<&str> {
    let line = log.lines().find(|line| line.contains("Error (") && !line.contains(HARMLESS))?;
    let end = line.char_indices().nth(300).map_or(line.len(), |(at, _)| at);
    Some(line[..end].trim())
}

/// One line of printable text.
fn words(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(LONGEST).collect();
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const DUMP: &str = "checkpointing of default/a/b failed (rpc error: code = ";

    #[rstest]
    #[case(401, "Unauthorized", "does not accept our credentials")]
    #[case(403, "Forbidden (user=x, verb=create, resource=nodes, subresource(s)=[checkpoint])", "nodes/checkpoint")]
    #[case(404, "pod does not exist\n", "does not know the pod")]
    #[case(404, "container x does not exist", "container x does not exist")]
    #[case(404, "404 page not found", "ContainerCheckpoint")]
    #[case(404, "", "ContainerCheckpoint")]
    #[case(404, "cannot parse value of timeout parameter", "cannot be read: cannot parse")]
    #[case(
        500,
        "rpc error: code = Unimplemented desc = method CheckpointContainer not implemented",
        "does not take checkpoints"
    )]
    #[case(
        500,
        "failed to checkpoint container \"3dc2\": criu support is disabled by configuration",
        "does not take checkpoints"
    )]
    #[case(500, "CRIU version check failed: exec: \"criu\": executable file not found in $PATH", "CRIU is missing")]
    #[case(500, "failed (CRIU binary not found or too old (<31600). Failed to checkpoint container", "CRIU is missing")]
    #[case(500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", "longer than it was given")]
    #[case(500, "criu failed: type NOTIFY errno 0", "could not take the checkpoint: criu failed")]
    #[case(502, "strange", "could not take the checkpoint: strange")]
    fn each_answer_is_said_as_what_it_means(#[case] status: u16, #[case] body: &str, #[case] meant: &str) {
        let said = Fault::of(status, body.as_bytes()).to_string();
        assert!(said.contains(meant), "{said}");
    }

    #[test]
    fn crius_own_line_tells_what_the_runtime_does_not() {
        let log = "(00.01) Pausing\n(00.02) Error (criu/sk-inet.c:191): inet: Connected TCP socket, consider using --tcp-established option.\n(00.03) Error (criu/cr-dump.c:2098): Dumping FAILED.\n";
        let line = criu_line(log).unwrap();
        assert!(line.contains("Connected TCP socket"), "{line}");
        let fault = Fault::of(500, format!("{DUMP}Unknown desc = criu failed: type NOTIFY errno 0)").as_bytes());
        assert!(matches!(fault.clone(), Fault::Runtime(_)));
        assert!(matches!(fault.explained(line), Fault::EstablishedTcp(_)));
        let usual =
            "(00.00) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n";
        assert_eq!(criu_line(&format!("{usual}{log}")), Some(line), "what every dump has is no reason");
        assert_eq!(criu_line("(00.01) all is well"), None);
        assert!(criu_line(&format!("Error (x{})", "ü".repeat(1000))).unwrap().chars().count() <= 300);
    }

    #[test]
    fn pages_of_words_are_cut_and_stay_on_a_line() {
        let body = "a\n\u{1b}[31mb\r\n".repeat(10_000);
        let Fault::Runtime(said) = Fault::of(500, body.as_bytes()) else { panic!("not the runtime's") };
        assert!(said.len() <= LONGEST && !said.contains(['\n', '\u{1b}']), "{}", said.len());
        assert!(matches!(Fault::of(500, &[0xff, 0xfe]), Fault::Runtime(_)));
    }

    #[test]
    fn only_one_path_is_an_answer() {
        assert_eq!(path(br#"{"items":["/a/b.tar"]}"#).unwrap(), "/a/b.tar");
        for body in [r#"{"items":[]}"#, r#"{"items":["a","b"]}"#, r#"{"items":null}"#, "{}", "", "[1]"] {
            assert!(matches!(path(body.as_bytes()), Err(Fault::Nonsense(_))), "{body}");
        }
    }
}
