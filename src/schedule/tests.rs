//! The schedule on a paused clock, which jumps from timer to timer.

use tokio::time::{advance, sleep};

use super::fake::{Behavior, FakeExecutor, target};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(15);
/// The runtime's timers tell milliseconds apart.
const TICK: Duration = Duration::from_millis(2);

/// A schedule of `targets`, just started.
fn started(
    executor: &Arc<FakeExecutor>,
    concurrent: usize,
    targets: impl IntoIterator<Item = TargetConfig>,
) -> Schedule<Arc<FakeExecutor>> {
    let mut schedule = Schedule::new(Arc::new(Arc::clone(executor)), "vm1", concurrent);
    let targets: Vec<_> = targets.into_iter().collect();
    assert_eq!(schedule.extend(&targets), targets.len());
    schedule
}

fn quick() -> Arc<FakeExecutor> {
    FakeExecutor::new(|_, _| Behavior::Finish(Duration::from_millis(3)))
}

fn targets(count: usize) -> impl Iterator<Item = TargetConfig> {
    (0..count).map(|number| target(&format!("target{number}"), PERIOD))
}

fn is_close(a: Instant, b: Instant) -> bool {
    a.max(b) - a.min(b) <= TICK
}

#[tokio::test(start_paused = true)]
async fn first_run_within_a_second_then_no_drift() {
    let (executor, start) = (quick(), Instant::now());
    let _schedule = started(&executor, 64, [target("sessions", PERIOD)]);
    sleep(PERIOD * 1001).await;
    let timing = Timing::new(start, PERIOD, "vm1", "sessions");
    let starts = executor.starts("sessions");
    assert!(starts[0] - start <= SECOND + TICK);
    let regular: Vec<_> =
        starts.into_iter().filter(|start_of_run| *start_of_run + TICK >= start + timing.offset).collect();
    assert!(regular.len() >= 1000, "{}", regular.len());
    for (number, start_of_run) in (0_u32..).zip(regular) {
        assert!(is_close(start_of_run, start + timing.offset + PERIOD * number), "run {number}");
    }
    assert!(executor.longest_lag() <= TICK);
}

#[tokio::test(start_paused = true)]
async fn offset_is_stable_and_spread() {
    let offset = |host: &str, target: &str| Timing::new(Instant::now(), PERIOD, host, target).offset;
    assert_eq!(offset("vm1", "sessions"), offset("vm1", "sessions"));
    assert_ne!(offset("vm1", "sessions"), offset("vm2", "sessions"));
    assert_ne!(offset("vm1", "sessions"), offset("vm1", "carts"));
    let mut per_second = [0; 15];
    for number in 0..300 {
        per_second[usize::try_from(offset("vm1", &number.to_string()).as_secs()).unwrap()] += 1;
    }
    assert!(per_second.iter().all(|count| (5..=40).contains(count)), "{per_second:?}");
}

#[tokio::test(start_paused = true)]
async fn second_run_keeps_distance_from_first() {
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
async fn first_run_of_few_targets_is_immediate() {
    for (count, within) in [(1, 0), (10, 45), (1000, 1000)] {
        let (executor, start) = (quick(), Instant::now());
        let names: Vec<String> = (0..count).map(|number| format!("cache{number}")).collect();
        let _schedule = started(&executor, 64, names.iter().map(|name| target(name, SECOND)));
        sleep(SECOND * 4).await;
        for name in &names {
            let starts = executor.starts(name);
            assert!(starts[0] - start <= Duration::from_millis(within) + TICK, "{name} of {count}");
            assert!(count > 1 || starts[0] == start, "one alone does not wait");
            let gap = starts[1] - starts[0];
            assert!(gap + TICK >= SECOND / 2 && gap <= SECOND * 3 / 2 + TICK, "{name} of {count}: {gap:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn slow_target_skips_runs_and_delays_no_other() {
    let executor = FakeExecutor::new(|name, _| Behavior::Finish(if name == "slow" { PERIOD * 5 / 2 } else { TICK }));
    let start = Instant::now();
    let mut slow = target("slow", PERIOD);
    slow.plan.timeout = PERIOD * 3;
    let _schedule = started(&executor, 64, [slow, target("quick", PERIOD)]);
    sleep(PERIOD * 30).await;
    assert_eq!(executor.max_concurrent_of_one_target(), 1);
    let (slow, quick) = (executor.starts("slow"), executor.starts("quick"));
    assert!((9..=11).contains(&slow.len()), "every third run: {}", slow.len());
    let timing = Timing::new(start, PERIOD, "vm1", "slow");
    for start_of_run in &slow[1..] {
        let since = remainder(*start_of_run - (start + timing.offset), PERIOD);
        assert!(since <= TICK, "it keeps its offset");
    }
    assert!((30..=31).contains(&quick.len()), "{}", quick.len());
}

#[tokio::test(start_paused = true)]
async fn suspended_process_resumes_without_burst() {
    let executor = quick();
    let _schedule = started(&executor, 64, targets(50));
    sleep(PERIOD * 2).await;
    let before = executor.all_starts();
    advance(PERIOD * 40 + SECOND).await;
    sleep(TICK * 5).await;
    assert!(executor.all_starts() - before <= 2, "{} came back at once", executor.all_starts() - before);
    sleep(PERIOD).await;
    assert!((49..=52).contains(&(executor.all_starts() - before)), "each has run once since");
}

#[tokio::test(start_paused = true)]
async fn concurrency_limit_holds_and_lag_is_reported() {
    let executor = FakeExecutor::new(|_, _| Behavior::Finish(SECOND));
    let mut schedule = started(&executor, 3, targets(20));
    sleep(PERIOD * 4).await;
    assert_eq!(executor.max_concurrent(), 3);
    assert!((0..20).all(|number| executor.results(&format!("target{number}")) >= 3), "each target is probed");
    assert!(executor.longest_lag() > SECOND);

    schedule.set_concurrent(1);
    sleep(SECOND * 2).await;
    executor.max_concurrent();
    sleep(PERIOD).await;
    assert_eq!(executor.max_concurrent(), 1);
    schedule.set_concurrent(5);
    sleep(PERIOD).await;
    assert_eq!(executor.max_concurrent(), 5);
}

#[tokio::test(start_paused = true)]
async fn panic_ends_one_run() {
    let executor = FakeExecutor::new(|_, run| if run == 1 { Behavior::Panic } else { Behavior::Finish(TICK) });
    let schedule = started(&executor, 1, [target("sessions", PERIOD), target("cursed", PERIOD)]);
    sleep(PERIOD * 6).await;
    let panicked = |name: &str| (name.to_owned(), FailureKind::Panicked);
    let mut failures = executor.failures();
    failures.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!(failures, [panicked("cursed"), panicked("sessions")]);
    assert!(executor.results("sessions") >= 4 && executor.results("cursed") >= 4);
    assert!(schedule.is_alive());
}

#[tokio::test(start_paused = true)]
async fn stuck_probe_is_cancelled() {
    let executor = FakeExecutor::new(|_, run| if run == 0 { Behavior::Hang } else { Behavior::Finish(TICK) });
    let _schedule = started(&executor, 1, [target("sessions", PERIOD)]);
    sleep(PERIOD * 4).await;
    assert_eq!(executor.failures(), [("sessions".to_owned(), FailureKind::Stuck)]);
    assert!(executor.results("sessions") >= 2);
}

#[tokio::test(start_paused = true)]
async fn removed_target_stops_during_a_probe() {
    let executor = FakeExecutor::new(|_, _| Behavior::Finish(SECOND * 4));
    let stays = target("stays", PERIOD);
    let mut schedule = started(&executor, 64, [stays.clone(), target("changes", PERIOD), target("leaves", PERIOD)]);
    sleep(SECOND * 2).await;
    assert_eq!(executor.running("leaves"), 1);

    let targets = [stays, target("changes", PERIOD * 2)];
    assert_eq!(schedule.retain(&targets).await, 2);
    assert_eq!((executor.running("leaves"), executor.running("changes"), executor.running("stays")), (0, 0, 1));
    assert_eq!(schedule.extend(&targets), 1);
    sleep(PERIOD * 4).await;
    assert_eq!((executor.starts("leaves").len(), executor.results("leaves")), (1, 0));
    assert!(executor.results("changes") >= 2);
    assert_eq!(executor.results("stays"), executor.starts("stays").len(), "it was not disturbed");
    assert_eq!(schedule.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_running_and_starts_nothing() {
    let executor = FakeExecutor::new(|_, _| Behavior::Finish(SECOND * 2));
    let mut schedule = started(&executor, 2, targets(10));
    sleep(SECOND).await;
    let starts = executor.all_starts();
    assert_eq!(starts, 2);
    let before = Instant::now();
    // Given up and taken up again, as at the end of the agent.
    assert!(timeout(TICK, schedule.drain()).await.is_err());
    schedule.drain().await;
    assert!(before.elapsed() <= SECOND * 2);
    assert_eq!((executor.all_starts(), schedule.is_empty()), (starts, true));
    assert_eq!((0..10).map(|number| executor.results(&format!("target{number}"))).sum::<usize>(), 2);
}

#[tokio::test(start_paused = true)]
async fn silent_targets_do_not_delay_healthy_ones() {
    let timeout = SECOND * 5;
    let is_silent = |name: &str| name.starts_with("silent");
    let executor =
        FakeExecutor::new(move |name, _| Behavior::Finish(if is_silent(name) { timeout } else { TICK * 10 }));
    let named = |kind: &str, count: usize| -> Vec<_> {
        (0..count).map(|number| target(&format!("{kind}{number}"), PERIOD)).collect()
    };
    let mut all = named("silent", 900);
    all.iter_mut().for_each(|target| target.plan.timeout = timeout);
    let healthy = named("healthy", 100);
    all.extend(healthy.clone());
    let _schedule = started(&executor, 64, all);
    // Which targets are silent is unknown until each has run once.
    sleep(timeout * 1000 / 64 + PERIOD * 2).await;
    let before: Vec<_> = healthy.iter().map(|target| executor.starts(&target.plan.target.name).len()).collect();
    sleep(PERIOD * 20).await;
    for (target, before) in healthy.iter().zip(before) {
        let name = &target.plan.target.name;
        let runs = executor.starts(name).len() - before;
        assert!((19..=21).contains(&runs), "{name}: {runs} runs in 20 intervals");
    }
    let silent = executor.starts("silent0").len();
    assert!(silent >= 3, "silent ones are still probed: {silent}");
}
