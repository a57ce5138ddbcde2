//! Every case file against the server. Each case is undone after its answer, so all share one database and are
//! independent.

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderMap;
use rowhouse_http::Identity;
use rowhouse_rest::{OpenapiMode, RestSettings, Sample, SchemaCache, TxEnd};
use rowhouse_testkit::TestDatabase;
use tokio::sync::OnceCell;

use crate::case::{Case, parse};
use crate::harness::{Harness, caller, send};

pub(crate) const SCHEMA: &str = include_str!("schema.sql");
/// Schemas in the snapshot; a case serves `lib` unless it sets others.
pub(crate) const SCHEMAS: [&str; 3] = ["lib", "back", "Über"];

/// Every file of cases: its name and text.
pub(crate) fn files() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<(String, String)> = entries
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// The settings of a case: those of the suite, then its own.
pub(crate) fn settings(case: &Case) -> RestSettings {
    let mut settings = RestSettings {
        schemas: vec!["lib".to_owned()],
        tx_end: TxEnd::RollbackAllowOverride,
        aggregates: true,
        plan_enabled: true,
        ..RestSettings::default()
    };
    for pair in &case.settings {
        set(&mut settings, pair.split_once('=').expect("name=value"));
    }
    settings
}

fn set(settings: &mut RestSettings, (name, value): (&str, &str)) {
    match name {
        "schemas" => settings.schemas = value.split(',').map(str::to_owned).collect(),
        "max_rows" => settings.max_rows = value.parse().ok(),
        "aggregates" => settings.aggregates = value == "true",
        "plan" => settings.plan_enabled = value == "true",
        "pre_request" => settings.pre_request = Some(value.to_owned()),
        "max_body_bytes" => settings.max_body_bytes = value.parse().unwrap(),
        "legacy_target_names" => settings.legacy_target_names = value == "true",
        "anon_role" => value.clone_into(&mut settings.anon_role),
        "timing" => settings.server_timing = value == "true",
        "openapi" => {
            settings.openapi_mode = match value {
                "disabled" => OpenapiMode::Disabled,
                "ignore-privileges" => OpenapiMode::IgnorePrivileges,
                _ => panic!("no such mode: {value}"),
            };
        }
        "tx_end" => {
            settings.tx_end = match value {
                "commit" => TxEnd::Commit,
                "rollback" => TxEnd::Rollback,
                "commit-allow-override" => TxEnd::CommitAllowOverride,
                _ => panic!("no such end: {value}"),
            };
        }
        "cache" => {}
        _ => panic!("no such setting: {name}"),
    }
}

/// The caller; `nobody` has no verified identity.
fn identity(case: &Case) -> Option<Identity> {
    (case.caller != "nobody").then(|| Identity::Caller(Arc::new(caller(&case.caller))))
}

async fn answer(harness: &Harness, case: &Case) -> Vec<String> {
    let router = if case.settings.iter().any(|pair| pair == "cache=empty") {
        harness.blind_router(settings(case))
    } else {
        harness.router(settings(case))
    };
    case.lines_of(&send(&router, identity(case), case.http()).await)
}

/// The library's database, made once; every test has connections of its own.
pub(crate) async fn library() -> Harness {
    static MADE: OnceCell<(TestDatabase, Arc<SchemaCache>)> = OnceCell::const_new();
    let make = || async {
        let harness = Harness::new(SCHEMA, &SCHEMAS).await;
        (harness.db.clone(), Arc::clone(&harness.cache))
    };
    let (db, cache) = MADE.get_or_init(make).await;
    Harness::on(db.clone(), Arc::clone(cache))
}

/// Runs a file's cases and compares.
async fn check(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/cases/{name}.txt"));
    let cases = parse(&std::fs::read_to_string(&path).unwrap());
    let harness = library().await;
    let (mut written, mut wrong) = (Vec::new(), Vec::new());
    for case in &cases {
        let lines = answer(&harness, case).await;
        written.push(case.render(&lines));
        if lines != case.answer {
            wrong.push(format!("wanted\n{}\ngot\n{}", case.render(&case.answer), case.render(&lines)));
        }
    }
    if std::env::var_os("GOLDEN").is_some_and(|mode| mode == "write") {
        std::fs::write(&path, written.join("\n")).unwrap();
    } else {
        assert!(wrong.is_empty(), "{name}: {} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    }
}

/// A case as `explain` takes it.
pub(crate) fn sample<'a>(
    method: &'a http::Method,
    target: &'a str,
    headers: &'a HeaderMap,
    body: &str,
) -> Sample<'a> {
    Sample { method, path_and_query: target, headers, body: bytes::Bytes::copy_from_slice(body.as_bytes()) }
}

/// One test per file, and none forgotten.
macro_rules! golden {
    ($($name:ident: $sentence:ident,)*) => {
        $(#[tokio::test]
        async fn $sentence() {
            check(stringify!($name)).await;
        })*

        #[test]
        fn every_file_of_cases_has_its_test() {
            let mut tested = vec![$(stringify!($name)),*];
            tested.sort_unstable();
            let files = files();
            let files: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(tested, files);
        }
    };
}

golden! {
    filters: filters_select_the_rows_they_describe,
    logic: logic_trees_combine_filters,
    json_paths: json_paths_reach_into_columns,
    embedding: embedded_resources_follow_relationships,
    spread: spread_embeds_become_columns,
    aggregates: aggregates_group_by_what_is_beside_them,
    ranges: ranges_and_counts_describe_the_page,
    inserts: inserts_make_rows,
    upsert: upserts_and_puts_replace_rows,
    changes: patches_and_deletes_change_rows,
    rpc: functions_are_called_by_name_and_arguments,
    media: media_types_shape_the_answer,
    prefer: preferences_are_taken_and_echoed,
    transaction: transactions_know_the_request,
    errors: errors_have_codes_and_statuses,
    sqlstate: sqlstates_have_statuses,
    profiles: profiles_choose_the_schema,
    options: options_tell_what_may_be_done,
    root: root_describes_the_schema,
}
