//! TLS of the clients: by ring, trusting what the operating system trusts.

use rustls::client::danger::ServerCertVerifier;
use std::sync::Arc;

/// Makes the settings of a client; also tells why there are no certificates, if so: whoever needs none is not stopped by that.
pub(crate) fn client() -> Result<(rustls::ClientConfig, Option<String>), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let (mut config, problem) = match rustls_platform_verifier::Verifier::new(provider) {
        Ok(verifier) => {
            let verifier: Arc<dyn ServerCertVerifier> = Arc::new(verifier);
            (builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth(), None)
        }
        // Plain http and local files need none: only who asks by https is told.
        Err(error) => {
            let none = rustls::RootCertStore::empty();
            (builder.with_root_certificates(none).with_no_client_auth(), Some(error.to_string()))
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((config, problem))
}
