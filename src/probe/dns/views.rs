//! The views of one resolution: which one is in use, and which are queried again.

use super::repeat;
use crate::expectation::Expectation;
use crate::observation::dns::{RepeatGroup, ViewKind};
use crate::observation::{View, ViewOutcome};
use crate::plan::Plan;

/// The views, the one in use first.
pub(super) struct Views<'a> {
    list: Vec<ViewState>,
    tries: Option<u8>,
    expectation: &'a Expectation,
    disagree: bool,
}

struct ViewState {
    view: View,
    has_answered: bool,
    is_running: bool,
    /// How many queries are still to be sent.
    due: u8,
}

impl<'a> Views<'a> {
    /// Views that have not been asked; each is due once.
    pub(super) fn new(plan: &'a Plan, views: Vec<View>) -> Self {
        let list =
            views.into_iter().map(|view| ViewState { view, has_answered: false, is_running: false, due: 1 }).collect();
        Self { list, tries: plan.tries, expectation: &plan.expectation, disagree: false }
    }

    /// The views to query now, by their index: each that is due and has no query in flight.
    pub(super) fn take_due(&mut self) -> Vec<(usize, View)> {
        let unasked = |view: &View| View::new(view.view.clone(), view.kind, view.server);
        let due = self.list.iter_mut().enumerate().filter(|(_, state)| state.due > 0 && !state.is_running);
        due.map(|(index, state)| {
            state.due -= 1;
            state.is_running = true;
            (index, unasked(&state.view))
        })
        .collect()
    }

    /// Adds the answer of a view. One to a repeated query counts only where `counts` says so.
    pub(super) fn add(&mut self, index: usize, view: View, counts: impl FnOnce(&View) -> bool) {
        let Some(state) = self.list.get_mut(index) else { return };
        state.is_running = false;
        if state.has_answered {
            if counts(&view) {
                state.add_repeated(&view);
            } else {
                state.due = 0;
            }
            return;
        }
        state.view = view;
        state.has_answered = true;
        state.due = if state.can_repeat() { repeat::further_for_all(self.tries) } else { 0 };
        self.repeat_where_views_disagree(index);
    }

    /// Once the views disagree, each that has answered is queried again.
    fn repeat_where_views_disagree(&mut self, index: usize) {
        let disagreed = self.disagree;
        let answered = self.list.iter().filter(|state| state.has_answered).map(|state| &state.view);
        self.disagree = disagreed || repeat::disagree(answered, self.expectation);
        if !self.disagree || self.tries.is_some() {
            return;
        }
        for (at, state) in self.list.iter_mut().enumerate() {
            if state.can_repeat() && (at == index || !disagreed) {
                state.due = repeat::further_for(&state.view);
            }
        }
    }

    /// The view whose addresses the connection goes to, as soon as that is known: the first one. Where a limit of
    /// this machine kept that from being asked, it is the first name server's view with an address.
    pub(super) fn in_use(&self) -> Option<&View> {
        let first = self.list.first().filter(|state| state.has_answered)?;
        if first.view.outcome != ViewOutcome::NotReached {
            return Some(&first.view);
        }
        let mut system = self.list.iter().filter(|state| state.view.kind == ViewKind::System);
        match system.clone().find(|state| state.view.outcome == ViewOutcome::Answered) {
            Some(state) => Some(&state.view),
            None => system.all(|state| state.has_answered).then_some(&first.view),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &View> {
        self.list.iter().map(|state| &state.view)
    }

    pub(super) fn into_views(self) -> Vec<View> {
        self.list.into_iter().map(|state| state.view).collect()
    }
}

impl ViewState {
    fn can_repeat(&self) -> bool {
        self.has_answered && !matches!(self.view.outcome, ViewOutcome::NotReached | ViewOutcome::Interrupted)
    }

    fn add_repeated(&mut self, again: &View) {
        let mut tries = std::mem::take(&mut self.view.tries);
        if tries.is_empty() {
            RepeatGroup::count_in(&mut tries, &self.view);
        }
        RepeatGroup::count_in(&mut tries, again);
        self.view.tries = tries;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::LocalLimit;
    use crate::observation::dns::ResolvedAddress;
    use crate::target::{HostName, Target};

    const VIEWS: [(&str, ViewKind); 3] =
        [("libc", ViewKind::Libc), ("system:10.0.0.1", ViewKind::System), ("system:10.0.0.2", ViewKind::System)];

    fn plan() -> Plan {
        Plan::new(Target::new(HostName::parse("cache1.example").expect("a name"), None, true))
    }

    fn unasked() -> Vec<View> {
        VIEWS.iter().map(|(name, kind)| View::new(*name, *kind, None)).collect()
    }

    fn answered(index: usize, ip: &str) -> View {
        let mut view = unasked().swap_remove(index);
        let ip = ip.parse().expect("an address");
        view.addresses = vec![ResolvedAddress { ip, class: Expectation::default().class(ip), ttl: None }];
        View { outcome: ViewOutcome::Answered, ..view }
    }

    fn name_in_use<'a>(views: &'a Views<'_>) -> Option<&'a str> {
        views.in_use().map(|view| view.view.as_str())
    }

    #[test]
    fn views_libc_is_in_use_whatever_it_answers() {
        let plan = plan();
        let mut views = Views::new(&plan, unasked());
        assert_eq!(views.take_due().len(), VIEWS.len());
        views.add(1, answered(1, "10.60.4.5"), |_| true);
        assert_eq!(name_in_use(&views), None);
        views.add(0, View { outcome: ViewOutcome::Timeout, ..unasked().swap_remove(0) }, |_| true);
        assert_eq!(name_in_use(&views), Some("libc"));
    }

    #[test]
    fn views_local_limit_puts_system_view_in_use() {
        let plan = plan();
        let mut views = Views::new(&plan, unasked());
        views.take_due();
        views.add(0, unasked().swap_remove(0).not_reached(LocalLimit::Lookups), |_| true);
        assert_eq!(name_in_use(&views), None, "no name server has answered");
        views.add(1, View { outcome: ViewOutcome::Timeout, ..unasked().swap_remove(1) }, |_| true);
        assert_eq!(name_in_use(&views), None, "the other may answer");
        views.add(2, answered(2, "10.60.4.5"), |_| true);
        assert_eq!(name_in_use(&views), Some("system:10.0.0.2"));
    }

    #[test]
    fn views_disagreement_repeats_each_twice() {
        let plan = plan();
        let mut views = Views::new(&plan, unasked());
        views.take_due();
        views.add(0, answered(0, "10.60.4.5"), |_| true);
        views.add(1, answered(1, "10.60.4.5"), |_| true);
        assert!(views.take_due().is_empty(), "they agree");
        views.add(2, answered(2, "20.50.1.10"), |_| true);
        for _ in 0..2 {
            let due = views.take_due();
            assert_eq!(due.len(), VIEWS.len());
            due.iter().for_each(|(index, _)| views.add(*index, answered(*index, "10.60.4.5"), |_| true));
        }
        assert!(views.take_due().is_empty());
        let counts = |view: &View| view.tries.iter().map(|group| group.count).collect::<Vec<_>>();
        assert_eq!(views.into_views().iter().map(counts).collect::<Vec<_>>(), [vec![3], vec![3], vec![1, 2]]);
    }
}
