//! Sealing everything anew after `auth.key_secret` was replaced. Each value opens under the new secret or the former one at
//! any time, so the work is done in steps, and an interrupted one goes on where it stopped.

use rowhouse_crypto::{EnvelopeError, KeyError};
use rowhouse_db::Transaction;
use serde_json::json;
use uuid::Uuid;

use super::vault::{Vault, note};
use super::{KeyStore, KeyStoreError, refresh_key, root};
use crate::sealed_text::{self, factor_label, flow_label, provider_label};
use crate::store::key;
use crate::store::sealed_column::{self, SealedColumn};

/// Values sealed in one transaction.
const BATCH: i64 = 500;
/// Columns with keys, beside those of [`SealedColumn`].
const SIGNING_KEYS: &str = "auth.signing_keys.private_sealed";
const REFRESH_KEY: &str = "auth.refresh_keys.sealed";
const ROOT: &str = "auth.root_secrets.sealed";

/// Every column with values that are sealed with `auth.key_secret`.
#[must_use]
pub fn sealed_columns() -> Vec<&'static str> {
    [SIGNING_KEYS, REFRESH_KEY, ROOT].into_iter().chain(SealedColumn::ALL.map(SealedColumn::name)).collect()
}

/// What became of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resealed {
    /// Schema, table and column.
    pub column: &'static str,
    /// Values that were sealed with the former secret.
    pub resealed: u64,
    /// Values that were sealed with the current one already.
    pub current: u64,
}

impl Resealed {
    fn of(column: &'static str) -> Self {
        Self { column, resealed: 0, current: 0 }
    }

    /// Seals a value anew, if need be; the error names the column and `key`.
    fn renew(
        &mut self,
        vault: &Vault,
        sealed: &[u8],
        labels: &[String],
        key: &str,
    ) -> Result<Option<Vec<u8>>, KeyStoreError> {
        for label in labels {
            match vault.envelope.renew(sealed, label, &*vault.rng) {
                Ok(Some(renewed)) => {
                    self.resealed += 1;
                    return Ok(Some(renewed));
                }
                Ok(None) => {
                    self.current += 1;
                    return Ok(None);
                }
                Err(error @ EnvelopeError::Library) => return Err(KeyError::from(error).into()),
                Err(EnvelopeError::Refused | EnvelopeError::Layout) => {}
            }
        }
        Err(self.unreadable(key))
    }

    fn unreadable(&self, key: &str) -> KeyStoreError {
        KeyStoreError::Sealed { column: self.column, key: key.to_owned() }
    }
}

impl KeyStore {
    /// Seals everything under `auth.key_secret` that is still sealed under `auth.key_secret_previous`. With `dry_run`
    /// everything is only tried. Users stay signed in, and processes that know both secrets need no restart.
    ///
    /// # Errors
    /// A value that opens with neither, before anything in its batch is changed; else the database's.
    pub async fn reseal(&self, dry_run: bool) -> Result<Vec<Resealed>, KeyStoreError> {
        let (store, vault) = (self.clone(), self.0.vault.clone());
        let work = async move |tx: &Transaction<'_>| store.reseal_keys(tx, &vault, dry_run).await;
        let mut all = self.0.control.run_tx(&self.0.origin.operation("auth.reseal_keys"), work).await?;
        for column in SealedColumn::ALL {
            all.push(self.reseal_column(column, dry_run).await?);
        }
        if !dry_run {
            let counts: u64 = all.iter().map(|column| column.resealed).sum();
            let work = async move |tx: &Transaction<'_>| {
                note(tx, "keys_resealed", ("signing_key", "all"), json!({ "values": counts })).await
            };
            self.0.control.run_tx(&self.0.origin.operation("auth.note_reseal"), work).await?;
        }
        Ok(all)
    }

    /// The keys, in one transaction.
    async fn reseal_keys(
        &self,
        tx: &Transaction<'_>,
        vault: &Vault,
        dry_run: bool,
    ) -> Result<Vec<Resealed>, KeyStoreError> {
        key::lock(tx).await?;
        let mut signing = Resealed::of(SIGNING_KEYS);
        for row in key::list(tx).await?.into_iter().filter(|row| !row.private_sealed.is_empty()) {
            let kid = row.jwk.kid;
            let renewed = signing.renew(vault, &row.private_sealed, std::slice::from_ref(&kid), &kid)?;
            if let (Some(renewed), false) = (renewed, dry_run) {
                key::put_private(tx, &kid, &renewed).await?;
            }
        }
        let mut refresh = Resealed::of(REFRESH_KEY);
        if let Some(sealed) = key::find_refresh_key(tx).await? {
            let renewed = refresh.renew(vault, &sealed, &[refresh_key::LABEL.to_owned()], "the row")?;
            if let (Some(renewed), false) = (renewed, dry_run) {
                key::put_refresh_key(tx, &renewed, vault.clock.now()).await?;
            }
        }
        let mut kept = Resealed::of(ROOT);
        match key::find_root_secret(tx).await? {
            Some(sealed) => kept.renew(vault, &sealed, &[root::LABEL.to_owned()], "the row").map(drop)?,
            // It is replaced if the keys were sealed with another one.
            None => kept.resealed = refresh.resealed,
        }
        if !dry_run && kept.resealed > 0 {
            root::keep(vault, tx, &self.0.root).await?;
        }
        Ok(vec![signing, refresh, kept])
    }

    async fn reseal_column(&self, column: SealedColumn, dry_run: bool) -> Result<Resealed, KeyStoreError> {
        let (mut total, mut after) = (Resealed::of(column.name()), Some(Uuid::nil()));
        while let Some(from) = after {
            let vault = self.0.vault.clone();
            let work = async move |tx: &Transaction<'_>| batch(&vault, tx, column, from, dry_run).await;
            let operation = self.0.origin.operation("auth.reseal_column");
            let (counted, last) = self.0.control.run_tx(&operation, work).await?;
            total.resealed += counted.resealed;
            total.current += counted.current;
            after = last;
        }
        Ok(total)
    }
}

/// Seals the values behind a key anew; the last key, unless there was none.
async fn batch(
    vault: &Vault,
    tx: &Transaction<'_>,
    column: SealedColumn,
    after: Uuid,
    dry_run: bool,
) -> Result<(Resealed, Option<Uuid>), KeyStoreError> {
    let mut counted = Resealed::of(column.name());
    let rows = sealed_column::list(tx, column, after, BATCH).await?;
    for (id, text) in &rows {
        let key = id.to_string();
        let sealed = sealed_text::read(text).ok().flatten().ok_or_else(|| counted.unreadable(&key))?;
        let renewed = counted.renew(vault, &sealed, &labels(column, *id), &key)?;
        if let (Some(renewed), false) = (renewed, dry_run) {
            sealed_column::put(tx, column, *id, &sealed_text::write(&renewed)).await?;
        }
    }
    Ok((counted, rows.last().map(|(id, _)| *id)))
}

/// What values of a column may be bound to.
fn labels(column: SealedColumn, id: Uuid) -> Vec<String> {
    match column {
        SealedColumn::FactorSecret => vec![factor_label(id)],
        SealedColumn::ProviderSecret => vec![provider_label(id)],
        SealedColumn::FlowState => vec![flow_label(id, "provider_state"), flow_label(id, "profile")],
        SealedColumn::FlowAccessToken => vec![flow_label(id, "access_token")],
        SealedColumn::FlowRefreshToken => vec![flow_label(id, "refresh_token")],
        SealedColumn::TenantSetting => vec![rowhouse_tenancy::sealed::label(id)],
    }
}
