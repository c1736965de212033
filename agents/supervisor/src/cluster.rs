//! The way to the Kubernetes API: from flags and the two variables that every pod has, nothing else.
//! No kubeconfig and no names to resolve: a static program in a foreign image must not reach for NSS.

use std::{net::IpAddr, path::Path};

use axum::http;
use reeve_election::LeaseLock;
use rustls::pki_types::{
    CertificateDer,
    pem::{self, PemObject},
};

use crate::args::Run;

/// Why there is no way to the API.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A variable that the kubelet sets is missing or no address.
    #[error("{name} is {value:?}; in a pod it is an IP address or port, set it or leave out --lease-name")]
    Environment {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// The token or the certificate authority cannot be read.
    #[error("cannot read {0}; mount the projected service account token there")]
    File(String, #[source] std::io::Error),
    /// The certificate authority is no certificate.
    #[error("{0} is no PEM certificate; mount the cluster's certificate authority there")]
    Authority(String, #[source] pem::Error),
    /// The client cannot be built.
    #[error("cannot set up the Kubernetes client")]
    Client(#[from] Box<kube::Error>),
}

/// The Lease that the flags name.
pub fn lease(flags: &Run, namespace: &str, name: &str) -> Result<LeaseLock, ClusterError> {
    let read = |file: &Path| std::fs::read(file).map_err(|error| ClusterError::File(path(file), error));
    read(&flags.kube_token_file)?;
    let authority = CertificateDer::pem_slice_iter(&read(&flags.kube_ca_file)?)
        .map(|certificate| certificate.map(|der| der.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ClusterError::Authority(path(&flags.kube_ca_file), error))?;
    let mut config = kube::Config::new(api_server(|name| std::env::var(name).unwrap_or_default())?);
    // Both: the file is what counts and is read anew, but without the first kube loads the system's certificates,
    // and fails in images that have none.
    config.root_cert = Some(authority);
    namespace.clone_into(&mut config.default_namespace);
    config.root_cert_file = Some(flags.kube_ca_file.clone());
    config.auth_info.token_file = Some(path(&flags.kube_token_file));
    config.headers.push((
        http::header::USER_AGENT,
        http::HeaderValue::from_static(concat!("reeve-supervise/", env!("CARGO_PKG_VERSION"))),
    ));
    let client = reeve_election::client(config).map_err(Box::new)?;
    Ok(LeaseLock::new(client, namespace, name).existing_only())
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// The API server's address. An IP address needs no resolver; a name is refused.
fn api_server(variable: impl Fn(&str) -> String) -> Result<http::Uri, ClusterError> {
    let read = |name: &'static str| (name, variable(name));
    let error = |(name, value)| ClusterError::Environment { name, value };
    let (host, port) = (read("KUBERNETES_SERVICE_HOST"), read("KUBERNETES_SERVICE_PORT"));
    let Ok(address) = host.1.parse::<IpAddr>() else {
        return Err(error(host));
    };
    let Ok(number) = port.1.parse::<u16>() else {
        return Err(error(port));
    };
    format!("https://{}", std::net::SocketAddr::new(address, number))
        .parse()
        .map_err(|_| error(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(host: &str, port: &str) -> Result<http::Uri, ClusterError> {
        api_server(|name| {
            if name.ends_with("HOST") {
                host.to_owned()
            } else {
                port.to_owned()
            }
        })
    }

    #[test]
    fn the_api_server_is_reached_by_its_address() {
        assert_eq!(
            uri("10.0.0.1", "443").expect("valid").to_string(),
            "https://10.0.0.1:443/"
        );
        assert_eq!(
            uri("fd00::1", "6443").expect("valid").to_string(),
            "https://[fd00::1]:6443/"
        );
    }

    #[test]
    fn a_name_or_nothing_is_refused_with_the_variable() {
        for (host, port, named) in [
            ("kubernetes.default", "443", "HOST"),
            ("", "443", "HOST"),
            ("10.0.0.1", "", "PORT"),
        ] {
            let error = uri(host, port).expect_err(host).to_string();
            assert!(error.contains(&format!("KUBERNETES_SERVICE_{named}")), "{error}");
        }
    }
}
