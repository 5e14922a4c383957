//! Which copy is the newer one, whatever the clock says.

use super::*;

#[test]
fn copies_are_ordered_by_a_number_that_only_grows() {
    let node = node();
    let place = |store: &Store, name: &str| {
        let copy = store.load().expect("a sound disk").checkpoints[&key(name)].clone();
        (copy.generation, copy.captured_at)
    };
    node.save("uid-1", 1_000);
    // The clock is set back, and another process goes on.
    let again = Store::open(&node.layout).expect("a sound disk");
    again.save(&key("shop/web-2"), &checkpoint(&key("shop/web-2"), "uid-2"), 10).expect("a sound disk");
    let (older, newer) = (place(&again, "shop/web"), place(&again, "shop/web-2"));
    assert!(newer.0 > older.0 && newer.1 < older.1, "{older:?} {newer:?}");
    again.save(&key("shop/web-2"), &checkpoint(&key("shop/web-2"), "uid-2"), 20).expect("a sound disk");
    assert_eq!(place(&again, "shop/web-2"), newer, "what is there already is not written");
}
