//! The configuration that the running kubelet has: its flags where `/proc` shows them, its file, and the drop-ins of
//! `--config-dir` (KEP-3983), each over the one before.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{DEFAULT_DIR, KubeletConfig, KubeletDir, KubeletError, parse, read};

/// What a kubelet was started with, as far as it says where its static pods are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubeletFlags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--config-dir`
    pub config_dir: Option<PathBuf>,
    /// `--pod-manifest-path`, which wins over every file.
    pub pod_manifest_path: Option<PathBuf>,
    root_dir: Option<PathBuf>,
}

impl KubeletFlags {
    /// Of the process named `kubelet` that works in this directory; `None` where there is none to be seen: another PID
    /// namespace, or a kubelet inside another program (k3s, RKE2, MicroK8s).
    pub fn of_running(proc: &Path, root_dir: &Path) -> Option<Self> {
        let processes = fs::read_dir(proc).ok()?.filter_map(Result::ok);
        let flags =
            processes.filter_map(|process| Self::of_command_line(&fs::read(process.path().join("cmdline")).ok()?));
        let mut flags = flags.filter(|flags| flags.root_dir.as_deref().unwrap_or(Path::new(DEFAULT_DIR)) == root_dir);
        // Two that work in one directory are those of several containers, and nothing tells which is ours.
        let only = flags.next()?;
        flags.all(|other| other == only).then_some(only)
    }

    /// Arguments end with a zero byte each, `proc_pid_cmdline(5)`.
    fn of_command_line(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut words = text.split('\0');
        if Path::new(words.next()?).file_name()? != "kubelet" {
            return None;
        }
        let mut flags = Self::default();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
            let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            let place = match name {
                "config" => &mut flags.config,
                "config-dir" => &mut flags.config_dir,
                "pod-manifest-path" => &mut flags.pod_manifest_path,
                "root-dir" => &mut flags.root_dir,
                _ => continue,
            };
            *place = value.or_else(|| words.next()).filter(|value| !value.is_empty()).map(PathBuf::from);
        }
        Some(flags)
    }
}

impl KubeletDir {
    /// What the kubelet with these flags reads: its file (else `config.yaml` of its directory), then each drop-in over it.
    pub fn config_under(&self, flags: &KubeletFlags) -> Result<Option<KubeletConfig>, KubeletError> {
        let main = flags.config.clone().unwrap_or_else(|| self.path().join("config.yaml"));
        let mut merged: Option<Value> = read(&main)?.map(|text| parse(&main, WHAT, &text)).transpose()?;
        for path in drop_ins(flags.config_dir.as_deref())? {
            let over = read(&path)?.map(|text| parse::<Value>(&path, WHAT, &text)).transpose()?;
            merge(merged.get_or_insert_with(|| Value::Object(serde_json::Map::new())), over.unwrap_or_default());
        }
        let Some(merged) = merged else { return Ok(None) };
        let mut config: KubeletConfig = parse(&main, WHAT, &merged.to_string())?;
        if flags.pod_manifest_path.is_some() {
            config.static_pod_path.clone_from(&flags.pod_manifest_path);
        }
        Ok(Some(config))
    }
}

const WHAT: &str = "KubeletConfiguration";

/// Files that end in `.conf`, sorted by name, those of a folder where the folder stands, as the kubelet walks.
fn drop_ins(dir: Option<&Path>) -> Result<Vec<PathBuf>, KubeletError> {
    let Some(dir) = dir else { return Ok(Vec::new()) };
    let unreadable = |source| KubeletError::Read { path: dir.to_owned(), source };
    let entries = fs::read_dir(dir).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if fs::symlink_metadata(&path).is_ok_and(|about| about.is_dir()) {
            files.extend(drop_ins(Some(&path))?);
        } else if path.extension().is_some_and(|ending| ending == "conf") {
            files.push(path);
        }
    }
    Ok(files)
}

/// JSON Merge Patch, RFC 7386: objects field by field, `null` takes away, everything else replaces.
fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (name, value) in over {
                if value.is_null() {
                    base.remove(&name);
                } else {
                    merge(base.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (_, Value::Null) => {}
        (base, over) => *base = over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Vec<u8> {
        words.iter().flat_map(|word| word.bytes().chain([0])).collect()
    }

    #[test]
    fn flags_are_read_in_both_forms() {
        let words = ["/usr/bin/kubelet", "--v=2", "--config", "/a.yaml", "--config-dir=/a.d", "--pod-manifest-path=/m"];
        let flags = KubeletFlags::of_command_line(&line(&words)).unwrap();
        assert_eq!((flags.config, flags.config_dir), (Some("/a.yaml".into()), Some("/a.d".into())));
        assert_eq!(flags.pod_manifest_path, Some("/m".into()));
        for other in [&b""[..], b"\0", b"kubelite\0--config=/x\0", b"grep\0kubelet\0"] {
            assert_eq!(KubeletFlags::of_command_line(other), None);
        }
    }

    #[test]
    fn the_kubelet_of_this_directory_is_the_one_that_counts() {
        let proc = tempfile::tempdir().unwrap();
        let process = |pid: &str, words: &[&str]| {
            fs::create_dir_all(proc.path().join(pid)).unwrap();
            fs::write(proc.path().join(pid).join("cmdline"), line(words)).unwrap();
        };
        process("1", &["init"]);
        process("7", &["kubelet", "--root-dir=/other", "--config=/other.yaml"]);
        process("8", &["kubelet", "--config=/ours.yaml"]);
        let of = |dir: &str| KubeletFlags::of_running(proc.path(), Path::new(dir));
        assert_eq!(of(DEFAULT_DIR).unwrap().config, Some("/ours.yaml".into()));
        assert_eq!(of("/other").unwrap().config, Some("/other.yaml".into()));
        assert_eq!(of("/none"), None);
        process("9", &["kubelet", "--config=/another.yaml"]);
        assert_eq!(of(DEFAULT_DIR), None, "nothing tells which is ours");
    }

    #[test]
    fn drop_ins_go_over_the_file_in_the_order_of_names() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "config.yaml",
            "staticPodPath: /main\ncontainerRuntimeEndpoint: unix:///main.sock\nfeatureGates: {A: true}\n",
        );
        write("d/20-b.conf", "staticPodPath: /second\nfeatureGates: {B: true}\n");
        write("d/10-a.conf", "staticPodPath: /first\n");
        write("d/99-c.yaml", "staticPodPath: /ignored\n");
        let kubelet = KubeletDir::new(dir.path());
        let flags = KubeletFlags { config_dir: Some(dir.path().join("d")), ..KubeletFlags::default() };
        let config = kubelet.config_under(&flags).unwrap().unwrap();
        assert_eq!(config.static_pod_path, Some("/second".into()));
        assert_eq!(config.container_runtime_endpoint.as_deref(), Some("unix:///main.sock"));
        assert_eq!(config.feature_gates.len(), 2, "maps are merged");

        write("d/30-c/x.conf", "staticPodPath: null\n");
        assert_eq!(kubelet.config_under(&flags).unwrap().unwrap().static_pod_path, None);
        let flags = KubeletFlags { pod_manifest_path: Some("/flag".into()), ..flags };
        assert_eq!(kubelet.config_under(&flags).unwrap().unwrap().static_pod_path, Some("/flag".into()));

        write("d/40-d.conf", "staticPodPath: [1");
        let why = kubelet.config_under(&flags).unwrap_err().to_string();
        assert!(why.contains("40-d.conf"), "{why}");
        let gone = KubeletFlags { config_dir: Some(dir.path().join("gone")), ..KubeletFlags::default() };
        assert!(matches!(kubelet.config_under(&gone), Err(KubeletError::Read { .. })));
    }
}
