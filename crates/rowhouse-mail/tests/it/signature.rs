//! Which mails the platform's DKIM key signs.

use rowhouse_kernel::{Secret, TenantId};
use rowhouse_mail::{MailSettings, RawMail};

use crate::peer::Peer;
use crate::support::{TestMail, mail, mailer};

const TENANT: &str = "00000000-0000-7000-8000-000000000007";

fn key() -> Secret {
    let output = std::process::Command::new("openssl").args(["genpkey", "-algorithm", "ed25519"]).output();
    Secret::new(String::from_utf8(output.unwrap().stdout).unwrap())
}

fn raw(tenant: Option<TenantId>, credential: &str) -> RawMail {
    RawMail {
        to: vec!["b@b.example".parse().unwrap()],
        mime: b"From: a@own.example\r\nSubject: s\r\n\r\nx\r\n".to_vec(),
        tenant,
        credential: Some(credential.to_owned()),
        ..RawMail::default()
    }
}

#[tokio::test]
async fn dkim_signs_platform_mails_and_not_those_of_a_tenant_s_credential() {
    let mut peer = Peer::plain().await;
    let settings = MailSettings {
        dkim_domain: Some("own.example".to_owned()),
        dkim_key: Some(key()),
        ..peer.settings()
    };
    let post = TestMail::new(settings.clone()).await;
    let sql = format!(
        "insert into tenancy.organizations (id, name, slug) values ('{TENANT}', 'x', 'x'); \
         insert into tenancy.tenants (id, organization_id, name, slug) values ('{TENANT}', '{TENANT}', 'x', 'x'); \
         insert into mail.senders (tenant, kind, name, token, proved_at) values ('{TENANT}', 'domain', 'own.example', 't', now())"
    );
    post.client.batch_execute(&sql).await.unwrap();
    let (mailer, tenant) = (mailer(settings), TENANT.parse().unwrap());
    for (accepted, is_signed) in [
        (mailer.send(&post.client, &mail("b@b.example")).await, true),
        (mailer.send_raw(&post.client, &raw(None, "service_role")).await, true),
        (mailer.send_raw(&post.client, &raw(Some(tenant), "ten")).await, false),
    ] {
        let accepted = accepted.unwrap();
        assert_eq!(post.deliver(accepted.recipients[0].0).await, Ok(None));
        let got = peer.next().await;
        let mime = got["mime"].as_str().unwrap();
        assert_eq!(mime.to_lowercase().contains("dkim-signature:"), is_signed, "{mime}");
    }
}
