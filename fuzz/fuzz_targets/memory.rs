//! `memory.json`: whatever it says, deciding goes on from there and what it remembers then can be remembered.
#![no_main]

#[path = "../../tests/support/world.rs"]
#[allow(dead_code, reason = "the suites use more of it")]
mod world;

use libfuzzer_sys::fuzz_target;
use pod_checkpointer::moment::BootInstant;
use pod_checkpointer::pod::memory::Memory;
use pod_checkpointer::pod::parent::Standing;
use pod_checkpointer::pod::runtime::ContainerState::Running;
use pod_checkpointer::pod::status::StatusDoc;
use world::World;

fuzz_target!(|bytes: &[u8]| {
    drop(serde_json::from_slice::<StatusDoc>(bytes));
    let Ok(memory) = serde_json::from_slice::<Memory>(bytes) else { return };
    for now in [0, 1_000_000, u64::MAX] {
        let mut world = World::new();
        world.memory = memory.clone();
        world.now = BootInstant(now);
        world.in_api("web-1", "web", Standing::Here { ready: true });
        world.parent_starts("web-1", Some(Running));
        world.saved("web-1", "web");
        world.saved("old-1", "web");
        for _ in 0..2 {
            let decision = world.pass();
            let text = serde_json::to_vec(&decision.memory).expect("a memory can be written");
            assert_eq!(serde_json::from_slice::<Memory>(&text).expect("and read"), decision.memory);
        }
        world.power_cut_offline();
        world.memory = memory.clone();
        world.pass();
        world.twin_runs("web-1");
        world.pass();
        world.api_refuses();
        world.pass();
    }
});
