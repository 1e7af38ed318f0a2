use super::*;
use retrodict_lab::spec::Spec;

fn experiment(set: &[(&str, &str)]) -> Experiment {
    let text = "name = \"small\"\nprecision = \"f64\"\n[data]\nkind = \"reversal\"\nvocab_size = 24\n\
                [model]\nlayers = 1\nheads = 2\ndim = 12\ndropout = 0.0\n[train]\nlr = 0.01\n\
                batch_size = \"full\"\nepochs = 40\nweight_decay = 0.1\n";
    Experiment::new(Spec::parse_with(text, "small.toml", set).unwrap(), "small").unwrap()
}

fn measured(set: &[(&str, &str)], config: TransferConfig) -> TransferResult {
    simulate(&experiment(set), &config, &mut |_| ()).unwrap()
}

fn windowed(at: &[u64], steps: u64) -> TransferConfig {
    TransferConfig { at: Some(at.to_vec()), window: Some(steps), ..TransferConfig::default() }
}

#[test]
fn a_linearised_window_is_right_to_first_order() {
    for optimizer in ["sgd", "adamw"] {
        // AdamW's own division changes little in a step after many.
        let off = ["1e-4", "1e-5"].map(|rate| {
            let mut set = vec![("train.optimizer", optimizer), ("train.lr", rate)];
            if optimizer == "adamw" {
                set.push(("train.betas", "[0.9, 0.99999]"));
            }
            let result = measured(&set, windowed(&[30], 4));
            let window = result.series[0].window.clone().unwrap();
            assert!(
                (window.steps[0].held_out_predicted - window.steps[0].held_out_nll).abs() < 1e-12
            );
            let last = window.steps[4];
            let change = last.held_out_nll - window.steps[0].held_out_nll;
            (last.held_out_predicted - last.held_out_nll).abs() / change.abs()
        });
        assert!(off[1] < 0.02, "{optimizer}: {off:?}");
    }
}

#[test]
fn windows_leave_the_run_as_it_is() {
    let at = TransferConfig { window: None, ..windowed(&[5, 20, 40], 1) };
    let without = measured(&[], at);
    let with = measured(&[], windowed(&[5, 20, 40], 7));
    for (a, b) in without.series.iter().zip(&with.series) {
        assert_eq!((a.held_out_nll, &a.kinds), (b.held_out_nll, &b.kinds));
    }
    // And the window sees the run that follows.
    let ahead = &with.series[1].window.as_ref().unwrap().steps;
    assert_eq!(ahead.len(), 8);
    let next = measured(&[], TransferConfig { window: None, ..windowed(&[27], 1) });
    assert_eq!(ahead[7].held_out_nll, next.series[0].held_out_nll);
}

#[test]
fn it_trains_as_a_run_does() {
    let set = [("train.batch_size", "3"), ("model.dropout", "0.2")];
    let experiment = experiment(&set);
    let folder = tempfile::tempdir().unwrap();
    let store = retrodict_lab::store::Store::open(folder.path()).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let options = retrodict_lab::RunOptions {
        threads: 1,
        mixed: false,
        keep: retrodict_lab::store::Kept::All,
    };
    let progress = retrodict_lab::Progress::default();
    retrodict_lab::run(&experiment, &store, 0, options, &stop, &progress).unwrap();
    let rows = store.run_dir("small", experiment.hash, 0).unwrap().read_metrics(u64::MAX).unwrap();
    let result = measured(&set, TransferConfig { at: Some(vec![7, 40]), ..Default::default() });
    for point in &result.series {
        let row = rows.iter().find(|row| row.epoch == point.epoch).unwrap();
        assert_eq!(row.held_out_nll(), Some(point.held_out_nll), "every digit");
        assert_eq!(row.step, point.step);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |set: &[(&str, &str)], config: TransferConfig| {
        let error = simulate(&experiment(set), &config, &mut |_| ()).unwrap_err();
        assert!(error.is_refusal());
        error.to_string()
    };
    let plain = TransferConfig::default;
    assert_eq!(
        refused(&[], TransferConfig { at: Some(vec![3, 41]), ..plain() }),
        "at is 3,41: epochs have to rise, and lie from 0 to train.epochs = 40"
    );
    assert_eq!(
        refused(&[], TransferConfig { sentences: 1, ..plain() }),
        "sentences is 1: it has to be at least 2"
    );
    assert_eq!(
        refused(&[("model.dropout", "0.1")], windowed(&[1], 3)),
        "the window's linearised model needs model.dropout = 0; model.dropout is 0.1"
    );
    assert_eq!(
        refused(&[("train.batch_size", "4")], windowed(&[1], 3)),
        "the window's linearised model needs train.batch_size = \"full\"; train.batch_size is 4"
    );
    let large = [("model.dim", "16384"), ("model.layers", "12")];
    let error = refused(&large, windowed(&[1], 3));
    let says = error.starts_with("a run with the gradients of ") && error.contains("model.dim");
    assert!(says, "{error}");
    let error = refused(&[("data.train_fraction", "1.0")], plain());
    assert!(error.contains("held-out"), "{error}");
    let diverged = simulate(&experiment(&[("train.lr", "1e30")]), &plain(), &mut |_| ());
    assert!(!diverged.unwrap_err().is_refusal());
}

#[test]
fn the_cases_of_the_report_can_be_run() {
    for case in cases().unwrap() {
        let dataset = case.experiment.dataset(case.config.seed.into()).unwrap();
        assert!(transfer_pairs(&dataset, 4).is_some(), "{}", case.name);
        assert!(times(&case.config, case.experiment.spec.train.epochs).is_ok());
        if let Some(steps) = case.config.window {
            window::check(&case.experiment, &dataset, steps).unwrap();
        }
    }
}

#[test]
fn what_is_stored_is_read_back_by_seed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    assert_eq!(stored(out).unwrap().len(), 0);
    let told = std::sync::atomic::AtomicUsize::new(0);
    let made = reproduce(out, 2, &|| {
        told.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    let made = made.unwrap();
    assert_eq!(told.into_inner(), 2 * made.len());
    let read = stored(out).unwrap();
    for ((case, results), (_, read)) in made.iter().zip(&read) {
        assert_eq!(results, read, "{}", case.name);
        assert_eq!(results.iter().map(|result| result.config.seed).collect::<Vec<_>>(), [0, 1]);
    }
    // More seeds are added to those that are there; another setting's file ends the list.
    assert_eq!(reproduce(out, 3, &|| ()).unwrap()[0].1[..2], made[0].1);
    let mut other = made[0].1[1].clone();
    other.config.sentences += 1;
    let name = format!("{}-seed-1", made[0].0.name);
    crate::stored::write(out, "transfer", &name, &other).unwrap();
    assert_eq!(stored(out).unwrap()[0].1.len(), 1);
}
