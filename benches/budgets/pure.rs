//! What is only computed: deciding, sanitising.

use std::time::Duration;

use pod_checkpointer::pod::lifecycle::decide;
use pod_checkpointer::pod::parent::{Parent, Standing};
use pod_checkpointer::pod::runtime::ContainerState::Running;
use pod_checkpointer::pod::sanitize::sanitize;
use serde_json::Value;

use crate::pods;
use crate::support::world::World;
use crate::table::{Table, typical};

const WITHIN: Duration = Duration::from_secs(1);

pub fn measure(table: &mut Table) -> Result<(), String> {
    for number in [20, 200] {
        let world = node_of(number);
        let decided = typical(WITHIN, || decide(&world.snapshot, &world.memory, &world.timings, world.now));
        let cloned = typical(WITHIN, || world.snapshot.clone());
        table.beside(
            &format!("decide, {number} pods after a power cut, API away"),
            decided,
            "one copy of the same snapshot",
            cloned,
            "",
        );
    }
    let object = pods::pod(pods::WEB);
    let text = object.to_string();
    let (facts, assets) = (pods::facts(), pods::all_assets());
    let parent = pods::parent(&object);
    sanitize(&parent, &facts, &assets).map_err(|why| why.to_string())?;
    let node = object["spec"]["nodeName"].as_str().unwrap_or_default().to_owned();
    let parsed = typical(WITHIN, || serde_json::from_str::<Value>(&text));
    let read = typical(WITHIN, || Parent::from_api(&object, &node));
    let sanitized = typical(WITHIN, || sanitize(&parent, &facts, &assets));
    table.beside("read a pod with every kind of reference", read, "parsing its JSON", parsed, "");
    table.beside("sanitise it", sanitized, "parsing its JSON", parsed, "");
    Ok(())
}

fn node_of(pods: usize) -> World {
    let mut world = World::new();
    for number in 0..pods {
        let name = format!("web-{number}");
        world.in_api(&name, &format!("web-{number}"), Standing::Here { ready: true });
        world.parent_starts(&name, Some(Running));
        world.saved(&name, &format!("web-{number}"));
    }
    world.pass();
    world.later(20);
    world.api_confirms();
    world.pass();
    world.power_cut_offline();
    world
}
