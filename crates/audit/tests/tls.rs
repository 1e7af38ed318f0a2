//! HTTPS to a server whose certificate an authority of these tests has signed. `tls/` has both
//! certificates, valid until 2120, and the server's key, which is used nowhere else.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use retrodict_audit::{Limits, Request, Scores, Server};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const MODELS: &str = "{\"data\": [{\"id\": \"only\"}]}";
const ANSWER: &str = "{\"choices\": [{\"logprobs\": {\"tokens\": [\"A\", \" B\"], \
                       \"token_logprobs\": [null, -1.5], \"text_offset\": [0, 1]}}]}";

/// Answers over TLS. Returns the address, and the number of connections so far.
fn start() -> (String, Arc<AtomicUsize>) {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://localhost:{}/v1", listener.local_addr().unwrap().port());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut reader = BufReader::new(StreamOwned::new(connection, stream));
            thread::spawn(move || while answer(&mut reader).is_some() {});
        }
    });
    (address, connections)
}

/// Answers one request; `None` at the end of a connection.
fn answer(reader: &mut BufReader<impl Read + Write>) -> Option<()> {
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let body = if line.starts_with("GET /v1/models ") { MODELS } else { ANSWER };
    while !line.trim().is_empty() {
        line.clear();
        reader.read_line(&mut line).ok()?;
        if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    reader.get_mut().write_all(format!("{head}{body}").as_bytes()).ok()?;
    reader.get_mut().flush().ok()
}

/// Trusts the certificates of a file of `tls/` alone.
fn trust(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(file);
    // SAFETY: this process has one test, and no other thread that reads its environment.
    unsafe { std::env::set_var("SSL_CERT_FILE", path) };
}

#[test]
fn a_server_is_asked_if_its_certificate_is_trusted() {
    let (address, connections) = start();
    let server = |model| Server::new(&address, model, None, Limits::default());
    let folder = tempfile::tempdir().unwrap();
    let requests = [Request { prompt: "A".to_owned(), answer: " B".to_owned() }];
    let fill = |server: &Server| {
        let (mut scores, stop) = (Scores::default(), AtomicBool::new(false));
        let file = folder.path().join("scores.jsonl");
        let filled = server.fill(&mut scores, &requests, &file, &stop, |_, _| {});
        let filled = filled.map(|()| scores.get(&requests[0]).unwrap().log_probability);
        filled.map_err(|error| error.to_string())
    };

    // Another authority's certificate would be.
    trust("server.pem");
    let unnamed = server(None).unwrap_err().to_string();
    for error in [unnamed, fill(&server(Some("only")).unwrap()).unwrap_err()] {
        assert!(error.contains("its certificate is not trusted"), "{error}");
        assert!(error.contains("SSL_CERT_FILE"), "{error}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2, "a refusal is final");

    trust("authority.pem");
    let server = server(None).unwrap();
    assert_eq!(server.model(), "only");
    assert_eq!(fill(&server), Ok(-1.5));
}
