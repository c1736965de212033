//! What `-f` names: files, directories and standard input become texts, texts become objects. Everything that goes
//! wrong on the way is a finding, so that one bad file does not hide the others.

mod content;
mod documents;
mod metadata;
mod near;
mod objects;
mod words;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

pub(crate) use content::Sources;
pub(crate) use objects::{Input, Object};

use serde_json::Value;

use crate::{
    arguments,
    exit::Error,
    findings::{Finding, Origin},
};

/// The largest file that is read, in bytes: room for some ten thousand objects.
const LARGEST: u64 = 32 << 20;
/// How deep directories are followed.
const DEEPEST: usize = 32;
/// How standard input is called in messages.
const STANDARD_INPUT: &str = "<stdin>";

/// Reads all that `files` name. Objects without a namespace get `namespace`.
pub(crate) fn read(files: &arguments::Files, namespace: &str) -> Result<Input, Error> {
    let is_input = |path: &&PathBuf| path.as_os_str() == "-";
    if files.files.iter().filter(is_input).count() > 1 {
        return Err(Error::Usage(
            "-f - can be given once: standard input has one end".to_owned(),
        ));
    }
    let mut input = Input::new(namespace);
    for path in &files.files {
        if is_input(&path) {
            take(&mut input, STANDARD_INPUT, io::stdin().lock());
            continue;
        }
        let mut found = Vec::new();
        if let Err(finding) = expand(path, files.recursive, 0, &mut found) {
            input.findings.push(finding);
        }
        for path in found {
            let name = path.display().to_string();
            match File::open(&path) {
                Ok(file) => take(&mut input, &name, file),
                Err(error) => input
                    .findings
                    .push(Finding::of_file(&name, format!("cannot be opened: {error}"))),
            }
        }
    }
    Ok(input)
}

/// The objects of documents that we made.
pub(crate) fn made(documents: &[Value], namespace: &str) -> Input {
    let mut input = Input::new(namespace);
    for document in documents {
        input.add_value(&Origin::of_file("(made)"), document.clone());
    }
    input
}

/// What a file is called in messages, and its text; `-` is standard input.
pub(crate) fn read_text(path: &Path) -> Result<(String, String), Finding> {
    let (name, text) = if path.as_os_str() == "-" {
        (STANDARD_INPUT.to_owned(), text(io::stdin().lock()))
    } else {
        let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"));
        (path.display().to_string(), file.and_then(text))
    };
    text.map_err(|message| Finding::of_file(&name, message))
        .map(|text| (name, text))
}

/// Units and drop-ins with their names: a file, or the drop-ins in a folder.
pub(crate) fn read_units(path: &Path) -> Result<Vec<(String, String)>, Finding> {
    if !path.is_dir() {
        return Ok(vec![read_text(path)?]);
    }
    let refuse = |message: String| Finding::of_file(&path.display().to_string(), message);
    let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| refuse(format!("cannot be listed: {error}")))?;
    let mut paths: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    paths.sort();
    if paths.is_empty() {
        return Err(refuse(
            "the folder has no drop-in, that is no .conf file".to_owned(),
        ));
    }
    paths.iter().map(|path| read_text(path)).collect()
}

/// The files that `path` stands for, in the order of their names. In a directory those with an extension that
/// kubectl takes too.
fn expand(path: &Path, recursive: bool, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Finding> {
    let refuse = |message: String| Finding::of_file(&path.display().to_string(), message);
    let metadata = fs::metadata(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if !metadata.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(refuse(format!("directories are followed {DEEPEST} deep only")));
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.map_err(|error| refuse(format!("cannot be listed: {error}")))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let before = found.len();
    for entry in entries {
        let path = entry.path();
        // Links to files are followed, as in a mounted ConfigMap; links to directories could go in circles.
        let below = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if below && recursive {
            expand(&path, recursive, depth + 1, found)?;
        } else if is_manifest(&path) && path.metadata().map_or(true, |metadata| metadata.is_file()) {
            found.push(path);
        }
    }
    if depth == 0 && found.len() == before {
        return Err(refuse(
            "the directory has no .yaml, .yml or .json file".to_owned(),
        ));
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["yaml", "yml", "json"].contains(&extension))
}

fn take(input: &mut Input, name: &str, reader: impl Read) {
    match text(reader) {
        Ok(text) => input.add(name, &text),
        Err(message) => input.findings.push(Finding::of_file(name, message)),
    }
}

fn text(reader: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    // One byte more than allowed, to tell a file that is too large from one that just fits.
    let read = reader.take(LARGEST + 1).read_to_end(&mut bytes);
    let length = read.map_err(|error| format!("cannot be read: {error}"))?;
    if length as u64 > LARGEST {
        return Err(format!("larger than {} MiB; split it", LARGEST >> 20));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("not a text in UTF-8 (byte {at}); is it a manifest?")
    })?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(ToOwned::to_owned)
        .unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_input_is_refused_and_not_read_to_the_end() {
        let message = text(io::repeat(b'a')).expect_err("too large");
        assert!(message.contains("32 MiB"), "{message}");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        assert_eq!(text("\u{feff}a: 1".as_bytes()).expect("text"), "a: 1");
    }
}
