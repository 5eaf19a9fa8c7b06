//! Writes the records of an agent to its journal, on a thread of its own: no probe waits for a disk.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::clock_state::ClockState;
use super::collect::{Collector, MAX_INTERVAL};
use super::digest::Digest;
use super::line::{ConfigurationRead, Entry, Started};
use super::verify::Head;
use super::write::Appender;
use crate::lock::lock;
use crate::record::Record;

/// How many records wait for the disk at most; further ones are lost, and counted.
const QUEUE: usize = 1024;

/// From what difference on between the clocks the wall clock was set: drift and NTP's slewing are less.
const CLOCK_STEP: Duration = Duration::from_secs(1);

/// How long the last entries may take to be written.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// Takes records in, and writes them in the background.
#[derive(Debug)]
pub struct Recorder {
    events: Mutex<Option<SyncSender<Event>>>,
    finished: Mutex<Receiver<()>>,
    lost: Arc<AtomicU64>,
    status: Arc<Mutex<Status>>,
}

/// What there is to write.
#[derive(Debug)]
enum Event {
    Record(Arc<Record>),
    Configuration(ConfigurationRead),
}

/// The state of a journal at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The last line that was written.
    pub head: Head,
    /// How often an entry could not be written, or a record found no room in the queue.
    pub write_failures: u64,
}

impl Recorder {
    /// Starts the thread.
    ///
    /// # Errors
    /// There can be no further thread.
    pub fn start(appender: Appender, configuration: Option<Digest>) -> io::Result<Self> {
        let (events, received) = sync_channel(QUEUE);
        let (finish, finished) = channel();
        let lost = Arc::new(AtomicU64::new(0));
        let status = Arc::new(Mutex::new(Status { head: appender.head(), write_failures: 0 }));
        let journal = Journal::new(appender, Arc::clone(&lost), Arc::clone(&status));
        thread::Builder::new().name("journal".to_owned()).spawn(move || {
            journal.run(&received, configuration);
            let _ = finish.send(()); // nothing waits where the time limit has passed
        })?;
        Ok(Self { events: Mutex::new(Some(events)), finished: Mutex::new(finished), lost, status })
    }

    /// Takes a record in, without waiting.
    pub fn record(&self, record: Arc<Record>) {
        if !self.send(Event::Record(record)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            lock(&self.status).write_failures += 1;
        }
    }

    /// Notes that a configuration was read, without waiting.
    pub fn configuration(&self, read: ConfigurationRead) {
        if !self.send(Event::Configuration(read)) {
            lock(&self.status).write_failures += 1;
        }
    }

    fn send(&self, event: Event) -> bool {
        lock(&self.events).as_ref().is_none_or(|events| events.try_send(event).is_ok())
    }

    /// The state after the last entry.
    pub fn status(&self) -> Status {
        *lock(&self.status)
    }

    /// Writes what is left, within a time limit. Whether it was written.
    pub fn finish(&self) -> bool {
        drop(lock(&self.events).take());
        lock(&self.finished).recv_timeout(FINISH_TIMEOUT).is_ok()
    }
}

/// The state of the thread.
struct Journal {
    appender: Appender,
    collector: Collector,
    lost: Arc<AtomicU64>,
    status: Arc<Mutex<Status>>,
    clock: Clock,
    /// What is known of the clock, and when it was looked at.
    clock_state: (ClockState, Instant),
    /// Whether the last entry could not be written.
    is_failing: bool,
}

impl Journal {
    fn new(appender: Appender, lost: Arc<AtomicU64>, status: Arc<Mutex<Status>>) -> Self {
        let clock_state = (ClockState::now(), Instant::now());
        let (collector, clock) = (Collector::default(), Clock::now());
        Self { appender, collector, lost, status, clock, clock_state, is_failing: false }
    }

    fn run(mut self, events: &Receiver<Event>, configuration: Option<Digest>) {
        self.write(Entry::Started(Started::this_program(configuration)));
        self.write(Entry::Clock(self.clock_state.0));
        while let Ok(event) = events.recv() {
            self.look_at_clock();
            if let Some(seconds) = self.clock.step() {
                self.write(Entry::ClockStep { seconds });
            }
            match event {
                Event::Record(record) => {
                    for entry in self.collector.add(&record) {
                        self.write(entry);
                    }
                }
                Event::Configuration(read) => self.write(Entry::Configuration(read)),
            }
        }
        for entry in self.collector.finish() {
            self.write(entry);
        }
        self.write(Entry::Stopped {});
    }

    fn look_at_clock(&mut self) {
        let (before, at) = self.clock_state;
        if at.elapsed() >= MAX_INTERVAL {
            let now = ClockState::now();
            self.clock_state = (now, Instant::now());
            if now != before {
                self.write(Entry::Clock(now));
            }
        }
    }

    fn write(&mut self, entry: Entry) {
        let probes = match &entry {
            Entry::Record(_) => 1,
            Entry::Unchanged(unchanged) => unchanged.count,
            _ => 0,
        };
        let target = match &entry {
            Entry::Record(record) => Some(record.target.name.clone()),
            _ => None,
        };
        let written = self.write_lost().and_then(|()| self.appender.append(entry));
        if written.is_err() {
            self.lost.fetch_add(probes, Ordering::Relaxed);
            if let Some(target) = target {
                self.collector.forget(&target); // the next record is written in full
            }
        }
        match (&written, self.is_failing) {
            (Err(error), false) => tracing::error!(error = error.to_string(), "the journal cannot be written"),
            (Ok(()), true) => tracing::info!("the journal is written again"),
            (Err(_), true) | (Ok(()), false) => {}
        }
        self.is_failing = written.is_err();
        let mut status = lock(&self.status);
        status.head = self.appender.head();
        status.write_failures += u64::from(written.is_err());
    }

    fn write_lost(&mut self) -> io::Result<()> {
        let probes = self.lost.swap(0, Ordering::Relaxed);
        if probes == 0 {
            return Ok(());
        }
        let written = self.appender.append(Entry::Lost { probes });
        if written.is_err() {
            self.lost.fetch_add(probes, Ordering::Relaxed);
        }
        written
    }
}

/// Both clocks at one moment.
struct Clock {
    monotonic: Instant,
    wall: SystemTime,
}

impl Clock {
    fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// How far the wall clock was set since the last call, in seconds.
    fn step(&mut self) -> Option<f64> {
        let now = Self::now();
        let expected = now.monotonic.duration_since(self.monotonic).as_secs_f64();
        let passed = match now.wall.duration_since(self.wall) {
            Ok(forward) => forward.as_secs_f64(),
            Err(back) => -back.duration().as_secs_f64(),
        };
        *self = now;
        let step = passed - expected;
        (step.abs() >= CLOCK_STEP.as_secs_f64()).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_step_has_its_sign() {
        let mut clock = Clock::now();
        assert_eq!(clock.step(), None);
        for (set, range) in [(-3600.0, 3599.0..3601.0), (3600.0, -3601.0..-3599.0)] {
            let shift = Duration::from_secs(3600);
            clock.wall = if set < 0.0 { clock.wall - shift } else { clock.wall + shift };
            assert!(clock.step().is_some_and(|step| range.contains(&step)));
            assert_eq!(clock.step(), None);
        }
    }
}
