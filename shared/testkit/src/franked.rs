//! Messages that can be reported: their content, and the evidence that their recipient has.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use eko_client::Device;
use eko_client::device::OutgoingEnvelope;
use eko_protocol::flag::{Evidence, Flag};
use eko_protocol::franking::{Franking, franking_tag};
use eko_protocol::key::FrankingKey;
use eko_protocol::letter::FetchedLetter;
use serde_json::json;

use crate::{DirectTransport, World, envelope};

/// A content that a device has committed to.
#[derive(Clone, Debug)]
pub struct FrankedContent {
    /// The franked content, as JSON.
    pub content: String,
    /// The key of the tag.
    pub key: FrankingKey,
}

impl FrankedContent {
    /// Makes the content of a message.
    pub fn new(actor: &str, to: &str, text: &str) -> Self {
        let content = json!({ "actor": actor, "object": { "content": text }, "to": [to], "type": "Create" });
        Self { content: content.to_string(), key: FrankingKey::from([text.len() as u8; 32]) }
    }

    /// Returns the envelope of a message for devices of one user, with its tag.
    pub fn envelope(
        &self,
        from: &Device<DirectTransport>,
        to: &[&Device<DirectTransport>],
    ) -> OutgoingEnvelope {
        let franking = Some(franking_tag(&self.key, self.content.as_bytes()));
        OutgoingEnvelope { franking, ..envelope(from, to) }
    }

    /// Returns the report that the recipient of a letter can make with it.
    ///
    /// # Panics
    /// If the letter has no tag, MAC or activity.
    pub fn flag(&self, letter: &FetchedLetter) -> Flag {
        let header = &letter.letter.header;
        let Some(Franking { tag, mac: Some(mac) }) = header.franking else { panic!("no franking") };
        let evidence = Evidence {
            to: None,
            activity: letter.letter.activity.clone().expect("an activity"),
            envelope: header.id.clone(),
            device: header.from.clone(),
            content: self.content.clone(),
            key: self.key,
            tag,
            mac,
        };
        Flag { actor: None, author: header.author.clone(), reason: None, evidence }
    }
}

impl World {
    /// Returns the standings of the reported messages that the operator can read, in no order.
    pub async fn flags(&self) -> Vec<String> {
        let scan = self.aside.dynamodb.scan().table_name(&self.state.config().names.table);
        let scan = scan.filter_expression("begins_with(pk, :day)");
        let day = AttributeValue::S("Q#".to_owned());
        let page = scan.expression_attribute_values(":day", day).send().await.expect("a scan");
        let standing =
            |item: &HashMap<String, AttributeValue>| item["standing"].as_s().expect("a text").clone();
        let mut standings: Vec<String> = page.items().iter().map(standing).collect();
        standings.sort();
        standings
    }
}
