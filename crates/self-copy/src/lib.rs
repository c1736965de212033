//! Copies this program into a directory: images built from scratch have no `cp`.
//! The copy appears under its name complete or not at all, also when a copy is there and in use.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Copies this program to `directory/name`, readable and executable by everyone. Returns the path.
///
/// # Errors
/// The directory cannot be written to, or has no room.
pub fn install(directory: &Path, name: &str) -> io::Result<PathBuf> {
    let target = directory.join(name);
    let partial = directory.join(format!(".{name}.{}", std::process::id()));
    let copied = copy(Path::new("/proc/self/exe"), &partial).and_then(|()| fs::rename(&partial, &target));
    if copied.is_err() {
        // The first error counts; what is left of the copy is only untidy.
        let _ = fs::remove_file(&partial);
    }
    copied.map(|()| target)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut copy = File::create(to)?;
    io::copy(&mut File::open(from)?, &mut copy)?;
    copy.set_permissions(Permissions::from_mode(0o555))?;
    copy.sync_all()
}
