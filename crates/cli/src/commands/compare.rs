//! `retrodict compare`: interventions, each against the baseline.

use std::fmt::Write as _;

use retrodict_lab::spec::parse_seeds;
use retrodict_lab::store::{Status, Store};
use retrodict_lab::{Job, Resources, run_all};
use retrodict_report::compare::{
    Comparison, ComparisonResult, Measured, Planned, Row, Selected, TaskResult, json, keep, plan,
    select,
};
use retrodict_report::{Style, write_comparisons};

use super::estimate::Estimates;
use super::record::record_sweep;
use super::report::draw_beside;
use super::{Failure, complaints, fitted, print, stop_on_interrupt};
use crate::args::CompareArgs;
use crate::progress::show_progress;
use crate::table::{table, wrap};

pub(crate) fn compare(args: &CompareArgs) -> Result<(), Failure> {
    let selected = select(&args.what).map_err(Failure::usage)?;
    let style = args.style.read()?;
    let asked = args.seeds.as_deref().map(parse_seeds).transpose();
    let asked = asked.map_err(|error| Failure::Usage(format!("--seeds: {error}")))?;
    let seeds_of = |comparison: &Comparison| {
        asked.clone().unwrap_or_else(|| (0..comparison.seeds as u64).collect())
    };
    // All input errors come before the first training step.
    let mut tasks = Vec::new();
    for Selected { comparison, tasks: wanted } in &selected {
        for task in comparison.tasks.iter().filter(|task| wanted.contains(&task.id)) {
            let seeds = seeds_of(comparison);
            let planned = plan(comparison, task, &seeds).map_err(Failure::usage)?;
            tasks.push((comparison, &task.id, seeds, planned));
        }
    }
    if args.list {
        return list(&selected, &tasks, args.resources.resources()?);
    }
    let store = Store::open(&args.out).map_err(Failure::failed)?;
    let stop = stop_on_interrupt();
    let resources = tasks
        .iter()
        .map(|(.., planned)| fitted(&jobs(planned), &store, args.resources.resources()?))
        .collect::<Result<Vec<Resources>, Failure>>()?;
    record_sweep(&args.out, tasks.iter().flat_map(|(.., p)| p.iter().map(|p| &p.experiment)))?;
    let (mut bad, mut all, mut left) = (Vec::new(), 0, 0);
    for ((comparison, task, seeds, planned), resources) in tasks.iter().zip(resources) {
        keep(&args.out, comparison, seeds, task).map_err(Failure::failed)?;
        let jobs = jobs(planned);
        let name = format!("{} {task}", comparison.name);
        let outcomes = show_progress(&name, &jobs, || run_all(&jobs, &store, resources, &stop));
        all += outcomes.len();
        left += outcomes.iter().filter(|outcome| outcome.status == Status::Interrupted).count();
        bad.extend(complaints(&jobs, &outcomes));
        // Draw after every task, and after an interruption too.
        write_comparisons(&args.out, &args.out, &style).map_err(Failure::failed)?;
        if left > 0 {
            break;
        }
    }
    conclude(args, &selected, &style)?;
    if left > 0 {
        return Err(Failure::Interrupted(format!(
            "{left} of {all} runs so far are unfinished; the same command resumes them \
             ({})",
            args.out.display()
        )));
    }
    if bad.is_empty() {
        return Ok(());
    }
    let (bad, count) = (bad.join("\n  "), bad.len());
    Err(Failure::Failed(format!("{count} of {all} runs did not complete\n  {bad}")))
}

/// The runs of a task.
fn jobs<'p>(planned: &'p [Planned<'_>]) -> Vec<Job<'p>> {
    planned.iter().flat_map(|planned| Job::of(&planned.experiment)).collect()
}

/// Prints the selected results, and links them from the folder's report.
fn conclude(args: &CompareArgs, selected: &[Selected], style: &Style) -> Result<(), Failure> {
    draw_beside(&args.out, style)?;
    let compared = write_comparisons(&args.out, &args.out, style).map_err(Failure::failed)?;
    let results = compared.as_ref().map_or(&[][..], |compared| &compared.results);
    let asked: Vec<ComparisonResult> = results
        .iter()
        .filter_map(|result| {
            let mut result = result.clone();
            let asked = selected.iter().find(|s| s.comparison.name == result.name)?;
            result.tasks.retain(|task| asked.tasks.contains(&task.id));
            Some(result)
        })
        .collect();
    let asked: Vec<&ComparisonResult> = asked.iter().collect();
    if args.json {
        return print(&format!("{}\n", json(&asked)));
    }
    let mut text = String::new();
    for task in asked.iter().flat_map(|result| &result.tasks) {
        text.push_str(&task_table(task));
    }
    let (held, of) = asked.iter().map(|result| result.reproduced()).fold((0, 0), add);
    if of > 0 {
        let _ = writeln!(text, "{held} of {of} published directions of effect are reproduced");
    }
    if let Some(compared) = &compared {
        let _ = writeln!(text, "open {}", compared.page.display());
    }
    print(&text)
}

fn add(a: (usize, usize), b: (usize, usize)) -> (usize, usize) {
    (a.0 + b.0, a.1 + b.1)
}

/// The rows of a task, the best first.
fn task_table(task: &TaskResult) -> String {
    let mut rows = vec![
        ["#", "intervention", "reverse", "95 %", "rank", "forward", "swaps", "seeds", "verdict"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(task.rows.iter().map(|row| cells(row).to_vec()));
    format!("{}\n{}\n", wrap(&task.title), table(&rows, 2, &[1, 8]))
}

fn cells(row: &Row) -> [String; 9] {
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |x| format!("{x:.3}"));
    let interval = |measured: &Measured| match measured.low.zip(measured.high) {
        Some((low, high)) => format!("{low:.2}–{high:.2}"),
        None => "–".to_owned(),
    };
    [
        row.rank.to_string(),
        row.name.clone(),
        number(row.reverse_accuracy().mean),
        interval(row.reverse_accuracy()),
        number(row.rank_held_out().mean),
        number(row.forward_accuracy().mean),
        number(row.blind_swap_rate().mean),
        if row.seeds == row.seeds_asked {
            row.seeds.to_string()
        } else {
            format!("{}/{}", row.seeds, row.seeds_asked)
        },
        row.words(),
    ]
}

type Tasks<'c> = [(&'c Comparison, &'c String, Vec<u64>, Vec<Planned<'c>>)];

/// Each comparison with its tasks and the estimated time of its runs on this machine.
fn list(selected: &[Selected], tasks: &Tasks<'_>, resources: Resources) -> Result<(), Failure> {
    let mut estimates = Estimates::new(resources);
    for Selected { comparison, .. } in selected {
        print(&format!("{}  {}\n", comparison.name, comparison.title))?;
        for (_, id, _, planned) in tasks.iter().filter(|(of, ..)| of.name == comparison.name) {
            let runs: Vec<_> = planned.iter().map(|planned| &planned.experiment).collect();
            let mut text = format!("  {id}  {}\n", estimates.of(&runs)?);
            for planned in planned.iter().filter_map(|planned| planned.intervention) {
                let family = planned.family.word();
                let _ = writeln!(text, "    {}  {} ({family})", planned.id, planned.name);
            }
            print(&text)?;
        }
    }
    print(&format!("all of these together: about {} here\n", estimates.total()))
}
