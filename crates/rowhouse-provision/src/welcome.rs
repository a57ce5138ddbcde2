//! The letter to the owners of a new tenant: the project's template `tenant_welcome` where there is one.

use rowhouse_kernel::TenantId;
use rowhouse_mail::{Mailer, NewMail, Rendered, TemplateError, plain_name, read_mailbox};
use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::store::Subject;

/// The project's template.
const TEMPLATE: &str = "tenant_welcome";

/// Writes a letter to each owner. A letter that was written in an earlier run is not written again.
pub(crate) async fn send(
    tx: &Client,
    mailer: &Mailer,
    site_url: &str,
    subject: &Subject,
) -> Result<Value, StepError> {
    if mailer.is_off() {
        return Ok(json!({ "letters": 0 }));
    }
    let owners = owners(tx, subject).await?;
    for (user, address) in &owners {
        let written = write(mailer, site_url, subject, address)?;
        let mail = NewMail {
            to: vec![read_mailbox("owner", address)?],
            subject: written.subject,
            text: written.text,
            html: written.html,
            kind: TEMPLATE.to_owned(),
            tenant: Some(TenantId(subject.id)),
            idempotency_key: Some(format!("provision/{}/{user}", subject.id)),
            ..NewMail::default()
        };
        mailer.send(tx, &mail).await?;
    }
    Ok(json!({ "letters": owners.len() }))
}

async fn owners(tx: &Client, subject: &Subject) -> Result<Vec<(uuid::Uuid, String)>, StepError> {
    let sql = "select u.id, u.email::text from tenancy.memberships m join auth.users u on u.id = m.user_id
               where m.tenant_id = $1 and m.role = 'owner' and m.is_active
                 and u.deleted_at is null and u.email_confirmed_at is not null
               order by u.id limit 10";
    let rows = tx.query_typed(sql, &[(&subject.id, Type::UUID)]).await?;
    let read = |row: &tokio_postgres::Row| Ok::<_, tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?));
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

fn write(mailer: &Mailer, site_url: &str, subject: &Subject, address: &str) -> Result<Rendered, StepError> {
    let tenant = plain_name(subject.name.as_deref().unwrap_or_default());
    let data = json!({ "Tenant": tenant, "Slug": subject.slug, "SiteURL": site_url, "Email": address });
    let data = data.as_object().cloned().unwrap_or_default();
    match mailer.fill(TEMPLATE, None, data) {
        Ok(written) => Ok(written),
        Err(TemplateError::Unknown { .. }) => Ok(Rendered {
            subject: format!("{tenant} is ready"),
            text: Some(format!("{tenant} has been set up, and you are its owner.\n\n{site_url}\n")),
            html: None,
        }),
        // A template can be corrected.
        Err(error) => Err(StepError::Retry(error.to_string())),
    }
}
