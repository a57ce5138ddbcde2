use std::net::IpAddr;

use rowhouse_kernel::{Caller, TenantId, UserId};
use uuid::Uuid;

use super::{Holder, Places, Size};
use crate::flight::{Access, End, RequestContext};

fn holder(caller: &Caller, address: Option<&str>) -> Holder {
    Holder::of(&RequestContext {
        caller,
        address: address.map(|text| text.parse::<IpAddr>().unwrap()),
        method: "GET",
        path: "/",
        headers: "{}",
        cookies: "{}",
        access: Access::ReadOnly,
        search_path: "public",
        time_zone: None,
        before: None,
        isolation: None,
        end: End::Commit,
    })
}

#[test]
fn share_is_that_of_the_tenant_else_of_the_user_else_of_the_network() {
    let (tenant, user) = (TenantId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
    let anon = Caller::anonymous();
    let signed_in = Caller { user: Some(user), ..Caller::anonymous() };
    let member = Caller { tenant: Some(tenant), ..signed_in.clone() };
    assert_eq!(holder(&member, Some("192.0.2.1")), Holder::Tenant(tenant));
    assert_eq!(holder(&signed_in, Some("192.0.2.1")), Holder::User(user));
    assert_ne!(holder(&anon, Some("192.0.2.1")), holder(&anon, Some("192.0.2.2")));
    assert_eq!(holder(&anon, Some("2001:db8::1")), holder(&anon, Some("2001:db8::2")));
    assert_ne!(holder(&anon, Some("2001:db8::1")), holder(&anon, Some("2001:db8:0:1::1")));
    assert_eq!(holder(&anon, None), Holder::Unknown);
}

#[test]
fn share_is_a_part_but_never_nothing() {
    let shares = |all, percent| {
        let size = Size::divided(all, percent);
        (size.share, size.streams().all, size.streams().share)
    };
    assert_eq!(shares(8, 75), (6, 4, 2));
    assert_eq!(shares(8, 99), (7, 4, 2));
    assert_eq!(shares(8, 1), (1, 4, 2));
    assert_eq!(shares(3, 75), (2, 1, 1));
    assert_eq!(shares(2, 75), (1, 1, 1));
    assert_eq!(shares(1, 75), (1, 1, 1));
    assert_eq!(shares(8, 100), (8, 4, 4));
}

#[test]
fn holder_has_no_more_than_the_share_and_is_forgotten_at_the_end() {
    let places = Places::new("data", "connections", Size::divided(4, 75));
    let (one, other) = (Holder::Unknown, Holder::User(UserId(Uuid::from_u128(1))));
    let mut taken: Vec<_> = (0..3).map(|_| places.try_take(one).unwrap()).collect();
    assert!(places.try_take(one).is_none(), "the share is used up");
    taken.push(places.try_take(other).unwrap());
    assert!(places.try_take(other).is_none(), "all are used");
    assert_eq!(places.holders(), 2);
    taken.clear();
    assert_eq!((places.holders(), places.available()), (0, 4));
}

#[test]
fn without_shares_one_holder_may_have_all() {
    let places = Places::new("data", "connections", Size::divided(2, 100));
    let taken: Vec<_> = (0..2).map(|_| places.try_take(Holder::Unknown).unwrap()).collect();
    assert_eq!((taken.len(), places.holders()), (2, 0));
}
