//! HTTPS to a server, in builds with the feature `tls`.

use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

/// The configuration of requests, encrypted: to servers whose certificate is signed by an authority
/// that the system trusts, or one of the file `SSL_CERT_FILE`.
///
/// # Errors
/// The problem in words.
#[cfg(feature = "tls")]
pub(crate) fn encrypted(
    config: ConfigBuilder<AgentScope>,
) -> Result<ConfigBuilder<AgentScope>, String> {
    use std::sync::Arc;

    use ureq::tls::{Certificate, RootCerts, TlsConfig};

    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let reason = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(format!(
            "this system has no certificates of authorities to trust{reason}; SSL_CERT_FILE can name \
             a PEM file of them"
        ));
    }
    let trusted = found.certs.iter().map(|of| Certificate::from_der(of).to_owned());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(trusted))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    // A server must not lead to a place where others could read along.
    Ok(config.tls_config(tls).https_only(true))
}

/// Refuses HTTPS.
#[cfg(not(feature = "tls"))]
pub(crate) fn encrypted(_: ConfigBuilder<AgentScope>) -> Result<ConfigBuilder<AgentScope>, String> {
    Err("this program was built without HTTPS; build it with `cargo install --path crates/cli \
         --features tls`, or run a local proxy and give its address, as http://localhost:8000/v1"
        .to_owned())
}

/// The problem in words, if a request failed since the server's certificate is not trusted: another
/// try would not help.
#[cfg(feature = "tls")]
pub(crate) fn distrust(error: &ureq::Error) -> Option<String> {
    let ureq::Error::Io(error) = error else { return None };
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(reason) => Some(format!(
            "its certificate is not trusted: {reason}; SSL_CERT_FILE can name a PEM file with the \
             authorities to trust"
        )),
        _ => None,
    }
}

/// `None`: nothing is encrypted.
#[cfg(not(feature = "tls"))]
pub(crate) fn distrust(_: &ureq::Error) -> Option<String> {
    None
}
