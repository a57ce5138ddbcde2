use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rowhouse_http::ServerSettings;
use rowhouse_http::limit::{RateReport, Rates};
use rowhouse_kernel::{SystemClock, TenantId};
use uuid::Uuid;

use super::MailLimits;
use crate::settings::MailSettings;

fn limits(header: Option<&str>) -> MailLimits {
    let mail =
        MailSettings { signin_rate_per_5min: 2, tenant_submissions_per_minute: 3, ..MailSettings::default() };
    let server =
        ServerSettings { client_address_header: header.map(str::to_owned), ..ServerSettings::default() };
    MailLimits::new(&mail, &server, &Rates::in_memory(Arc::new(SystemClock)))
}

fn address(last: u8) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
}

#[tokio::test]
async fn failed_sign_ins_lock_out_the_name_at_that_address_and_no_stranger() {
    let limits = limits(None);
    for _ in 0..2 {
        limits.look_at_sign_in(address(1), "shop").await.unwrap();
        limits.count_failed_sign_in(address(1), "shop").await;
    }
    assert!(limits.look_at_sign_in(address(1), "shop").await.is_err());
    limits.look_at_sign_in(address(2), "shop").await.unwrap();
    limits.look_at_sign_in(address(1), "other").await.unwrap();
    for n in 0..40 {
        limits.count_failed_sign_in(address(1), &format!("guess {n}")).await;
    }
    assert!(limits.look_at_sign_in(address(1), "other").await.is_err(), "all names together");
    limits.look_at_sign_in(None, "shop").await.unwrap();
}

#[tokio::test]
async fn behind_a_proxy_strangers_do_not_share_the_proxy_s_address() {
    let limits = limits(Some("x-forwarded-for"));
    for n in 0..200 {
        limits.count_failed_sign_in(address(1), &format!("guess {n}")).await;
    }
    limits.look_at_sign_in(address(1), "shop").await.unwrap();
}

#[tokio::test]
async fn one_tenant_s_flood_is_not_another_s_and_not_the_platform_s() {
    let limits = limits(None);
    let tenant = |n| Some(TenantId(Uuid::from_u128(n)));
    let report = RateReport::default();
    for _ in 0..3 {
        limits.take_submission(tenant(1), &report).await.unwrap();
    }
    assert!(limits.take_submission(tenant(1), &report).await.is_err());
    limits.take_submission(tenant(2), &report).await.unwrap();
    for _ in 0..10 {
        limits.take_submission(None, &report).await.unwrap();
    }
}
