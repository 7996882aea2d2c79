//! A model of tokio's `Notify` with the functions that are used. It has one permit and wakes waiting tasks in order. If
//! a task is dropped after it was notified and before it was polled, the next task is notified.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::SwitchPoint;

#[derive(Debug, Default)]
pub(crate) struct Notify {
    point: SwitchPoint,
    /// A mutex of std, because it is never held across a switch point.
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    permit: bool,
    waiting: VecDeque<(u64, Waker)>,
    /// Removed from `waiting` by a notification, and not polled since.
    notified: Vec<u64>,
    next: u64,
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notify_one(&self) {
        self.point.pass();
        self.notify_next();
    }

    pub(crate) fn notified(&self) -> Notified<'_> {
        Notified { notify: self, id: None }
    }

    fn notify_next(&self) {
        let mut queue = self.lock();
        match queue.waiting.pop_front() {
            Some((id, waker)) => {
                queue.notified.push(id);
                drop(queue);
                waker.wake();
            }
            None => queue.permit = true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap()
    }
}

pub(crate) struct Notified<'a> {
    notify: &'a Notify,
    id: Option<u64>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.notify.point.pass();
        let mut queue = self.notify.lock();
        match self.id {
            None if std::mem::take(&mut queue.permit) => return Poll::Ready(()),
            None => {
                let id = queue.next;
                queue.next += 1;
                queue.waiting.push_back((id, context.waker().clone()));
                drop(queue);
                self.id = Some(id);
            }
            Some(id) => {
                if let Some(at) = queue.notified.iter().position(|notified| *notified == id) {
                    queue.notified.swap_remove(at);
                    drop(queue);
                    self.id = None;
                    return Poll::Ready(());
                }
            }
        }
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut queue = self.notify.lock();
        queue.waiting.retain(|(waiting, _)| *waiting != id);
        if let Some(at) = queue.notified.iter().position(|notified| *notified == id) {
            queue.notified.swap_remove(at);
            drop(queue);
            self.notify.notify_next();
        }
    }
}
