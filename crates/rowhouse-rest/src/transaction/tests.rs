use rowhouse_db::flight::Isolation;
use rowhouse_kernel::settings::Setting;

use super::TransactionSettings;
use crate::settings::{AppSettings, RestSettings};

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn settings_of_the_function_override_the_role_s_and_those_the_project_s() {
    let app_settings = AppSettings::from_text(r#"{"host":"localhost"}"#).unwrap();
    let project = RestSettings { app_settings, ..RestSettings::default() };
    let role = pairs(&[("statement_timeout", "9s"), ("default_transaction_isolation", "serializable")]);
    let function = pairs(&[("work_mem", "1MB"), ("statement_timeout", "2s")]);
    let chosen = TransactionSettings::new(&project, &role, &function);
    let expected =
        [("app.settings.host", "localhost"), ("statement_timeout", "9s"), ("statement_timeout", "2s")];
    assert_eq!(chosen.settings().collect::<Vec<_>>(), expected);
    assert_eq!(chosen.isolation(), Some(Isolation::Serializable));
}

#[test]
fn isolation_of_the_function_comes_before_that_of_the_role() {
    let role = pairs(&[("default_transaction_isolation", "serializable")]);
    let function = pairs(&[("default_transaction_isolation", "REPEATABLE READ")]);
    let project = RestSettings::default();
    assert_eq!(
        TransactionSettings::new(&project, &role, &function).isolation(),
        Some(Isolation::RepeatableRead)
    );
    assert_eq!(TransactionSettings::new(&project, &[], &[]).isolation(), None);
    let none = RestSettings { hoisted_tx_settings: Vec::new(), ..project };
    assert_eq!(TransactionSettings::new(&none, &role, &function).isolation(), Some(Isolation::Serializable));
    assert_eq!(TransactionSettings::new(&none, &[], &function).settings().count(), 0);
}
