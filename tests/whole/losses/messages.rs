//! Lost answers on the way of a message: sending, delivery, acknowledgement.

use eko_protocol::activity::ReportKind;
use eko_testkit::{ciphertext, envelope, lose_each_answer};

use super::{deliver_later, told};
use crate::people::alice_and_bobs_two;

#[tokio::test]
async fn a_message() {
    lose_each_answer(
        async || {
            let (world, alice, bob, second) = alice_and_bobs_two().await;
            let outgoing = envelope(&alice, &[&bob, &second]);
            (world, alice, bob, second, outgoing)
        },
        |(world, ..)| &world.calls,
        async |(world, alice, _, _, outgoing), attempt| {
            if attempt > 0 {
                deliver_later(world).await;
            }
            told(alice.send(outgoing).await)?;
            world.deliver().await;
            Ok(())
        },
        async |(world, _, bob, second, _), run| {
            deliver_later(world).await;
            for device in [bob, second] {
                let messages = world.messages(device).await;
                assert_eq!(messages.len(), 1, "{run}");
                assert_eq!(messages[0].ciphertext, ciphertext(device), "{run}");
            }
        },
    )
    .await;
}

/// The author gets one receipt, also if the other device acknowledges before the first one repeats
/// its acknowledgement.
#[tokio::test]
async fn an_acknowledgement() {
    lose_each_answer(
        async || {
            let (world, alice, bob, second) = alice_and_bobs_two().await;
            world.send(&alice, &[&bob, &second]).await;
            world.deliver().await;
            let entry = bob.fetch().await.unwrap().entries[0].address.clone();
            (world, alice, bob, second, entry)
        },
        |(world, ..)| &world.calls,
        async |(world, _, bob, second, entry), attempt| {
            if attempt > 0 {
                world.advance(1_000);
                world.confirm(second).await;
            }
            told(bob.acknowledge(std::slice::from_ref(entry)).await)
        },
        async |(world, alice, bob, second, entry), run| {
            world.confirm(second).await;
            bob.acknowledge(std::slice::from_ref(entry)).await.expect(run);
            assert_eq!(bob.fetch().await.unwrap().entries, [], "{run}");
            world.deliver().await;
            let reports = world.reports(alice).await;
            let kinds: Vec<ReportKind> = reports.iter().map(|report| report.kind).collect();
            assert_eq!(kinds, [ReportKind::Delivered], "{run}");
        },
    )
    .await;
}

/// An envelope whose entry was discarded does not come back when it is sent again.
#[tokio::test]
async fn a_discard() {
    lose_each_answer(
        async || {
            let (world, alice, bob, second) = alice_and_bobs_two().await;
            let sent = world.send(&alice, &[&bob, &second]).await;
            world.deliver().await;
            let entry = bob.fetch().await.unwrap().entries[0].address.clone();
            (world, alice, bob, sent, entry)
        },
        |(world, ..)| &world.calls,
        async |(_, _, bob, _, entry), _| told(bob.discard(entry).await),
        async |(world, alice, bob, sent, _), run| {
            alice.send(sent).await.expect(run);
            world.deliver().await;
            assert_eq!(bob.fetch().await.unwrap().entries, [], "{run}");
        },
    )
    .await;
}
