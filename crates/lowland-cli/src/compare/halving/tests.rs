use super::*;
use crate::compare::summary::simulated::Draws;

/// How many searches are drawn.
const TABLES: usize = 2000;

fn design(bases: usize, contenders: usize, budget: Budget) -> Design {
    let terms = Terms { bases, first_seed: 0, budgets: 1, budget };
    Design { contenders, margin: 0.005, terms, at_once: 1 }
}

/// Trains what a search asks for until it has answered: `accuracy` is what runs reach.
fn searched(
    design: &Design,
    known: &mut BTreeMap<Place, Score>,
    mut accuracy: impl FnMut(usize, u64) -> f64,
) -> Position {
    loop {
        let position = design.position(known, 0.0);
        let Some(part) = &position.next else { return position };
        assert!(!Account { budget: design.terms.budget, known, seconds: 0.0 }.is_done(part));
        for place in Account::places(part) {
            let (contender, seed) = place;
            known.entry(place).or_insert_with(|| {
                let passes = if contender == 0 { 10.0 } else { 20.0 };
                Score { accuracy: Some(accuracy(contender, seed)), passes }
            });
        }
    }
}

/// The accuracy of runs whose seeds are worth as much for all contenders, whose settings are worth
/// `effects`, and which scatter by a point.
fn drawn<'a>(draws: &'a mut Draws, effects: &'a [f64]) -> impl FnMut(usize, u64) -> f64 + 'a {
    let mut of_seeds = BTreeMap::new();
    move |contender, seed| {
        let of_seed = *of_seeds.entry(seed).or_insert_with(|| draws.normal());
        0.8 + effects[contender] + 0.01 * (of_seed + draws.normal())
    }
}

#[test]
fn the_better_half_continues_until_one_is_left() {
    let design = design(1, 6, Budget::Runs(40));
    assert_eq!(design.fewest_runs(), 11);
    let mut known = BTreeMap::new();
    let position = searched(&design, &mut known, |contender, seed| {
        // The fourth is the best with all seeds but the first.
        let best = if contender == 3 && seed > 0 { 0.5 } else { 0.0 };
        0.1 + 0.01 * contender as f64 + best
    });
    let rounds: Vec<_> =
        position.rounds.iter().map(|round| (&round.contenders[..], &round.seeds[..])).collect();
    let expected: [(&[usize], &[u64]); 3] =
        [(&[1, 2, 3, 4, 5], &[0]), (&[3, 4, 5], &[0, 1]), (&[3, 5], &[0, 1, 2, 3])];
    assert_eq!(rounds, expected);
    assert_eq!((position.finalists, position.cut), (Some((0, 3)), false));
    assert_eq!(known.len(), 40, "the budget is used up");
    assert_eq!(position.fresh, (1000..1014).collect::<Vec<_>>());
    let searched = position.rounds.iter().flat_map(|round| &round.seeds);
    assert!(searched.max().unwrap() < &FRESH, "no fresh seed had a part in the search");
    // Every gain is the same, which allows no test.
    let found = design.found(&position, &known).unwrap();
    assert_eq!((found.interval, found.says), (None, Says::Undecided));
}

#[test]
fn settings_of_the_baseline_are_searched_too() {
    let design = design(2, 4, Budget::Runs(20));
    let mut known = BTreeMap::new();
    let position = searched(&design, &mut known, |contender, _| [0.1, 0.2, 0.4, 0.3][contender]);
    assert_eq!(position.finalists, Some((1, 2)));
    assert_eq!(position.rounds.len(), 1);
    assert_eq!(position.rounds[0].contenders, [0, 1, 2, 3]);
    let alone = self::design(1, 2, Budget::Runs(9));
    let position = searched(&alone, &mut BTreeMap::new(), |contender, _| contender as f64);
    assert_eq!((position.rounds.len(), position.fresh.len()), (0, 4), "nothing to search");
}

#[test]
fn the_search_leaves_half_of_the_budget_to_the_test() {
    for (budget, rounds, pairs) in
        [(Budget::Runs(15), 1, 3), (Budget::Passes(400.0), 1, 8), (Budget::Passes(480.0), 2, 8)]
    {
        let design = design(1, 9, budget);
        let mut known = BTreeMap::new();
        let position = searched(&design, &mut known, |contender, _| 0.1 * contender as f64);
        assert!(position.cut, "{budget:?}");
        assert_eq!(position.finalists, Some((0, 8)));
        assert_eq!((position.rounds.len(), position.fresh.len()), (rounds, pairs), "{budget:?}");
        // More budget buys more pairs, and no other winner.
        let more = match budget {
            Budget::Runs(runs) => Budget::Runs(10 * runs),
            Budget::Passes(limit) | Budget::Seconds(limit) => Budget::Passes(10.0 * limit),
        };
        let terms = Terms { budgets: 2, budget: more, ..design.terms };
        let later = Design { terms, ..design };
        let position = searched(&later, &mut known, |contender, _| 0.1 * contender as f64);
        assert_eq!(position.rounds.len(), rounds);
        assert!(position.fresh.len() > 2 * pairs);
    }
}

#[test]
fn a_run_that_diverged_is_below_every_correlation() {
    let design = design(1, 5, Budget::Runs(30));
    let reached = |contender: usize, seed: u64| match (contender, seed) {
        (1, _) | (2, 1) => None,
        (2, _) => Some(0.9),
        _ => Some(-0.1 * contender as f64 - 0.01 * seed as f64),
    };
    let mut known = BTreeMap::new();
    let rounds = loop {
        let position = design.position(&known, 0.0);
        let Some(part) = &position.next else { break position.rounds };
        for place in Account::places(part) {
            let score = Score { accuracy: reached(place.0, place.1), passes: 1.0 };
            known.entry(place).or_insert(score);
        }
    };
    assert_eq!((&rounds[0].kept[..], &rounds[1].kept[..]), (&[0, 2, 3][..], &[0, 3][..]));
}

#[test]
fn there_is_no_answer_where_a_run_of_a_pair_diverged() {
    let design = design(1, 2, Budget::Runs(8));
    let mut known = BTreeMap::new();
    let drawn = |contender: usize, seed: u64| 0.1 * contender as f64 + 0.001 * (seed % 3) as f64;
    let position = searched(&design, &mut known, |contender, seed| {
        drawn(contender, seed) + if contender == 1 && seed == 1001 { 0.01 } else { 0.0 }
    });
    assert_eq!(design.found(&position, &known).unwrap().says, Says::Yes);
    known.get_mut(&(0, 1002)).unwrap().accuracy = None;
    assert_eq!(design.found(&position, &known), None);
}

#[test]
fn what_is_begun_is_finished_and_time_that_passed_changes_no_round() {
    let design = design(1, 5, Budget::Seconds(100.0));
    let score = Score { accuracy: Some(0.5), passes: 1.0 };
    let mut known: BTreeMap<Place, Score> = (1..5).map(|one| ((one, 0), score)).collect();
    let second = design.position(&known, 20.0).next.unwrap();
    assert_eq!((second.contenders, second.seeds, second.round), (vec![1, 2], vec![1], Some(2)));
    assert!(design.position(&known, 45.0).next.unwrap().round.is_none(), "no time for a round");
    known.insert((1, 1), score);
    assert_eq!(design.position(&known, 99.0).next.unwrap().round, Some(2), "it was begun");
    known.insert((2, 1), score);
    let pair = design.position(&known, 60.0).next.unwrap();
    assert_eq!((pair.contenders, pair.seeds), (vec![0, 1], vec![1000]));
    assert_eq!(design.position(&known, 90.0).next, None);
    known.insert((0, 1000), score);
    assert!(design.position(&known, 200.0).next.is_some(), "the pair was begun");
    let several = Design { at_once: 3, ..design };
    assert_eq!(several.position(&known, 50.0).next.unwrap().seeds, [1000, 1001, 1002]);
}

/// What a search asks for does not depend on when it was stopped: with any part of the runs that
/// are done, it asks for some that are not, and ends as it did.
#[test]
fn a_search_that_is_stopped_anywhere_ends_as_if_it_had_not_been() {
    let design = design(2, 7, Budget::Passes(600.0));
    let effects = [0.0, 0.002, 0.01, -0.01, 0.004, 0.0, 0.02];
    let mut whole = BTreeMap::new();
    let position = searched(&design, &mut whole, drawn(&mut Draws::new(7), &effects));
    let found = design.found(&position, &whole);
    // Runs end in the order in which they are asked for, but for those of one part.
    for stopped in 0..whole.len() {
        let mut known = BTreeMap::new();
        while known.len() < stopped {
            let part = design.position(&known, 0.0).next.unwrap();
            let missing: Vec<Place> =
                Account::places(&part).filter(|place| !known.contains_key(place)).collect();
            let place = missing[(stopped * 7) % missing.len()];
            known.insert(place, whole[&place]);
        }
        let again = searched(&design, &mut known, |contender, seed| {
            whole[&(contender, seed)].accuracy.unwrap()
        });
        assert_eq!((&again, &known), (&position, &whole), "stopped after {stopped} runs");
        assert_eq!(design.found(&again, &known), found);
    }
}

#[test]
fn without_an_effect_at_most_six_in_a_hundred_searches_claim_one() {
    let mut draws = Draws::new(11);
    let design = design(1, 5, Budget::Runs(24));
    let (mut claims, mut winners) = (0, [0; 5]);
    for _ in 0..TABLES {
        let mut known = BTreeMap::new();
        let position = searched(&design, &mut known, drawn(&mut draws, &[0.0; 5]));
        let says = design.found(&position, &known).unwrap().says;
        claims += usize::from(says == Says::Yes);
        winners[position.finalists.unwrap().1] += 1;
    }
    let share = claims as f64 / TABLES as f64;
    assert!(share <= 0.06 && share > 0.005, "{share}");
    assert!(winners[1..].iter().all(|count| *count > TABLES / 6), "{winners:?}");
}

/// Somebody who gives more budget until the answer is yes is not right by patience.
#[test]
fn more_budgets_do_not_buy_a_claim() {
    let mut draws = Draws::new(12);
    let mut claims = 0;
    for _ in 0..TABLES {
        let mut known = BTreeMap::new();
        let mut accuracy = drawn(&mut draws, &[0.0; 3]);
        for budgets in 1..=5 {
            let mut design = design(1, 3, Budget::Runs(12 + 8 * u64::from(budgets)));
            design.terms.budgets = budgets;
            let position = searched(&design, &mut known, &mut accuracy);
            match design.found(&position, &known).unwrap().says {
                Says::Undecided => {}
                says => {
                    claims += usize::from(says == Says::Yes);
                    break;
                }
            }
        }
    }
    let share = claims as f64 / TABLES as f64;
    assert!(share <= 0.06, "{share}");
}

#[test]
fn an_effect_is_found_and_its_absence_is_shown() {
    let mut draws = Draws::new(13);
    let design = design(1, 5, Budget::Runs(40));
    let mut of = |effects: [f64; 5], margin: f64| {
        let mut says = [0; 3];
        for _ in 0..200 {
            let design = Design { margin, ..design };
            let mut known = BTreeMap::new();
            let position = searched(&design, &mut known, drawn(&mut draws, &effects));
            let found = design.found(&position, &known).unwrap();
            says[found.says as usize] += 1;
            assert_eq!(found.says == Says::Undecided, found.further_pairs.is_some(), "{found:?}");
        }
        says
    };
    let [yes, ..] = of([0.0, 0.01, 0.04, 0.0, -0.02], 0.005);
    assert!(yes > 190, "{yes}");
    let [yes, no, _] = of([0.0; 5], 0.03);
    assert!(no > 190 && yes < 10, "{yes} and {no}");
}
