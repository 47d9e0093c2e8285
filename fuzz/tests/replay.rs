//! Replays every seed and every finding of the fuzzers, without a fuzzer.

use std::{fs, path::Path, time::Instant};

use hikyaku_fuzz::TARGETS;

#[test]
fn every_target_passes_its_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (target, run) in TARGETS {
        let folder =
            fs::read_dir(root.join("corpus").join(target)).expect("the target has a corpus");
        let mut paths: Vec<_> =
            folder.map(|file| file.expect("the folder can be listed").path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{target} has no corpus");
        let start = Instant::now();
        run(&[]);
        for path in &paths {
            println!("{}", path.display()); // printed last if it fails
            run(&fs::read(path).expect("the input can be read"));
        }
        println!("{target}: {} inputs in {:?}", paths.len(), start.elapsed());
    }
}

#[test]
fn every_target_has_a_fuzzer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut fuzzers: Vec<String> = fs::read_dir(root.join("fuzz_targets"))
        .expect("the folder exists")
        .map(|file| file.expect("the folder can be listed").path())
        .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
        .collect();
    let mut doors: Vec<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    fuzzers.sort();
    doors.sort();
    assert_eq!(fuzzers, doors);
}
