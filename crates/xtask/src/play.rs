//! The page on this machine, with the models that are cached here.

use crate::open;
use crate::places::Places;
use anyhow::{Result, ensure};
use std::net::{Ipv4Addr, SocketAddr};
use tiller_localhub::{Config, Server, serve};

#[derive(clap::Args)]
pub struct Options {
    /// Print the address only.
    #[arg(long)]
    no_open: bool,
    /// The next free port is taken if this one is not.
    #[arg(long, default_value_t = 8737)]
    port: u16,
}

/// Serves `dist` and the hub's paths, opens the page, and stays until Ctrl-C ends the process.
pub fn serve_until_stopped(places: &Places, options: &Options) -> Result<()> {
    let dist = places.dist();
    ensure!(dist.join("index.html").is_file(), "the page is not built: run `cargo xtask build` first");
    let server = serve_near(places, options.port)?;
    let address = server.origin();
    println!("Tiller is at {address} (stop it with Ctrl-C)");
    if !options.no_open && !open::open(&address) {
        println!("no browser could be opened from here: open that address in Chrome, Edge, Safari or Firefox");
    }
    server.wait();
    Ok(())
}

fn serve_near(places: &Places, port: u16) -> Result<Server> {
    let serve_at = |port| {
        let config = Config::new(places.hub()).with_page(places.dist());
        serve(Config { bind: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), ..config })
    };
    let nearby = (port..port.saturating_add(20)).find_map(|port| serve_at(port).ok());
    nearby.map_or_else(|| serve_at(0), Ok)
}
