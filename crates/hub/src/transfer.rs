//! One file on its way from the hub into a store.

mod lanes;

use crate::answer::{Ask, Heading};
use crate::listing::{self, Listed};
use crate::parts::{PART_BYTES, Parts};
use crate::progress::{Meter, Phase, Progress};
use crate::retry::Retries;
use crate::store::Writer;
use crate::{Cancel, Hub, HubError, Partial};
use sha2::{Digest, Sha256};
use tiller_sites::ModelRef;

#[cfg(not(target_arch = "wasm32"))]
use crate::native::http as transport;
#[cfg(target_arch = "wasm32")]
use crate::web::fetch as transport;

const REHASH_BYTES: usize = 4 << 20;
/// No model file that a tab can load is longer.
const MAX_BYTES: u64 = 16 << 30;

pub(crate) struct Transfer<'a, W, P> {
    hub: &'a Hub,
    file: &'a ModelRef,
    cancel: &'a Cancel,
    meter: &'a Meter<P>,
    writer: W,
    hash: Sha256,
    /// The sha256 that the bytes must have, once it is known.
    expected: Option<String>,
    /// Whether the hub was asked for what the reference does not say.
    looked_up: bool,
    /// Parts on their way; `None` while the file comes in one piece.
    parts: Option<Parts>,
    /// The server has shown that it gives parts, or that it does not.
    gives_parts: Option<bool>,
}

impl<'a, W: Writer, P: FnMut(Progress)> Transfer<'a, W, P> {
    pub fn new(
        hub: &'a Hub,
        file: &'a ModelRef,
        cancel: &'a Cancel,
        meter: &'a Meter<P>,
        writer: W,
    ) -> Transfer<'a, W, P> {
        Transfer {
            hub,
            file,
            cancel,
            meter,
            writer,
            hash: Sha256::new(),
            expected: file.sha256.clone(),
            looked_up: file.bytes.is_some() && file.sha256.is_some(),
            parts: None,
            gives_parts: None,
        }
    }

    /// Receives what is missing. The writer then holds the whole file, whose length and checksum the reference names.
    pub async fn run(mut self) -> Result<(W, ModelRef), HubError> {
        self.rehash().await?;
        match self.receive().await {
            Ok(sha256) => {
                let found = ModelRef { bytes: Some(self.writer.len()), sha256: Some(sha256), ..self.file.clone() };
                Ok((self.writer, found))
            }
            Err(error @ (HubError::WrongBytes { .. } | HubError::WrongLength { .. })) => {
                self.writer.discard().await?;
                Err(error)
            }
            Err(error) => {
                for bytes in self.parts.take().into_iter().flat_map(Parts::take_rest) {
                    self.keep(&bytes).await?;
                }
                Err(error)
            }
        }
    }

    fn go_on(&self) -> Result<(), HubError> {
        if self.cancel.is_cancelled() { Err(HubError::Cancelled) } else { Ok(()) }
    }

    /// Hashes what an earlier try left.
    async fn rehash(&mut self) -> Result<(), HubError> {
        let end = self.writer.len();
        let mut at = 0;
        self.meter.received.set(end);
        while at < end {
            self.go_on()?;
            let len = REHASH_BYTES.min((end - at) as usize);
            let bytes = self.writer.read(at, len).await?;
            self.hash.update(&bytes);
            at += len as u64;
            self.meter.report(Phase::Verifying);
            // In a tab: lets a message arrive that stops this.
            transport::sleep(0.0).await;
        }
        self.meter.begin();
        Ok(())
    }

    /// Tries until all bytes are there; their sha256 then.
    async fn receive(&mut self) -> Result<String, HubError> {
        let mut retries = Retries::default();
        let at_first = self.received();
        loop {
            let before = self.received();
            let error = match self.attempt().await {
                Ok(()) => return self.check(),
                Err(error) => error,
            };
            let received = self.received();
            // A line that was there a moment ago may come back in another; one that was not is better said to be missing.
            if matches!(error, HubError::Offline) && received <= at_first {
                return Err(error);
            }
            let brought = received.saturating_sub(before);
            let Some(pause_s) = retries.pause_s(&error, brought, transport::chance()) else {
                return Err(match error {
                    HubError::Broken { .. } => HubError::Broken { tries: retries.tries(), received },
                    HubError::Unreachable { .. } if received > 0 => {
                        HubError::Broken { tries: retries.tries(), received }
                    }
                    error => error,
                });
            };
            self.meter.received.set(received);
            self.meter.report(match error {
                HubError::TooManyRequests { .. } => Phase::Waiting { seconds: pause_s },
                _ => Phase::Resuming { at: received },
            });
            self.cancel.or(async { Ok(transport::sleep(pause_s).await) }).await?;
        }
    }

    /// Bytes that are here: kept, or held in parts.
    fn received(&self) -> u64 {
        self.writer.len() + self.parts.as_ref().map_or(0, Parts::bytes)
    }

    /// Asks for what is missing, once.
    async fn attempt(&mut self) -> Result<(), HubError> {
        self.go_on()?;
        if self.received() == 0 {
            self.meter.report(Phase::Connecting);
        }
        if !self.looked_up {
            self.look_up().await?;
        }
        if self.parts.is_some() {
            return self.receive_parts(None).await;
        }
        let start = self.writer.len();
        let total = self.meter.total.get();
        if start > 0 && Some(start) == total {
            return Ok(());
        }
        let parts = total.filter(|_| self.gives_parts != Some(false)).and_then(|total| Parts::of(start, total));
        let address = self.hub.file_address(self.file);
        let etag = self.writer.partial().etag.clone();
        let to = parts.as_ref().map(|_| start + PART_BYTES);
        let ask = Ask { address: &address, from: start, to, etag: etag.as_deref(), token: self.hub.token() };
        let mut answer = self.cancel.or(transport::get(&ask)).await?;
        let heading = &answer.heading;
        let promised = match to {
            None => heading.length.map(|length| start.saturating_add(length)),
            Some(_) => heading.range_total,
        };
        match heading.status {
            206 if is_of(heading, start, etag.as_deref(), promised, total) => {
                if parts.is_some() {
                    if etag.is_none() && heading.etag.is_some() && start == 0 {
                        self.restart(Partial { etag: answer.heading.etag.clone() }).await?;
                    }
                    self.gives_parts = Some(true);
                    self.parts = parts;
                    self.check_room().await?;
                    return self.receive_parts(Some(answer)).await;
                }
            }
            // The whole file, because its version changed or the server knows no ranges.
            200 => {
                self.gives_parts = Some(false);
                self.restart(Partial { etag: answer.heading.etag.take() }).await?;
            }
            206 if start == 0 && is_of(heading, start, etag.as_deref(), None, total) => {
                let (expected, found) = (total.unwrap_or_default(), promised.unwrap_or_default());
                return Err(HubError::WrongLength { expected, found });
            }
            // Of another version, or not the range that was asked for: what is here leads nowhere.
            206 | 416 => return Err(self.start_over().await?),
            _ => return Err(HubError::refusal(heading, self.file, self.hub.token().is_some())),
        }
        if let Some(length) = answer.heading.length {
            let promised = self.writer.len().saturating_add(length);
            match self.meter.total.get() {
                Some(total) if total != promised => {
                    return Err(HubError::WrongLength { expected: total, found: promised });
                }
                _ => self.meter.total.set(Some(promised)),
            }
        }
        self.check_room().await?;
        self.receive_stream(answer).await
    }

    /// Keeps a body that goes to the end of the file.
    async fn receive_stream(&mut self, mut answer: transport::Answer) -> Result<(), HubError> {
        let total = self.meter.total.get();
        let limit = total.unwrap_or(MAX_BYTES);
        while let Some(bytes) = self.cancel.or(answer.next()).await? {
            let found = self.writer.len() + bytes.len() as u64;
            if found > limit {
                return Err(HubError::WrongLength { expected: limit, found });
            }
            self.keep(&bytes).await?;
            self.meter.received.set(found);
            self.meter.report(Phase::Downloading);
        }
        match total {
            Some(total) if self.writer.len() < total => Err(self.broken()),
            _ => Ok(()),
        }
    }

    /// Adds bytes to those that are kept.
    async fn keep(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        let missing = self.meter.total.get().unwrap_or(MAX_BYTES).saturating_sub(self.writer.len());
        self.writer.write(bytes).await.map_err(|error| match error {
            HubError::StorageFull { .. } => HubError::StorageFull { needed: missing },
            error => error,
        })?;
        self.hash.update(bytes);
        Ok(())
    }

    async fn check_room(&self) -> Result<(), HubError> {
        let missing = self.meter.total.get().map(|total| total.saturating_sub(self.writer.len()));
        match (missing, self.writer.room().await) {
            (Some(needed), Some(room)) if needed > room => Err(HubError::StorageFull { needed }),
            _ => Ok(()),
        }
    }

    /// Asks the hub for length and checksum; what the reference says stays.
    async fn look_up(&mut self) -> Result<(), HubError> {
        let address = self.hub.listing_address(self.file);
        let answer = self.cancel.or(transport::get(&Ask::whole(&address, self.hub.token()))).await?;
        if answer.heading.status != 200 {
            return Err(HubError::refusal(&answer.heading, self.file, self.hub.token().is_some()));
        }
        let listing = self.cancel.or(listing::read(answer)).await?;
        let Listed { bytes, sha256 } = listing::find(&listing, &self.file.file);
        self.meter.total.set(self.meter.total.get().or(bytes));
        self.expected = self.expected.take().or(sha256);
        self.looked_up = true;
        Ok(())
    }

    fn broken(&self) -> HubError {
        HubError::Broken { tries: 1, received: self.received() }
    }

    /// Forgets everything; the error with which the try ends.
    async fn start_over(&mut self) -> Result<HubError, HubError> {
        self.restart(Partial::default()).await?;
        Ok(self.broken())
    }

    async fn restart(&mut self, partial: Partial) -> Result<(), HubError> {
        self.writer.restart(partial).await?;
        self.parts = None;
        self.hash = Sha256::new();
        self.meter.received.set(0);
        self.meter.begin();
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

/// Whether a partial answer is what was asked for: from `start`, of the known version, of a file that ends where the
/// file is known to end.
pub(super) fn is_of(
    heading: &Heading,
    start: u64,
    etag: Option<&str>,
    promised: Option<u64>,
    total: Option<u64>,
) -> bool {
    let same_version = etag.is_none() || heading.etag.is_none() || etag == heading.etag.as_deref();
    heading.range_start == Some(start) && same_version && (promised.is_none() || total.is_none() || promised == total)
}
