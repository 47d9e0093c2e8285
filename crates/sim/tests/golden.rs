//! Compares the golden table with the stored one.

use std::path::Path;

/// Update it with `cargo xtask sim --golden`, after reviewing the change.
#[test]
fn the_golden_table_is_unchanged() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden.txt");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let now = hikyaku_sim::golden::table().unwrap();
    assert!(kept == now, "golden.txt says\n{kept}\nbut it is\n{now}");
}

/// Update it with `cargo xtask sim --grid`, after reviewing the change. All of it takes minutes.
#[test]
fn the_slow_paths_of_the_grid_are_unchanged() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("grid.txt");
    let kept = std::fs::read_to_string(path).unwrap();
    let now = hikyaku_sim::bottleneck::grid::table(true).unwrap();
    for line in now.lines() {
        assert!(kept.lines().any(|other| other == line), "grid.txt lacks\n{line}\nin\n{kept}");
    }
}
