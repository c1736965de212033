//! Files that others have written, read up to a limit: one without end must not take all memory, and a pipe or a device
//! must not keep whoever opens it.

use std::{
    fs::{self, File},
    io::{self, Read},
};

/// Why a file is not read. Its path goes in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// A folder, a device or a pipe.
    #[error("is no regular file, and nothing else is read: name the file itself")]
    NotRegular,
    /// More bytes than this.
    #[error("has more than {} MiB, and no more are read: make it smaller, or name another file", .0 >> 20)]
    TooLarge(u64),
}

impl Refused {
    /// `content`, of which one byte more than `largest` was asked for.
    pub(crate) fn beyond(content: Vec<u8>, largest: u64) -> Result<Vec<u8>, Self> {
        if u64::try_from(content.len()).is_ok_and(|length| length <= largest) {
            Ok(content)
        } else {
            Err(Self::TooLarge(largest))
        }
    }
}

/// The content of a regular file of at most `largest` bytes.
pub(crate) fn read(path: &str, largest: u64) -> io::Result<Result<Vec<u8>, Refused>> {
    if !fs::metadata(path)?.is_file() {
        return Ok(Err(Refused::NotRegular));
    }
    let mut content = Vec::new();
    File::open(path)?
        .take(largest.saturating_add(1))
        .read_to_end(&mut content)?;
    Ok(Refused::beyond(content, largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_up_to_the_limit_are_read() {
        let path = std::env::temp_dir().join(format!("reeve-bounded-{}", std::process::id()));
        let text = path.display().to_string();
        fs::write(&path, [7; 3]).expect("written");
        let found = [3, 2].map(|largest| read(&text, largest).expect("there"));
        fs::remove_file(&path).expect("removed");
        assert_eq!(found, [Ok(vec![7; 3]), Err(Refused::TooLarge(2))]);
        for path in ["/dev/zero", "/"] {
            assert_eq!(read(path, 3).expect("there"), Err(Refused::NotRegular), "{path}");
        }
        assert!(read(&text, 3).is_err(), "it is gone");
    }

    #[test]
    fn the_limit_is_told() {
        assert!(Refused::TooLarge(4 << 20).to_string().contains("4 MiB"));
    }
}
