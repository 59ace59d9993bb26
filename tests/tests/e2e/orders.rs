//! A worker that takes orders: the built page with a few lines before the worker's own code, so that what browsers and
//! GPUs do now and then happens when a scenario wants it. The page that people get has nothing of the kind.

use crate::page::Page;
use anyhow::{Context, Result};
use serde_json::json;
use std::fs;
use std::path::Path;

/// What the worker's loader is called.
const LOADER: &str = "tiller-worker_loader.js";

const TAKES_ORDERS: &str = r#"
{
  const devices = [];
  if (self.GPUAdapter) {
    const request = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...given) {
      const device = await request.apply(this, given);
      devices.push(device);
      return device;
    };
  }
  const fetched = self.fetch;
  const orders = {
    // As when the driver resets.
    "lose the GPU": () => devices.pop()?.destroy(),
    // The next thing that the worker says makes it panic.
    "panic": () => { self.postMessage = () => { throw new Error("as ordered"); }; },
    "go offline": () => {
      Object.defineProperty(self.navigator, "onLine", { get: () => false, configurable: true });
      self.fetch = () => Promise.reject(new TypeError("Failed to fetch"));
    },
    "go online": () => { delete self.navigator.onLine; self.fetch = fetched; },
  };
  new BroadcastChannel("orders").onmessage = ({ data }) => {
    orders[data]();
    new BroadcastChannel("obeyed").postMessage(data);
  };
}
"#;

/// The page in `from`, with a worker that takes orders, into the folder `to`.
pub fn copy_page(from: &Path, to: &Path) -> Result<()> {
    for child in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let child = child?;
        if child.file_name() != LOADER {
            std::os::unix::fs::symlink(fs::canonicalize(child.path())?, to.join(child.file_name()))?;
        }
    }
    let loader = fs::read_to_string(from.join(LOADER)).context("the built page has a loader")?;
    Ok(fs::write(to.join(LOADER), format!("{TAKES_ORDERS}{loader}"))?)
}

/// Has the worker find no private file system, as in the private windows of some browsers.
pub fn refuse_storage(page: &Path) -> Result<()> {
    const REFUSED: &str =
        "StorageManager.prototype.getDirectory = () => Promise.reject(new DOMException('denied', 'SecurityError'));";
    let loader = page.join(LOADER);
    let text = fs::read_to_string(&loader)?;
    Ok(fs::write(loader, format!("{REFUSED}\n{text}"))?)
}

impl Page<'_> {
    /// Has the worker do something, and waits until it has.
    pub async fn order(&self, order: &str) -> Result<()> {
        let script = "
            const [order, done] = arguments;
            new BroadcastChannel('obeyed').onmessage = () => done(null);
            new BroadcastChannel('orders').postMessage(order);";
        self.browser.client.execute_async(script, vec![json!(order)]).await.context("the worker does not obey")?;
        Ok(())
    }
}
