//! `retrodict serve DIR`: a page that watches a store.

use super::Failure;
use crate::args::ServeArgs;

/// Prints the address of the page, and answers until Ctrl-C.
#[cfg(feature = "serve")]
pub(crate) fn serve(args: &ServeArgs) -> Result<(), Failure> {
    use retrodict_serve::{Options, Server};

    let options = Options {
        dir: args.dir.clone(),
        address: args.listen,
        port: args.port,
        hosts: args.host.clone(),
        token: args.token,
    };
    let server = Server::bind(options).map_err(Failure::failed)?;
    super::print(&format!("{}\n", server.url()))?;
    if server.is_public() {
        eprintln!(
            "retrodict: other machines reach this server, and nothing is encrypted: whoever reads \
             the traffic has the token; an ssh tunnel to loopback avoids that (docs/serve.md)"
        );
    }
    server.run().map_err(Failure::failed)
}

/// Says how to build it.
#[cfg(not(feature = "serve"))]
pub(crate) fn serve(_: &ServeArgs) -> Result<(), Failure> {
    Err(Failure::Usage(
        "this program was built without the page; build it with `cargo build --release --features \
         serve`"
            .to_owned(),
    ))
}
