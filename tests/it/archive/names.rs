//! File names: read where they can be, never guessed.

use pod_checkpointer::archive::name::ArchiveName;
use proptest::prelude::*;

fn of(name: &str) -> ArchiveName {
    ArchiveName::parse(name).unwrap_or_else(|| panic!("{name} is a name"))
}

#[test]
fn a_name_says_pod_and_time_whatever_the_nodes_zone() {
    for (time, utc) in [
        ("2026-11-21T07:12:53Z", "2026-11-21T07:12:53Z"),
        ("2026-11-21T08:12:53+01:00", "2026-11-21T07:12:53Z"),
        ("2026-11-20T21:42:53-09:30", "2026-11-21T07:12:53Z"),
    ] {
        let name = of(&format!("checkpoint-web-0.a_shop-web-{time}.tar"));
        assert_eq!((name.pod.as_str(), name.at, name.sealed), ("web-0.a", utc.parse().unwrap(), false));
        assert_eq!(name.namespace_and_container(), Some(("shop", "web")));
        assert!(of(&format!("checkpoint-web-0.a_shop-web-{time}.tar.age")).sealed);
    }
}

#[test]
fn hyphens_leave_open_whose_it_is() {
    let name = of("checkpoint-etcd_kube-system-etcd-2026-11-21T07:12:53Z.tar");
    assert_eq!(name.namespace_and_container(), None);
    assert!(name.may_be_of("kube-system", "etcd", "etcd") && name.may_be_of("kube", "etcd", "system-etcd"));
    for other in [("kube-system", "etcd", "etc"), ("kube-system-etcd", "etcd", ""), ("kube-system", "etcd-0", "etcd")] {
        assert!(!name.may_be_of(other.0, other.1, other.2), "{other:?}");
    }
}

#[test]
fn what_the_kubelet_would_not_write_is_no_name() {
    let long = format!("checkpoint-p_{}-c-2026-11-21T07:12:53Z.tar", "n".repeat(64));
    for name in [
        "",
        "checkpoint-.tar",
        "checkpoint-p_n-c-2026-11-21T07:12:53Z.tar.keep",
        "checkpoint-p_n-c-2026-11-21T07:12:53Z.tar.age.json",
        "checkpoint-p_n-c-2026-11-21T07:12:53Z.age",
        "checkpoint-p_n-c-2026-11-21T07:12:53Z",
        "checkpoint-p_n-c-2026-11-21 07:12:53Z.tar",
        "checkpoint-p_n-c-2026-11-21T07:12:53.5Z.tar",
        "checkpoint-p_n-c-2026-11-21t07:12:53Z.tar",
        "checkpoint-p_n-c-2026-13-21T07:12:53Z.tar",
        "checkpoint-p_n-c2026-11-21T07:12:53Z.tar",
        "checkpoint-p_nc-2026-11-21T07:12:53Z.tar",
        // Neither can end or begin with a hyphen.
        "checkpoint-p_a--b-2026-11-21T07:12:53Z.tar",
        "checkpoint-p-n-c-2026-11-21T07:12:53Z.tar",
        "checkpoint-P_n-c-2026-11-21T07:12:53Z.tar",
        "checkpoint-.._n-c-2026-11-21T07:12:53Z.tar",
        "checkpoint-p_n/../x-c-2026-11-21T07:12:53Z.tar",
        "x-checkpoint-p_n-c-2026-11-21T07:12:53Z.tar",
        "checkpoint-p_é-c-2026-11-21T07:12:53é.tar",
        &long,
    ] {
        assert_eq!(ArchiveName::parse(name), None, "{name}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_fail(name in "\\PC*") {
        let _ = ArchiveName::parse(&name);
    }

    #[test]
    fn whoever_it_is_of_it_may_be_of(
        namespace in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?",
        pod in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,5})?",
        container in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?",
        second in 0_i64..4_000_000_000,
        hours in -12_i32..=14,
    ) {
        let at = jiff::Timestamp::from_second(second).unwrap();
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(i8::try_from(hours).unwrap()));
        let shown = at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z");
        let name = of(&format!("checkpoint-{pod}_{namespace}-{container}-{shown}.tar"));
        prop_assert_eq!(name.at, at);
        prop_assert!(name.may_be_of(&namespace, &pod, &container));
        if let Some(only) = name.namespace_and_container() {
            prop_assert_eq!(only, (namespace.as_str(), container.as_str()));
        }
    }
}
