use super::*;
use rstest::rstest;

fn running(name: &str) -> RunningContainer {
    RunningContainer { name: name.to_owned(), id: format!("id-of-{name}") }
}

pub(in crate::serve::jobs) fn job(flavor: ApiFlavor, containers: &[&str]) -> Job {
    Job {
        id: JobId::of(1),
        caller: "jane".to_owned(),
        request: CheckpointRequest {
            flavor,
            namespace: "default".to_owned(),
            pod: "counter".to_owned(),
            container: None,
            delete_pod: false,
            seal_to: None,
            asynchronous: false,
            timeout: None,
        },
        pod_uid: "u".to_owned(),
        containers: containers.iter().map(|name| running(name)).collect(),
        certificate: None,
        accepted: 100,
        begun: None,
        changed: 100,
        taken: Vec::new(),
        image: None,
        state: JobState::Accepted,
    }
}

fn archived(name: &str) -> Event {
    Event::Archived(name.to_owned())
}

fn failed(why: &str) -> Event {
    Event::Failed { reason: why.to_owned(), late: None }
}

/// The states that a job goes through, by their names.
fn walk(mut job: Job, events: Vec<Event>) -> (Job, Vec<String>) {
    let mut seen = Vec::new();
    for (event, now) in events.into_iter().zip(101..) {
        job = job.after(event, now);
        let text = serde_json::to_value(&job).unwrap();
        seen.push(text["state"].as_str().unwrap().to_owned());
    }
    (job, seen)
}

#[test]
fn an_image_is_pushed_before_the_pod_goes() {
    let mut request = job(ApiFlavor::Image, &["a"]);
    request.request.delete_pod = true;
    let events = vec![Event::Begun, archived("a.tar"), Event::Pushed("r:1".to_owned()), Event::Deleted];
    let (job, seen) = walk(request, events);
    assert_eq!(seen, ["checkpointing", "pushing", "deleting", "done"]);
    assert_eq!((job.begun, job.changed, job.image.as_deref()), (Some(101), 104, Some("r:1")));
    assert_eq!(job.taken, [Taken { container: "a".to_owned(), file: "a.tar".to_owned() }]);
}

#[test]
fn each_container_is_sealed_before_the_next_and_the_pod_goes() {
    let mut request = job(ApiFlavor::Archive, &["a", "b"]);
    request.request.delete_pod = true;
    request.request.seal_to = Some("s".to_owned());
    let sealed = |name: &str| Event::Sealed(format!("{name}.age"));
    let events =
        vec![Event::Begun, archived("a"), sealed("a"), Event::Begun, archived("b"), sealed("b"), Event::Deleted];
    let (job, seen) = walk(request, events);
    assert_eq!(seen, ["checkpointing", "sealing", "accepted", "checkpointing", "sealing", "deleting", "done"]);
    let files: Vec<&str> = job.taken.iter().map(|taken| taken.file.as_str()).collect();
    assert_eq!((files, job.begun), (vec!["a.age", "b.age"], Some(101)));
}

#[test]
fn a_plain_archive_is_all_there_is_to_it() {
    let (_, seen) = walk(job(ApiFlavor::Archive, &["a"]), vec![Event::Begun, archived("a")]);
    assert_eq!(seen, ["checkpointing", "done"]);
}

#[rstest]
#[case::before_the_kubelet(vec![])]
#[case::at_the_kubelet(vec![Event::Begun])]
#[case::at_the_registry(vec![Event::Begun, archived("a")])]
#[case::at_the_pod(vec![Event::Begun, archived("a"), Event::Pushed("r".to_owned())])]
fn a_failure_ends_it_anywhere_and_the_pod_stays(#[case] mut events: Vec<Event>) {
    let mut request = job(ApiFlavor::Image, &["a"]);
    request.request.delete_pod = true;
    events.extend([failed("why"), Event::Begun, archived("a"), Event::Deleted]);
    let (job, _) = walk(request, events);
    assert_eq!(job.state, JobState::Failed { reason: "why".to_owned(), late: None });
}

#[test]
fn what_is_done_stays_done() {
    let (done, _) = walk(job(ApiFlavor::Archive, &["a"]), vec![Event::Begun, archived("a")]);
    assert_eq!(done.clone().after(failed("late"), 500), done);
}

#[rstest]
#[case(vec![archived("a")])]
#[case(vec![Event::Begun, Event::Begun])]
#[case(vec![Event::Begun, Event::Pushed("r".to_owned())])]
#[case(vec![Event::Begun, Event::Sealed("a".to_owned())])]
#[case(vec![Event::Begun, Event::Deleted])]
#[case(vec![Event::Begun, archived("a"), Event::Deleted])]
fn what_cannot_follow_ends_the_job_and_never_deletes(#[case] events: Vec<Event>) {
    let mut request = job(ApiFlavor::Image, &["a"]);
    request.request.delete_pod = true;
    let (job, seen) = walk(request, events);
    assert!(matches!(job.state, JobState::Failed { .. }), "{seen:?}");
}

#[rstest]
#[case(job(ApiFlavor::Image, &["a"]))]
#[case(walk(job(ApiFlavor::Image, &["a"]), vec![Event::Begun]).0)]
#[case(walk(job(ApiFlavor::Image, &["a"]), vec![Event::Begun, archived("a")]).0)]
#[case(walk(job(ApiFlavor::Image, &["a"]), vec![Event::Begun, Event::Failed {
    reason: "x".to_owned(), late: Some(Late { container: "a".to_owned(), since: 1, until: 2 }) }]).0)]
fn a_record_reads_back_as_it_was_written(#[case] job: Job) {
    assert_eq!(serde_json::from_slice::<Job>(&serde_json::to_vec(&job).unwrap()).unwrap(), job);
}

#[test]
fn identifiers_are_a_nodes_name_and_sixteen_digits() {
    let whole = Identifier::parse("node-1.example:00000000000000ff").unwrap();
    assert_eq!((whole.node.as_str(), whole.job.as_str()), ("node-1.example", "00000000000000ff"));
    assert_eq!(whole.to_string(), "node-1.example:00000000000000ff");
    for text in [
        "",
        "n",
        "n:",
        ":00000000000000ff",
        "n:00000000000000FF",
        "n:0f",
        "n:00000000000000fg",
        "../n:00000000000000ff",
        "n:00000000000000ff:",
        "n/x:00000000000000ff",
        "10.0.0.1:3333:00000000000000ff",
    ] {
        assert!(Identifier::parse(text).is_err(), "{text}");
    }
}

/// A file of a running cluster: an upgrade must go on with it, whatever things are called in the code.
#[test]
fn a_record_of_an_earlier_version_is_read_and_written_alike() {
    let file = serde_json::json!({
        "id": "0000000000000001",
        "caller": "jane",
        "order": {
            "form": "archive",
            "namespace": "default",
            "pod": "counter",
            "container": null,
            "deletePod": false,
            "sealTo": null,
            "asynchronous": false,
            "timeout": null
        },
        "podUid": "u",
        "containers": [{"name": "a", "id": "id-of-a"}],
        "certificate": null,
        "accepted": 100,
        "begun": null,
        "changed": 100,
        "taken": [],
        "image": null,
        "state": "accepted"
    });
    let job = job(ApiFlavor::Archive, &["a"]);
    assert_eq!(serde_json::from_value::<Job>(file.clone()).unwrap(), job);
    assert_eq!(serde_json::to_value(&job).unwrap(), file);
}
