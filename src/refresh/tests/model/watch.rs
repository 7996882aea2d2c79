//! A model of tokio's `watch` with the functions that are used. A change wakes the waiting receivers, and a receiver
//! that subscribed before the change does not miss it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::SwitchPoint;

pub(crate) fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let inner = Inner { value, version: 0, closed: false, waiting: BTreeMap::new(), next: 0 };
    let shared = Arc::new(Shared { point: SwitchPoint::default(), inner: Mutex::new(inner) });
    (Sender(Arc::clone(&shared)), Receiver { shared, seen: 0 })
}

#[derive(Debug)]
struct Shared<T> {
    point: SwitchPoint,
    /// A mutex of std, because it is never held across a switch point.
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    value: T,
    version: u64,
    closed: bool,
    waiting: BTreeMap<u64, Waker>,
    next: u64,
}

impl<T> Shared<T> {
    fn wake_all(&self) {
        self.point.pass();
        let waiting = std::mem::take(&mut self.inner.lock().unwrap().waiting);
        waiting.into_values().for_each(Waker::wake);
    }
}

#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    pub(crate) fn subscribe(&self) -> Receiver<T> {
        self.0.point.pass();
        let seen = self.0.inner.lock().unwrap().version;
        Receiver { shared: Arc::clone(&self.0), seen }
    }

    pub(crate) fn send_replace(&self, value: T) {
        self.send_modify(|current| *current = value);
    }

    pub(crate) fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.0.point.pass();
        let mut inner = self.0.inner.lock().unwrap();
        modify(&mut inner.value);
        inner.version += 1;
        drop(inner);
        self.0.wake_all();
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.inner.lock().unwrap().closed = true;
        self.0.wake_all();
    }
}

#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

impl<T> Receiver<T> {
    /// Returns an error if the sender was dropped.
    pub(crate) async fn changed(&mut self) -> Result<(), ()> {
        let mut waiter = Waiter { shared: &self.shared, id: None };
        poll_fn(|context| waiter.poll(context, &mut self.seen)).await
    }
}

struct Waiter<'a, T> {
    shared: &'a Shared<T>,
    id: Option<u64>,
}

impl<T> Waiter<'_, T> {
    fn poll(&mut self, context: &Context<'_>, seen: &mut u64) -> Poll<Result<(), ()>> {
        self.shared.point.pass();
        let mut inner = self.shared.inner.lock().unwrap();
        if inner.version != *seen {
            *seen = inner.version;
            return Poll::Ready(Ok(()));
        }
        if inner.closed {
            return Poll::Ready(Err(()));
        }
        let id = *self.id.get_or_insert(inner.next);
        inner.next = inner.next.max(id + 1);
        inner.waiting.insert(id, context.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Waiter<'_, T> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.inner.lock().unwrap().waiting.remove(&id);
        }
    }
}
