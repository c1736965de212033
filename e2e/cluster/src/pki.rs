//! The secrets of a cluster: its certificate authority, the serving certificate that all its programs share,
//! and a random bearer token per user.

use std::fs;
use std::io::Read;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::error::{Context, Error, Result};

/// Every name and address that a program of the cluster is called by.
const SERVER_NAMES: [&str; 9] = [
    "198.18.0.1",
    "198.18.128.1",
    "127.0.0.1",
    "localhost",
    "node0",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Who talks to the API server: kubeconfig file, user name, group (may be empty).
pub(crate) const USERS: [(&str, &str, &str); 6] = [
    ("admin", "admin", "system:masters"),
    ("kube-controller-manager", "system:kube-controller-manager", ""),
    ("kube-scheduler", "system:kube-scheduler", ""),
    ("kubelet", "system:node:node0", "system:nodes"),
    ("kube-proxy", "system:kube-proxy", ""),
    ("coredns", "system:coredns", ""),
];

/// Writes keys and certificates into `directory`: ca.crt, server.{crt,key}, kubelet-client.{crt,key} (the API
/// server towards kubelet), service-accounts.{key,pub}.
pub(crate) fn write_certificates(directory: &Path) -> Result<()> {
    let (authority, certificate) = authority()?;
    write(directory, "ca.crt", &certificate)?;

    let names: Vec<String> = SERVER_NAMES.map(str::to_owned).to_vec();
    let server = CertificateParams::new(names).map_err(failed("the server"))?;
    issue(
        directory,
        "server",
        server,
        ExtendedKeyUsagePurpose::ServerAuth,
        &authority,
    )?;

    let mut client = CertificateParams::default();
    client
        .distinguished_name
        .push(DnType::CommonName, "kube-apiserver-kubelet-client");
    client
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    issue(
        directory,
        "kubelet-client",
        client,
        ExtendedKeyUsagePurpose::ClientAuth,
        &authority,
    )?;

    let accounts = KeyPair::generate().map_err(failed("service accounts"))?;
    write(directory, "service-accounts.key", &accounts.serialize_pem())?;
    write(directory, "service-accounts.pub", &accounts.public_key_pem())
}

/// One random token per user, in the order of [`USERS`].
pub(crate) fn tokens() -> Result<[String; USERS.len()]> {
    let source = Path::new("/dev/urandom");
    let mut random = fs::File::open(source).context("open", source)?;
    let mut tokens = USERS.map(|_| String::new());
    for token in &mut tokens {
        let mut bytes = [0; 16];
        random.read_exact(&mut bytes).context("read", source)?;
        *token = format!("{:032x}", u128::from_be_bytes(bytes));
    }
    Ok(tokens)
}

fn authority() -> Result<(Issuer<'static, KeyPair>, String)> {
    let key = KeyPair::generate().map_err(failed("the authority"))?;
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "reeve-cluster");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(&key).map_err(failed("the authority"))?.pem();
    Ok((Issuer::new(params, key), certificate))
}

fn issue(
    directory: &Path,
    name: &'static str,
    mut params: CertificateParams,
    usage: ExtendedKeyUsagePurpose,
    authority: &Issuer<'_, KeyPair>,
) -> Result<()> {
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().map_err(failed(name))?;
    let certificate = params.signed_by(&key, authority).map_err(failed(name))?;
    write(directory, &format!("{name}.crt"), &certificate.pem())?;
    write(directory, &format!("{name}.key"), &key.serialize_pem())
}

fn write(directory: &Path, file: &str, content: &str) -> Result<()> {
    let path = directory.join(file);
    fs::write(&path, content).context("write", &path)
}

fn failed(subject: &'static str) -> impl Fn(rcgen::Error) -> Error {
    move |source| Error::Certificate { subject, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_certificate_and_key_is_written() {
        let directory = std::env::temp_dir().join(format!("reeve-pki-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        write_certificates(&directory).unwrap();
        for (file, kind) in [
            ("ca.crt", "CERTIFICATE"),
            ("server.crt", "CERTIFICATE"),
            ("server.key", "PRIVATE KEY"),
            ("kubelet-client.crt", "CERTIFICATE"),
            ("service-accounts.pub", "PUBLIC KEY"),
        ] {
            let content = fs::read_to_string(directory.join(file)).unwrap();
            assert!(
                content.starts_with(&format!("-----BEGIN {kind}-----")),
                "{file}: {content}"
            );
        }
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let mut all = [tokens().unwrap(), tokens().unwrap()].concat();
        assert!(all.iter().all(|token| token.len() == 32));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 2 * USERS.len());
    }
}
