//! The files for other tools, read by those tools; each is skipped where it is not installed.
//! `RETRODICT_PYTHON` names a Python that has them.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::process::Command;

use common::Folder;

/// Runs a script in the folder where its library is there; the output, or `None`.
fn python(folder: &Folder, library: &str, script: &str) -> Option<String> {
    let python = std::env::var_os("RETRODICT_PYTHON").unwrap_or_else(|| "python3".into());
    let run =
        |code: &str| Command::new(&python).args(["-c", code]).current_dir(folder.path()).output();
    if !run(&format!("import {library}")).is_ok_and(|output| output.status.success()) {
        println!("skipped: no Python with {library}");
        return None;
    }
    let output = run(script).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{library}: {}", text(&output.stderr));
    Some(text(&output.stdout).trim().to_owned())
}

#[test]
fn pandas_polars_and_duckdb_read_the_tidy_table() {
    let folder = Folder::new();
    let sweep = "run tiny.toml --set model.layers=1,2 --set train.epochs=3 --seeds 2 --out out";
    let result = folder.run(&format!("{sweep} --json")).json();
    folder.run("table out --to runs.parquet").done();
    folder.run("table out --epochs --to epochs.parquet").done();
    folder.run("table out --to runs.csv").done();
    let mean = |at: usize| result[at]["mean"]["held_out_nll"].as_f64().unwrap();
    let scripts = [
        (
            "pandas",
            "import pandas as pd\nr = pd.read_parquet('runs.parquet')\n\
             assert r['model.layers'].dtype.kind == 'i' and r['train.lr'].dtype.kind == 'f'\n\
             assert len(pd.read_csv('runs.csv')) == 4 and len(pd.read_parquet('epochs.parquet')) == 12\n\
             print(*r.groupby('model.layers')['held_out_nll'].mean().tolist())",
        ),
        (
            "polars",
            "import polars as pl\nr = pl.read_parquet('runs.parquet')\n\
             assert r['data.kind'].to_list() == ['reversal'] * 4\n\
             assert pl.read_csv('runs.csv').height == 4 and pl.read_parquet('epochs.parquet').height == 12\n\
             m = r.group_by('model.layers').agg(pl.col('held_out_nll').mean()).sort('model.layers')\n\
             print(*m['held_out_nll'].to_list())",
        ),
        (
            "duckdb",
            "import duckdb\n\
             assert duckdb.sql(\"select count(*) from 'epochs.parquet'\").fetchall() == [(12,)]\n\
             assert duckdb.sql(\"select count(*) from 'runs.csv'\").fetchall() == [(4,)]\n\
             m = duckdb.sql('select avg(held_out_nll) from \\'runs.parquet\\' group by \"model.layers\" \
             order by \"model.layers\"').fetchall()\nprint(*[x[0] for x in m])",
        ),
    ];
    for (library, script) in scripts {
        let Some(output) = python(&folder, library, script) else { continue };
        let means: Vec<f64> = output.split(' ').map(|mean| mean.parse().unwrap()).collect();
        assert_eq!(means.len(), 2, "{library}: {output}");
        for (at, own) in means.into_iter().enumerate() {
            assert!((own - mean(at)).abs() < 1e-12, "{library}: {output}");
        }
    }
}

#[test]
fn tensorboard_reads_the_event_files() {
    let folder = Folder::new();
    folder
        .run("run tiny.toml --set model.layers=1,2 --set train.epochs=3 --seeds 2 --out out")
        .done();
    let text = folder.run("export out --to logs --where model.layers=2").done();
    assert!(text.contains("2 of 2 runs written") && text.contains("--logdir logs"), "{text}");
    let script = "import glob, os\n\
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n\
        files = sorted(glob.glob('logs/*/*/seed-*'))\nassert len(files) == 2\n\
        a = EventAccumulator(files[0])\na.Reload()\nassert 'rank_type' in a.Tags()['scalars']\n\
        print(*[(s.step, round(s.value, 5)) for s in a.Scalars('held_out_nll')], sep=';')";
    folder.run("export out --to csv --format csv").done();
    let files = common::contents(&folder.path().join("csv"));
    assert_eq!(files.keys().filter(|path| path.extension().is_some()).count(), 4);
    let Some(output) = python(&folder, "tensorboard", script) else { return };
    let [logged] = &common::entries(&folder.path().join("logs/tiny"))[..] else { panic!() };
    let path = folder.path().join("csv/tiny").join(logged.file_name().unwrap()).join("seed-0.csv");
    let csv = std::fs::read_to_string(path).unwrap();
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let column = |name: &str| header.iter().position(|at| *at == name).unwrap();
    let (step, nll) = (column("step"), column("held_out_nll"));
    let expected: Vec<String> = lines
        .map(|row| {
            let value = f64::from(row[nll].parse::<f64>().unwrap() as f32);
            format!("({}, {})", row[step], (value * 1e5).round() / 1e5)
        })
        .collect();
    assert_eq!(output, expected.join(";"));
}
