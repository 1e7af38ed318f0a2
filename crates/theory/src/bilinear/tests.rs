use super::*;

fn theorem<'a>(result: &'a BilinearResult, id: &str) -> &'a Theorem {
    result.theorems.iter().find(|theorem| theorem.id == id).unwrap()
}

fn run(config: BilinearConfig) -> BilinearResult {
    simulate(&config, &mut |_| ()).unwrap()
}

#[test]
fn orthonormal_flow_is_the_closed_form_from_1e_2_to_1e8() {
    for (entities, held_out) in [(2, 1.0), (20, 0.3), (100, 0.3)] {
        let result = run(BilinearConfig {
            entities,
            dim: entities + 3,
            embeddings: Embeddings::Orthonormal,
            held_out,
            t_max: 1e8,
            points: 101,
            ..BilinearConfig::default()
        });
        let off = theorem(&result, "closed-form");
        assert_eq!(off.holds, Some(true), "{entities}: {off:?}");
        assert_eq!(theorem(&result, "theorem-1").measured, Some(0.0));
        for point in &result.series {
            let right = (entities as f64).ln();
            assert!((point.reversal_loss.unwrap() / right - 1.0).abs() < 1e-14);
        }
        // The trained margin is (eᶻ and z solve the equation) all in the seen direction.
        if entities > 2 {
            assert_eq!(result.series.last().unwrap().asymmetry, Some(1.0));
        }
    }
}

#[test]
fn theorem_1_is_the_largest_exponent_of_the_series() {
    let result = run(BilinearConfig { seed: 3, ..BilinearConfig::default() });
    let start = result.series[0];
    let exponent = |point: &Point| {
        (point.reversal_loss.unwrap() / start.reversal_loss.unwrap()).ln()
            / (point.train_loss / start.train_loss).ln()
    };
    let largest = result.series[1..].iter().map(exponent).reduce(f64::max).unwrap();
    let measured = theorem(&result, "theorem-1").measured.unwrap();
    assert!((measured - largest).abs() < 1e-8 && measured.abs() < 0.1, "{measured} {largest}");
    assert_eq!((result.series[0].t, result.series[1].t), (0.0, 0.01));
    assert_eq!((result.series.len(), result.series[60].t), (61, 1e6));
    // Reached in between two logged times that enclose it.
    for reached in &result.reached {
        let after = result.series.iter().position(|p| p.t >= reached.t).unwrap();
        let between = result.series[after - 1].train_loss..result.series[after].train_loss;
        assert!(between.start >= reached.level && between.end <= reached.level);
    }
}

#[test]
fn small_steps_follow_the_flow() {
    let flow = BilinearConfig { dim: 400, t_max: 300.0, points: 12, ..BilinearConfig::default() };
    let [flow, gd, sgd] = [Dynamics::Flow, Dynamics::Gd, Dynamics::Sgd]
        .map(|dynamics| run(BilinearConfig { dynamics, lr: 0.01, ..flow }));
    // Gradient descent is off by its step at most, SGD by noise of the square root of it.
    for (result, within) in [(gd, 2e-3), (sgd, 0.1)] {
        let (ours, theirs) = (result.series.last().unwrap(), flow.series.last().unwrap());
        assert!((ours.t - theirs.t).abs() < 0.01);
        assert!((ours.train_loss / theirs.train_loss - 1.0).abs() < within, "{ours:?} {theirs:?}");
    }
}

#[test]
fn nothing_held_out_leaves_nothing_to_measure() {
    let result = run(BilinearConfig { held_out: 0.0, t_max: 10.0, ..BilinearConfig::default() });
    assert!(result.series.iter().all(|point| point.reversal_loss.is_none()));
    assert_eq!(theorem(&result, "theorem-1").holds, None);
}

#[test]
fn the_flow_misses_the_closed_form_of_another_model() {
    // The closed form is that of one target a source; 0.9-orthonormal embeddings are not.
    let mut result = run(BilinearConfig {
        embeddings: Embeddings::Gaussian,
        dim: 1000,
        points: 20,
        ..BilinearConfig::default()
    });
    result.config.embeddings = Embeddings::Orthonormal;
    let directions = Directions::of_pairs(100, 0.3, 0).unwrap();
    let theorems = verdict::theorems(&result.config, &directions, &result.series, &[]);
    let closed_form = theorems.iter().find(|theorem| theorem.id == "closed-form").unwrap();
    assert_eq!(closed_form.holds, Some(false), "{closed_form:?}");
}

#[test]
fn a_sweep_is_its_draws_and_is_stored() {
    let base = BilinearConfig { entities: 20, points: 12, ..BilinearConfig::default() };
    let config = SweepConfig {
        base,
        entities: vec![(20, 30)],
        ratios: vec![1, 100, 10_000],
        flow_dims: vec![200],
        flows: 3,
    };
    let made = sweep(&config, &|| ()).unwrap();
    assert_eq!((made.cells.len(), made.laws.len(), made.flows.len()), (6, 2, 6));
    // Each flow is the simulation of its seed, and its largest exponent.
    let alone = run(BilinearConfig { dim: 200, held_out: 0.1, seed: 2, ..base });
    let flow = made.flows.iter().find(|f| (f.geometry, f.seed) == (Geometry::OnePair, 2)).unwrap();
    assert_eq!(Some(flow.initial), alone.initial_exponent);
    let measured = theorem(&alone, "theorem-1").measured.unwrap();
    assert_eq!(flow.epsilon, measured.max(flow.initial));

    let folder = tempfile::tempdir().unwrap();
    assert_eq!(stored(folder.path()).unwrap(), None);
    let study = reproduce(folder.path(), &config, &|| ()).unwrap();
    assert_eq!(study.sweep, made);
    assert_eq!(stored(folder.path()).unwrap(), Some(study), "every digit");
}
