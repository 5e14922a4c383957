//! Which fields of a PodSpec this version knows, as data, and the walk that holds a raw spec against it. Known fields
//! are kept or dropped here; what a kept field may say is judged by the rest of `sanitize`. Source: the v1 API types
//! of Kubernetes 1.36.

pub(crate) mod prune;

use serde_json::{Map, Value};

/// What may stand at one place of the object.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// A string, number or boolean.
    Leaf,
    /// Strings, numbers or booleans in a list.
    Leaves,
    /// A map of names that are the user's own, to scalars.
    Named,
    /// Kept whole: another part of `sanitize` reads it, or refuses the pod for its sake.
    Whole,
    /// A list of objects.
    Each(&'static Fields),
    /// An object.
    One(&'static Fields),
}

/// The fields of one object type.
pub(crate) struct Fields {
    /// Scalars.
    pub leaves: &'static [&'static str],
    /// Everything else that is kept.
    pub nested: &'static [(&'static str, Shape)],
    /// Known, and of no use to a static pod: left out without a word.
    pub dropped: &'static [&'static str],
}

/// Keeps what `fields` knows of `object`. Unknown fields are named in `unknown` by path, and kept as they are, so that
/// a digest of the result still changes with them.
pub(crate) fn keep(object: &Map<String, Value>, fields: &Fields, path: &str, unknown: &mut Vec<String>) -> Value {
    let mut kept = Map::new();
    for (name, value) in object {
        if value.is_null() || fields.dropped.contains(&name.as_str()) {
            continue;
        }
        let at = format!("{path}.{name}");
        let value = if let Some(shape) = shape_of(fields, name) {
            keep_value(value, shape, &at, unknown)
        } else {
            unknown.push(at);
            value.clone()
        };
        kept.insert(name.clone(), value);
    }
    Value::Object(kept)
}

fn shape_of(fields: &Fields, name: &str) -> Option<Shape> {
    if fields.leaves.contains(&name) {
        return Some(Shape::Leaf);
    }
    fields.nested.iter().find(|(known, _)| *known == name).map(|(_, shape)| *shape)
}

fn keep_value(value: &Value, shape: Shape, at: &str, unknown: &mut Vec<String>) -> Value {
    let scalar = |v: &Value| !v.is_object() && !v.is_array();
    let fits = match (shape, value) {
        (Shape::Whole, _) => true,
        (Shape::Leaf, v) => scalar(v),
        (Shape::Leaves, Value::Array(list)) => list.iter().all(scalar),
        (Shape::Named, Value::Object(map)) => map.values().all(scalar),
        (Shape::One(fields), Value::Object(map)) => return keep(map, fields, at, unknown),
        (Shape::Each(fields), Value::Array(list)) => {
            let each = list
                .iter()
                .enumerate()
                .map(|(index, item)| keep_value(item, Shape::One(fields), &format!("{at}[{index}]"), unknown));
            return Value::Array(each.collect());
        }
        _ => false,
    };
    if !fits {
        unknown.push(at.to_owned());
    }
    value.clone()
}

use Shape::{Each, Leaves, Named, One, Whole};

/// `PodSpec`
pub(crate) static POD_SPEC: Fields = Fields {
    leaves: &[
        "activeDeadlineSeconds",
        "dnsPolicy",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "hostUsers",
        "hostname",
        "hostnameOverride",
        "restartPolicy",
        "runtimeClassName",
        "serviceAccountName",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "subdomain",
        "terminationGracePeriodSeconds",
    ],
    nested: &[
        ("containers", Each(&CONTAINER)),
        ("dnsConfig", One(&DNS_CONFIG)),
        ("hostAliases", Each(&HOST_ALIAS)),
        ("initContainers", Each(&CONTAINER)),
        ("os", One(&OS)),
        ("resourceClaims", Whole),
        ("resources", One(&RESOURCES)),
        ("securityContext", One(&POD_SECURITY)),
        ("volumes", Each(&VOLUME)),
    ],
    dropped: &[
        "affinity",
        "automountServiceAccountToken",
        "enableServiceLinks",
        "ephemeralContainers",
        "imagePullSecrets",
        "nodeName",
        "nodeSelector",
        "overhead",
        "preemptionPolicy",
        "priority",
        "priorityClassName",
        "readinessGates",
        "schedulerName",
        "schedulingGates",
        "schedulingGroup",
        // The old name of serviceAccountName; the API server keeps the two equal.
        "serviceAccount",
        "tolerations",
        "topologySpreadConstraints",
    ],
};

static CONTAINER: Fields = Fields {
    leaves: &[
        "image",
        "imagePullPolicy",
        "name",
        "restartPolicy",
        "stdin",
        "stdinOnce",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "tty",
        "workingDir",
    ],
    nested: &[
        ("args", Leaves),
        ("command", Leaves),
        ("env", Each(&ENV)),
        ("envFrom", Each(&ENV_FROM)),
        ("lifecycle", One(&LIFECYCLE)),
        ("livenessProbe", One(&PROBE)),
        ("ports", Each(&PORT)),
        ("readinessProbe", One(&PROBE)),
        ("resources", One(&RESOURCES)),
        ("restartPolicyRules", Each(&RESTART_RULE)),
        ("securityContext", One(&SECURITY)),
        ("startupProbe", One(&PROBE)),
        ("volumeDevices", Each(&Fields { leaves: &["devicePath", "name"], nested: &[], dropped: &[] })),
        ("volumeMounts", Each(&MOUNT)),
    ],
    // A static pod is never resized in place.
    dropped: &["resizePolicy"],
};

static ENV: Fields = Fields { leaves: &["name", "value"], nested: &[("valueFrom", One(&ENV_SOURCE))], dropped: &[] };

static ENV_SOURCE: Fields = Fields {
    leaves: &[],
    nested: &[
        ("configMapKeyRef", One(&KEY_REF)),
        ("fieldRef", One(&FIELD_REF)),
        ("fileKeyRef", One(&Fields { leaves: &["key", "optional", "path", "volumeName"], nested: &[], dropped: &[] })),
        ("resourceFieldRef", One(&RESOURCE_REF)),
        ("secretKeyRef", One(&KEY_REF)),
    ],
    dropped: &[],
};

static KEY_REF: Fields = Fields { leaves: &["key", "name", "optional"], nested: &[], dropped: &[] };
static FIELD_REF: Fields = Fields { leaves: &["apiVersion", "fieldPath"], nested: &[], dropped: &[] };
static RESOURCE_REF: Fields = Fields { leaves: &["containerName", "divisor", "resource"], nested: &[], dropped: &[] };
static OBJECT_REF: Fields = Fields { leaves: &["name", "optional"], nested: &[], dropped: &[] };

static ENV_FROM: Fields = Fields {
    leaves: &["prefix"],
    nested: &[("configMapRef", One(&OBJECT_REF)), ("secretRef", One(&OBJECT_REF))],
    dropped: &[],
};

static PORT: Fields =
    Fields { leaves: &["containerPort", "hostIP", "hostPort", "name", "protocol"], nested: &[], dropped: &[] };

static RESOURCES: Fields =
    Fields { leaves: &[], nested: &[("claims", Whole), ("limits", Named), ("requests", Named)], dropped: &[] };

static RESTART_RULE: Fields = Fields {
    leaves: &["action"],
    nested: &[("exitCodes", One(&Fields { leaves: &["operator"], nested: &[("values", Leaves)], dropped: &[] }))],
    dropped: &[],
};

static MOUNT: Fields = Fields {
    leaves: &["mountPath", "mountPropagation", "name", "readOnly", "recursiveReadOnly", "subPath", "subPathExpr"],
    nested: &[],
    dropped: &[],
};

static EXEC: Fields = Fields { leaves: &[], nested: &[("command", Leaves)], dropped: &[] };
static HTTP_GET: Fields =
    Fields { leaves: &["host", "path", "port", "scheme"], nested: &[("httpHeaders", Each(&NAME_VALUE))], dropped: &[] };
static NAME_VALUE: Fields = Fields { leaves: &["name", "value"], nested: &[], dropped: &[] };
static TCP: Fields = Fields { leaves: &["host", "port"], nested: &[], dropped: &[] };

static PROBE: Fields = Fields {
    leaves: &[
        "failureThreshold",
        "initialDelaySeconds",
        "periodSeconds",
        "successThreshold",
        "terminationGracePeriodSeconds",
        "timeoutSeconds",
    ],
    nested: &[
        ("exec", One(&EXEC)),
        ("grpc", One(&Fields { leaves: &["port", "service"], nested: &[], dropped: &[] })),
        ("httpGet", One(&HTTP_GET)),
        ("tcpSocket", One(&TCP)),
    ],
    dropped: &[],
};

static LIFECYCLE: Fields =
    Fields { leaves: &["stopSignal"], nested: &[("postStart", One(&HOOK)), ("preStop", One(&HOOK))], dropped: &[] };

static HOOK: Fields = Fields {
    leaves: &[],
    nested: &[
        ("exec", One(&EXEC)),
        ("httpGet", One(&HTTP_GET)),
        ("sleep", One(&Fields { leaves: &["seconds"], nested: &[], dropped: &[] })),
        ("tcpSocket", One(&TCP)),
    ],
    dropped: &[],
};

static SECURITY: Fields = Fields {
    leaves: &[
        "allowPrivilegeEscalation",
        "privileged",
        "procMount",
        "readOnlyRootFilesystem",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
    ],
    nested: &[
        ("appArmorProfile", One(&PROFILE)),
        ("capabilities", One(&Fields { leaves: &[], nested: &[("add", Leaves), ("drop", Leaves)], dropped: &[] })),
        ("seLinuxOptions", One(&SELINUX)),
        ("seccompProfile", One(&PROFILE)),
    ],
    dropped: &["windowsOptions"],
};

static POD_SECURITY: Fields = Fields {
    leaves: &[
        "fsGroup",
        "fsGroupChangePolicy",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "seLinuxChangePolicy",
        "supplementalGroupsPolicy",
    ],
    nested: &[
        ("appArmorProfile", One(&PROFILE)),
        ("seLinuxOptions", One(&SELINUX)),
        ("seccompProfile", One(&PROFILE)),
        ("supplementalGroups", Leaves),
        ("sysctls", Each(&NAME_VALUE)),
    ],
    dropped: &["windowsOptions"],
};

static PROFILE: Fields = Fields { leaves: &["localhostProfile", "type"], nested: &[], dropped: &[] };
static SELINUX: Fields = Fields { leaves: &["level", "role", "type", "user"], nested: &[], dropped: &[] };
static OS: Fields = Fields { leaves: &["name"], nested: &[], dropped: &[] };
static HOST_ALIAS: Fields = Fields { leaves: &["ip"], nested: &[("hostnames", Leaves)], dropped: &[] };
static DNS_CONFIG: Fields = Fields {
    leaves: &[],
    nested: &[("nameservers", Leaves), ("options", Each(&NAME_VALUE)), ("searches", Leaves)],
    dropped: &[],
};

static VOLUME: Fields = Fields {
    leaves: &["name"],
    nested: &[
        ("configMap", One(&CONFIG_MAP_VOLUME)),
        ("downwardAPI", One(&DOWNWARD_VOLUME)),
        ("emptyDir", One(&Fields { leaves: &["medium", "sizeLimit"], nested: &[], dropped: &[] })),
        ("hostPath", One(&Fields { leaves: &["path", "type"], nested: &[], dropped: &[] })),
        ("image", One(&Fields { leaves: &["pullPolicy", "reference"], nested: &[], dropped: &[] })),
        ("nfs", One(&Fields { leaves: &["path", "readOnly", "server"], nested: &[], dropped: &[] })),
        ("projected", One(&PROJECTED_VOLUME)),
        ("secret", One(&SECRET_VOLUME)),
        // Known, and refused with a reason of its own by `volume::kinds`.
        ("awsElasticBlockStore", Whole),
        ("azureDisk", Whole),
        ("azureFile", Whole),
        ("cephfs", Whole),
        ("cinder", Whole),
        ("csi", Whole),
        ("ephemeral", Whole),
        ("fc", Whole),
        ("flexVolume", Whole),
        ("flocker", Whole),
        ("gcePersistentDisk", Whole),
        ("gitRepo", Whole),
        ("glusterfs", Whole),
        ("iscsi", Whole),
        ("persistentVolumeClaim", Whole),
        ("photonPersistentDisk", Whole),
        ("portworxVolume", Whole),
        ("quobyte", Whole),
        ("rbd", Whole),
        ("scaleIO", Whole),
        ("storageos", Whole),
        ("vsphereVolume", Whole),
    ],
    dropped: &[],
};

static ITEM: Fields = Fields { leaves: &["key", "mode", "path"], nested: &[], dropped: &[] };
static SECRET_VOLUME: Fields =
    Fields { leaves: &["defaultMode", "optional", "secretName"], nested: &[("items", Each(&ITEM))], dropped: &[] };
static CONFIG_MAP_VOLUME: Fields =
    Fields { leaves: &["defaultMode", "name", "optional"], nested: &[("items", Each(&ITEM))], dropped: &[] };
static OBJECT_PROJECTION: Fields =
    Fields { leaves: &["name", "optional"], nested: &[("items", Each(&ITEM))], dropped: &[] };
static DOWNWARD_VOLUME: Fields =
    Fields { leaves: &["defaultMode"], nested: &[("items", Each(&DOWNWARD_ITEM))], dropped: &[] };
static DOWNWARD_PROJECTION: Fields = Fields { leaves: &[], nested: &[("items", Each(&DOWNWARD_ITEM))], dropped: &[] };
static DOWNWARD_ITEM: Fields = Fields {
    leaves: &["mode", "path"],
    nested: &[("fieldRef", One(&FIELD_REF)), ("resourceFieldRef", One(&RESOURCE_REF))],
    dropped: &[],
};
static PROJECTED_VOLUME: Fields =
    Fields { leaves: &["defaultMode"], nested: &[("sources", Each(&PROJECTION))], dropped: &[] };
static PROJECTION: Fields = Fields {
    leaves: &[],
    nested: &[
        ("clusterTrustBundle", Whole),
        ("configMap", One(&OBJECT_PROJECTION)),
        ("downwardAPI", One(&DOWNWARD_PROJECTION)),
        ("podCertificate", Whole),
        ("secret", One(&OBJECT_PROJECTION)),
        (
            "serviceAccountToken",
            One(&Fields { leaves: &["audience", "expirationSeconds", "path"], nested: &[], dropped: &[] }),
        ),
    ],
    dropped: &[],
};
