//! The calls to AWS as the SDK's own spans have them: when each began and ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::span::{Attributes, Id};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// A call, from the SDK's client to its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpannedCall {
    name: &'static str,
    begun: Instant,
    ended: Instant,
}

/// All calls of this process. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Timeline {
    calls: Arc<Mutex<Vec<SpannedCall>>>,
}

/// The parts of the time from a sender's POST to the recipient's frame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts {
    /// From the POST until the message is in the queue, or taken from it.
    pub(crate) send: Duration,
    /// Until `deliver` has the message.
    pub(crate) queue: Duration,
    /// Until the entry is written and the sockets are read.
    pub(crate) table: Duration,
    /// Until the recipient has the frame.
    pub(crate) notification: Duration,
}

impl Timeline {
    /// Records all calls from now on.
    pub(crate) fn start() -> Self {
        let timeline = Self::default();
        let spans = Targets::new()
            .with_target("aws_sdk_dynamodb", LevelFilter::DEBUG)
            .with_target("aws_sdk_sqs", LevelFilter::DEBUG)
            .with_target("aws_sdk_apigatewaymanagement", LevelFilter::DEBUG);
        tracing_subscriber::registry().with(timeline.clone().with_filter(spans)).init();
        timeline
    }

    /// Forgets what was recorded.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Returns the parts of the times of messages, each from its POST to its frame, in the order in
    /// which they were sent one after another. Leaves out a message whose calls cannot be told from
    /// those of others.
    pub(crate) fn parts(&self, messages: &[(Instant, Instant)]) -> Vec<Parts> {
        let calls = self.lock().clone();
        let of = |name| calls.iter().filter(move |call| call.name == name);
        let (queued, received) = (of("SQS.SendMessageBatch"), of("SQS.ReceiveMessage"));
        let mut written: Vec<&SpannedCall> = of("DynamoDB.BatchWriteItem").collect();
        written.sort_by_key(|call| call.begun);
        let (mut queued, mut received): (Vec<_>, Vec<_>) = (queued.collect(), received.collect());
        queued.sort_by_key(|call| call.begun);
        received.sort_by_key(|call| call.ended);
        let mut posted: Vec<&SpannedCall> = of("ApiGatewayManagementApi.PostToConnection").collect();
        posted.sort_by_key(|call| call.begun);
        let parts = messages.iter().map(|(begun, framed)| {
            let queued = queued.iter().find(|call| call.begun >= *begun)?;
            // The batch of a message is the first one that is written after it is in the queue.
            let written = written.iter().find(|call| call.begun >= queued.begun)?;
            let received = received.iter().rev().find(|call| call.ended <= written.begun)?;
            let posted = posted.iter().find(|call| call.begun >= written.ended)?;
            let queued = queued.ended.min(received.ended);
            Some(Parts {
                send: queued.saturating_duration_since(*begun),
                queue: received.ended.saturating_duration_since(queued),
                table: posted.begun.saturating_duration_since(received.ended),
                notification: framed.saturating_duration_since(posted.begun),
            })
        });
        parts.flatten().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SpannedCall>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Timeline {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Instant::now());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(begun) = span.extensions().get::<Instant>().copied() else { return };
        self.lock().push(SpannedCall { name: span.name(), begun, ended: Instant::now() });
    }
}

impl Parts {
    /// Returns the sum.
    pub(crate) fn whole(&self) -> Duration {
        self.send + self.queue + self.table + self.notification
    }
}
