//! Stopping a transfer from outside.

use crate::HubError;
use futures_util::future::{Either, poll_fn, select};
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// A flag that its clones share. It ends a transfer at once where waiting does not block the thread (in a tab), and
/// when the next bytes arrive where it does.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Rc<State>);

#[derive(Debug, Default)]
struct State {
    cancelled: Cell<bool>,
    /// Of the transfer that waits. There is one: a flag belongs to one transfer.
    waiting: RefCell<Option<Waker>>,
}

impl Cancel {
    pub fn new() -> Cancel {
        Cancel::default()
    }

    pub fn cancel(&self) {
        self.0.cancelled.set(true);
        if let Some(waker) = self.0.waiting.take() {
            waker.wake();
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.get()
    }

    /// `work`, or [`HubError::Cancelled`] as soon as the flag is set; `work` is then dropped where it stands.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = Result<T, HubError>>) -> Result<T, HubError> {
        let cancelled = poll_fn(|context| {
            if self.is_cancelled() {
                return Poll::Ready(());
            }
            *self.0.waiting.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        });
        match select(pin!(cancelled), pin!(work)).await {
            Either::Left(_) => Err(HubError::Cancelled),
            Either::Right((done, _)) => done,
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use futures_util::future::{join, pending, ready};

    #[test]
    fn what_waits_for_ever_ends_when_cancelled() {
        let cancel = Cancel::new();
        let waiting = cancel.or(pending::<Result<(), HubError>>());
        let (ended, ()) = pollster::block_on(join(waiting, async { cancel.cancel() }));
        assert!(matches!(ended, Err(HubError::Cancelled)));
    }

    #[test]
    fn what_is_not_cancelled_goes_through() {
        assert_eq!(pollster::block_on(Cancel::new().or(ready(Ok(7)))).unwrap(), 7);
    }
}
