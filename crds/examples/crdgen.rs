//! Writes what is generated from the types: the CRDs under `crds/yaml` and the reference pages under
//! `docs/reference`. Run from the root of the repository: `cargo run -p reeve-crds --example crdgen`.
//! (An example, because only binaries with a pinned Kubernetes version could be built otherwise.)

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in reeve_crds::generated() {
        let path = root.join(&file.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, file.text)?;
        println!("{}", file.path);
    }
    Ok(())
}
