//! What a URL asks for. Pure: from method, path and query to a [`Route`], with every name decoded and checked, so that no
//! segment can mean more than a name.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;

use super::super::api_status::ApiStatus;
use crate::checkpoint_api::{self, ApiPlace, BadEscape, IDENTIFIER, WAIT};
use crate::serve::jobs::job::Identifier;
use crate::serve::jobs::request::{ApiFlavor, PodPath};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Take a checkpoint.
    Take(ApiFlavor, PodPath),
    /// Say how a job stands; one of this namespace, where the URL has it.
    Look(Identifier, Option<String>),
}

/// Everything under the URLs of both documents and of the APIService.
pub(super) fn route(method: &Method, path: &str, query: &BTreeMap<String, String>) -> Result<Route, ApiStatus> {
    let place = checkpoint_api::place(path).map_err(|BadEscape| {
        ApiStatus::bad_request("the URL has a % that is not followed by two hexadecimal digits of UTF-8")
    })?;
    let take = |flavor, namespace: &str, pod: &str, container: Option<&str>| {
        only(method, &Method::POST)?;
        let place = PodPath::new(namespace, pod, container).map_err(|why| ApiStatus::bad_request(why.to_string()))?;
        Ok(Route::Take(flavor, place))
    };
    match place {
        Some(ApiPlace::Checkpoints) => look(method, query.get(IDENTIFIER), None),
        Some(ApiPlace::Archives { namespace, pod }) => take(ApiFlavor::Archive, &namespace, &pod, None),
        Some(ApiPlace::Image { namespace, pod, container }) => {
            take(ApiFlavor::Image, &namespace, &pod, Some(&container))
        }
        Some(ApiPlace::Checkpoint { namespace, identifier }) => {
            let whose = PodPath::new(&namespace, "any", None).map_err(|why| ApiStatus::bad_request(why.to_string()))?;
            look(method, Some(&identifier), Some(whose.namespace))
        }
        None => Err(ApiStatus::not_found(
            "there are POST /checkpoint/{namespace}/{pod}/{container}, GET /checkpoint?checkpointIdentifier=, \
             POST /api/v1/namespaces/{namespace}/pods/{pod}/checkpoint, and the same for the APIService under /apis",
        )),
    }
}

fn only(method: &Method, wanted: &Method) -> Result<(), ApiStatus> {
    if method == wanted {
        Ok(())
    } else {
        Err(ApiStatus::method_not_allowed(format!("only {wanted} is understood here")))
    }
}

fn look(method: &Method, identifier: Option<&String>, namespace: Option<String>) -> Result<Route, ApiStatus> {
    only(method, &Method::GET)?;
    let identifier = identifier.ok_or_else(|| {
        ApiStatus::bad_request("say which checkpoint: ?checkpointIdentifier=NODE:16-HEXADECIMAL-DIGITS")
    })?;
    let identifier = Identifier::parse(identifier)
        .map_err(|why| ApiStatus::bad_request(format!("checkpointIdentifier cannot be read: {why}")))?;
    Ok(Route::Look(identifier, namespace))
}

/// How long the caller wants to be kept waiting at most, `?wait=<seconds>`.
pub(super) fn wait(query: &BTreeMap<String, String>) -> Result<Option<Duration>, ApiStatus> {
    match query.get(WAIT).map(|text| text.parse::<u32>()) {
        None => Ok(None),
        Some(Ok(seconds)) => Ok(Some(Duration::from_secs(seconds.into()))),
        Some(Err(_)) => Err(ApiStatus::bad_request("wait must be a whole number of seconds")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;
    use rstest::rstest;

    fn asked(method: &Method, path: &str, query: &[(&str, &str)]) -> Result<Route, ApiStatus> {
        route(method, path, &query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    fn place(container: Option<&str>) -> PodPath {
        PodPath::new("default", "counter", container).unwrap()
    }

    const ID: &str = "node-1:00000000000000ff";

    #[rstest]
    #[case("/checkpoint/default/counter/main", ApiFlavor::Image, Some("main"))]
    #[case("/api/v1/namespaces/default/pods/counter/checkpoint", ApiFlavor::Archive, None)]
    #[case(
        "/apis/checkpointer.alpha.coreos.com/v1alpha1/namespaces/default/pods/counter/checkpoint",
        ApiFlavor::Archive,
        None
    )]
    #[case(
        "/apis/checkpointer.alpha.coreos.com/v1alpha1/namespaces/default/pods/counter/checkpoint/main",
        ApiFlavor::Image,
        Some("main")
    )]
    #[case("/checkpoint/%64efault/counter/ma%69n", ApiFlavor::Image, Some("main"))]
    fn every_way_to_ask_for_a_checkpoint_leads_to_one_place(
        #[case] path: &str,
        #[case] flavor: ApiFlavor,
        #[case] container: Option<&str>,
    ) {
        assert_eq!(asked(&Method::POST, path, &[]), Ok(Route::Take(flavor, place(container))));
        assert_eq!(asked(&Method::GET, path, &[]).unwrap_err().code, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn every_way_to_look_at_one_leads_to_one_job() {
        let whole =
            |namespace: Option<&str>| Ok(Route::Look(Identifier::parse(ID).unwrap(), namespace.map(str::to_owned)));
        let group = "/apis/checkpointer.alpha.coreos.com/v1alpha1";
        let query = [("checkpointIdentifier", ID)];
        assert_eq!(asked(&Method::GET, "/checkpoint", &query), whole(None));
        assert_eq!(asked(&Method::GET, &format!("{group}/checkpoints"), &query), whole(None));
        assert_eq!(asked(&Method::GET, &format!("{group}/namespaces/a/checkpoints/{ID}"), &[]), whole(Some("a")));
        assert_eq!(
            asked(&Method::GET, &format!("{group}/namespaces/a/checkpoints/node-1%3A00000000000000ff"), &[]),
            whole(Some("a"))
        );
        assert_eq!(asked(&Method::POST, "/checkpoint", &query).unwrap_err().code, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[rstest]
    #[case::nothing(&[])]
    #[case::empty(&[("checkpointIdentifier", "")])]
    #[case::no_node(&[("checkpointIdentifier", ":00000000000000ff")])]
    #[case::an_address(&[("checkpointIdentifier", "http://evil/:00000000000000ff")])]
    #[case::a_path(&[("checkpointIdentifier", "node-1:../../../etc/pass")])]
    fn an_identifier_that_is_none_is_a_bad_request(#[case] query: &[(&str, &str)]) {
        assert_eq!(asked(&Method::GET, "/checkpoint", query).unwrap_err().code, StatusCode::BAD_REQUEST);
    }

    #[rstest]
    #[case("/checkpoint//counter/main")]
    #[case("/checkpoint/../counter/main")]
    #[case("/checkpoint/default/%2e%2e/main")]
    #[case("/checkpoint/default/counter/..")]
    #[case("/checkpoint/default/counter/a%2fb")]
    #[case("/checkpoint/default/counter/a%00")]
    #[case("/checkpoint/default/counter/%zz")]
    #[case("/checkpoint/default/counter/%2")]
    #[case("/checkpoint/default/counter/%ff")]
    #[case("/checkpoint/default/counter/a%252fb")]
    #[case("/checkpoint/default/counter/main;x=1")]
    #[case("/checkpoint/kube_system/counter/main")]
    #[case("/api/v1/namespaces/de%2ffault/pods/counter/checkpoint")]
    #[case("/api/v1/namespaces/default/pods/..%2f..%2fsecrets/checkpoint")]
    fn no_segment_means_more_than_a_name(#[case] path: &str) {
        assert_eq!(asked(&Method::POST, path, &[]).unwrap_err().code, StatusCode::BAD_REQUEST);
    }

    #[rstest]
    #[case("/")]
    #[case("")]
    #[case("/checkpoint/default/counter")]
    #[case("/checkpoint/default/counter/main/more")]
    #[case("/checkpoint/default/counter/main/")]
    #[case("//checkpoint/default/counter/main")]
    #[case("/api/v1/namespaces/default/pods/counter")]
    #[case("/apis/checkpointer.alpha.coreos.com/v1/namespaces/default/pods/counter/checkpoint")]
    fn what_is_elsewhere_is_not_found(#[case] path: &str) {
        assert_eq!(asked(&Method::POST, path, &[]).unwrap_err().code, StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_wait_is_whole_seconds() {
        let of = |text: &str| wait(&BTreeMap::from([("wait".to_owned(), text.to_owned())]));
        assert_eq!(of("30"), Ok(Some(Duration::from_secs(30))));
        assert_eq!(wait(&BTreeMap::new()), Ok(None));
        for text in ["", "-1", "1.5", "1s", "99999999999"] {
            assert_eq!(of(text).unwrap_err().code, StatusCode::BAD_REQUEST);
        }
    }
}
