use super::*;

/// The worked numbers: K = 4, n = 2, seven samples in a row.
#[test]
fn drift_and_variance_match_the_worked_numbers() {
    let norms = [1.0, 1.1, 1.3, 1.2, 1.5, 1.4, 1.8];
    let mut window = VecDeque::from(vec![0.0; 4]);
    let mut variances = Vec::new();
    for norm in norms {
        push(&mut window, norm);
        variances.push(block_variance(&window, 2));
    }
    for (found, expected) in variances[3..].iter().zip([0.005, 0.0125, 0.005, 0.0325]) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }
    let ratios = VecDeque::from(vec![0.53, 0.60, 0.58, 0.66]);
    let dr = drift(&ratios);
    assert!((dr - 0.078_891_057_616).abs() < 1e-11, "{dr}");
    assert!((drift(&variances[3..].iter().copied().collect()) - 1.0).abs() < 1e-15);
    let s = 1.0 + 0.13 * dr + 0.13;
    assert!((s - 1.140_255_837_490).abs() < 1e-11, "{s}");
}

/// A controller with the worked window, and the histories that these samples leave.
fn worked(samples: &[(f64, f64)]) -> Controller {
    let config = ControllerConfig {
        window: 4,
        blocks: 2,
        warmup: Warmup::Steps(0),
        ..ControllerConfig::default()
    };
    let mut controller = Controller::new(config).unwrap();
    for (psf, ratio) in samples {
        controller.take_in(&[*psf, psf / ratio]);
    }
    controller
}

const WORKED: [(f64, f64); 7] =
    [(1.0, 0.50), (1.1, 0.52), (1.3, 0.55), (1.2, 0.53), (1.5, 0.60), (1.4, 0.58), (1.8, 0.66)];

/// The worked numbers: s goes from 1 to 1.14, to 2.28 and to its cap, and the quota follows it.
#[test]
fn s_and_quota_follow_the_worked_numbers() {
    for (start, expected, quota) in
        [(1.0, 1.140_255_837_490, 1), (2.0, 2.280_511_674_980, 2), (3.0, 3.0, 3)]
    {
        let mut controller = worked(&WORKED);
        controller.state.samples_per_window = start;
        controller.judge();
        let s = controller.state.samples_per_window;
        assert!((s - expected).abs() < 1e-11, "{s} is not {expected}");
        assert_eq!(controller.quota(), quota);
        assert!((controller.state.rate - expected / 4.0).abs() < 1e-11);
    }
}

#[test]
fn histories_that_are_not_full_change_nothing() {
    let mut controller = worked(&WORKED[..3]);
    controller.judge();
    assert_eq!(controller.state.samples_per_window.to_bits(), 1.0_f64.to_bits());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    })]

    /// s rises with the ratio's drift: a last ratio that is larger never gives a smaller s.
    #[test]
    fn s_is_monotone_in_the_drift(last in 0.1..5.0_f64, more in 0.0..5.0_f64) {
        let s = |last: f64| {
            let mut samples = WORKED;
            samples[6].1 = last;
            let mut controller = worked(&samples);
            controller.state.samples_per_window = 1.5;
            controller.judge();
            controller.state.samples_per_window
        };
        proptest::prop_assert!(s(last + more) >= s(last));
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let refused = |config: ControllerConfig| Controller::new(config).unwrap_err().to_string();
    let default = ControllerConfig::default();
    assert_eq!(
        refused(ControllerConfig { window: 8, ..default.clone() }),
        "window must be at least twice the number of blocks, which is at least 1, \
         found 8 with 5 blocks"
    );
    assert_eq!(
        refused(ControllerConfig { max_fraction: 0.001, ..default.clone() }),
        "max_fraction must be at least 1 / window, found 0.001"
    );
    assert_eq!(
        refused(ControllerConfig { gain_ratio: f64::NAN, ..default.clone() }),
        "gain_ratio must be finite and at least 0, found NaN"
    );
    assert_eq!(
        refused(ControllerConfig { norm_tensors: 0, ..default }),
        "norm_tensors must be at least 1, found 0"
    );
}
