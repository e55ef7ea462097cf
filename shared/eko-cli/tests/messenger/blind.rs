//! A test of the server's blindness: no byte that passes it or that it keeps contains a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_client::attachment::{self, AttachmentLocation};
use eko_client::group::Proposal;
use eko_client::messenger::MessageDraft;
use eko_testkit::World;

use crate::people::{first, further, hear, say};
use crate::test_network::TestNetwork;

const WORDS: &str = "the quick brown fox eats the lazy dog";
const GROUP: &str = "Friday's secret circle";
const FILE: &str = "fox-and-dog.txt";

#[tokio::test]
async fn the_server_sees_no_word_no_group_and_no_member_list() {
    let world = World::new().await;
    world.calls.record();
    let [alices, wire] = [(); 2].map(|()| TestNetwork::to(&[&world]));
    let alice = first(&world, &alices, "alice").await;
    let (bob, carol) = (first(&world, &wire, "bob").await, first(&world, &wire, "carol").await);
    let alice_two = further(&world, &alices, &alice, "two").await;
    say(&alice, &bob.me(), WORDS).await;
    let environment = alice.device().environment();
    let sealed = attachment::seal(WORDS.as_bytes(), FILE, "text/plain", environment).unwrap();
    let file = sealed.inline().unwrap();
    assert!(matches!(file.url, AttachmentLocation::Inline(_)));
    let draft = MessageDraft { text: WORDS.to_owned(), attachments: vec![file] };
    bob.send(&alice.me(), draft.clone()).await.unwrap();
    let (id, _) = alice.create_group(GROUP, &[bob.me(), carol.me()]).await.unwrap();
    world.deliver().await;
    for client in [&bob, &carol] {
        client.receive().await.unwrap();
        client.join_group(&id, None).await.unwrap();
    }
    alice.send_to_group(&id, draft).await.unwrap();
    alice.change_group(&id, Proposal::Rename(format!("{GROUP} anew"))).await.unwrap();
    world.deliver().await;
    for (client, times) in [(&bob, 2), (&carol, 1), (&alice, 1), (&alice_two, 3)] {
        assert_eq!(hear(&world, client).await.len(), times, "{}", client.device().address());
    }
    let message = alice.history(Some(&bob.me().actor()), 1).unwrap().remove(0);
    let [file] = &message.content.attachments[..] else { panic!("no file") };
    let AttachmentLocation::Inline(bytes) = &file.url else { panic!("not inline") };
    assert_eq!(attachment::open(bytes, file).unwrap(), WORDS.as_bytes());

    // All traffic between the devices and the server, and between the server and its table and
    // queues.
    let alices: Vec<Vec<u8>> = alices.seen.lock().unwrap().clone();
    let wire = [alices.clone(), wire.seen.lock().unwrap().clone()].concat();
    let within = world.calls.recorded().into_iter().flat_map(|call| [call.request, call.response]);
    let within: Vec<Vec<u8>> = within.map(|body| body.to_string().into_bytes()).collect();
    assert!(wire.len() > 60 && within.len() > 60, "{} {}", wire.len(), within.len());
    let state = &alice.groups().unwrap()[0].state;
    let mut secrets: Vec<Vec<u8>> =
        [WORDS, GROUP, FILE, id.as_str(), "\"GroupState", "GroupControl", "GroupRecord", "Note", "brown fox"]
            .map(|text| text.into())
            .to_vec();
    secrets.extend([state.master_key().as_bytes().to_vec(), file.key.as_bytes().to_vec()]);
    let mut ciphertexts = 0;
    for bytes in wire.iter().chain(&within) {
        ciphertexts += look(bytes, &secrets, 2);
    }
    assert!(ciphertexts > 100, "{ciphertexts}");
    // Nothing that Alice's devices send names Bob and Carol together, which would show that they are
    // in a group. Her mailbox has messages of both.
    let (bob, carol) = (bob.me().actor(), carol.me().actor());
    for bytes in &alices {
        let text = String::from_utf8_lossy(bytes);
        let is_page = text.contains("orderedItems");
        assert!(is_page || !(text.contains(&bob) && text.contains(&carol)), "{text}");
    }
    world.deliver().await;
}

/// Asserts that bytes contain no secret, also not after `deep` rounds of base64 decoding. Returns
/// the number of base64 texts.
fn look(bytes: &[u8], secrets: &[Vec<u8>], deep: usize) -> usize {
    for secret in secrets {
        let found = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!found, "{:?} in {:?}", String::from_utf8_lossy(secret), String::from_utf8_lossy(bytes));
    }
    if deep == 0 {
        return 0;
    }
    let text = String::from_utf8_lossy(bytes);
    let words = text
        .split(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c))
        .filter(|word| word.len() >= 24);
    words
        .filter_map(|word| STANDARD.decode(word).ok())
        .map(|decoded| 1 + look(&decoded, secrets, deep - 1))
        .sum()
}
