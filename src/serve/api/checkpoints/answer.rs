//! How a job is answered: both documents' answers, to the letter. Pure.

use std::path::Path;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::super::api_status::ApiStatus;
use crate::serve::jobs::job::{Job, JobState};
use crate::serve::jobs::request::ApiFlavor;

/// Who is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Whoever asked for the checkpoint: an image was created.
    Maker,
    /// Whoever looks at it.
    Looker,
}

/// As the job stands. `directory` is the kubelet's.
pub(super) fn answer(job: &Job, to: To, node: &str, directory: &Path) -> Response {
    match &job.state {
        JobState::Done => (code(job.request.flavor, to), Json(result(job, directory))).into_response(),
        JobState::Failed { reason, .. } => {
            ApiStatus::internal(format!("checkpoint {node}:{}: {reason}", job.id)).into_response()
        }
        _ => {
            (StatusCode::ACCEPTED, Json(json!({"checkpointIdentifier": format!("{node}:{}", job.id)}))).into_response()
        }
    }
}

fn code(flavor: ApiFlavor, to: To) -> StatusCode {
    if flavor == ApiFlavor::Image && to == To::Maker { StatusCode::CREATED } else { StatusCode::OK }
}

fn result(job: &Job, directory: &Path) -> Value {
    match job.request.flavor {
        ApiFlavor::Image => json!({
            "containerIdentifier": {
                "namespace": job.request.namespace,
                "pod": job.request.pod,
                "container": job.taken.first().map(|taken| taken.container.as_str()),
            },
            "beginTimestamp": job.begun,
            "endTimestamp": job.changed,
            "containerImageName": job.image,
        }),
        ApiFlavor::Archive => {
            let items: Vec<_> = job.taken.iter().map(|taken| directory.join(&taken.file)).collect();
            json!({"items": items})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::jobs::job::{Event, JobId};
    use crate::serve::jobs::pod_target::RunningContainer;
    use crate::serve::jobs::request::{PodPath, parse};

    fn job(flavor: ApiFlavor) -> Job {
        let place = PodPath::new("default", "counter", Some("main")).unwrap();
        let running = RunningContainer { name: "main".to_owned(), id: "id".to_owned() };
        Job {
            id: JobId::of(255),
            caller: "jane".to_owned(),
            request: parse(flavor, place, b"").unwrap(),
            pod_uid: "u".to_owned(),
            containers: vec![running],
            certificate: None,
            accepted: 100,
            begun: None,
            changed: 100,
            taken: Vec::new(),
            image: None,
            state: JobState::Accepted,
        }
    }

    async fn said(job: &Job, to: To) -> (u16, Value) {
        let response = answer(job, to, "node-1", Path::new("/var/lib/kubelet/checkpoints"));
        let code = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        (code, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn an_image_is_an_entry_that_was_created() {
        let done = job(ApiFlavor::Image)
            .after(Event::Begun, 101)
            .after(Event::Archived("a.tar".to_owned()), 102)
            .after(Event::Pushed("r/c:00000000000000ff".to_owned()), 103);
        let entry = json!({
            "containerIdentifier": {"namespace": "default", "pod": "counter", "container": "main"},
            "beginTimestamp": 101, "endTimestamp": 103, "containerImageName": "r/c:00000000000000ff",
        });
        assert_eq!(said(&done, To::Maker).await, (201, entry.clone()));
        assert_eq!(said(&done, To::Looker).await, (200, entry));
    }

    #[tokio::test]
    async fn archives_are_paths() {
        let done = job(ApiFlavor::Archive).after(Event::Begun, 101).after(Event::Archived("a.tar".to_owned()), 102);
        let items = json!({"items": ["/var/lib/kubelet/checkpoints/a.tar"]});
        assert_eq!(said(&done, To::Maker).await, (200, items.clone()));
        assert_eq!(said(&done, To::Looker).await, (200, items));
    }

    #[tokio::test]
    async fn what_goes_on_has_an_identifier_and_what_failed_its_reason() {
        let going = job(ApiFlavor::Image);
        let identifier = json!({"checkpointIdentifier": "node-1:00000000000000ff"});
        assert_eq!(said(&going, To::Maker).await, (202, identifier.clone()));
        assert_eq!(said(&going.clone().after(Event::Begun, 101), To::Looker).await, (202, identifier));
        let failed = going.after(Event::Failed { reason: "CRIU is missing".to_owned(), late: None }, 102);
        let (code, status) = said(&failed, To::Maker).await;
        assert_eq!((code, &status["kind"], &status["code"]), (500, &json!("Status"), &json!(500)));
        assert!(status["message"].as_str().unwrap().contains("CRIU is missing"), "{status}");
    }
}
