//! The end of a sequence: all that the servers show must be as the model has it.

use eko_client::{ClientError, Device};
use eko_protocol::block::BlockedParty;
use eko_protocol::chain::{ChainNode, NodeKind};
use eko_testkit::DirectTransport;

use crate::accounts::{AccountState, Node, Shown, joined};
use crate::reference::Model;
use crate::servers::{Servers, actor, in_words};
use crate::steps::{ACCOUNTS, DOMAINS, Party, Step};

impl Servers {
    /// Compares all mailboxes, chains, blocks and settings, and the lists of pending devices.
    pub(crate) async fn compare_all(&mut self, last: &Model) {
        for (user, account) in last.accounts.iter().enumerate() {
            let (name, _) = ACCOUNTS[user];
            for device in account.active() {
                let step = Step::Fetch { user, device };
                let answer = self.make(last, &step).await;
                self.compare(&format!("at the end {step}"), &answer, &account.mailbox(device));
            }
            if account.devices.is_empty() {
                continue;
            }
            let due = match account.state {
                AccountState::Deleted => "410 user-deleted".to_owned(),
                _ => joined(&account.chain),
            };
            let answer = self.chain(user).await.unwrap_or_else(|error| in_words(&error));
            self.compare(&format!("the chain of {name}"), &answer, &due);
            if let Some(acting) = last.acting(user) {
                let answer = self.shown(user, acting).await.map(|shown| shown.to_string());
                let answer = answer.unwrap_or_else(|error| in_words(&error));
                self.compare(&format!("what {name} is shown"), &answer, &account.shown().to_string());
            }
        }
    }

    /// Reads the chain of an account, as everybody can.
    async fn chain(&self, user: usize) -> Result<String, ClientError> {
        let device = &self.devices[user][0];
        let (nodes, _) = device.chain(device.user()).await?;
        Ok(joined(nodes.iter().map(|node| self.node(user, node))))
    }

    /// Reads a node in the numbers of the model.
    fn node(&self, user: usize, node: &ChainNode) -> Node {
        let account = |id: &str| (0..ACCOUNTS.len()).find(|account| actor(*account) == id).unwrap();
        let device = self.devices[user].iter().position(|device| device.address() == node.device()).unwrap();
        match (node.kind(), node.moved_from()) {
            (NodeKind::Add(_), None) => Node::Add(device),
            (NodeKind::Add(_), Some(old)) => Node::AddAfter(device, account(old)),
            (NodeKind::Revoke, _) => Node::Revoke(device),
            (NodeKind::Reset(_), _) => Node::Reset(device),
            (NodeKind::Move(target), _) => Node::Move(device, account(&target.actor)),
        }
    }

    /// Reads what a device is shown of its account.
    async fn shown(&self, user: usize, device: usize) -> Result<Shown, ClientError> {
        let device = &self.devices[user][device];
        let blocks = device.blocks().await?.iter().map(|block| party(&block.party)).collect();
        let who_may_write = device.settings().await?.who_may_write;
        let waiting = device.pending_devices().await?;
        let waits = |device: &Device<DirectTransport>| waiting.iter().any(|it| it.device.id == *device.id());
        let pending = (0..self.devices[user].len()).filter(|number| waits(&self.devices[user][*number]));
        let pending: Vec<usize> = pending.collect();
        assert_eq!(pending.len(), waiting.len(), "others wait");
        Ok(Shown { blocks, who_may_write, pending })
    }
}

/// Reads a blocked party in the numbers of the model.
fn party(party: &BlockedParty) -> Party {
    match party {
        BlockedParty::Actor(id) => {
            Party::Account((0..ACCOUNTS.len()).find(|account| actor(*account) == *id).unwrap())
        }
        BlockedParty::Domain(origin) => {
            Party::Domain(DOMAINS.iter().position(|domain| *domain == origin.authority()).unwrap())
        }
    }
}
