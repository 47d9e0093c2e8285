//! Updates `corpus/TARGET/seed-NN`: `cargo run --no-default-features --example seeds`.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    for (target, seeds) in hikyaku_fuzz::seeds::all() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (index, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{index:02}")), seed)?;
        }
    }
    Ok(())
}
