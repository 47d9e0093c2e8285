//! The golden table is what it was.

use std::path::Path;

/// Written anew by `cargo xtask sim --golden`: a change is read, then kept.
#[test]
fn the_golden_table_is_what_it_was() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden.txt");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let now = hikyaku_sim::golden::table().unwrap();
    assert!(kept == now, "golden.txt says\n{kept}\nbut it is\n{now}");
}
