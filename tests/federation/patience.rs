//! `Retry-After` of another server: it is respected for the message that it was said of, raised to
//! the shortest wait, and cut to the time that there is.

use eko_client::device::SendOutcome;
use eko_protocol::activity::ReportKind;
use eko_testkit::StrangerAnswer;
use http::Method;

use crate::stranger_scene::StrangerScene;
use crate::{HOUR_MS, MINUTE_MS, kinds};

/// `Retry-After` counts for the one message, also with a 503: others are sent at once.
#[tokio::test]
async fn a_server_that_asks_for_time() {
    let scene = StrangerScene::new().await;
    for status in [503, 429] {
        scene.eve.answer(StrangerAnswer::status(status).with("retry-after", "600"));
        assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Queued { .. }));
        assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Accepted { .. }));
        let posts = scene.eve.posts().len();
        for _ in 0..9 {
            scene.settle().await;
            scene.internet.advance(MINUTE_MS);
        }
        assert_eq!(scene.a.waiting().await.0, 1);
        assert_eq!(scene.eve.posts().len(), posts, "{status}: tried before its time");
        scene.internet.advance(2 * MINUTE_MS);
        scene.settle().await;
        assert_eq!(scene.a.waiting().await.0, 0);
        scene.alice.refresh().await.unwrap();
        assert_eq!(kinds(&scene.a.reports(&scene.alice).await), [ReportKind::Confirm]);
        scene.a.empty(&scene.alice).await;
    }
}

/// A `Retry-After` of zero, or in the past, does not make this server hammer the other one.
#[tokio::test]
async fn a_server_that_asks_for_no_time() {
    let scene = StrangerScene::new().await;
    for asked in ["0", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        for _ in 0..2 {
            scene.eve.answer(StrangerAnswer::status(503).with("retry-after", asked));
        }
        let before = scene.eve.posts().len();
        assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Queued { .. }));
        for (ms, posts) in [(4_900, 1), (200, 2), (4_800, 2)] {
            scene.internet.advance(ms);
            scene.settle().await;
            assert_eq!(scene.eve.posts().len() - before, posts, "{asked}: after {ms} ms more");
        }
        scene.internet.advance(MINUTE_MS);
        scene.settle().await;
        assert_eq!(scene.a.waiting().await.0, 0);
    }
}

/// A `Retry-After` beyond the time of a message: the message is tried at the end of its time, and
/// its sender is told. In between, 11 hours of what is asked for count.
#[tokio::test]
async fn a_server_that_asks_for_more_time_than_there_is() {
    for asked in ["259200", "31536000", "18446744073709551615", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let scene = StrangerScene::new().await;
        scene.send(&scene.envelope()).await.unwrap();
        scene.eve.script(move |request| {
            let later = || StrangerAnswer::status(503).with("retry-after", asked);
            (request.method == Method::POST).then(later)
        });
        assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Queued { .. }));
        let (mut hours, mut tried) = (0, vec![0]);
        let mut posts = scene.eve.posts().len();
        while scene.a.waiting().await.0 > 0 {
            scene.internet.advance(HOUR_MS);
            hours += 1;
            scene.a.federate().await;
            if scene.eve.posts().len() > posts {
                posts = scene.eve.posts().len();
                tried.push(hours);
            }
            assert!(hours <= 49, "{asked}: the sender is not told");
        }
        assert!(tried.windows(2).all(|two| two[1] - two[0] >= 11 || two[1] >= 48), "{asked}: {tried:?}");
        assert!((5..=6).contains(&tried.len()), "{asked}: {tried:?}");
        assert!(hours >= 48, "{asked}: given up after {hours} hours");
        scene.settle().await;
        scene.alice.refresh().await.unwrap();
        assert_eq!(kinds(&scene.a.reports(&scene.alice).await), [ReportKind::Reject], "{asked}");
        assert_eq!(scene.a.waiting().await, (0, 0));
    }
}

/// An envelope may expire sooner than its server asks to wait: at the first attempt or at a later
/// one, its sender is told when it expires.
#[tokio::test]
async fn a_server_that_asks_for_more_time_than_the_envelope_has() {
    for first in [true, false] {
        for minutes in [2, 60] {
            let scene = StrangerScene::new().await;
            let later = || StrangerAnswer::status(429).with("retry-after", "86400");
            scene.eve.answer(if first { later() } else { StrangerAnswer::status(429) });
            for _ in 0..2 {
                scene.eve.answer(later());
            }
            let mut outgoing = scene.envelope();
            outgoing.expires_ms = Some(scene.internet.now_ms() + minutes * MINUTE_MS);
            assert!(matches!(scene.send(&outgoing).await.unwrap(), SendOutcome::Queued { .. }));
            for _ in 0..=minutes {
                scene.internet.advance(MINUTE_MS);
                scene.settle().await;
            }
            scene.alice.refresh().await.unwrap();
            let reports = scene.a.reports(&scene.alice).await;
            assert_eq!(kinds(&reports), [ReportKind::Reject], "{first} {minutes}");
        }
    }
}
