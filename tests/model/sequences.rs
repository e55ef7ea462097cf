//! The sequences: which steps come how often.

use std::fmt::Debug;

use eko_protocol::settings::WhoMayWrite;
use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::ReferenceStateMachine;

use crate::accounts::{AccountState, Status};
use crate::reference::{MOST_DEVICES, Model};
use crate::steps::{ACCOUNTS, Again, DOMAINS, Party, Step, USERS};

/// The model as proptest drives it.
pub(crate) struct Reference;

/// Takes some of all, and any now and then.
fn mostly<T: Clone + Debug + 'static>(some: Vec<T>, any: &BoxedStrategy<T>) -> BoxedStrategy<T> {
    match some.is_empty() {
        true => any.clone(),
        false => prop_oneof![9 => select(some), 1 => any.clone()].boxed(),
    }
}

impl ReferenceStateMachine for Reference {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model::default()).boxed()
    }

    /// Prefers steps that make sense. Others are made now and then, and when a sequence is minimised.
    fn transitions(state: &Model) -> BoxedStrategy<Step> {
        let any = (0..ACCOUNTS.len()).boxed();
        let any_device = (any.clone(), 0..MOST_DEVICES).boxed();
        let with = |status: Status| {
            let of = |user: usize| {
                let devices = state.accounts[user].devices_that_are(status);
                devices.into_iter().map(move |device| (user, device))
            };
            mostly((0..ACCOUNTS.len()).flat_map(of).collect(), &any_device)
        };
        let in_state = |wanted: AccountState| -> Vec<usize> {
            (0..ACCOUNTS.len()).filter(|user| state.accounts[*user].state == wanted).collect()
        };
        let other = mostly(in_state(AccountState::Moved), &any);
        let user = mostly(in_state(AccountState::Living), &other);
        let two =
            (user.clone(), user.clone()).prop_filter("two accounts", |(one, other)| one != other).boxed();
        let party = prop_oneof![
            2 => user.clone().prop_map(Party::Account),
            1 => (0..DOMAINS.len()).prop_map(Party::Domain),
        ];
        let blocked = |user: usize| state.accounts[user].blocks.iter().map(move |party| (user, *party));
        let any_block = (user.clone(), party).boxed();
        let undone = mostly((0..ACCOUNTS.len()).flat_map(blocked).collect(), &any_block);
        let is_partial =
            |user: &usize| state.accounts[*user].latest.is_some_and(|latest| state.is_partial(latest));
        let partial = (0..ACCOUNTS.len()).filter(is_partial).map(|user| (user, Again::ForTheRest)).collect();
        let any_again = select(vec![Again::Same, Again::WithOtherContent, Again::ForTheRest]);
        let again = mostly(partial, &(user.clone(), any_again.clone()).boxed());
        let who = prop_oneof![
            1 => Just(WhoMayWrite::Everyone),
            3 => Just(WhoMayWrite::Known),
            1 => Just(WhoMayWrite::Nobody)
        ];
        let has_newcomers = (0..USERS).any(|user| state.accounts[user].state == AccountState::None);
        let newcomers = if has_newcomers { 30 } else { 3 };
        prop_oneof![
            newcomers => (0..USERS).prop_map(|user| Step::Register { user }),
            1 => any.prop_map(|user| Step::Register { user }),
            5 => with(Status::Pending).prop_map(|(user, device)| Step::Approve { user, device }),
            1 => with(Status::Active).prop_map(|(user, device)| Step::Revoke { user, device }),
            1 => user.clone().prop_map(|user| Step::Reset { user }),
            3 => with(Status::Active).prop_map(|(user, device)| Step::Rotate { user, device }),
            8 => two.clone().prop_map(|(user, of)| Step::Take { user, of }),
            20 => (two.clone(), proptest::bool::ANY)
                .prop_map(|((user, to), lacks_one)| Step::Send { user, to, lacks_one }),
            5 => again.prop_map(|(user, again)| Step::Repeat { user, again }),
            7 => (user.clone(), any_again).prop_map(|(user, again)| Step::Repeat { user, again }),
            8 => with(Status::Active).prop_map(|(user, device)| Step::Fetch { user, device }),
            8 => with(Status::Active).prop_map(|(user, device)| Step::Acknowledge { user, device }),
            4 => any_block.prop_map(|(user, party)| Step::Block { user, party, is_undone: false }),
            2 => undone.prop_map(|(user, party)| Step::Block { user, party, is_undone: true }),
            3 => (two, proptest::bool::weighted(0.3))
                .prop_map(|((user, whom), is_undone)| Step::Accept { user, whom, is_undone }),
            4 => (user.clone(), who).prop_map(|(user, who)| Step::LetWrite { user, who }),
            2 => user.clone().prop_map(|user| Step::Move { user }),
            1 => user.prop_map(|user| Step::Delete { user }),
        ]
        .boxed()
    }

    fn apply(mut state: Model, step: &Step) -> Model {
        state.steps += 1;
        state.answer = state.make(step);
        state
    }
}
