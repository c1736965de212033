//! The files that the node's programs read, rendered into the cluster's directory.
//! Paths in them are the node's own and the same for every cluster; the texts are in config/.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::cgroup;
use crate::error::{Context, Result};
use crate::layout::{Layout, NODE_DIRECTORY, Name};
use crate::pki::{self, USERS};

/// The API server's address, the same in every cluster: each has its own network.
pub(crate) const SERVER: &str = "https://198.18.0.1:6443";

/// Writes everything below the cluster's directory that its programs expect to find.
pub(crate) fn write_all(layout: &Layout, name: &Name) -> Result<()> {
    for directory in [
        layout.on_host("/var/lib/etcd"),
        layout.on_host("/var/lib/containerd"),
        layout.on_host("/var/lib/kubelet"),
        layout.on_host("/var/log"),
        layout.node_file("pki"),
        layout.node_file("cni"),
        layout.root.join("processes"),
    ] {
        fs::create_dir_all(&directory).context("create", &directory)?;
    }
    pki::write_certificates(&layout.node_file("pki"))?;
    write_users(layout)?;

    let kubelet = include_str!("../config/kubelet.yaml").replace("@CGROUP_ROOT@", &cgroup::path(name));
    for (file, content) in [
        ("audit-policy.yaml", include_str!("../config/audit-policy.yaml")),
        ("bootstrap.yaml", include_str!("../config/bootstrap.yaml")),
        ("cni/10-pods.conflist", include_str!("../config/cni.conflist")),
        ("containerd.toml", include_str!("../config/containerd.toml")),
        ("Corefile", include_str!("../config/Corefile")),
        ("kubelet.yaml", &kubelet),
        ("kube-proxy.yaml", include_str!("../config/kube-proxy.yaml")),
    ] {
        let path = layout.node_file(file);
        fs::write(&path, content).context("write", &path)?;
    }
    Ok(())
}

/// The API server's list of tokens, a kubeconfig for each program, and the administrator's for the host.
fn write_users(layout: &Layout) -> Result<()> {
    let tokens = pki::tokens()?;
    let mut list = String::new();
    for ((file, user, group), token) in USERS.iter().zip(&tokens) {
        list += &token_line(token, user, group);
        let authority = format!("{NODE_DIRECTORY}/pki/ca.crt");
        write_secret(
            &layout.node_file(&format!("{file}.kubeconfig")),
            &kubeconfig(SERVER, &authority, token),
        )?;
        if *file == "admin" {
            let authority = layout.node_file("pki/ca.crt");
            write_secret(
                &layout.kubeconfig(),
                &kubeconfig(SERVER, &authority.to_string_lossy(), token),
            )?;
            write_secret(&layout.node_file("admin.token"), token)?;
        }
    }
    write_secret(&layout.node_file("tokens.csv"), &list)
}

/// The format of --token-auth-file: token, user name, user id, groups.
fn token_line(token: &str, user: &str, group: &str) -> String {
    format!("{token},{user},{user},\"{group}\"\n")
}

/// A kubeconfig with one cluster and one user; JSON, which is YAML, so no value needs quoting rules of its own.
pub(crate) fn kubeconfig(server: &str, authority: &str, token: &str) -> String {
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "reeve",
        "clusters": [{"name": "reeve", "cluster": {"server": server, "certificate-authority": authority}}],
        "users": [{"name": "reeve", "user": {"token": token}}],
        "contexts": [{"name": "reeve", "context": {"cluster": "reeve", "user": "reeve"}}],
    });
    format!("{config:#}\n")
}

pub(crate) fn write_secret(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).context("write", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).context("protect", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered() -> (Layout, Name) {
        let name = Name::new("one").unwrap();
        let layout = Layout {
            root: std::env::temp_dir().join(format!("reeve-config-{}", std::process::id())),
        };
        write_all(&layout, &name).unwrap();
        (layout, name)
    }

    #[test]
    fn a_cluster_has_its_own_cgroup_and_no_placeholder_is_left() {
        let (layout, _) = rendered();
        let kubelet = fs::read_to_string(layout.node_file("kubelet.yaml")).unwrap();
        assert!(kubelet.contains("cgroupRoot: /reeve-one\n"), "{kubelet}");
        assert!(!kubelet.contains('@'), "{kubelet}");

        let tokens = fs::read_to_string(layout.node_file("tokens.csv")).unwrap();
        let admin = fs::read_to_string(layout.node_file("admin.token")).unwrap();
        assert!(
            tokens.contains(&format!("{admin},admin,admin,\"system:masters\"\n")),
            "{tokens}"
        );
        assert!(fs::read_to_string(layout.kubeconfig()).unwrap().contains(&admin));
        fs::remove_dir_all(&layout.root).unwrap();
    }

    #[test]
    fn a_kubeconfig_is_readable_by_its_owner_only() {
        let path = std::env::temp_dir().join(format!("reeve-kubeconfig-{}", std::process::id()));
        write_secret(&path, &kubeconfig(SERVER, "/ca.crt", "secret")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let parsed: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(parsed["clusters"][0]["cluster"]["server"], SERVER);
        assert_eq!(parsed["users"][0]["user"]["token"], "secret");
        fs::remove_file(&path).unwrap();
    }
}
