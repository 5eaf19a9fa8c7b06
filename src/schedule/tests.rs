//! The schedule on a paused clock, which jumps from timer to timer.

use tokio::time::{advance, sleep};

use super::fake::{Does, FakeWorld, target};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(15);
/// The runtime's timers tell milliseconds apart.
const TICK: Duration = Duration::from_millis(2);

/// A schedule of `targets` in `world`, just started.
fn started(
    world: &Arc<FakeWorld>,
    concurrent: usize,
    targets: impl IntoIterator<Item = TargetConfig>,
) -> Schedule<Arc<FakeWorld>> {
    let mut schedule = Schedule::new(Arc::new(Arc::clone(world)), "vm1", concurrent);
    let targets: Vec<_> = targets.into_iter().collect();
    assert_eq!(schedule.extend(&targets), targets.len());
    schedule
}

fn quick() -> Arc<FakeWorld> {
    FakeWorld::new(|_, _| Does::Take(Duration::from_millis(3)))
}

fn many(count: usize) -> impl Iterator<Item = TargetConfig> {
    (0..count).map(|number| target(&format!("target{number}"), PERIOD))
}

fn is_close(a: Instant, b: Instant) -> bool {
    a.max(b) - a.min(b) <= TICK
}

#[tokio::test(start_paused = true)]
async fn the_first_probe_comes_within_a_second_and_a_thousand_later_nothing_has_drifted() {
    let (world, start) = (quick(), Instant::now());
    let _schedule = started(&world, 64, [target("sessions", PERIOD)]);
    sleep(PERIOD * 1001).await;
    let timing = Timing::new(start, PERIOD, "vm1", "sessions");
    let begun = world.begun("sessions");
    assert!(begun[0] - start <= SECOND + TICK);
    let regular: Vec<_> = begun.into_iter().filter(|begun| *begun + TICK >= start + timing.phase).collect();
    assert!(regular.len() >= 1000, "{}", regular.len());
    for (number, begun) in (0_u32..).zip(regular) {
        assert!(is_close(begun, start + timing.phase + PERIOD * number), "turn {number}");
    }
    assert!(world.longest_lag() <= TICK);
}

#[tokio::test(start_paused = true)]
async fn phases_are_the_same_every_time_and_spread_over_hosts_and_targets() {
    let phase = |host: &str, target: &str| Timing::new(Instant::now(), PERIOD, host, target).phase;
    assert_eq!(phase("vm1", "sessions"), phase("vm1", "sessions"));
    assert_ne!(phase("vm1", "sessions"), phase("vm2", "sessions"));
    assert_ne!(phase("vm1", "sessions"), phase("vm1", "carts"));
    let mut per_second = [0; 15];
    for number in 0..300 {
        per_second[usize::try_from(phase("vm1", &number.to_string()).as_secs()).unwrap()] += 1;
    }
    assert!(per_second.iter().all(|count| (5..=40).contains(count)), "{per_second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_first_turn_never_crowds_the_second() {
    for period in [Duration::ZERO, Duration::from_millis(300), SECOND, PERIOD, Duration::from_secs(3600)] {
        for number in 0..50 {
            let timing = Timing::new(Instant::now(), period, "vm1", &number.to_string());
            let (first, second) = (timing.first(), timing.after(timing.first()));
            assert!(first - timing.start < SECOND);
            assert!(second - first >= timing.period.min(SECOND), "{timing:?}");
            assert!(second - first <= timing.period, "{timing:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn few_targets_are_looked_at_once_and_the_second_turn_is_no_repetition_of_the_first() {
    for (count, within) in [(1, 0), (10, 45), (1000, 1000)] {
        let (world, start) = (quick(), Instant::now());
        let names: Vec<String> = (0..count).map(|number| format!("cache{number}")).collect();
        let _schedule = started(&world, 64, names.iter().map(|name| target(name, SECOND)));
        sleep(SECOND * 4).await;
        for name in &names {
            let begun = world.begun(name);
            assert!(begun[0] - start <= Duration::from_millis(within) + TICK, "{name} of {count}");
            assert!(count > 1 || begun[0] == start, "one alone does not wait");
            let gap = begun[1] - begun[0];
            assert!(gap + TICK >= SECOND / 2 && gap <= SECOND * 3 / 2 + TICK, "{name} of {count}: {gap:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_target_skips_turns_and_delays_nobody() {
    let world = FakeWorld::new(|name, _| Does::Take(if name == "slow" { PERIOD * 5 / 2 } else { TICK }));
    let start = Instant::now();
    let mut slow = target("slow", PERIOD);
    slow.plan.timeout = PERIOD * 3;
    let _schedule = started(&world, 64, [slow, target("quick", PERIOD)]);
    sleep(PERIOD * 30).await;
    assert_eq!(world.most_of_one_target(), 1);
    let (slow, quick) = (world.begun("slow"), world.begun("quick"));
    assert!((9..=11).contains(&slow.len()), "every third turn: {}", slow.len());
    let timing = Timing::new(start, PERIOD, "vm1", "slow");
    for begun in &slow[1..] {
        let since = remainder(*begun - (start + timing.phase), PERIOD);
        assert!(since <= TICK, "it stays at its phase");
    }
    assert!((30..=31).contains(&quick.len()), "{}", quick.len());
}

#[tokio::test(start_paused = true)]
async fn after_a_suspension_nobody_catches_up() {
    let world = quick();
    let _schedule = started(&world, 64, many(50));
    sleep(PERIOD * 2).await;
    let before = world.all_begun();
    advance(PERIOD * 40 + SECOND).await;
    sleep(TICK * 5).await;
    assert!(world.all_begun() - before <= 2, "{} came back at once", world.all_begun() - before);
    sleep(PERIOD).await;
    assert!((49..=52).contains(&(world.all_begun() - before)), "each has had one turn since");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_permitted_probe_at_a_time_and_the_lag_tells() {
    let world = FakeWorld::new(|_, _| Does::Take(SECOND));
    let mut schedule = started(&world, 3, many(20));
    sleep(PERIOD * 4).await;
    assert_eq!(world.most_at_a_time(), 3);
    assert!((0..20).all(|number| world.kept(&format!("target{number}")) >= 3), "nobody starves");
    assert!(world.longest_lag() > SECOND);

    schedule.set_concurrent(1);
    sleep(SECOND * 2).await;
    world.most_at_a_time();
    sleep(PERIOD).await;
    assert_eq!(world.most_at_a_time(), 1);
    schedule.set_concurrent(5);
    sleep(PERIOD).await;
    assert_eq!(world.most_at_a_time(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_turn() {
    let world = FakeWorld::new(|_, turn| if turn == 1 { Does::Panic } else { Does::Take(TICK) });
    let schedule = started(&world, 1, [target("sessions", PERIOD), target("cursed", PERIOD)]);
    sleep(PERIOD * 6).await;
    let lost = |name: &str| (name.to_owned(), FailureKind::Panicked);
    let mut losses = world.lost();
    losses.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!(losses, [lost("cursed"), lost("sessions")]);
    assert!(world.kept("sessions") >= 4 && world.kept("cursed") >= 4);
    assert!(schedule.is_alive());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_is_given_up() {
    let world = FakeWorld::new(|_, turn| if turn == 0 { Does::Hang } else { Does::Take(TICK) });
    let _schedule = started(&world, 1, [target("sessions", PERIOD)]);
    sleep(PERIOD * 4).await;
    assert_eq!(world.lost(), [("sessions".to_owned(), FailureKind::Stuck)]);
    assert!(world.kept("sessions") >= 2);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_schedule_stops_in_the_middle_of_a_probe() {
    let world = FakeWorld::new(|_, _| Does::Take(SECOND * 4));
    let stays = target("stays", PERIOD);
    let mut schedule = started(&world, 64, [stays.clone(), target("changes", PERIOD), target("leaves", PERIOD)]);
    sleep(SECOND * 2).await;
    assert_eq!(world.under_way("leaves"), 1);

    let targets = [stays, target("changes", PERIOD * 2)];
    assert_eq!(schedule.retain(&targets).await, 2);
    assert_eq!((world.under_way("leaves"), world.under_way("changes"), world.under_way("stays")), (0, 0, 1));
    assert_eq!(schedule.extend(&targets), 1);
    sleep(PERIOD * 4).await;
    assert_eq!((world.begun("leaves").len(), world.kept("leaves")), (1, 0));
    assert!(world.kept("changes") >= 2);
    assert_eq!(world.kept("stays"), world.begun("stays").len(), "it was not disturbed");
    assert_eq!(schedule.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_what_is_under_way_and_begins_nothing() {
    let world = FakeWorld::new(|_, _| Does::Take(SECOND * 2));
    let mut schedule = started(&world, 2, many(10));
    sleep(SECOND).await;
    let begun = world.all_begun();
    assert_eq!(begun, 2);
    let before = Instant::now();
    // Given up and taken up again, as at the end of the agent.
    assert!(timeout(TICK, schedule.drain()).await.is_err());
    schedule.drain().await;
    assert!(before.elapsed() <= SECOND * 2);
    assert_eq!((world.all_begun(), schedule.is_empty()), (begun, true));
    assert_eq!((0..10).map(|number| world.kept(&format!("target{number}"))).sum::<usize>(), 2);
}
