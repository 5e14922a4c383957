//! A disk in memory that loses power. What was not made durable survives or not, each change for itself: content of a
//! file before its fsync (whole, in part, or not at all), a name in a directory before the directory's fsync.
//! It can also fail: any one operation, with any error.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use nix::libc;
use pod_checkpointer::disk::files::{FileError, FileKind, Files, NewFile, Stat, parent};

type Inode = usize;
type Outcome<T> = Result<T, FileError>;

/// What becomes of what is not durable when the power goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Survives {
    Nothing,
    Everything,
    /// Each change with even chance, by this seed.
    Some(u64),
}

/// What goes wrong, and at which operation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// From this operation on nothing works any more.
    PowerCut(usize),
    /// This one operation fails with this `errno`.
    Errno(usize, i32),
    /// Everything that is done to this path fails with this `errno`.
    At(&'static str, i32),
}

#[derive(Clone)]
enum Body {
    File { now: Vec<u8>, durable: Vec<u8> },
    Dir { now: BTreeMap<String, Inode>, durable: BTreeMap<String, Inode>, pending: Vec<Change> },
    Link(String),
}

/// One atomic change of a directory: names and what they stand for after it.
type Change = Vec<(String, Option<Inode>)>;

#[derive(Clone)]
struct Node {
    body: Body,
    mode: u32,
    gid: u32,
    uid: u32,
}

#[derive(Clone)]
struct State {
    nodes: Vec<Node>,
    operations: usize,
    /// Which of them changed anything.
    changing: Vec<usize>,
    fault: Option<Fault>,
}

/// The disk; a clone is another handle of the same one.
#[derive(Clone)]
pub(crate) struct ModelDisk(Arc<Mutex<State>>);

fn node(body: Body, mode: u32) -> Node {
    Node { body, mode, uid: 0, gid: 0 }
}

fn empty_dir() -> Body {
    Body::Dir { now: BTreeMap::new(), durable: BTreeMap::new(), pending: Vec::new() }
}

impl ModelDisk {
    /// A root with an empty directory `manifests`, durable.
    pub(crate) fn new() -> Self {
        let names = BTreeMap::from([("manifests".to_owned(), 1)]);
        let root = Body::Dir { now: names.clone(), durable: names, pending: Vec::new() };
        let nodes = vec![node(root, 0o755), node(empty_dir(), 0o755)];
        Self(Arc::new(Mutex::new(State { nodes, operations: 0, changing: Vec::new(), fault: None })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test goes on after a panic")
    }

    /// The same content on a disk of its own; counts operations from 0 and fails as said.
    pub(crate) fn copy(&self, fault: Option<Fault>) -> Self {
        let mut state = self.state().clone();
        (state.operations, state.changing, state.fault) = (0, Vec::new(), fault);
        Self(Arc::new(Mutex::new(state)))
    }

    /// From now on fails as said, counting operations from 0.
    pub(crate) fn fail(&self, fault: Fault) {
        let mut state = self.state();
        (state.operations, state.fault) = (0, Some(fault));
    }

    /// Operations since it was made.
    pub(crate) fn operations(&self) -> usize {
        self.state().operations
    }

    /// Numbers of those that change what is on the disk or what of it is durable.
    pub(crate) fn changing(&self) -> Vec<usize> {
        self.state().changing.clone()
    }

    /// What the disk holds when the power comes back.
    pub(crate) fn after_power_cut(&self, survives: Survives) -> Self {
        let after = self.copy(None);
        let mut random = fastrand::Rng::with_seed(if let Survives::Some(seed) = survives { seed } else { 0 });
        let mut kept = move || match survives {
            Survives::Nothing => 0.0,
            Survives::Everything => 1.0,
            Survives::Some(_) => random.f64(),
        };
        for node in &mut after.state().nodes {
            match &mut node.body {
                Body::File { now, durable } if now != durable => {
                    let part = kept();
                    *durable = match part {
                        part if part > 0.5 => now.clone(),
                        part if part > 0.25 => now[..now.len() / 2].to_vec(),
                        _ => durable.clone(),
                    };
                    now.clone_from(durable);
                }
                Body::Dir { now, durable, pending } => {
                    for (name, inode) in pending.drain(..).filter(|_| kept() >= 0.5).flatten() {
                        match inode {
                            Some(inode) => durable.insert(name, inode),
                            None => durable.remove(&name),
                        };
                    }
                    now.clone_from(durable);
                }
                _ => {}
            }
        }
        after
    }

    /// Every path, with the content of files and the targets of links, as a running process sees it.
    pub(crate) fn tree(&self) -> BTreeMap<String, String> {
        fn walk(state: &State, inode: Inode, path: &str, out: &mut BTreeMap<String, String>) {
            match &state.nodes[inode].body {
                Body::File { now, .. } => drop(out.insert(path.to_owned(), String::from_utf8_lossy(now).into_owned())),
                Body::Link(target) => drop(out.insert(path.to_owned(), format!("-> {target}"))),
                Body::Dir { now, .. } => {
                    out.insert(format!("{path}/"), String::new());
                    for (name, inode) in now {
                        walk(state, *inode, &format!("{path}/{name}"), out);
                    }
                }
            }
        }
        let mut out = BTreeMap::new();
        walk(&self.state(), 0, "", &mut out);
        out
    }
}

impl State {
    fn begin(&mut self, path: &str) -> Result<(), i32> {
        let at = self.operations;
        self.operations += 1;
        match self.fault {
            Some(Fault::PowerCut(cut)) if at >= cut => Err(libc::EHOSTDOWN),
            Some(Fault::Errno(n, errno)) if at == n => Err(errno),
            Some(Fault::At(damaged, errno)) if path == damaged => Err(errno),
            _ => Ok(()),
        }
    }

    fn find(&self, path: &str) -> Result<Inode, i32> {
        path.split('/').filter(|part| !part.is_empty()).try_fold(0, |at, name| match self.body(at) {
            Body::Dir { now, .. } => now.get(name).copied().ok_or(libc::ENOENT),
            Body::Link(_) => Err(libc::ELOOP),
            Body::File { .. } => Err(libc::ENOTDIR),
        })
    }

    fn body(&self, inode: Inode) -> &Body {
        &self.nodes[inode].body
    }

    fn add(&mut self, path: &str, new: Node) -> Result<Inode, i32> {
        let inode = self.nodes.len();
        self.change(path, vec![(name_of(path), Some(inode))], true)?;
        self.nodes.push(new);
        Ok(inode)
    }

    /// Changes names of the directory that holds `path`.
    fn change(&mut self, path: &str, change: Change, exclusive: bool) -> Result<(), i32> {
        let dir = self.find(parent(path))?;
        let Body::Dir { now, pending, .. } = &mut self.nodes[dir].body else { return Err(libc::ENOTDIR) };
        if exclusive && change.iter().any(|(name, _)| now.contains_key(name)) {
            return Err(libc::EEXIST);
        }
        for (name, inode) in &change {
            match inode {
                Some(inode) => now.insert(name.clone(), *inode),
                None => now.remove(name),
            };
        }
        pending.push(change);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), i32> {
        assert_eq!(parent(from), parent(to), "the store renames only within a directory");
        let (old, over) = (self.find(from)?, self.find(to));
        if over == Ok(old) {
            return Ok(());
        }
        if over.is_ok_and(|over| matches!(self.body(over), Body::Dir { .. })) {
            return Err(libc::EISDIR);
        }
        self.change(from, vec![(name_of(from), None), (name_of(to), Some(old))], false)
    }
}

fn name_of(path: &str) -> String {
    path.rsplit_once('/').map_or(path, |(_, name)| name).to_owned()
}

fn fail<T>(what: &'static str, path: &str, outcome: Result<T, i32>) -> Outcome<T> {
    outcome.map_err(|errno| FileError::new(what, locate(path), io::Error::from_raw_os_error(errno)))
}

fn locate(path: &str) -> PathBuf {
    PathBuf::from(format!("/model/{path}"))
}

/// Operations that change nothing.
const READING: [&str; 4] = ["read", "read link", "list", "look at"];

impl ModelDisk {
    fn run<T>(&self, what: &'static str, path: &str, act: impl FnOnce(&mut State) -> Result<T, i32>) -> Outcome<T> {
        let mut state = self.state();
        if !READING.contains(&what) {
            let at = state.operations;
            state.changing.push(at);
        }
        let outcome = state.begin(path).and_then(|()| act(&mut state));
        fail(what, path, outcome)
    }
}

impl Files for ModelDisk {
    fn locate(&self, path: &str) -> PathBuf {
        locate(path)
    }

    fn create(&self, path: &str) -> Outcome<Box<dyn NewFile>> {
        let body = Body::File { now: Vec::new(), durable: Vec::new() };
        let inode = self.run("create", path, |state| state.add(path, node(body, 0o600)))?;
        Ok(Box::new(ModelFile { disk: self.clone(), inode, path: path.to_owned() }))
    }

    fn rename(&self, from: &str, to: &str) -> Outcome<()> {
        self.run("rename to", to, |state| state.rename(from, to))
    }

    fn link(&self, from: &str, to: &str) -> Outcome<()> {
        self.run("link to", to, |state| {
            let inode = state.find(from)?;
            state.change(to, vec![(name_of(to), Some(inode))], true)
        })
    }

    fn symlink(&self, target: &str, path: &str) -> Outcome<()> {
        self.run("link", path, |state| state.add(path, node(Body::Link(target.to_owned()), 0o777)).map(drop))
    }

    fn remove_file(&self, path: &str) -> Outcome<()> {
        self.run("remove", path, |state| match state.find(path).map(|inode| state.body(inode))? {
            Body::Dir { .. } => Err(libc::EISDIR),
            _ => state.change(path, vec![(name_of(path), None)], false),
        })
    }

    fn remove_dir(&self, path: &str) -> Outcome<()> {
        self.run("remove directory", path, |state| match state.find(path).map(|inode| state.body(inode))? {
            Body::Dir { now, .. } if now.is_empty() => state.change(path, vec![(name_of(path), None)], false),
            Body::Dir { .. } => Err(libc::ENOTEMPTY),
            _ => Err(libc::ENOTDIR),
        })
    }

    fn make_dir(&self, path: &str) -> Outcome<()> {
        self.run("make directory", path, |state| state.add(path, node(empty_dir(), 0o700)).map(drop))
    }

    fn set_dir_mode(&self, path: &str, mode: u32) -> Outcome<()> {
        self.run("change mode", path, |state| state.find(path).map(|at| state.nodes[at].mode = mode))
    }

    fn set_dir_group(&self, path: &str, gid: u32) -> Outcome<()> {
        self.run("change group", path, |state| state.find(path).map(|at| state.nodes[at].gid = gid))
    }

    fn sync_dir(&self, path: &str) -> Outcome<()> {
        self.run("make durable", path, |state| {
            let dir = state.find(path)?;
            let Body::Dir { now, durable, pending } = &mut state.nodes[dir].body else {
                return Err(libc::ENOTDIR);
            };
            durable.clone_from(now);
            pending.clear();
            Ok(())
        })
    }

    fn read(&self, path: &str, limit: u64) -> Outcome<Vec<u8>> {
        self.run("read", path, |state| match state.find(path).map(|inode| state.body(inode))? {
            Body::File { now, .. } if now.len() as u64 <= limit => Ok(now.clone()),
            Body::File { .. } => Err(libc::EFBIG),
            Body::Link(_) => Err(libc::ELOOP),
            Body::Dir { .. } => Err(libc::EISDIR),
        })
    }

    fn read_link(&self, path: &str) -> Outcome<String> {
        self.run("read link", path, |state| match state.find(path).map(|inode| state.body(inode))? {
            Body::Link(target) => Ok(target.clone()),
            _ => Err(libc::EINVAL),
        })
    }

    fn list(&self, path: &str) -> Outcome<Vec<String>> {
        self.run("list", path, |state| match state.find(path).map(|inode| state.body(inode))? {
            Body::Dir { now, .. } => Ok(now.keys().cloned().collect()),
            _ => Err(libc::ENOTDIR),
        })
    }

    fn stat(&self, path: &str) -> Outcome<Option<Stat>> {
        self.run("look at", path, |state| match state.find(path) {
            Err(libc::ENOENT | libc::ENOTDIR) => Ok(None),
            Err(errno) => Err(errno),
            Ok(inode) => {
                let Node { body, mode, uid, gid } = &state.nodes[inode];
                let (kind, size) = match body {
                    Body::File { now, .. } => (FileKind::File, now.len() as u64),
                    Body::Dir { .. } => (FileKind::Dir, 0),
                    Body::Link(target) => (FileKind::Symlink, target.len() as u64),
                };
                Ok(Some(Stat { kind, mode: *mode, uid: *uid, gid: *gid, size, modified: 0, inode: inode as u64 }))
            }
        })
    }
}

struct ModelFile {
    disk: ModelDisk,
    inode: Inode,
    path: String,
}

impl ModelFile {
    fn run(&self, what: &'static str, act: impl FnOnce(&mut Node)) -> Outcome<()> {
        self.disk.run(what, &self.path, |state| {
            act(&mut state.nodes[self.inode]);
            Ok(())
        })
    }

    fn run_on_content(&self, what: &'static str, act: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) -> Outcome<()> {
        self.run(what, |node| {
            if let Body::File { now, durable } = &mut node.body {
                act(now, durable);
            }
        })
    }
}

impl NewFile for ModelFile {
    fn write(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.run_on_content("write", |now, _| now.extend_from_slice(bytes))
    }

    fn set_mode(&mut self, mode: u32) -> Outcome<()> {
        self.run("change mode", |node| node.mode = mode)
    }

    fn set_owner(&mut self, uid: Option<u32>, gid: Option<u32>) -> Outcome<()> {
        self.run("change owner", |node| {
            (node.uid, node.gid) = (uid.unwrap_or(node.uid), gid.unwrap_or(node.gid));
        })
    }

    fn sync(&mut self) -> Outcome<()> {
        self.run_on_content("make durable", |now, durable| durable.clone_from(now))
    }
}
