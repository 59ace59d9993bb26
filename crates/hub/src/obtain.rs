//! The flow: from the cache, or from the hub into the cache.

use crate::progress::{Meter, Phase, Progress};
use crate::store::refuse_reserved;
use crate::transfer::Transfer;
use crate::{Cancel, Hub, HubError, Store};
use tiller_formats::ByteSource;
use tiller_sites::ModelRef;

#[cfg(not(target_arch = "wasm32"))]
use crate::native::http as transport;
#[cfg(target_arch = "wasm32")]
use crate::web::fetch as transport;

/// How often one looks whether somebody else has received the file.
const LOOK_AGAIN_S: f64 = 1.0;

/// The file that `file` names: from the cache without a request, or from the hub.
///
/// A transfer that breaks goes on where it broke; one that an earlier call left goes on too. Where somebody else is
/// receiving the file into the same cache (another tab, another program), this waits for it, and takes over if it is
/// left unfinished. The bytes are hashed as they come and compared with the reference's sha256, or where it has none
/// with the one that the hub lists. What does not match is not kept.
pub async fn obtain<S: Store>(
    hub: &Hub,
    store: &S,
    file: &ModelRef,
    cancel: &Cancel,
    on_progress: impl FnMut(Progress),
) -> Result<S::File, HubError> {
    file.validate()?;
    refuse_reserved(file)?;
    let meter = Meter::new(on_progress, file.bytes);
    let writer = loop {
        if let Some(found) = store.open(file).await? {
            meter.received.set(found.len());
            meter.total.set(Some(found.len()));
            meter.report(Phase::Ready);
            return Ok(found);
        }
        match store.append(file).await {
            Ok(writer) => break writer,
            Err(HubError::InUse) => {
                meter.received.set(store.received(file).await);
                meter.report(Phase::Elsewhere);
                cancel.or(async { Ok(transport::sleep(LOOK_AGAIN_S).await) }).await?;
            }
            Err(error) => return Err(error),
        }
    };
    let transfer = Transfer::new(hub, file, cancel, &meter, writer);
    let (writer, found) = transfer.run().await?;
    store.finish(&found, writer).await
}
