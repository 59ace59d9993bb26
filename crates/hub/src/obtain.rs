//! The flow: from the cache, or from the hub into the cache.

use crate::store::Writer;
use crate::{Cancel, Hub, HubError, Partial, Store};
use sha2::{Digest, Sha256};
use tiller_sites::ModelRef;

#[cfg(not(target_arch = "wasm32"))]
use crate::native::http as transport;
#[cfg(target_arch = "wasm32")]
use crate::web::fetch as transport;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Bytes that are there, those of earlier tries included.
    pub received: u64,
    pub total: Option<u64>,
    /// Over the transfer so far.
    pub bytes_per_s: f64,
    pub phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Connecting,
    Downloading,
    /// The connection broke; trying again.
    Resuming {
        at: u64,
    },
    /// Computing the checksum of what an earlier try left.
    Verifying,
    /// The file is in the cache.
    Ready,
}

/// Tries in a row that bring no byte, after which one gives up.
const TRIES: u32 = 5;
/// Pause before the second try; each later one doubles it.
const FIRST_PAUSE_S: f64 = 0.5;
const REHASH_BYTES: usize = 4 << 20;
/// No model file that a tab can load is longer.
const MAX_BYTES: u64 = 16 << 30;

/// The file that `file` names: from the cache without a request, or from the hub.
///
/// A transfer that breaks goes on where it broke; one that an earlier call left goes on too. The bytes are hashed as they
/// come and compared with the reference's sha256, or where it has none with the one that the hub names. What does not
/// match is not kept.
pub async fn obtain<S: Store>(
    hub: &Hub,
    store: &S,
    file: &ModelRef,
    cancel: &Cancel,
    mut on_progress: impl FnMut(Progress),
) -> Result<S::File, HubError> {
    file.validate()?;
    if let Some(found) = store.open(file).await? {
        let bytes = tiller_formats::ByteSource::len(&found);
        on_progress(Progress { received: bytes, total: Some(bytes), bytes_per_s: 0.0, phase: Phase::Ready });
        return Ok(found);
    }
    let writer = store.append(file).await?;
    let mut transfer = Transfer {
        hub,
        file,
        cancel,
        on_progress,
        writer,
        hash: Sha256::new(),
        total: file.bytes,
        expected: file.sha256.clone(),
        started: transport::seconds(),
        at_start: 0,
    };
    transfer.rehash().await?;
    match transfer.run().await {
        Ok(()) => {}
        Err(error @ (HubError::WrongBytes { .. } | HubError::WrongLength { .. })) => {
            drop(transfer);
            store.remove(file).await?;
            return Err(error);
        }
        Err(error) => return Err(error),
    }
    let Transfer { writer, .. } = transfer;
    store.finish(file, writer).await
}

struct Transfer<'a, W, P> {
    hub: &'a Hub,
    file: &'a ModelRef,
    cancel: &'a Cancel,
    on_progress: P,
    writer: W,
    hash: Sha256,
    total: Option<u64>,
    /// The sha256 that the bytes must have, once it is known.
    expected: Option<String>,
    started: f64,
    /// Bytes that were there when the transfer began.
    at_start: u64,
}

impl<W: Writer, P: FnMut(Progress)> Transfer<'_, W, P> {
    fn report(&mut self, phase: Phase) {
        let received = self.writer.len();
        let seconds = transport::seconds() - self.started;
        let bytes_per_s = if seconds > 0.0 { received.saturating_sub(self.at_start) as f64 / seconds } else { 0.0 };
        (self.on_progress)(Progress { received, total: self.total, bytes_per_s, phase });
    }

    fn go_on(&self) -> Result<(), HubError> {
        if self.cancel.is_cancelled() { Err(HubError::Cancelled) } else { Ok(()) }
    }

    /// Hashes what an earlier try left.
    async fn rehash(&mut self) -> Result<(), HubError> {
        let end = self.writer.len();
        let mut at = 0;
        while at < end {
            self.go_on()?;
            let len = REHASH_BYTES.min((end - at) as usize);
            let bytes = self.writer.read(at, len).await?;
            self.hash.update(&bytes);
            at += len as u64;
            self.report(Phase::Verifying);
        }
        self.at_start = end;
        self.started = transport::seconds();
        Ok(())
    }

    async fn run(&mut self) -> Result<(), HubError> {
        let mut tries = 0;
        loop {
            let before = self.writer.len();
            match self.attempt().await {
                Ok(()) => return self.check(),
                Err(HubError::Unreachable { .. } | HubError::Broken { .. }) if self.writer.len() > before => tries = 0,
                Err(HubError::Unreachable { reason }) if tries + 1 == TRIES && self.writer.len() == 0 => {
                    return Err(HubError::Unreachable { reason });
                }
                Err(HubError::Unreachable { .. } | HubError::Broken { .. }) => {}
                Err(error) => return Err(error),
            }
            tries += 1;
            if tries >= TRIES {
                return Err(HubError::Broken { tries, received: self.writer.len() });
            }
            let at = self.writer.len();
            self.report(Phase::Resuming { at });
            transport::sleep(FIRST_PAUSE_S * f64::from(1u32 << (tries - 1))).await;
            self.go_on()?;
        }
    }

    /// One request, from where the bytes end to the end of the file.
    async fn attempt(&mut self) -> Result<(), HubError> {
        self.go_on()?;
        let start = self.writer.len();
        if start == 0 {
            self.report(Phase::Connecting);
        }
        if start > 0 && Some(start) == self.total {
            return Ok(());
        }
        let address = self.hub.file_address(self.file);
        let etag = self.writer.partial().etag.clone();
        let mut answer = transport::get(&address, start, etag.as_deref()).await?;
        match answer.status {
            206 if answer.range_start == Some(start) => {}
            // The whole file, because its version changed or the server knows no ranges; or a range that is not the one
            // asked for.
            200 => self.restart(Partial { etag: answer.etag.take() }).await?,
            206 | 416 => {
                self.restart(Partial::default()).await?;
                return Err(HubError::Broken { tries: 1, received: 0 });
            }
            401 | 403 => return Err(HubError::Refused { repo: self.file.repo.clone() }),
            404 => {
                let ModelRef { repo, revision, file, .. } = self.file.clone();
                return Err(HubError::NotFound { repo, revision, file });
            }
            429 => return Err(HubError::TooManyRequests),
            status => return Err(HubError::Status { status }),
        }
        if let Some(length) = answer.length {
            let promised = self.writer.len() + length;
            match self.total {
                Some(total) if total != promised => {
                    return Err(HubError::WrongLength { expected: total, found: promised });
                }
                _ => self.total = Some(promised),
            }
        }
        if self.expected.is_none() {
            self.expected = answer.sha256.clone();
        }
        let limit = self.total.unwrap_or(MAX_BYTES);
        while let Some(bytes) = answer.next().await? {
            self.go_on()?;
            let found = self.writer.len() + bytes.len() as u64;
            if found > limit {
                return Err(HubError::WrongLength { expected: limit, found });
            }
            self.writer.write(&bytes).await?;
            self.hash.update(&bytes);
            self.report(Phase::Downloading);
        }
        match self.total {
            Some(total) if self.writer.len() < total => Err(HubError::Broken { tries: 1, received: self.writer.len() }),
            _ => Ok(()),
        }
    }

    async fn restart(&mut self, partial: Partial) -> Result<(), HubError> {
        self.writer.restart(partial).await?;
        self.hash = Sha256::new();
        self.at_start = 0;
        Ok(())
    }

    fn check(&mut self) -> Result<(), HubError> {
        let found: String = self.hash.finalize_reset().iter().map(|byte| format!("{byte:02x}")).collect();
        match &self.expected {
            Some(expected) if *expected != found => Err(HubError::WrongBytes { expected: expected.clone(), found }),
            _ => Ok(()),
        }
    }
}

/// The first byte of a `Content-Range: bytes 5-9/10`.
pub(crate) fn range_start(header: &str) -> Option<u64> {
    header.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// The hub names large files by their sha256.
pub(crate) fn sha256_of(etags: [Option<String>; 2]) -> Option<String> {
    let plain = etags.into_iter().flatten().map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_lowercase());
    plain.into_iter().find(|etag| etag.len() == 64 && etag.bytes().all(|b| b.is_ascii_hexdigit()))
}
