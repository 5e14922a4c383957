//! The container runtime: found, speaking CRI v1, content with itself, sending events.

use std::time::Duration;

use futures::StreamExt;

use super::check::Check;
use crate::node::cri::{Cri, CriError};

/// A runtime that does not know the call says so at once; one that does says nothing until something happens.
const EVENTS_PATIENCE: Duration = Duration::from_millis(500);

pub(super) async fn checks(cri: &Result<Cri, String>) -> Vec<Check> {
    const NAME: &str = "container runtime (CRI v1)";
    let cri = match cri {
        Ok(cri) => cri,
        Err(why) => {
            return vec![Check::fail(
                NAME,
                why,
                "nothing is brought back without one; is it running, is the node's /run mounted here?",
            )];
        }
    };
    let version = match cri.version().await {
        Ok(version) => format!("{} {} at {}", version.name, version.version, cri.socket().display()),
        Err(why) => return vec![Check::fail(NAME, why, "nothing is brought back while the runtime does not answer")],
    };
    vec![Check::ok(NAME, version), content(cri.complaints().await), events(cri).await]
}

fn content(complaints: Result<Vec<String>, CriError>) -> Check {
    const NAME: &str = "runtime is ready";
    match complaints {
        Ok(complaints) if complaints.is_empty() => Check::ok(NAME, "yes"),
        Ok(complaints) => Check::warn(NAME, complaints.join("; "), "pods may not start; see the runtime's log"),
        Err(why) => Check::warn(NAME, why, "see the runtime's log"),
    }
}

async fn events(cri: &Cri) -> Check {
    let first = tokio::time::timeout(EVENTS_PATIENCE, cri.events().next()).await;
    judge_events(first.ok().flatten())
}

/// `None`: silence, as of a runtime on which nothing happens.
fn judge_events(first: Option<Result<(), CriError>>) -> Check {
    const NAME: &str = "runtime sends events";
    match first {
        None | Some(Ok(())) => Check::ok(NAME, "yes"),
        Some(Err(CriError::Unimplemented { .. })) => Check::warn(
            NAME,
            "no",
            "the agent lists every 2 s instead; newer runtimes send them (containerd 1.7, CRI-O 1.26)",
        ),
        Some(Err(why)) => Check::warn(NAME, why, "the agent lists every 2 s instead; see the runtime's log"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::CheckOutcome;
    use super::*;

    #[test]
    fn silence_is_what_a_runtime_without_news_says() {
        assert_eq!(judge_events(None).outcome, CheckOutcome::Ok);
        let unknown =
            CriError::Unimplemented { socket: "/s".into(), call: "GetContainerEvents", message: String::new() };
        let check = judge_events(Some(Err(unknown)));
        assert_eq!(check.outcome, CheckOutcome::Warn);
        assert!(check.remedy.unwrap().contains("every 2 s"));
    }

    #[tokio::test]
    async fn a_runtime_that_is_not_there_is_one_failure_and_not_three() {
        let cri = Cri::lazy("/does/not/exist.sock").map_err(|why| why.to_string());
        let checks = checks(&cri).await;
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].outcome, CheckOutcome::Fail);
    }
}
