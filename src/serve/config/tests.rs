use clap::{Args, CommandFactory, FromArgMatches, Parser};
use rstest::rstest;

use super::*;

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    args: ServeArgs,
}

const REQUIRED: [&str; 8] = [
    "--image-prefix",
    "registry.example.com:5000/checkpoints",
    "--namespace",
    "kube-system",
    "--node-name",
    "node-1",
    "--node-ip",
    "10.0.0.11",
];

fn read(args: &[&str]) -> Result<ServeConfig, ConfigError> {
    // This process's own environment is nobody's business here.
    let command = ServeArgs::augment_args(clap::Command::new("serve")).mut_args(|arg| arg.env(None::<&str>));
    let matches = command.try_get_matches_from([&["serve"], args].concat()).unwrap_or_else(|why| panic!("{why}"));
    ServeConfig::from_args(ServeArgs::from_arg_matches(&matches).unwrap())
}

fn with(more: &[&str]) -> Result<ServeConfig, ConfigError> {
    read(&[&REQUIRED, more].concat())
}

#[test]
fn what_is_required_is_enough_and_defaults_are_as_documented() {
    let config = with(&[]).unwrap();
    assert_eq!((config.port, config.kubelet.port), (3333, 10250));
    assert_eq!(config.storage, PathBuf::from("/checkpointer/storage"));
    assert_eq!(config.registry.pull_secret, "kaniko-secret");
    assert_eq!(config.kubelet.certificate, PathBuf::from("/etc/kubernetes/tls/tls.crt"));
    assert!(config.forwards && !config.kubelet.insecure && !config.plain_http && !config.accept_api_tokens);
    assert_eq!(config.logs, Logs { format: LogFormat::Text, level: "info".to_owned() });
    assert!(config.ignored.is_empty());
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let why = read(&["--port", "0"]).unwrap_err();
    assert_eq!(why.problems.len(), 5, "{why}");
    for variable in VARIABLES.iter().filter(|row| matches!(row.usage, Use::Required(_))) {
        assert!(why.to_string().contains(variable.name), "{why}");
    }
    // What the downward API gives for a field that is not there is no value.
    let why = read(&["--image-prefix", "", "--namespace", "", "--node-name", "", "--node-ip", ""]).unwrap_err();
    assert_eq!(why.problems.len(), 4, "{why}");
}

#[rstest]
#[case(&["--port", "70000"], "1 to 65535")]
#[case(&["--kubelet-port", "x"], "1 to 65535")]
#[case(&["--max-queue", "0"], "from 1 to 1000")]
#[case(&["--push-timeout", "30s"], "whole seconds")]
#[case(&["--disable-route-forward", "yes"], "true or false")]
#[case(&["--kubelet-allow-insecure", "1"], "true or false")]
#[case(&["--storage", "storage"], "absolute path")]
#[case(&["--pull-secret", "a/b"], "not a DNS-1123 name")]
#[case(&["--kubelet-ca", "/nowhere/ca.crt"], "no such file")]
#[case(&["--log-level", "loud"], "use error, warn")]
fn what_cannot_be_used_is_said_with_what_can(#[case] args: &[&str], #[case] said: &str) {
    let why = with(args).unwrap_err().to_string();
    assert!(why.contains(said), "{why}");
}

#[rstest]
#[case::no_host("counter")]
#[case::upper_case("registry.example.com/UPPER")]
#[case::a_url("https://registry.example.com/a")]
#[case::a_tag("registry.example.com/a:1")]
fn a_prefix_that_is_no_repository_is_refused(#[case] prefix: &str) {
    let args = [&["--image-prefix", prefix], &REQUIRED[2..]].concat();
    assert!(read(&args).unwrap_err().to_string().contains("--image-prefix"));
}

#[test]
fn production_logs_json_unless_told_otherwise() {
    assert_eq!(with(&["--environment", "prod"]).unwrap().logs.format, LogFormat::Json);
    let text = with(&["--environment", "prod", "--log-format", "text"]).unwrap();
    assert_eq!(text.logs.format, LogFormat::Text);
}

#[test]
fn variables_that_mean_nothing_here_are_named_once_each() {
    let config =
        with(&["--checkpoint-base-image", "x:1", "--kaniko-build-ctx-dir", "", "--use-kaniko-fs", "true"]).unwrap();
    assert_eq!(config.ignored.len(), 2, "{:?}", config.ignored);
    assert!(config.ignored[0].starts_with("CHECKPOINT_BASE_IMAGE is set and ignored: "));
}

#[test]
fn every_documented_variable_is_read_by_the_flag_it_names() {
    let command = Serve::command();
    for row in VARIABLES {
        let arg = command.get_arguments().find(|arg| arg.get_env().is_some_and(|env| env == row.name));
        let arg = arg.unwrap_or_else(|| panic!("nothing reads {}", row.name));
        match row.usage {
            // It has no flag of its own: it changes this one's default.
            Use::Sets(_) if row.name == "ENVIRONMENT" => {}
            Use::Required(flag) | Use::Sets(flag) => assert_eq!(format!("--{}", arg.get_long().unwrap()), flag),
            Use::Ignored(why) => assert!(!why.is_empty() && arg.is_hide_set(), "{}", row.name),
        }
    }
}

#[test]
fn the_documentation_has_every_variable_as_the_table_has_it() {
    let docs = include_str!("../../../docs/container-checkpoints.md");
    for Variable { name, usage, meaning } in VARIABLES {
        let row = match usage {
            Use::Required(flag) => format!("| `{name}` | required, `{flag}` | {meaning} |"),
            Use::Sets(flag) => format!("| `{name}` | `{flag}` | {meaning} |"),
            Use::Ignored(why) => format!("| `{name}` | ignored | {why} |"),
        };
        assert!(docs.contains(&row), "docs/container-checkpoints.md lacks: {row}");
    }
}
