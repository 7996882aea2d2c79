//! What the providers, their callers and the driver share: how a caller is answered, waits, and wakes the driver.

use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::Guard;
use aws_smithy_async::time::SharedTimeSource;

use crate::clock;
use crate::error::Error;
use crate::error::problem::{Problem, Runtime};
use crate::refresh::cache::{Cache, Entry, Epoch, Held};
use crate::refresh::refusals::Refusals;
use crate::refresh::schedule::{self, Decision, Policy, Refusal};
use crate::refresh::status::{Health, Status};
use crate::refresh::sync::{AbortHandle, Handle, Instant, Mutex, MutexGuard, Notify, OwnRuntime, watch};
use crate::refresh::task::{run_on, with_subscriber, within};
use crate::refresh::{Fetch, driver, metrics};

/// A driver that has not even accepted an ask after this long does not run: its runtime is blocked, or alive but not
/// polled. Then the waiting caller starts another one on its own runtime.
const DRIVER_GONE: Duration = Duration::from_secs(1);
/// On top of the longest flight, before a driver that accepted is given up.
const FLIGHT_GRACE: Duration = Duration::from_secs(2);
/// A source asked twice within a minute hands the same credentials out: no use in asking it for longer-lived ones.
const SAME_AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Shared {
    /// The error is that nothing is configured: every ask returns it.
    pub(crate) source: Result<Arc<dyn Fetch>, Error>,
    pub(crate) policy: Policy,
    pub(crate) cache: Cache,
    pub(crate) nudge: Notify,
    pub(crate) changes: watch::Sender<Status>,
    /// `None`: the system's, which is asked directly.
    time: Option<SharedTimeSource>,
    task: Mutex<Task>,
    place: Place,
    /// Which services have refused the credentials.
    pub(crate) refusals: Refusals,
}

/// Where the refresh task runs.
#[derive(Debug)]
pub(crate) enum Place {
    /// On a thread of its own.
    Own(OwnRuntime),
    /// On a runtime that the program has chosen.
    Given(Handle),
    /// On the runtime of whoever starts it.
    #[cfg(test)]
    Callers,
}

#[derive(Debug, Default)]
pub(crate) struct Task {
    /// The driver that is in charge, with its number.
    driver: Option<(Epoch, AbortHandle)>,
    /// Survives the driver, so that a new one keeps the gap to the attempts of the old one.
    pub(crate) last_start: Option<Instant>,
    /// When the driver accepted the flight that is under way, on the clock that no suspension or setting moves.
    flight_began: Option<Instant>,
}

impl Task {
    /// The driver of `epoch` has accepted a flight, or ended it.
    pub(crate) fn set_flight(&mut self, epoch: Epoch, began: Option<Instant>) {
        if self.is_driven_by(epoch) {
            self.flight_began = began;
        }
    }

    /// The driver of `epoch` ends. Its task may take a moment more to do so: who is woken by its goodbye must not find it
    /// alive, and wait for it.
    pub(crate) fn dismiss(&mut self, epoch: Epoch) {
        if self.is_driven_by(epoch) {
            self.flight_began = None;
            self.driver = None;
        }
    }

    /// One that was replaced has nothing to say of the flight of the next.
    fn is_driven_by(&self, epoch: Epoch) -> bool {
        self.driver.as_ref().is_some_and(|(driver, _)| *driver == epoch)
    }
}

impl Shared {
    pub(crate) fn new(
        source: Result<Arc<dyn Fetch>, Error>,
        policy: Policy,
        time: Option<SharedTimeSource>,
        place: Place,
    ) -> Self {
        let cache = Cache::default();
        let (changes, _) = watch::channel(status(&source, &cache.load(), now(time.as_ref())));
        Self {
            source,
            policy,
            cache,
            nudge: Notify::new(),
            changes,
            time,
            task: Mutex::default(),
            place,
            refusals: Refusals::default(),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        now(self.time.as_ref())
    }

    /// The hit path: what may be served if nobody has to be woken or waited for.
    pub(crate) fn servable(&self) -> Option<Guard<Arc<Entry>>> {
        let entry = self.cache.load();
        let now = self.now();
        let serve = entry.serves(now) || schedule::decide(&self.policy, &entry.state, now) == Decision::Serve;
        serve.then_some(entry)
    }

    /// What is at hand and may be handed out without waiting, expired credentials in an outage included.
    pub(crate) fn at_hand<T>(&self, pick: impl FnOnce(&Held) -> T) -> Option<T> {
        let entry = self.cache.load();
        match schedule::decide(&self.policy, &entry.state, self.now()) {
            Decision::Fail | Decision::Wait => None,
            _ => entry.held.as_ref().map(pick),
        }
    }

    /// The whole answer: at once if that is possible, else after the flight that is under way or a new one.
    pub(crate) async fn get<T>(self: &Arc<Self>, pick: impl Fn(&Held) -> T) -> Result<T, Error> {
        if let Some(held) = self.servable().as_ref().and_then(|entry| entry.held.as_ref()) {
            return Ok(pick(held));
        }
        self.source.as_ref().map_err(Clone::clone)?;
        loop {
            let entry = self.cache.load_full();
            match schedule::decide(&self.policy, &entry.state, self.now()) {
                Decision::Serve | Decision::ServeExpired => {}
                Decision::ServeAndNudge => self.nudge_if_possible(),
                Decision::WaitBriefly => {
                    self.wait_briefly(&entry).await;
                    match self.at_hand(&pick) {
                        Some(held) => return Ok(held),
                        // Unless it has expired meanwhile, or been denied.
                        None => continue,
                    }
                }
                Decision::Wait => {
                    let landed = self.flight_after(&entry).await?;
                    match self.answer_of(&landed) {
                        Some(answer) => return answer.map(pick),
                        None => continue,
                    }
                }
                Decision::Fail => return Err(entry.error.clone().unwrap_or_else(no_outcome)),
            }
            return entry.held.as_ref().map(&pick).ok_or_else(no_outcome);
        }
    }

    /// What a flight means for those who waited for it, even if the moment in which its error is kept has passed.
    /// `None`: it succeeded, but its credentials have expired meanwhile.
    fn answer_of<'a>(&self, landed: &'a Entry) -> Option<Result<&'a Held, Error>> {
        let held = landed.held.as_ref();
        if let Some(held) = held.filter(|_| landed.state.is_usable(self.now())) {
            return Some(Ok(held));
        }
        let error = landed.error.as_ref()?;
        match held {
            Some(held) if self.policy.may_serve_expired(&landed.state) => Some(Ok(held)),
            _ => Some(Err(error.clone())),
        }
    }

    /// Credentials that are valid for `ttl` from now, fetching new ones if those at hand are not.
    pub(crate) async fn get_valid_for<T>(
        self: &Arc<Self>,
        ttl: Duration,
        pick: impl Fn(&Held) -> T,
    ) -> Result<T, Error> {
        self.get(|_| ()).await?;
        let entry = self.cache.load_full();
        let now = self.now();
        if let Some(held) = self.lasting(&entry, ttl) {
            return Ok(pick(held));
        }
        let fetched_at = entry.state.validity.map(|validity| validity.fetched_at);
        let just_fetched = fetched_at.is_some_and(|at| at <= now && clock::since(now, at) < SAME_AGAIN);
        if just_fetched || !entry.state.may_be_asked(now) {
            return Err(self.too_short(&entry, ttl));
        }
        // Unless a flight has landed since: it is the answer, and one more would bring the same.
        self.cache.update(|current| current.state.forced |= current.flights_ended == entry.flights_ended);
        let landed = self.flight_after(&entry).await?;
        self.lasting(&landed, ttl).map(pick).ok_or_else(|| self.too_short(&landed, ttl))
    }

    fn lasting<'a>(&self, entry: &'a Entry, ttl: Duration) -> Option<&'a Held> {
        entry.held.as_ref().filter(|_| entry.state.is_usable_for(self.now(), ttl))
    }

    fn too_short(&self, entry: &Entry, ttl: Duration) -> Error {
        let expiry = entry.state.validity.and_then(|validity| validity.expiry);
        let cause = entry.error.clone();
        let problem = Problem::LifetimeTooShort { requested: ttl, expiry, cause: cause.clone() };
        match cause {
            Some(cause) => Error::caused_by(problem, cause),
            None => problem.into(),
        }
    }

    /// A service has refused the credentials with this access key id: from now on they count as expired. If they do
    /// already, new ones are on their way, and every further refusal in an outage must not make them hurry.
    pub(crate) fn invalidate(&self, access_key_id: &str) {
        let now = self.now();
        self.cache.update(|entry| {
            let current = entry.held.as_ref().is_some_and(|held| held.credentials.access_key_id() == access_key_id);
            // After an earlier refusal of the same credentials, the source has been asked for others already.
            if !current || entry.state.refusal != Refusal::None {
                return;
            }
            let is_served = self.policy.serves(&entry.state, now);
            entry.state.refusal = Refusal::Refused;
            if let (true, Some(validity)) = (is_served, entry.state.validity.as_mut()) {
                validity.expiry = Some(validity.expiry.map_or(now, |expiry| expiry.min(now)));
                entry.state.failure = None;
                entry.state.forced = true;
            }
        });
        self.nudge.notify_one();
    }

    /// Whatever comes of it, there is something to fall back on.
    async fn wait_briefly(self: &Arc<Self>, seen: &Entry) {
        let wait = schedule::brief_wait(&seen.state, self.now());
        if let Ok(runtime) = self.runtime() {
            let _ = within(&runtime, wait, self.flight_after(seen)).await;
        }
    }

    /// Waits until a flight has ended that had not when `seen` was read, and returns what it left behind. Cancelling
    /// this cancels nothing: the flight is the driver's.
    async fn flight_after(self: &Arc<Self>, seen: &Entry) -> Result<Arc<Entry>, Error> {
        let runtime = self.runtime()?;
        let _waiting = metrics::Waiting::begin();
        let mut changes = self.changes.subscribe();
        self.wake_driver(false)?;
        loop {
            let entry = self.cache.load_full();
            if entry.flights_ended != seen.flights_ended {
                return Ok(entry);
            }
            match within(&runtime, DRIVER_GONE, changes.changed()).await {
                // Perhaps the driver said goodbye with its runtime.
                Ok(_) => self.wake_driver(false)?,
                Err(_) => {
                    let flight_began = self.task().flight_began;
                    let overdue = flight_began.is_none_or(|began| began.elapsed() > self.longest_flight());
                    self.wake_driver(overdue)?;
                }
            }
        }
    }

    fn longest_flight(&self) -> Duration {
        self.flight_budget().saturating_add(FLIGHT_GRACE)
    }

    /// The longest that one flight takes: the series of a cold start, or one attempt.
    pub(crate) fn flight_budget(&self) -> Duration {
        let attempt = self.source.as_ref().map_or(Duration::ZERO, |source| source.attempt_timeout());
        schedule::MIN_GAP.saturating_add(attempt.max(self.policy.startup_timeout))
    }

    /// Outside a runtime no driver can be started; who has usable credentials need not hear of it.
    pub(crate) fn nudge_if_possible(self: &Arc<Self>) {
        let _ = self.wake_driver(false);
    }

    /// Wakes the driver; starts one if there is none, if its runtime is gone, or to `replace` one that does not react.
    fn wake_driver(self: &Arc<Self>, replace: bool) -> Result<(), Error> {
        let mut task = self.task();
        let gone = task.driver.as_ref().is_none_or(|(_, driver)| driver.is_finished());
        if gone || replace {
            let runtime = self.runtime()?;
            let epoch = self.cache.next_epoch();
            task.flight_began = None;
            let driver = runtime.spawn(with_subscriber(driver::drive(Arc::clone(self), epoch))).abort_handle();
            if let Some((_, old)) = task.driver.replace((epoch, driver)) {
                old.abort();
            }
        }
        self.nudge.notify_one();
        Ok(())
    }

    /// `task`, where the refresh task runs. It is cancelled with the returned future.
    pub(crate) async fn run<T>(&self, task: impl Future<Output = T> + Send + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
    {
        run_on(&self.runtime()?, task).await
    }

    /// Where the refresh task runs, and whose timers callers wait by.
    pub(crate) fn runtime(&self) -> Result<Handle, Error> {
        match &self.place {
            Place::Given(runtime) => Ok(runtime.clone()),
            #[cfg(test)]
            Place::Callers => {
                Handle::try_current().map_err(|error| Error::caused_by(Problem::NoRuntime(Runtime::None), error))
            }
            // In a process that may start no more threads, the caller's runtime is better than nothing.
            Place::Own(own) => own.handle().or_else(|error| {
                let failed = Problem::NoRuntime(Runtime::NoThread(error.to_string()));
                Handle::try_current().map_err(|_| Error::caused_by(failed, error))
            }),
        }
    }

    pub(crate) fn task(&self) -> MutexGuard<'_, Task> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> Status {
        status(&self.source, &self.cache.load(), self.now())
    }

    /// The last provider is gone: end the driver, close its connection, wipe the secrets.
    pub(crate) fn close(&self) {
        self.cache.next_epoch();
        let driver = self.task().driver.take();
        if let Some((_, driver)) = driver {
            driver.abort();
        }
        self.cache.update(|entry| *entry = Entry::default());
        if let Place::Own(own) = &self.place {
            own.end();
        }
    }
}

fn now(time: Option<&SharedTimeSource>) -> SystemTime {
    time.map_or_else(clock::system_now, SharedTimeSource::now)
}

fn status(source: &Result<Arc<dyn Fetch>, Error>, entry: &Entry, now: SystemTime) -> Status {
    match source {
        Ok(source) => entry.status(now, Some(source.kind())),
        Err(not_configured) => {
            Status { last_error: Some(not_configured.clone()), health: Health::Failed, ..entry.status(now, None) }
        }
    }
}

fn no_outcome() -> Error {
    Problem::NoOutcomeYet.into()
}
