//! The flow: from the cache, or from the hub into the cache.

use crate::listing::{self, Listed};
use crate::store::{Writer, refuse_reserved};
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

/// Tries in a row that bring next to nothing, after which one gives up.
const TRIES: u32 = 5;
/// What a try must bring to count as one that got on.
const GOT_ON_BYTES: u64 = 64 << 10;
/// Pause before the second try; each later one doubles it.
const FIRST_PAUSE_S: f64 = 0.5;
const REHASH_BYTES: usize = 4 << 20;
/// No model file that a tab can load is longer.
const MAX_BYTES: u64 = 16 << 30;

/// The file that `file` names: from the cache without a request, or from the hub.
///
/// A transfer that breaks goes on where it broke; one that an earlier call left goes on too. The bytes are hashed as they
/// come and compared with the reference's sha256, or where it has none with the one that the hub lists. What does not
/// match is not kept.
pub async fn obtain<S: Store>(
    hub: &Hub,
    store: &S,
    file: &ModelRef,
    cancel: &Cancel,
    mut on_progress: impl FnMut(Progress),
) -> Result<S::File, HubError> {
    file.validate()?;
    refuse_reserved(file)?;
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
        looked_up: file.bytes.is_some() && file.sha256.is_some(),
        started: transport::seconds(),
        at_start: 0,
    };
    transfer.rehash().await?;
    match transfer.run().await {
        Ok(sha256) => {
            let Transfer { writer, .. } = transfer;
            let found = ModelRef { bytes: Some(writer.len()), sha256: Some(sha256), ..file.clone() };
            store.finish(&found, writer).await
        }
        Err(error @ (HubError::WrongBytes { .. } | HubError::WrongLength { .. })) => {
            transfer.writer.discard().await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
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
    /// Whether the hub was asked for what the reference does not say.
    looked_up: bool,
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
            // In a tab: lets a message arrive that stops this.
            transport::sleep(0.0).await;
        }
        self.at_start = end;
        self.started = transport::seconds();
        Ok(())
    }

    /// Tries until all bytes are there; their sha256 then.
    async fn run(&mut self) -> Result<String, HubError> {
        let mut tries = 0;
        loop {
            let before = self.writer.len();
            let error = match self.attempt().await {
                Ok(()) => return self.check(),
                Err(error) if error.may_pass() => error,
                Err(error) => return Err(error),
            };
            let received = self.writer.len();
            if received >= before + GOT_ON_BYTES {
                tries = 0;
            }
            tries += 1;
            if tries >= TRIES {
                return Err(match error {
                    HubError::Broken { .. } => HubError::Broken { tries, received },
                    HubError::Unreachable { .. } if received > 0 => HubError::Broken { tries, received },
                    error => error,
                });
            }
            self.report(Phase::Resuming { at: received });
            let pause = FIRST_PAUSE_S * f64::from(1u32 << (tries - 1));
            self.cancel.or(async { Ok(transport::sleep(pause).await) }).await?;
        }
    }

    /// One request, from where the bytes end to the end of the file.
    async fn attempt(&mut self) -> Result<(), HubError> {
        self.go_on()?;
        let start = self.writer.len();
        if start == 0 {
            self.report(Phase::Connecting);
        }
        if !self.looked_up {
            self.look_up().await?;
        }
        if start > 0 && Some(start) == self.total {
            return Ok(());
        }
        let address = self.hub.file_address(self.file);
        let known = self.writer.partial().etag.clone();
        let mut answer = self.cancel.or(transport::get(&address, start, known.as_deref())).await?;
        let promised = answer.length.map(|length| start.saturating_add(length));
        match answer.status {
            206 if answer.range_start == Some(start)
                && (known.is_none() || answer.etag.is_none() || known == answer.etag)
                && (promised.is_none() || self.total.is_none() || promised == self.total) => {}
            // The whole file, because its version changed or the server knows no ranges.
            200 => self.restart(Partial { etag: answer.etag.take() }).await?,
            // Of another version, or not the range that was asked for: what is here leads nowhere.
            206 | 416 => {
                self.restart(Partial::default()).await?;
                return Err(self.broken());
            }
            status => return Err(self.refusal(status)),
        }
        if let Some(length) = answer.length {
            let promised = self.writer.len().saturating_add(length);
            match self.total {
                Some(total) if total != promised => {
                    return Err(HubError::WrongLength { expected: total, found: promised });
                }
                _ => self.total = Some(promised),
            }
        }
        let limit = self.total.unwrap_or(MAX_BYTES);
        if let (Some(total), Some(room)) = (self.total, self.writer.room().await)
            && total.saturating_sub(self.writer.len()) > room
        {
            return Err(HubError::StorageFull { needed: total - self.writer.len() });
        }
        while let Some(bytes) = self.cancel.or(answer.next()).await? {
            let found = self.writer.len() + bytes.len() as u64;
            if found > limit {
                return Err(HubError::WrongLength { expected: limit, found });
            }
            let needed = limit - self.writer.len();
            self.writer.write(&bytes).await.map_err(|error| match error {
                HubError::StorageFull { .. } => HubError::StorageFull { needed },
                error => error,
            })?;
            self.hash.update(&bytes);
            self.report(Phase::Downloading);
        }
        match self.total {
            Some(total) if self.writer.len() < total => Err(self.broken()),
            _ => Ok(()),
        }
    }

    /// Asks the hub for length and checksum; what the reference says stays.
    async fn look_up(&mut self) -> Result<(), HubError> {
        let address = self.hub.listing_address(self.file);
        let mut answer = self.cancel.or(transport::get(&address, 0, None)).await?;
        if answer.status != 200 {
            return Err(self.refusal(answer.status));
        }
        let mut listing = Vec::new();
        while let Some(bytes) = self.cancel.or(answer.next()).await? {
            listing.extend_from_slice(&bytes);
            if listing.len() > listing::MAX_BYTES {
                break;
            }
        }
        let Listed { bytes, sha256 } = listing::find(&listing, &self.file.file);
        self.total = self.total.or(bytes);
        self.expected = self.expected.take().or(sha256);
        self.looked_up = true;
        Ok(())
    }

    fn broken(&self) -> HubError {
        HubError::Broken { tries: 1, received: self.writer.len() }
    }

    fn refusal(&self, status: u16) -> HubError {
        let ModelRef { repo, revision, file, .. } = self.file.clone();
        match status {
            401 | 403 => HubError::Refused { repo },
            404 => HubError::NotFound { repo, revision, file },
            429 => HubError::TooManyRequests,
            status => HubError::Status { status },
        }
    }

    async fn restart(&mut self, partial: Partial) -> Result<(), HubError> {
        self.writer.restart(partial).await?;
        self.hash = Sha256::new();
        self.at_start = 0;
        self.started = transport::seconds();
        Ok(())
    }

    /// The sha256 of all bytes, if it is the one they must have.
    fn check(&mut self) -> Result<String, HubError> {
        let found: String = self.hash.finalize_reset().iter().map(|byte| format!("{byte:02x}")).collect();
        match &self.expected {
            Some(expected) if *expected != found => Err(HubError::WrongBytes { expected: expected.clone(), found }),
            _ => Ok(found),
        }
    }
}

/// The first byte of a `Content-Range: bytes 5-9/10`.
pub(crate) fn range_start(header: &str) -> Option<u64> {
    header.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}
