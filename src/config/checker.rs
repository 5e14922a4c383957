//! The checks that the configurations of all roles share: each looks at one setting and notes what is wrong with it, so that
//! all of it is told at once. Looks at files, changes nothing.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::{ApiArgs, ApiConfig, ConfigError, Problem, ServiceEndpoint};
use crate::dns_name::check_name;
use crate::duration;
use crate::loopback::is_loopback;

/// An empty value is none: what a manifest's `value: ""` and a missing downward API field give.
pub(crate) fn given(value: Option<String>) -> Option<String> {
    value.filter(|text| !text.is_empty())
}

/// Collects problems while values are read.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    problems: Vec<Problem>,
}

impl Checker {
    pub(crate) fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        if self.problems.is_empty() { Ok(value) } else { Err(ConfigError { problems: self.problems }) }
    }

    pub(crate) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(crate) fn absolute(&mut self, flag: &'static str, path: &Path) {
        if !path.is_absolute() {
            self.unusable(flag, path.display().to_string(), "write an absolute path");
        }
    }

    pub(crate) fn unusable(&mut self, flag: &'static str, value: impl Into<String>, why: impl Into<String>) {
        self.problems.push(Problem::Unusable { flag, value: value.into(), why: why.into() });
    }

    pub(crate) fn node_name(&mut self, name: Option<String>) -> String {
        let Some(name) = name else {
            self.problems.push(Problem::Missing {
                flag: "--node-name",
                variable: "NODE_NAME",
                remedy: "give the node's name; in a pod from the downward API, fieldPath spec.nodeName",
            });
            return String::new();
        };
        if let Err(why) = check_name("node name", &name) {
            self.unusable("--node-name", name.clone(), why.to_string());
        }
        name
    }

    pub(crate) fn log_level(&mut self, level: &str) {
        // A bare word that is no level would be taken for a module's name and silence everything else.
        let known = |part: &str| part.rsplit('=').next().is_some_and(|level| level.parse::<LevelFilter>().is_ok());
        if !level.split(',').all(known) {
            self.unusable(
                "--log-level",
                level,
                "use error, warn, info, debug or trace, or module=level, with commas between",
            );
        }
    }

    pub(crate) fn at_least(&mut self, flag: &'static str, value: Duration, least: Duration, because: &str) {
        if value < least {
            let why = format!("at least {}: {because}", duration::display(least));
            self.unusable(flag, duration::display(value), why);
        }
    }

    pub(crate) fn api(&mut self, args: ApiArgs) -> ApiConfig {
        let servers = args.api_server.iter().filter(|url| !url.is_empty()).map(|url| self.server(url)).collect();
        let service = given(args.kubernetes_service_host).map(|host| {
            let port = given(args.kubernetes_service_port).unwrap_or_else(|| "443".to_owned());
            ServiceEndpoint { host: host.trim_matches(['[', ']']).to_owned(), port }
        });
        ApiConfig { servers, kubeconfig: args.kubeconfig, service }
    }

    fn server(&mut self, url: &str) -> String {
        let trimmed = url.trim_end_matches('/').to_owned();
        let parsed = url.parse::<http::Uri>().ok();
        let scheme = parsed.as_ref().and_then(http::Uri::scheme_str);
        let host = parsed.as_ref().and_then(http::Uri::host).unwrap_or_default();
        match scheme {
            Some("https") if !host.is_empty() => {}
            Some("http") if is_loopback(host) => {}
            Some("http") => self.unusable("--api-server", url, "a token would travel in clear; use https://"),
            _ => self.unusable("--api-server", url, "write a URL, like https://10.0.0.1:6443"),
        }
        trimmed
    }

    pub(crate) fn readable_file(&mut self, flag: &'static str, path: &Path, remedy: &str) {
        if let Err(why) = fs::File::open(path) {
            self.unusable(flag, path.display().to_string(), format!("{}; {remedy}", plain(&why)));
        }
    }
}

/// An I/O error without "(os error N)", which helps nobody.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
