//! The one binary that is every Kubernetes program, built from e2e/kube and cached by its sources.
//! A cold build takes minutes; with the sources unchanged nothing is run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache_key::{CacheKey, sorted};
use crate::command;
use crate::error::{Context, Error, Result};
use crate::layout::{cache, checkout};

/// The programs in the binary that people and tests call by name.
pub(crate) const TOOLS: [&str; 2] = ["kubectl", "helm"];

/// Where the binary of the present sources is, built if it is not there yet.
pub fn kube_binary() -> Result<PathBuf> {
    let module = checkout().join("e2e/kube");
    let flags = linker_flags(&module)?;
    let directory = cache().join("kube").join(key(&module, &flags)?);
    let binary = directory.join("kube");
    fs::create_dir_all(&directory).context("create", &directory)?;

    let lock = directory.join("lock");
    let file = File::create(&lock).context("create", &lock)?;
    file.lock().context("lock", &lock)?;
    if !binary.exists() {
        eprintln!(
            "building Kubernetes, etcd, CoreDNS and helm from {} (minutes, once)",
            module.display()
        );
        let unfinished = directory.join("unfinished");
        command::passed_through(
            Command::new("go")
                .args(["build", "-trimpath", "-mod=readonly", "-ldflags", &flags, "-o"])
                .arg(&unfinished)
                .arg(".")
                .env("CGO_ENABLED", "0")
                .current_dir(&module),
        )?;
        fs::rename(&unfinished, &binary).context("rename", &unfinished)?;
    }
    Ok(binary)
}

/// Without these, clients see a server without a version and refuse features.
fn linker_flags(module: &Path) -> Result<String> {
    let path = module.join("go.mod");
    let content = fs::read_to_string(&path).context("read", &path)?;
    let version = kubernetes_version(&content)
        .ok_or_else(|| Error::Missing(format!("{} requires no k8s.io/kubernetes", path.display())))?;
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    let package = "k8s.io/component-base/version";
    Ok(format!(
        "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    ))
}

fn kubernetes_version(go_mod: &str) -> Option<&str> {
    go_mod
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "))
        .map(str::trim)
}

/// The key of all that goes into the binary: the module's Go files, what it requires, and how it is linked.
fn key(module: &Path, flags: &str) -> Result<String> {
    let mut key = CacheKey::default();
    for path in sorted(module)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == "go.mod" || name == "go.sum" || path.extension().is_some_and(|kind| kind == "go") {
            key.add_file(&name, &path)?;
        }
    }
    key.add("flags", flags);
    Ok(key.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_follows_sources_and_flags_and_nothing_else() {
        let module = std::env::temp_dir().join(format!("reeve-kube-{}", std::process::id()));
        fs::create_dir_all(&module).unwrap();
        fs::write(module.join("go.mod"), "module x").unwrap();
        let first = key(&module, "-s").unwrap();
        fs::write(module.join("README.md"), "read me").unwrap();
        assert_eq!(key(&module, "-s").unwrap(), first);
        assert_ne!(key(&module, "-w").unwrap(), first);
        fs::write(module.join("main.go"), "package main").unwrap();
        assert_ne!(key(&module, "-s").unwrap(), first);
        fs::remove_dir_all(&module).unwrap();
    }

    #[test]
    fn the_version_is_that_of_the_required_module() {
        assert_eq!(
            kubernetes_version("require (\n\tk8s.io/kubernetes v1.34.4\n)\n"),
            Some("v1.34.4")
        );
        assert_eq!(kubernetes_version("module x\n"), None);
    }
}
