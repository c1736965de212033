//! The container images of the tests and the demo, built without a registry and cached as archives by their inputs.
//! The Dockerfiles of the product's own images are those that users build from, with binaries made on this machine.

mod context;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::command;
use crate::error::{Context as _, Error, Result};
use crate::layout::{cache, checkout};

/// An image that can be built here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// What the command line calls it.
    pub name: &'static str,
    /// What pods call it.
    pub reference: &'static str,
    /// Its Dockerfile, from the checkout's root.
    dockerfile: &'static str,
    /// What its build context holds.
    content: Content,
    /// Bytes that its archive may have.
    limit: Option<u64>,
}

/// What goes into a build context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// A program of one file, which stands beside the Dockerfile and has the image's name.
    OneFile,
    /// A root file system with static binaries and CA certificates; stage `prebuilt`, if any.
    Binaries {
        packages: &'static [&'static str],
        stage: Option<&'static str>,
    },
    /// A Debian system and the fakes of Slurm's commands.
    SiteAgent,
}

const MEGABYTE: u64 = 1_000_000;

/// The pause container of every pod; `up` builds it by itself.
const PAUSE: Image = Image {
    name: "pause",
    reference: "reeve.local/pause:1",
    dockerfile: "e2e/images/pause/Dockerfile",
    content: Content::OneFile,
    limit: Some(5 * MEGABYTE),
};

/// All images, the product's own first.
pub const IMAGES: [Image; 6] = [
    Image {
        name: "operator",
        reference: "docker.io/reeve/operator:0.1.0",
        dockerfile: "operator/Dockerfile",
        content: Content::Binaries {
            packages: &["reeve-operator"],
            stage: Some("prebuilt"),
        },
        limit: Some(30 * MEGABYTE),
    },
    Image {
        name: "agents",
        reference: "docker.io/reeve/agents:0.1.0",
        dockerfile: "agents/Dockerfile",
        content: Content::Binaries {
            packages: &["reeve-supervise", "reeve-rollout-runner"],
            stage: Some("prebuilt"),
        },
        limit: Some(30 * MEGABYTE),
    },
    Image {
        name: "fake-waldur",
        reference: "reeve.local/fake-waldur:dev",
        dockerfile: "e2e/images/fake-waldur/Dockerfile",
        content: Content::Binaries {
            packages: &["fake-waldur"],
            stage: None,
        },
        limit: None,
    },
    Image {
        name: "site-agent",
        reference: "docker.io/opennode/waldur-site-agent:1.0.7",
        dockerfile: "e2e/images/site-agent/Dockerfile",
        content: Content::SiteAgent,
        limit: None,
    },
    Image {
        name: "probe",
        reference: "reeve.local/probe:1",
        dockerfile: "e2e/images/probe/Dockerfile",
        content: Content::OneFile,
        limit: Some(5 * MEGABYTE),
    },
    PAUSE,
];

impl Image {
    /// The image of that name or reference.
    pub fn named(name: &str) -> Option<Self> {
        let same =
            |image: &Self| image.name == name || image.reference.trim_start_matches("docker.io/") == name;
        IMAGES
            .into_iter()
            .find(|image| same(image) || image.reference == name)
    }

    /// Where its latest archive is found.
    fn latest(&self) -> PathBuf {
        directory().join(format!("{}.tar", self.name))
    }
}

/// The directory of archives in the cache.
fn directory() -> PathBuf {
    cache().join("images")
}

/// The archive of the pause container, built now if need be.
pub(crate) fn pause() -> Result<PathBuf> {
    build(PAUSE)
}

/// The archive that a word on the command line means: a file, or an image built here.
pub fn find(word: &str) -> Result<PathBuf> {
    if Path::new(word).is_file() {
        return Ok(PathBuf::from(word));
    }
    let Some(image) = Image::named(word) else {
        let known = IMAGES.map(|image| image.name).join(", ");
        return Err(Error::UnknownImage {
            name: word.to_owned(),
            known,
        });
    };
    let archive = image.latest();
    if archive.exists() {
        Ok(archive)
    } else {
        Err(Error::ImageNotBuilt(image.name))
    }
}

/// Builds what is not there yet of these images, says what each has become, and returns the archives.
pub fn build_all(images: &[Image]) -> Result<Vec<PathBuf>> {
    context::compile_binaries(images)?;
    images.iter().map(|image| build_and_tell(*image)).collect()
}

fn build_and_tell(image: Image) -> Result<PathBuf> {
    let start = Instant::now();
    let archive = build(image)?;
    let bytes = fs::metadata(&archive).context("look at", &archive)?.len();
    let (seconds, name, reference) = (start.elapsed().as_secs_f32(), image.name, image.reference);
    eprintln!(
        "  {seconds:>5.1} s  {name:<12} {:>5} kB  {reference}",
        bytes / 1000
    );
    Ok(archive)
}

/// Builds one image unless its archive is there, and checks its size.
fn build(image: Image) -> Result<PathBuf> {
    let directory = directory();
    fs::create_dir_all(&directory).context("create", &directory)?;
    let lock = directory.join(format!("{}.lock", image.name));
    let file = File::create(&lock).context("create", &lock)?;
    file.lock().context("lock", &lock)?;

    let archive = directory.join(format!("{}-{}.tar", image.name, context::key(image)?));
    if !archive.exists() {
        let context = directory.join(format!("{}.context", image.name));
        context::stage(image, &context)?;
        buildah(image, &context, &archive)?;
        remove(&context)?;
    }
    let bytes = fs::metadata(&archive).context("look at", &archive)?.len();
    if let Some(limit) = image.limit.filter(|limit| bytes > *limit) {
        return Err(Error::ImageTooLarge {
            name: image.name,
            bytes,
            limit,
        });
    }
    keep_only(image, &archive)?;
    Ok(archive)
}

/// Runs the Dockerfile and writes the archive; buildah's own storage is thrown away each time.
fn buildah(image: Image, context: &Path, archive: &Path) -> Result<()> {
    let storage = archive.with_extension("storage");
    let unfinished = archive.with_extension("unfinished");
    remove(&unfinished)?;
    let run = |arguments: &mut dyn FnMut(&mut Command)| {
        let mut buildah = Command::new("buildah");
        buildah
            .arg("--root")
            .arg(storage.join("root"))
            .arg("--runroot")
            .arg(storage.join("run"));
        buildah.args(["--storage-driver", "vfs"]);
        arguments(&mut buildah);
        command::output(&mut buildah).map(drop)
    };
    remove(&storage)?;
    run(&mut |buildah| {
        buildah.args(["bud", "--isolation", "chroot", "--tag", image.reference]);
        buildah.args(["--build-arg", &format!("REVISION={}", context::revision())]);
        if let Content::Binaries {
            stage: Some(stage), ..
        } = image.content
        {
            // The list of ignored files beside the Dockerfile is about the checkout as context.
            buildah.args(["--target", stage, "--ignorefile", "/dev/null"]);
        }
        // Behind an inspecting proxy, pip in the build trusts what this machine trusts.
        let authorities = context::AUTHORITIES;
        if Path::new(authorities).exists() && image.content == Content::SiteAgent {
            buildah.args(["--volume", &format!("{authorities}:{authorities}:ro")]);
        }
        buildah
            .arg("--file")
            .arg(checkout().join(image.dockerfile))
            .arg(context);
    })?;
    run(&mut |buildah| {
        let destination = format!("docker-archive:{}:{}", unfinished.display(), image.reference);
        buildah.args(["push", image.reference, &destination]);
    })?;
    remove(&storage)?;
    fs::rename(&unfinished, archive).context("rename", &unfinished)
}

/// Points the image's name to this archive and removes older ones.
fn keep_only(image: Image, archive: &Path) -> Result<()> {
    let latest = image.latest();
    if fs::canonicalize(&latest).ok() == fs::canonicalize(archive).ok() {
        return Ok(());
    }
    let older = fs::canonicalize(&latest).ok();
    remove(&latest)?;
    std::os::unix::fs::symlink(archive, &latest).context("link", &latest)?;
    older.map_or(Ok(()), |path| remove(&path))
}

/// Removes a file or a directory with all in it; one that is not there is no error.
fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.context("remove", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_by_its_name_and_by_what_pods_call_it() {
        for word in [
            "operator",
            "reeve/operator:0.1.0",
            "docker.io/reeve/operator:0.1.0",
        ] {
            assert_eq!(
                Image::named(word).map(|image| image.name),
                Some("operator"),
                "{word}"
            );
        }
        assert_eq!(Image::named("reeve/operator"), None);
    }

    #[test]
    fn an_unknown_image_lists_those_there_are() {
        let message = find("operater").unwrap_err().to_string();
        assert!(
            message.contains("operater") && message.contains("operator, agents"),
            "{message}"
        );
    }

    #[test]
    fn every_image_has_its_dockerfile() {
        for image in IMAGES {
            assert!(
                checkout().join(image.dockerfile).is_file(),
                "{}",
                image.dockerfile
            );
        }
    }
}
