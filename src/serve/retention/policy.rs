//! A valid policy, and which of its rules an archive is under. Pure; reading one is `spec`'s.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Whose an archive is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerKey {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
}

impl ContainerKey {
    /// Names it.
    pub fn new(namespace: &str, pod: &str, container: &str) -> Self {
        Self { namespace: namespace.to_owned(), pod: pod.to_owned(), container: container.to_owned() }
    }
}

impl fmt::Display for ContainerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.pod, self.container)
    }
}

/// Limits of one level; `None`: without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionLimits {
    /// How many archives.
    pub count: Option<u64>,
    /// Bytes of one archive.
    pub size: Option<u64>,
    /// Bytes of all of them.
    pub total: Option<u64>,
}

/// What a container's, a pod's or a namespace's own policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Whether archives outlive what they are of.
    pub retain_orphan: bool,
    /// `None`: the rule is off, and so is everything below it.
    pub limits: Option<RetentionLimits>,
}

/// The policy of what has none of its own: three levels, one after the other. `None`: that level is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Global {
    /// Whether archives outlive their pod.
    pub retain_orphan: bool,
    /// For the archives of one container together.
    pub container: Option<RetentionLimits>,
    /// For the archives of one pod together.
    pub pod: Option<RetentionLimits>,
    /// For the archives of one namespace together.
    pub namespace: Option<RetentionLimits>,
}

impl Default for Global {
    /// What the original does where nothing is said: 10 for a container, 20 for a pod, 30 for a namespace.
    fn default() -> Self {
        let count = |n| Some(RetentionLimits { count: Some(n), ..RetentionLimits::default() });
        Self { retain_orphan: true, container: count(10), pod: count(20), namespace: count(30) }
    }
}

/// How much of the filesystem is to stay free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinFree {
    /// So many bytes.
    Bytes(u64),
    /// Hundredths of the whole.
    Percent(u8),
}

impl MinFree {
    /// In bytes, of a filesystem of `capacity` bytes.
    pub fn of(self, capacity: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            // 100 and a capacity below 2^57 bytes: no overflow; above, the division comes first.
            Self::Percent(percent) => {
                capacity.checked_mul(u64::from(percent)).map_or(capacity / 100 * u64::from(percent), |n| n / 100)
            }
        }
    }
}

/// Everything that decides about archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Path of the directory on the node; one that is elsewhere is not touched.
    pub directory: String,
    /// Whether what lies there already is held to it at once, or only when another archive comes.
    pub immediately: bool,
    /// For whatever no other rule is for.
    pub global: Global,
    /// By container.
    pub containers: BTreeMap<ContainerKey, Rule>,
    /// By namespace and pod.
    pub pods: BTreeMap<(String, String), Rule>,
    /// By namespace.
    pub namespaces: BTreeMap<String, Rule>,
    /// No archive is kept longer.
    pub max_age: Option<Duration>,
    /// Bytes of the whole directory.
    pub max_total: Option<u64>,
    /// What is to stay free where it lies.
    pub min_free: Option<MinFree>,
    /// Nothing is deleted; what would be is said.
    pub dry_run: bool,
}

/// Where the kubelet has its archives.
pub const DIRECTORY: &str = "/var/lib/kubelet/checkpoints";

impl Default for Policy {
    fn default() -> Self {
        Self {
            directory: DIRECTORY.to_owned(),
            immediately: false,
            global: Global::default(),
            containers: BTreeMap::new(),
            pods: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            max_age: None,
            max_total: None,
            min_free: None,
            dry_run: false,
        }
    }
}

/// Whose archives a limit counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Archives of one container are counted together.
    Container,
    /// Archives of one pod are counted together.
    Pod,
    /// Archives of one namespace are counted together.
    Namespace,
}

/// The one rule that an archive is under: the first that is for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Governing<'a> {
    /// The rule for its container.
    Container(&'a Rule),
    /// The rule for its pod.
    Pod(&'a Rule),
    /// The rule for its namespace.
    Namespace(&'a Rule),
    /// None of these.
    Global(&'a Global),
}

/// What an archive is of, for the question whether that is still there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Namespace and name.
    Pod(String, String),
    /// Where the rule is for a whole namespace.
    Namespace(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(namespace, pod) => write!(f, "pod {namespace}/{pod}"),
            Self::Namespace(namespace) => write!(f, "namespace {namespace}"),
        }
    }
}

impl Policy {
    /// The rule for a container's archives.
    pub fn governing(&self, key: &ContainerKey) -> Governing<'_> {
        if let Some(rule) = self.containers.get(key) {
            return Governing::Container(rule);
        }
        if let Some(rule) = self.pods.get(&(key.namespace.clone(), key.pod.clone())) {
            return Governing::Pod(rule);
        }
        match self.namespaces.get(&key.namespace) {
            Some(rule) => Governing::Namespace(rule),
            None => Governing::Global(&self.global),
        }
    }

    /// Whether no archive can be an orphan that goes.
    pub fn keeps_orphans(&self) -> bool {
        let rules = self.containers.values().chain(self.pods.values()).chain(self.namespaces.values());
        self.global.retain_orphan && rules.into_iter().all(|rule| rule.retain_orphan)
    }

    /// What must be gone for a container's archives to be orphans; `None`: orphans stay.
    pub fn owner(&self, key: &ContainerKey) -> Option<Owner> {
        let pod = || Owner::Pod(key.namespace.clone(), key.pod.clone());
        match self.governing(key) {
            Governing::Container(rule) | Governing::Pod(rule) => goes(rule).then(pod),
            Governing::Namespace(rule) => goes(rule).then(|| Owner::Namespace(key.namespace.clone())),
            Governing::Global(global) => {
                let any = [global.container, global.pod, global.namespace].iter().any(Option::is_some);
                (any && !global.retain_orphan).then(pod)
            }
        }
    }
}

fn goes(rule: &Rule) -> bool {
    !rule.retain_orphan && rule.limits.is_some()
}

impl Governing<'_> {
    /// The limits of that level; `None`: this rule has none there.
    pub fn limits(&self, level: Level) -> Option<RetentionLimits> {
        match (self, level) {
            (Self::Container(rule), Level::Container)
            | (Self::Pod(rule), Level::Pod)
            | (Self::Namespace(rule), Level::Namespace) => rule.limits,
            (Self::Global(global), Level::Container) => global.container,
            (Self::Global(global), Level::Pod) => global.pod,
            (Self::Global(global), Level::Namespace) => global.namespace,
            _ => None,
        }
    }

    /// Rules of one rank count their archives together within one pod or namespace.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Container(_) => 0,
            Self::Pod(_) => 1,
            Self::Namespace(_) => 2,
            Self::Global(_) => 3,
        }
    }
}
