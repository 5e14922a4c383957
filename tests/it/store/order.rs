//! Which copy counts: the newest that can start, whatever the clock says.

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

#[test]
fn the_previous_copy_stands_in_for_a_damaged_or_incomplete_one() {
    let node = node();
    node.save("uid-1", 1);
    let web = key("shop/web");
    let newer = with(checkpoint(&web, "uid-2"), Tree::Volumes, "token", &[("token", "t")]);
    node.store.save(&web, &newer, 2).expect("a sound disk");
    let uid = || node.store.load().expect("a sound disk").checkpoints[&web].uid.clone();
    assert_eq!(uid(), Uid::from("uid-2"));

    fs::remove_file(node.etc("checkpoint-volumes/shop/web/token/..data")).expect("it is there");
    assert_eq!(uid(), Uid::from("uid-1"));
    let file = node.etc("inactive-manifests/shop_web.yaml");
    let noted = node.store.load().expect("a sound disk").unreadable;
    assert!(noted[&file.display().to_string()].contains("checkpoint-volumes/shop/web/token"), "{noted:?}");

    let whole = text(&file);
    for cut in 0..whole.trim_end().len() {
        fs::write(&file, &whole[..cut]).expect("a sound disk");
        let inventory = node.store.load().expect("a sound disk");
        assert_eq!(inventory.checkpoints[&web].uid, Uid::from("uid-1"), "cut at {cut}");
    }
    node.activate(&web).expect("the previous copy is complete");
    assert!(text(&node.manifest("shop_web.yaml")).contains("uid-1"));
    node.save("uid-3", 3);
    assert_eq!(uid(), Uid::from("uid-3"));
    assert!(node.etc("inactive-manifests/shop_web.yaml.kept").exists(), "what was damaged is kept");
    assert!(text(&node.etc("inactive-manifests/shop_web.yaml.prev")).contains("uid-1"));
}
