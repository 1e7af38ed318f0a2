//! The time of a step, and of each kernel in it.

use std::sync::Arc;

use retrodict_engine::lower::{DeviceError, KernelTime, Lowered, Span, Timing};

use crate::driver::Event;
use crate::gpu::Loaded;
use crate::session::{Session, Work};

/// Launches before a time is taken.
const WARM_UP: usize = 3;
/// Times, of which the median is taken.
const TIMES: usize = 5;

/// Times a program.
pub(crate) fn time(
    gpu: &Arc<Loaded>,
    program: &Arc<Lowered>,
    record: &[u32],
    parameters: &[f32],
    (seeds, steps): (usize, usize),
) -> Result<Timing, DeviceError> {
    let mut session = Session::new(gpu, seeds)?;
    let zeros = vec![0.0; program.trainable];
    for slot in 0..seeds {
        session.write(slot, parameters, [&zeros, &zeros])?;
    }
    let copy_rate = session.copy_rate()?;
    let records = record.repeat(steps);
    let work: Vec<_> = (0..seeds).map(|slot| (slot, records.as_slice())).collect();
    let mut times = Vec::new();
    for time in 0..WARM_UP + TIMES {
        let seconds = session.time(program, &work)?;
        if time >= WARM_UP {
            times.push(seconds / steps as f64);
        }
    }
    let kernels = each(&mut session, program, &work)?;
    Ok(Timing { step: median(times), kernels, copy_rate })
}

/// The kernels of a step, launched one by one, the slowest first.
fn each(
    session: &mut Session,
    program: &Arc<Lowered>,
    work: &[Work<'_>],
) -> Result<Vec<KernelTime>, DeviceError> {
    let mut nodes = session.launches(program, work.len())?;
    let stream = session.stream();
    let events: Vec<Event> = (0..=nodes.len()).map(|_| Event::new()).collect::<Result<_, _>>()?;
    let mut totals: Vec<KernelTime> = Vec::new();
    let mut samples = vec![Vec::new(); nodes.len()];
    for _ in 0..TIMES {
        session.rewind(work)?;
        events[0].record(stream)?;
        for (node, event) in nodes.iter_mut().zip(&events[1..]) {
            node.launch(stream)?;
            event.record(stream)?;
        }
        stream.wait()?;
        for (at, samples) in samples.iter_mut().enumerate() {
            samples.push(events[at + 1].since(&events[at])?);
        }
    }
    for (launch, samples) in program.launches.iter().zip(samples) {
        let at = totals.iter().position(|total| total.kernel == launch.kernel);
        let at = at.unwrap_or_else(|| {
            totals.push(KernelTime {
                kernel: launch.kernel,
                launches: 0,
                seconds: 0.0,
                bytes: 0.0,
            });
            totals.len() - 1
        });
        let total = &mut totals[at];
        total.launches += 1;
        total.seconds += median(samples);
        let spans = launch.reads.iter().chain(&launch.writes);
        let words: usize = spans.map(Span::words).sum();
        total.bytes += 4.0 * (words * work.len()) as f64;
    }
    totals.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Ok(totals)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
