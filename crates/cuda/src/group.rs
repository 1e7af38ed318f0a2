//! Seeds that share launches: each runs in a thread of its own, and takes a seat. A launch waits
//! until every seed that is there has asked for one; then those with equal programs share it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use retrodict_engine::lower::{DeviceError, Lowered, OnDevice, Region};

use crate::gpu::Loaded;
use crate::session::Session;

/// One seed's place in a group.
pub(crate) struct Seat {
    group: Arc<Group>,
    slot: usize,
}

struct Group {
    state: Mutex<State>,
    changed: Condvar,
    session: Mutex<Session>,
}

struct State {
    places: Vec<Place>,
    /// Whether a seed runs a launch for some.
    busy: bool,
}

enum Place {
    /// Left.
    Empty,
    /// Not asking: its thread does something else.
    Idle,
    Asking(Request),
    /// Its launch runs.
    Running,
    Done(Result<Vec<f32>, DeviceError>),
}

struct Request {
    program: Arc<Lowered>,
    records: Vec<u32>,
    /// Whether it changes parameters.
    trains: bool,
}

impl Request {
    fn new(program: &Arc<Lowered>, records: &[u32]) -> Request {
        let trains = program.uses(Region::SecondMoments);
        Request { program: Arc::clone(program), records: records.to_vec(), trains }
    }

    /// Whether the two can share launches.
    fn is_like(&self, other: &Request) -> bool {
        self.records.len() == other.records.len()
            && (Arc::ptr_eq(&self.program, &other.program) || self.program == other.program)
    }
}

impl State {
    /// The slots whose requests run next, if every seed that is there asks.
    ///
    /// Measurements come before training: seeds that measure more often than others catch up, and
    /// all train together again.
    fn next(&self) -> Option<Vec<usize>> {
        let mut asking: Vec<(usize, &Request)> = Vec::new();
        for (slot, place) in self.places.iter().enumerate() {
            match place {
                Place::Empty => {}
                Place::Asking(request) => asking.push((slot, request)),
                Place::Idle | Place::Running | Place::Done(_) => return None,
            }
        }
        let (_, first) = asking.iter().find(|(_, r)| !r.trains).or(asking.first())?;
        let like = asking.iter().filter(|(_, request)| request.is_like(first));
        Some(like.map(|(slot, _)| *slot).collect())
    }

    /// Takes the requests of these slots.
    fn take(&mut self, slots: Vec<usize>) -> Vec<(usize, Request)> {
        let taken = slots.into_iter().filter_map(|slot| {
            match std::mem::replace(&mut self.places[slot], Place::Running) {
                Place::Asking(request) => Some((slot, request)),
                _ => None,
            }
        });
        taken.collect()
    }
}

impl Group {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the requests that are next, while nobody else does.
    fn serve<'g>(
        &'g self,
        mut state: MutexGuard<'g, State>,
        slots: Vec<usize>,
    ) -> MutexGuard<'g, State> {
        let requests = state.take(slots);
        state.busy = true;
        drop(state);
        let results = match requests.first() {
            Some((_, first)) => {
                let work: Vec<_> =
                    requests.iter().map(|(slot, r)| (*slot, r.records.as_slice())).collect();
                self.session().run(&first.program, &work)
            }
            None => Ok(Vec::new()),
        };
        let mut state = self.state();
        state.busy = false;
        match results {
            Ok(outputs) => {
                for ((slot, _), outputs) in requests.iter().zip(outputs) {
                    state.places[*slot] = Place::Done(Ok(outputs));
                }
            }
            Err(error) => {
                for (slot, _) in &requests {
                    state.places[*slot] = Place::Done(Err(error.clone()));
                }
            }
        }
        self.changed.notify_all();
        state
    }
}

/// A group of so many seeds.
pub(crate) fn seats(gpu: &Arc<Loaded>, count: usize) -> Result<Vec<Seat>, DeviceError> {
    let places = (0..count).map(|_| Place::Idle).collect();
    let group = Arc::new(Group {
        state: Mutex::new(State { places, busy: false }),
        changed: Condvar::new(),
        session: Mutex::new(Session::new(gpu, count)?),
    });
    Ok((0..count).map(|slot| Seat { group: Arc::clone(&group), slot }).collect())
}

impl OnDevice<f32> for Seat {
    fn write(&mut self, parameters: &[f32], moments: [&[f32]; 2]) -> Result<(), DeviceError> {
        self.group.session().write(self.slot, parameters, moments)
    }

    fn read(
        &mut self,
        parameters: &mut [f32],
        moments: [&mut [f32]; 2],
    ) -> Result<(), DeviceError> {
        self.group.session().read(self.slot, parameters, moments)
    }

    fn run(&mut self, program: &Arc<Lowered>, records: &[u32]) -> Result<Vec<f32>, DeviceError> {
        let group = &*self.group;
        let mut state = group.state();
        state.places[self.slot] = Place::Asking(Request::new(program, records));
        loop {
            if let Place::Done(_) = state.places[self.slot] {
                let done = std::mem::replace(&mut state.places[self.slot], Place::Idle);
                let Place::Done(result) = done else { unreachable!("it is done") };
                return result;
            }
            let next = if state.busy { None } else { state.next() };
            state = match next {
                Some(slots) => group.serve(state, slots),
                None => group.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.group.state().places[self.slot] = Place::Empty;
        self.group.changed.notify_all();
    }
}
