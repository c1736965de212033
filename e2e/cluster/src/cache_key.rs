//! The key under which something slow to build is cached: a hash of all that goes into it.
//! Names and lengths are hashed with the contents, so no two sets of files share a key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Context, Result};

/// A hash of named pieces, in the order they are added.
#[derive(Default)]
pub(crate) struct CacheKey(Sha256);

impl CacheKey {
    pub(crate) fn add(&mut self, name: &str, content: impl AsRef<[u8]>) {
        self.0.update(format!("{name}\0{}\0", content.as_ref().len()));
        self.0.update(content);
    }

    /// Adds a file: its name, its content, and whether it can be executed.
    pub(crate) fn add_file(&mut self, name: &str, path: &Path) -> Result<()> {
        let mode = fs::metadata(path).context("look at", path)?.permissions().mode();
        self.add(
            &format!("{name} {}", mode & 0o111 != 0),
            fs::read(path).context("read", path)?,
        );
        Ok(())
    }

    /// Adds all files below a directory by their paths from there.
    pub(crate) fn add_directory(&mut self, directory: &Path) -> Result<()> {
        self.add_below(directory, directory)
    }

    fn add_below(&mut self, directory: &Path, root: &Path) -> Result<()> {
        for path in sorted(directory)? {
            if path.is_dir() {
                self.add_below(&path, root)?;
            } else {
                self.add_file(&path.strip_prefix(root).unwrap_or(&path).to_string_lossy(), &path)?;
            }
        }
        Ok(())
    }

    /// The key as 16 hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        let hash = self.0.finalize();
        let start = hash
            .iter()
            .take(8)
            .fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
        format!("{start:016x}")
    }
}

/// The entries of a directory in the order of their names.
pub(crate) fn sorted(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).context("read", directory)?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(directory: &Path) -> String {
        let mut key = CacheKey::default();
        key.add_directory(directory).unwrap();
        key.finish()
    }

    #[test]
    fn a_key_follows_names_contents_and_the_executable_bit_but_not_the_place() {
        let base = std::env::temp_dir().join(format!("reeve-cache-key-{}", std::process::id()));
        let (one, two) = (base.join("one"), base.join("two"));
        for directory in [&one, &two] {
            fs::create_dir_all(directory.join("bin")).unwrap();
            fs::write(directory.join("bin/tool"), "same").unwrap();
        }
        assert_eq!(key_of(&one), key_of(&two));
        assert_eq!(key_of(&one).len(), 16);

        fs::set_permissions(two.join("bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        let executable = key_of(&two);
        assert_ne!(key_of(&one), executable);
        fs::write(two.join("bin/tool"), "other").unwrap();
        assert_ne!(key_of(&two), executable);
        fs::rename(one.join("bin/tool"), one.join("bin/tools")).unwrap();
        assert_ne!(key_of(&one), key_of(&two));
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn pieces_cannot_be_moved_across_their_borders() {
        let key = |pieces: &[(&str, &str)]| {
            let mut key = CacheKey::default();
            for (name, content) in pieces {
                key.add(name, content);
            }
            key.finish()
        };
        assert_ne!(key(&[("a", "xy"), ("b", "")]), key(&[("a", "x"), ("b", "y")]));
    }
}
