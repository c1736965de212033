//! Build contexts: the files of an image gathered in one directory, and the hash of them that keys the cache.
//! What is slow to make is made only when the image is really built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Content, Image, directory, remove};
use crate::cache_key::CacheKey;
use crate::command;
use crate::error::{Context as _, Result};
use crate::layout::{cache, checkout};

/// The machine's certificate authorities, which our own images carry too.
pub(super) const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The Debian that the stand-in of the upstream agent stands on.
const DEBIAN: &str = "bookworm";
const DEBIAN_PACKAGES: &str = "python3,python3-venv,ca-certificates,tzdata";

/// Compiles the static binaries of these images, all in one run of cargo.
pub(super) fn compile_binaries(images: &[Image]) -> Result<()> {
    let packages: Vec<&str> = images
        .iter()
        .flat_map(|image| packages(*image))
        .copied()
        .collect();
    if packages.is_empty() {
        return Ok(());
    }
    let mut cargo = command::cargo();
    cargo
        .args(["build", "--release", "--locked", "--target", &target()])
        .arg("--target-dir")
        .arg(target_directory());
    for package in packages {
        cargo.args(["--package", package]);
    }
    // What a surrounding cargo has set would win over RUSTFLAGS.
    cargo
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command::passed_through(&mut cargo)
}

fn packages(image: Image) -> &'static [&'static str] {
    match image.content {
        Content::Binaries { packages, .. } => packages,
        Content::OneFile | Content::SiteAgent => &[],
    }
}

/// glibc links statically too, and this target is installed wherever Rust is.
fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| cache().join("target"), PathBuf::from)
}

/// The key of all that goes into an image. The commit does not: with the same binary, the older label is as true.
pub(super) fn key(image: Image) -> Result<String> {
    let mut key = CacheKey::default();
    key.add_file("dockerfile", &dockerfile(image))?;
    key.add("image", format!("{image:?}"));
    if image.content == Content::SiteAgent {
        key.add("debian", debian_key());
    }
    for (name, source) in sources(image) {
        if source.is_dir() {
            key.add(name, "");
            key.add_directory(&source)?;
        } else {
            key.add_file(name, &source)?;
        }
    }
    Ok(key.finish())
}

/// Gathers an image's context, what is slow to make included.
pub(super) fn stage(image: Image, context: &Path) -> Result<()> {
    remove(context)?;
    for (name, source) in sources(image) {
        copy(&source, &context.join(name))?;
    }
    match image.content {
        Content::OneFile => {
            let program = context.join(image.name);
            let mut rustc = Command::new("rustc");
            rustc.args([
                "--edition",
                "2024",
                "-O",
                "-C",
                "target-feature=+crt-static",
                "-C",
                "strip=symbols",
            ]);
            rustc
                .args(["-C", "panic=abort", "-C", "lto", "--target", &target(), "-o"])
                .arg(&program);
            command::output(rustc.arg(context.join("main.rs"))).map(drop)
        }
        Content::Binaries { .. } => Ok(()),
        Content::SiteAgent => {
            let (archive, name) = (debian()?, context.join("debian.tar"));
            fs::hard_link(&archive, &name).context("link", &archive)
        }
    }
}

/// What is copied into an image's context: the name there, and the file or directory here.
fn sources(image: Image) -> Vec<(&'static str, PathBuf)> {
    let dockerfile = dockerfile(image);
    match image.content {
        Content::OneFile => vec![(
            "main.rs",
            dockerfile.with_file_name(image.name).with_extension("rs"),
        )],
        Content::Binaries { packages, .. } => {
            let binaries = target_directory().join(target()).join("release");
            let mut sources: Vec<_> = packages.iter().map(|name| (*name, binaries.join(name))).collect();
            sources.push(("etc/ssl/certs/ca-certificates.crt", PathBuf::from(AUTHORITIES)));
            sources
        }
        Content::SiteAgent => vec![("slurm", dockerfile.with_file_name("slurm"))],
    }
}

fn dockerfile(image: Image) -> PathBuf {
    checkout().join(image.dockerfile)
}

/// Copies a file or a directory to a place that does not exist, links as what they point to.
fn copy(source: &Path, destination: &Path) -> Result<()> {
    let parent = destination.parent().unwrap_or(destination);
    fs::create_dir_all(parent).context("create", parent)?;
    command::output(
        Command::new("cp")
            .args(["--recursive", "--dereference"])
            .arg(source)
            .arg(destination),
    )
    .map(drop)
}

/// The commit that is checked out; `unknown` outside a repository.
pub(super) fn revision() -> String {
    let mut git = Command::new("git");
    git.arg("-C").arg(checkout()).args(["rev-parse", "HEAD"]);
    command::output(&mut git).map_or_else(|_| "unknown".to_owned(), |commit| commit.trim().to_owned())
}

/// A small Debian as an archive, made once.
fn debian() -> Result<PathBuf> {
    let archive = directory().join(format!("debian-{}.tar", debian_key()));
    if !archive.exists() {
        let unfinished = directory().join("debian.unfinished.tar");
        remove(&unfinished)?;
        let mut mmdebstrap = Command::new("mmdebstrap");
        mmdebstrap.args(["--variant=minbase", &format!("--include={DEBIAN_PACKAGES}")]);
        // Documentation and translations are half of it, and the package index serves nobody.
        mmdebstrap.args([
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
        ]);
        mmdebstrap
            .args(["--dpkgopt=path-exclude=/usr/share/man/*", DEBIAN])
            .arg(&unfinished);
        command::output(&mut mmdebstrap)?;
        fs::rename(&unfinished, &archive).context("rename", &unfinished)?;
    }
    Ok(archive)
}

fn debian_key() -> String {
    let mut key = CacheKey::default();
    key.add(DEBIAN, DEBIAN_PACKAGES);
    key.finish()
}
