use serde_json::{Value, json};

use super::{GROUP, Server, accepted, command, entry, says, status, text};

const IMAGE: [&str; 3] = ["checkpoint", "default/counter/c", "--image"];

#[tokio::test]
async fn an_image_is_asked_for_as_the_kubeconfig_says_and_is_printed() {
    let server = Server::start([says(201, entry())]).await;
    let (code, out, err) = server.run(&IMAGE).await;
    assert_eq!((code, out.as_str(), err.as_str()), (0, "registry/x:0123456789abcdef\n", ""));
    let call = &server.calls()[0];
    assert_eq!(call.line, format!("POST {GROUP}/namespaces/default/pods/counter/checkpoint/c"));
    assert_eq!(
        (call.token.as_str(), &call.body),
        ("Bearer token of ann", &json!({"deletePod": false, "async": false}))
    );
}

#[tokio::test]
async fn another_context_is_another_caller() {
    let server = Server::start([says(200, json!({"items": ["/a.tar", "/b.tar"]}))]).await;
    let (code, out, _) = server.run(&["checkpoint", "default/counter", "--context", "bob"]).await;
    assert_eq!((code, out.as_str()), (0, "/a.tar\n/b.tar\n"));
    assert_eq!(server.calls()[0].token, "Bearer token of bob");
    assert_eq!(server.calls()[0].body["leaveRunning"], true);
}

#[tokio::test]
async fn what_takes_longer_is_asked_for_until_it_is_done() {
    let answers = [
        says(202, accepted()),
        says(202, accepted()),
        status(503, "the instance restarts"),
        text(504, "gateway timeout"),
        says(200, entry()),
    ];
    let server = Server::start(answers).await;
    let (code, out, err) = server.run(&[&IMAGE[..], &["-o", "json"]].concat()).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), entry());
    let asked = format!("GET {GROUP}/namespaces/default/checkpoints/n1:0123456789abcdef?wait=50");
    assert_eq!(server.lines()[1..], vec![asked; 4]);
}

#[tokio::test]
async fn asked_not_to_wait_it_prints_where_to_ask() {
    let server = Server::start([says(202, accepted())]).await;
    let (code, out, _) = server.run(&[&IMAGE[..], &["--async"]].concat()).await;
    assert_eq!((code, out.as_str()), (0, "n1:0123456789abcdef\n"));
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn images_of_all_containers_are_made_one_after_the_other() {
    let pod = json!({"kind": "Pod", "spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
    let server = Server::start([says(200, pod), says(201, entry()), status(500, "the registry died")]).await;
    let (code, out, err) = server.run(&["checkpoint", "default/counter", "--image", "--all"]).await;
    assert_eq!((code, out.as_str()), (1, "registry/x:0123456789abcdef\n"), "what was made is said all the same");
    assert!(err.contains("the registry died"), "{err}");
    assert!(server.lines()[1].ends_with("/checkpoint/a") && server.lines()[2].ends_with("/checkpoint/b"));
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_would_help() {
    let forbidden = "pods \"counter\" is forbidden: User \"ann\" cannot create resource \"pods/checkpoint\"";
    for (answer, words) in [
        (text(404, "404 page not found\n"), &["manifests/apiservice", "kubectl get apiservice"][..]),
        (status(404, "the server could not find the requested resource"), &["manifests/apiservice"]),
        (status(404, "there is no pod default/counter"), &["there is no pod default/counter"]),
        (status(403, forbidden), &[forbidden, "container-checkpoints-user", "default"]),
        (status(401, "Unauthorized"), &["credentials"]),
        (text(503, "service unavailable\n"), &["503", "kubectl get apiservice"]),
        (status(429, "16 checkpoints wait already"), &["16 checkpoints wait already"]),
        (text(200, "<html>"), &["not what `serve` says"]),
    ] {
        let server = Server::start([answer]).await;
        let (code, out, err) = server.run(&IMAGE).await;
        assert_eq!((code, out.as_str()), (1, ""), "{words:?}");
        for word in words {
            assert!(err.contains(word), "{word} in {err}");
        }
    }
}

#[tokio::test]
async fn a_checkpoint_that_fails_later_says_why() {
    let server = Server::start([says(202, accepted()), status(500, "CRIU: TCP connection is established")]).await;
    let (code, _, err) = server.run(&IMAGE).await;
    assert_eq!(code, 1);
    assert!(err.contains("TCP connection is established"), "{err}");
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_misuse_and_named() {
    for (arguments, word) in [
        (&["checkpoint", "a/b", "--kubeconfig", "/nonexistent/file"][..], "/nonexistent/file"),
        (&["checkpoint", "a/b"], "--kubeconfig"),
        (&["checkpoint", "a/.."], ".."),
    ] {
        let output = command().args(arguments).output().await.unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains(word), "{err}");
    }
}

#[tokio::test]
async fn no_command_shows_a_persons_token_in_clear() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = crate::support::site::kubeconfig("http://192.0.2.1:8080", &json!({"token": "t0p-secret"}));
    std::fs::write(file.path(), config).unwrap();
    let path = file.path().to_str().unwrap();
    for arguments in [&["checkpoint", "a/b", "--kubeconfig", path][..], &["proxy", "--kubeconfig", path]] {
        let output = command().args(arguments).output().await.unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains("http://192.0.2.1:8080") && err.contains("in clear"), "{err}");
        assert!(!err.contains("t0p-secret"), "{err}");
    }
}
