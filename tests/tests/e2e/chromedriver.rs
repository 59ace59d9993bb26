//! The driver's process: started on a free port, and ended with every browser that it started.

use crate::folders::{self, Scratch};
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A running driver. Dropping it closes its browsers first: ended by force, it would leave them running.
pub struct Chromedriver {
    port: u16,
    _process: Child,
    /// For what the browsers leave in the system's temporary folder.
    _temporary: Scratch,
}

impl Chromedriver {
    pub async fn start() -> Result<Chromedriver> {
        let program = folders::program("TILLER_CHROMEDRIVER", "/usr/bin/chromedriver")?;
        let temporary = Scratch::new("tmp")?;
        let mut process = Command::new(&program)
            .arg("--port=0")
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut lines = BufReader::new(process.stdout.take().context("the driver has an output")?).lines();
        let said = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(port) = port_in(&line) {
                    return Ok(port);
                }
            }
            bail!("the driver ended before it said its port")
        };
        let port = timeout(Duration::from_secs(20), said).await.context("the driver did not say its port")??;
        // What it says later is of no interest, but a full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Chromedriver { port, _process: process, _temporary: temporary })
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Asks for an orderly end, which takes the browsers along.
    fn shut_down(&self) -> std::io::Result<()> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        connection.write_all(b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        connection.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        if let Err(error) = self.shut_down() {
            eprintln!("e2e: the driver did not end in order ({error}); a browser may still run");
        }
    }
}

/// "ChromeDriver was started successfully on port 40903."
fn port_in(line: &str) -> Option<u16> {
    line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
}
