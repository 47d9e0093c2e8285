//! A host that cannot store what a member says.

use super::*;
use crate::limits::STORE_AGAIN;

#[test]
fn a_message_the_host_could_not_store_is_resent_later() {
    let mut ann = Bench::new();
    ann.joins(0);
    ann.types("one");
    ann.types("two");
    ann.requests();
    let unsent = ann.store.load().unwrap().outbox;
    let because = "the disk is full".to_owned();
    let refused = Kind::Refused(Refusal::NotStored { because });
    let refused = Event::new(ann.now.stamp, None, None, refused);
    ann.hears(&Event { id: Some(unsent[0].id), ..refused.clone() });
    ann.hears(&Event { id: Some(unsent[1].id), ..refused.clone() });
    assert_eq!(ann.rows().iter().filter(|row| row.contains("disk is full")).count(), 1);
    ann.passes(STORE_AGAIN - Duration::from_secs(1));
    assert_eq!(ann.said(), Vec::<String>::new());
    ann.passes(Duration::from_secs(1));
    assert_eq!(ann.said(), ["one", "two"]);
    ann.hears(&Event { id: Some(unsent[0].id), ..refused.clone() });
    assert!(!ann.rows().iter().any(|row| row.contains("disk is full")), "it was said");
    ann.passes(STORE_AGAIN);
    let stored = ann.stored(1);
    ann.hears(&stored);
    ann.hears(&Event { id: Some(unsent[0].id), ..refused });
    assert!(ann.rows().iter().any(|row| row.contains("disk is full")), "it is full once more");
}
