//! Whom to trust over TLS: as the command itself does. `SSL_CERT_FILE` replaces the public authorities, and without it
//! they are Mozilla's, built in (Python's certifi has the same list): the image that the command is in may have none.

use std::{env, path::Path, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

/// A client's settings; the sentence of an error names what to do. `verify` is false where the user said so.
pub fn settings(verify: bool) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let settings = if verify {
        let file = env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty());
        let roots = match file {
            Some(file) => read(Path::new(&file))?,
            None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
        };
        builder.with_root_certificates(roots)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
    };
    Ok(Arc::new(settings.with_no_client_auth()))
}

fn read(file: &Path) -> Result<RootCertStore, String> {
    let unusable = || {
        format!(
            "{}, which SSL_CERT_FILE names, holds no PEM certificates",
            file.display()
        )
    };
    let certificates = CertificateDer::pem_file_iter(file).map_err(|_| unusable())?;
    let mut roots = RootCertStore::empty();
    // One that cannot be read does not make the others worthless.
    roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    if roots.is_empty() {
        Err(unusable())
    } else {
        Ok(roots)
    }
}

/// Takes any certificate, but the peer must hold its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
