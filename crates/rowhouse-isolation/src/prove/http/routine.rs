//! Whether what functions give over HTTP depends on the rows of another tenant: each is called before the owner has rows and
//! twice afterwards. Leaves the same in SQL, with what functions change, to `echo`.

use http::Method;
use rowhouse_module::CannotRun;
use serde_json::{Map, Value};

use super::super::catalog::Function;
use super::super::cell::Cell;
use super::super::echo::{Arguments, arguments, callers, found_arguments, function_remedy};
use super::super::judge::Judged;
use super::super::proof::{Leak, Mark};
use super::super::scene::SELF;
use super::super::stage::Stage;
use super::super::value::mark;
use super::call::{Answer, Call};
use super::request::json_of;
use super::service::Service;

/// A call of a function by a caller, and what it gave before the owner had rows.
pub(super) struct Reading {
    at: usize,
    actor: usize,
    call: Call,
    before: Option<Answer>,
}

/// Calls every function that can be called over HTTP.
pub(super) async fn read(service: &Service, stage: &Stage) -> Result<Vec<Reading>, CannotRun> {
    let mut readings = Vec::new();
    for (at, function) in stage.catalog.functions.iter().enumerate() {
        let calls = calls(function, &arguments(stage, function));
        for (actor, call) in
            callers(stage, function).flat_map(|actor| calls.iter().map(move |one| (actor, one)))
        {
            let before = Some(service.send(actor, call).await?);
            readings.push(Reading { at, actor, call: call.clone(), before });
        }
    }
    Ok(readings)
}

/// Calls them again and compares.
pub(super) async fn compare(
    service: &Service,
    stage: &Stage,
    mut readings: Vec<Reading>,
) -> Result<Vec<(String, Judged)>, CannotRun> {
    for (at, function) in stage.catalog.functions.iter().enumerate() {
        let calls = calls(function, &found_arguments(stage, function));
        let more = callers(stage, function).flat_map(|actor| calls.iter().map(move |call| (actor, call)));
        readings.extend(more.map(|(actor, call)| Reading { at, actor, call: call.clone(), before: None }));
    }
    let mut seen = Vec::new();
    for reading in &readings {
        let after = service.send(reading.actor, &reading.call).await?;
        let again = service.send(reading.actor, &reading.call).await?;
        seen.push(depends(reading.before.as_ref(), &after, &again));
    }
    let judged = stage.catalog.functions.iter().enumerate().map(|(at, function)| {
        let of_this = readings.iter().zip(&seen).filter(|(reading, _)| reading.at == at);
        (
            function.name.clone(),
            judge(stage, function, &of_this.map(|(one, seen)| (one, *seen)).collect::<Vec<_>>()),
        )
    });
    Ok(judged.collect())
}

/// The call with each list of arguments; none where an argument has no name, since only one document can be sent then.
fn calls(function: &Function, tuples: &[Arguments]) -> Vec<Call> {
    let names = &function.argument_names;
    let is_named = names.len() == function.arguments.len() && names.iter().all(|name| !name.is_empty());
    let path = format!("rpc/{}", function.bare_name);
    let call = |values: &Arguments| {
        let typed = names.iter().zip(&function.arguments).zip(values);
        let body: Map<String, Value> =
            typed.map(|((name, kind), value)| (name.clone(), json_of(kind, value.as_deref()))).collect();
        Call::new(Method::POST, &function.schema, &path).prefer("tx=rollback").body(Value::Object(body))
    };
    if is_named { tuples.iter().map(call).collect() } else { Vec::new() }
}

fn depends(before: Option<&Answer>, after: &Answer, again: &Answer) -> bool {
    let owners = format!("{}1", mark('a'));
    let marks = |answer: &Answer| answer.body.matches(&owners).count();
    let has_changed =
        before.is_some_and(|before| before.is_success() && after.is_success() && before.body != after.body);
    // An error may repeat an argument.
    let shows = after.is_success() && marks(after) > before.map_or(0, marks);
    (has_changed && after.body == again.body) || shows
}

fn judge(stage: &Stage, function: &Function, seen: &[(&Reading, bool)]) -> Judged {
    let mut judged = Judged::default();
    let has_control = seen.iter().any(|(reading, depends)| reading.actor == SELF && *depends);
    for (reading, depends) in seen {
        let mark = match (reading.actor == SELF, depends) {
            (true, true) => Mark::Control,
            (false, true) => {
                judged.leaks.push(leak(stage, function, reading));
                Mark::Leak
            }
            (false, false) if has_control => Mark::Held,
            _ => Mark::Closed,
        };
        let before = judged.marks.entry((reading.actor, Cell::HttpCall)).or_insert(mark);
        *before = (*before).max(mark);
    }
    judged
}

fn leak(stage: &Stage, function: &Function, reading: &Reading) -> Leak {
    Leak {
        relation: function.name.clone(),
        actor: stage.scene.actors[reading.actor].name.clone(),
        cell: Cell::HttpCall,
        detail: "gives what depends on the rows of another tenant over HTTP".to_owned(),
        statement: reading.call.to_string(),
        remedy: function_remedy(function),
    }
}
