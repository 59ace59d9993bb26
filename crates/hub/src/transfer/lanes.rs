//! The parts of a file, several requests at a time.

use super::{Transfer, is_of, transport};
use crate::HubError;
use crate::answer::Ask;
use crate::parts::{Part, Parts};
use crate::progress::{Meter, Phase, Progress};
use crate::store::Writer;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::rc::Rc;

impl<W: Writer, P: FnMut(Progress)> Transfer<'_, W, P> {
    /// Receives the parts that are missing, a few at a time. `first`: the answer that the first of them comes with.
    pub(super) async fn receive_parts(&mut self, mut first: Option<transport::Answer>) -> Result<(), HubError> {
        let address = self.hub.file_address(self.file);
        let etag = self.writer.partial().etag.clone();
        let (meter, cancel, file, token) = (self.meter, self.cancel, self.file, self.hub.token());
        let lane = |part: Rc<Part>, answer: Option<transport::Answer>| {
            let missing = part.missing();
            let (address, etag) = (&address, etag.as_deref());
            async move {
                let ask = Ask { address, from: missing.start, to: Some(missing.end), etag, token };
                let answer = match answer {
                    Some(answer) => answer,
                    None => transport::get(&ask).await?,
                };
                let total = meter.total.get();
                match answer.heading.status {
                    206 if is_of(&answer.heading, missing.start, etag, answer.heading.range_total, total) => {}
                    200 | 206 | 416 => return Ok(Received::Other),
                    _ => return Err(HubError::refusal(&answer.heading, file, token.is_some())),
                }
                receive_part(&part, answer, meter).await
            }
        };
        let mut lanes = FuturesUnordered::new();
        for part in self.parts.iter().flat_map(Parts::unfinished) {
            lanes.push(lane(part, first.take()));
        }
        loop {
            while let Some(bytes) = self.parts.as_mut().and_then(Parts::take_whole) {
                self.keep(&bytes).await?;
            }
            while let Some(part) = self.parts.as_mut().and_then(Parts::begin) {
                lanes.push(lane(part, first.take()));
            }
            match cancel.or(async { Ok(lanes.next().await) }).await? {
                None => break,
                Some(Err(error)) => return Err(error),
                Some(Ok(Received::Cut)) => return Err(self.broken()),
                Some(Ok(Received::Other)) => {
                    drop(lanes);
                    self.gives_parts = Some(false);
                    return Err(self.start_over().await?);
                }
                Some(Ok(Received::Whole)) => {}
            }
        }
        self.parts = None;
        Ok(())
    }
}

/// How the answer to a request for a part ended.
enum Received {
    Whole,
    /// Before the part was whole.
    Cut,
    /// It is not of the file that the other parts are of.
    Other,
}

async fn receive_part<P: FnMut(Progress)>(
    part: &Part,
    mut answer: transport::Answer,
    meter: &Meter<P>,
) -> Result<Received, HubError> {
    while let Some(bytes) = answer.next().await? {
        if !part.push(&bytes) {
            return Ok(Received::Other);
        }
        meter.received.set(meter.received.get() + bytes.len() as u64);
        meter.report(Phase::Downloading);
    }
    Ok(if part.is_whole() { Received::Whole } else { Received::Cut })
}
