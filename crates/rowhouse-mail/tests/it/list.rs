//! Unsubscribed readers get no mail of the list through the relay.

use rowhouse_mail::suppression;

use crate::deliver::state;
use crate::peer::Peer;
use crate::support::TestMail;

#[tokio::test]
async fn unsubscribed_reader_is_suppressed_for_that_list_and_tenant() {
    let peer = Peer::plain().await;
    let post = TestMail::new(peer.settings()).await;
    let tenant = "00000000-0000-7000-8000-000000000007";
    let left = format!(
        "insert into mail.suppressions (address, reason, list, tenant) values \
         ('ada@b.example', 'unsubscribe', 'news', null), ('bob@b.example', 'unsubscribe', 'news', '{tenant}')"
    );
    post.client.batch_execute(&left).await.unwrap();
    for (address, list, of, expected) in [
        ("Ada@b.example", Some("news"), None, "suppressed"),
        ("ada@b.example", Some("offers"), None, "sent"),
        ("ada@b.example", None, None, "sent"),
        ("ada@b.example", Some("news"), Some(tenant), "sent"),
        ("bob@b.example", Some("news"), Some(tenant), "suppressed"),
        ("bob@b.example", Some("news"), None, "sent"),
    ] {
        let accepted = post.send(address).await;
        let sql = "update mail.messages set list = $2, tenant = $3::text::uuid where id = $1";
        post.client.execute(sql, &[&accepted.id, &list, &of]).await.unwrap();
        post.deliver(accepted.recipients[0].0).await.unwrap();
        let sql = "select event from mail.events where recipient = $1";
        let event: String = post.client.query_one(sql, &[&accepted.recipients[0].0]).await.unwrap().get(0);
        assert_eq!(event, expected, "{address} {list:?} {of:?}");
    }
    let again = async |list| suppression::remove(&post.client, "ADA@b.example", list).await.unwrap();
    assert_eq!((again(Some("offers")).await, again(Some("news")).await), (false, true), "subscribed again");
    let accepted = post.send("ada@b.example").await;
    let sql = "update mail.messages set list = 'news' where id = $1";
    post.client.execute(sql, &[&accepted.id]).await.unwrap();
    post.deliver(accepted.recipients[0].0).await.unwrap();
    assert_eq!(state(&post.client, accepted.recipients[0].0).await.0, "sent");
}
