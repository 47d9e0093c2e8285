//! Everything that a fuzzer began with or found, tried again without one.

use std::{fs, path::Path, time::Instant};

use hikyaku_fuzz::TARGETS;

#[test]
fn every_door_holds_against_its_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (target, door) in TARGETS {
        let folder = fs::read_dir(root.join("corpus").join(target)).expect("it has a corpus");
        let mut paths: Vec<_> = folder.map(|file| file.expect("it can be listed").path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{target} begins with nothing");
        let start = Instant::now();
        door(&[]);
        for path in &paths {
            println!("{}", path.display()); // the last one, where it fails
            door(&fs::read(path).expect("it can be read"));
        }
        println!("{target}: {} inputs in {:?}", paths.len(), start.elapsed());
    }
}

#[test]
fn every_door_has_a_fuzzer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut fuzzers: Vec<String> = fs::read_dir(root.join("fuzz_targets"))
        .expect("it is there")
        .map(|file| file.expect("it can be listed").path())
        .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
        .collect();
    let mut doors: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    fuzzers.sort();
    doors.sort();
    assert_eq!(fuzzers, doors);
}
