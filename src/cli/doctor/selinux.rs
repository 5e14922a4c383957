//! SELinux: whether containers may read what is kept for them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::check::Check;
use crate::disk::selinux::{self, Enforcement};
use crate::pod::checkpoint::Tree;

const NAME: &str = "containers may read copies (SELinux)";

/// Of this node; in a pod, of what is mounted there.
pub(super) fn check(etc: &Path) -> Check {
    judge(selinux::enforcement(Path::new("/")), &Tree::ALL.map(|tree| etc.join(tree.dir())), &selinux::label)
}

type LabelOf<'a> = dyn Fn(&Path) -> io::Result<Option<String>> + 'a;

fn judge(set: Option<Enforcement>, trees: &[PathBuf], label_of: &LabelOf<'_>) -> Check {
    let Some(set) = set else { return Check::ok(NAME, "SELinux is off") };
    let mut wrong = Vec::new();
    for tree in trees.iter().filter(|tree| tree.exists()) {
        if let Err(why) = look(tree, label_of, &mut wrong) {
            return Check::warn(NAME, format!("{}: {why}", tree.display()), "run it as root, or in the agent's pod");
        }
    }
    let word = if set == Enforcement::Enforcing { "enforcing" } else { "permissive" };
    let Some((path, label)) = wrong.first() else { return Check::ok(NAME, format!("{word}, all labels are right")) };
    let others = if wrong.len() > 1 { format!(" and {} others", wrong.len() - 1) } else { String::new() };
    let finding = format!("{word}, and {} has {label}{others}", path.display());
    let remedy = format!(
        "restart the agent, which labels them: it must run with seLinuxOptions type spc_t, as manifests/ have it; or label them \
         by hand (chcon -R {} {})",
        selinux::CONTAINER_FILE,
        trees.iter().map(|tree| tree.display().to_string()).collect::<Vec<_>>().join(" ")
    );
    match set {
        Enforcement::Enforcing => Check::fail(NAME, finding, remedy),
        Enforcement::Permissive => Check::warn(NAME, finding, remedy),
    }
}

/// Adds what containers may not read, with its label.
fn look(path: &Path, label_of: &LabelOf<'_>, wrong: &mut Vec<(PathBuf, String)>) -> io::Result<()> {
    let label = label_of(path)?;
    if !label.as_deref().is_some_and(selinux::is_for_containers) {
        wrong.push((path.to_owned(), label.unwrap_or_else(|| "no label".to_owned())));
    }
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            look(&entry?.path(), label_of, wrong)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::check::CheckOutcome;
    use super::*;

    #[test]
    fn a_copy_that_no_container_may_read_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("checkpoint-secrets");
        fs::create_dir_all(tree.join("shop/web")).unwrap();
        std::os::unix::fs::symlink("/nowhere", tree.join("shop/web/link")).unwrap();
        let trees = [tree, dir.path().join("not-there")];
        let right = |_: &Path| Ok(Some(selinux::CONTAINER_FILE.to_owned()));
        let odd = |path: &Path| {
            Ok((!path.ends_with("link"))
                .then(|| selinux::CONTAINER_FILE.to_owned())
                .or(Some("system_u:object_r:etc_t:s0".to_owned())))
        };
        let unlabelled = |_: &Path| Ok(None);
        let unreadable = |_: &Path| Err(io::ErrorKind::PermissionDenied.into());
        let enforcing = Some(Enforcement::Enforcing);
        assert_eq!(judge(None, &trees, &unreadable).outcome, CheckOutcome::Ok, "nobody asks where it is off");
        assert_eq!(judge(enforcing, &trees, &right).outcome, CheckOutcome::Ok);
        let found = judge(enforcing, &trees, &odd);
        assert_eq!(found.outcome, CheckOutcome::Fail);
        assert!(found.finding.contains("web/link has system_u:object_r:etc_t:s0"), "{found:?}");
        assert!(found.remedy.unwrap().contains("spc_t"));
        let all = judge(Some(Enforcement::Permissive), &trees, &unlabelled);
        assert_eq!(all.outcome, CheckOutcome::Warn);
        assert!(all.finding.contains("no label and 3 others"), "{all:?}");
        assert_eq!(judge(enforcing, &trees, &unreadable).outcome, CheckOutcome::Warn);
    }
}
