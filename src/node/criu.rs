//! What a runtime can do with container checkpoints, by its name, version and own configuration. Whether the `criu` binary
//! is on the node no runtime tells; the kubelet's answer to a checkpoint does.

use serde_json::Value;

/// Whether a runtime can do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ability {
    /// It can.
    Yes,
    /// It cannot, with what would change that.
    No(String),
    /// It does not tell, with where to look.
    Unknown(String),
}

/// Both sides of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// Writing an archive of a running container.
    pub checkpoint: Ability,
    /// Starting a container from an image of such an archive.
    pub restore: Ability,
}

/// `name` and `version` as CRI `Version` gives them, `config` as [`super::cri::Cri::configuration`] does. Versions: the
/// release notes of containerd 2.0, 2.1, 2.2.7 and 2.4, and of CRI-O 1.25; keys: containerd's `internal/cri/config`.
pub fn abilities(name: &str, version: &str, config: Option<&Value>) -> Abilities {
    match name {
        "containerd" => containerd(version, config),
        "cri-o" => crio(version),
        _ => {
            let unknown = Ability::Unknown(format!("nothing is known here of the runtime {name} {version}"));
            Abilities { checkpoint: unknown.clone(), restore: unknown }
        }
    }
}

fn containerd(version: &str, config: Option<&Value>) -> Abilities {
    let Some(numbers) = numbers(version) else {
        let unknown = Ability::Unknown(format!("containerd calls itself {version:?}, which is no version"));
        return Abilities { checkpoint: unknown.clone(), restore: unknown };
    };
    let key = |name: &str| config.and_then(|config| config.get(name)).and_then(Value::as_bool);
    let checkpoint = if numbers < [2, 0, 0] {
        Ability::No("containerd 2.0 is the first that writes checkpoints: update it".to_owned())
    } else if key("enableCRIU") == Some(false) {
        Ability::No("enable_criu is false in containerd's configuration: remove that line".to_owned())
    } else {
        Ability::Yes
    };
    Abilities { checkpoint, restore: containerd_restores(numbers, key("enableExperimentalRestoreViaCreate")) }
}

/// Always in 2.1 and up to 2.2.6, by a key from 2.2.7, not at all from 2.4.
fn containerd_restores(numbers: [u32; 3], key: Option<bool>) -> Ability {
    const KEY: &str = "enable_experimental_restore_via_create = true in [plugins.'io.containerd.cri.v1.runtime']";
    if numbers < [2, 1, 0] {
        Ability::No("containerd 2.1 is the first that restores: update it".to_owned())
    } else if numbers < [2, 2, 7] {
        Ability::Yes
    } else if numbers >= [2, 4, 0] {
        Ability::No("containerd 2.4 no longer restores when a container is created; 2.1 to 2.3 do".to_owned())
    } else {
        match key {
            Some(true) => Ability::Yes,
            Some(false) => Ability::No(format!("it is off: set {KEY} and restart containerd")),
            None => Ability::Unknown(format!("containerd does not tell its configuration; it needs {KEY}")),
        }
    }
}

fn crio(version: &str) -> Abilities {
    let old = numbers(version).is_some_and(|numbers| numbers < [1, 25, 0]);
    let checkpoint = if old {
        Ability::No("CRI-O 1.25 is the first that writes checkpoints: update it".to_owned())
    } else {
        Ability::Yes
    };
    let restore = Ability::Unknown(
        "CRI-O does not tell; it needs container_level_enabled in [crio.checkpoint_restore] (`crio status config`)"
            .to_owned(),
    );
    Abilities { checkpoint, restore }
}

/// Major, minor and patch of `v2.3.4+unknown`, `2.1.0-rc.1` and the like.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let plain = version.trim_start_matches('v').split(['-', '+', ' ']).next()?;
    let mut parts = plain.split('.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn can(version: &str, config: Option<&Value>) -> (char, char) {
        let letter = |ability: &Ability| match ability {
            Ability::Yes => 'y',
            Ability::No(_) => 'n',
            Ability::Unknown(_) => '?',
        };
        let found = abilities("containerd", version, config);
        (letter(&found.checkpoint), letter(&found.restore))
    }

    #[test]
    fn containerd_is_judged_by_its_version_and_its_keys() {
        let on = json!({"enableCRIU": true, "enableExperimentalRestoreViaCreate": true});
        let off = json!({"enableCRIU": false, "enableExperimentalRestoreViaCreate": false});
        for (version, config, expected) in [
            ("1.7.24", None, ('n', 'n')),
            ("v2.0.5", None, ('y', 'n')),
            ("v2.1.0-rc.1", None, ('y', 'y')),
            ("v2.2.6", Some(&off), ('n', 'y')),
            ("v2.2.7", None, ('y', '?')),
            ("v2.3.4", Some(&on), ('y', 'y')),
            ("2.3.4+unknown", Some(&off), ('n', 'n')),
            ("v2.4.0", Some(&on), ('y', 'n')),
            ("dev", Some(&on), ('?', '?')),
        ] {
            assert_eq!(can(version, config), expected, "{version} {config:?}");
        }
    }

    #[test]
    fn what_a_runtime_cannot_do_comes_with_what_would_change_it() {
        let Ability::No(why) =
            abilities("containerd", "v2.3.0", Some(&json!({"enableExperimentalRestoreViaCreate": false}))).restore
        else {
            panic!("it is off");
        };
        assert!(why.contains("enable_experimental_restore_via_create = true"), "{why}");
    }

    #[test]
    fn cri_o_does_not_tell_whether_it_restores() {
        let found = abilities("cri-o", "1.34.1", None);
        assert_eq!(found.checkpoint, Ability::Yes);
        assert!(matches!(found.restore, Ability::Unknown(_)));
        assert!(matches!(abilities("cri-o", "1.24.0", None).checkpoint, Ability::No(_)));
    }
}
