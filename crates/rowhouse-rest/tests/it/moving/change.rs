//! Random changes of the schema: what is different afterwards, and the SQL that makes it so.

use super::model::{Dice, Model, NUMBERS, TABLES, TONES};

type Change = fn(&mut Dice, &mut Model) -> String;

const CHANGES: [(&str, Change); 15] = [
    ("type of a column", size),
    ("type of an enumerated column", tone),
    ("word added to a type", word_added),
    ("word renamed in a type", word_renamed),
    ("default", default),
    ("column renamed", note),
    ("column added or dropped", extra),
    ("view of other rows", view_rows),
    ("view of other columns", view_columns),
    ("function's body", pick_body),
    ("function's argument", pick_argument),
    ("computed column", score),
    ("representation of a domain", shade),
    ("policy", policy),
    ("tables swapped or referred to anew", tables),
];

/// The kind of a change, and its SQL.
pub(crate) fn random(dice: &mut Dice, model: &mut Model) -> (&'static str, String) {
    let (kind, change) = dice.of(&CHANGES);
    (kind, change(dice, model))
}

/// Another one of `things` than `now`.
fn other<T: Copy + PartialEq>(dice: &mut Dice, things: &[T], now: T) -> T {
    let others: Vec<T> = things.iter().copied().filter(|thing| *thing != now).collect();
    *dice.of(&others)
}

fn on_both(sql: impl Fn(&str) -> String) -> String {
    TABLES.map(sql).concat()
}

/// With everything that hangs on a column away meanwhile.
fn around(model: &Model, sql: &str) -> String {
    format!("{}{sql}{}", Model::DROP_DEPENDENTS, model.dependents())
}

fn size(dice: &mut Dice, model: &mut Model) -> String {
    model.size = other(dice, &NUMBERS, model.size);
    let (kind, default) = (model.size, model.size_default);
    let sql = on_both(|table| {
        format!(
            "alter table public.{table} alter size drop default, alter size type {kind} using size::text::{kind};
             alter table public.{table} alter size set default {default};"
        )
    });
    around(model, &sql)
}

fn tone(dice: &mut Dice, model: &mut Model) -> String {
    model.tone = other(dice, &TONES, model.tone);
    let kind = model.tone;
    let sql = on_both(|table| {
        format!("alter table public.{table} alter tone type {kind} using tone::text::{kind};")
    });
    around(model, &sql)
}

fn word_added(dice: &mut Dice, model: &mut Model) -> String {
    model.made += 1;
    let (word, there) = (format!("word{}", model.made), dice.of(&model.words).clone());
    model.words.push(word.clone());
    format!(
        "alter type public.tone add value '{word}' before '{there}'; alter type public.mood add value '{word}' after '{there}';"
    )
}

fn word_renamed(dice: &mut Dice, model: &mut Model) -> String {
    model.made += 1;
    let (new, place) = (format!("word{}", model.made), dice.below(model.words.len()));
    let old = std::mem::replace(&mut model.words[place], new.clone());
    let text = if model.tone == "text" {
        on_both(|table| format!("update public.{table} set tone = '{new}' where tone = '{old}';"))
    } else {
        String::new()
    };
    format!(
        "alter type public.tone rename value '{old}' to '{new}'; alter type public.mood rename value '{old}' to '{new}'; {text}"
    )
}

fn default(dice: &mut Dice, model: &mut Model) -> String {
    model.size_default = dice.below(1000);
    on_both(|table| format!("alter table public.{table} alter size set default {};", model.size_default))
}

fn note(_: &mut Dice, model: &mut Model) -> String {
    let old = model.note;
    model.note = if old == "note" { "remark" } else { "note" };
    let sql = on_both(|table| format!("alter table public.{table} rename {old} to {};", model.note));
    around(model, &sql)
}

fn extra(_: &mut Dice, model: &mut Model) -> String {
    let sql = match model.extra.take() {
        Some(made) => on_both(|table| format!("alter table public.{table} drop extra_{made};")),
        None => {
            model.made += 1;
            model.extra = Some(model.made);
            let made = model.made;
            on_both(|table| format!("alter table public.{table} add extra_{made} int default {made};"))
        }
    };
    around(model, &sql)
}

fn view_rows(dice: &mut Dice, model: &mut Model) -> String {
    model.view.least = dice.below(120);
    model.view.table = *dice.of(&TABLES);
    model.create_view()
}

fn view_columns(_: &mut Dice, model: &mut Model) -> String {
    model.view.has_tone = !model.view.has_tone;
    format!("drop view public.shelf; {}", model.create_view())
}

fn pick_body(dice: &mut Dice, model: &mut Model) -> String {
    model.pick.operator = other(dice, &[">=", ">", "<", "="], model.pick.operator);
    model.pick.language = *dice.of(&["sql", "plpgsql"]);
    model.create_pick()
}

fn pick_argument(dice: &mut Dice, model: &mut Model) -> String {
    model.pick.argument = other(dice, &NUMBERS, model.pick.argument);
    format!("drop function public.pick; {}", model.create_pick())
}

fn score(dice: &mut Dice, model: &mut Model) -> String {
    let kind = if dice.once_in(2) { model.score.0 } else { *dice.of(&NUMBERS) };
    let drop = if kind == model.score.0 { "" } else { "drop function public.score;" };
    model.score = (kind, dice.below(20));
    format!("{drop}{}", model.create_score())
}

fn shade(_: &mut Dice, model: &mut Model) -> String {
    model.shade += 1;
    model.shown()
}

fn policy(dice: &mut Dice, model: &mut Model) -> String {
    let drop = if model.hidden.is_some() {
        on_both(|table| format!("drop policy further on public.{table};"))
    } else {
        String::new()
    };
    model.hidden = (model.hidden.is_none() || dice.once_in(2)).then(|| 2 + dice.below(4));
    let Some(hidden) = model.hidden else { return drop };
    let create = on_both(|table| {
        format!(
            "create policy further on public.{table} as restrictive to authenticated using (id % {hidden} <> 0);"
        )
    });
    drop + &create
}

fn tables(dice: &mut Dice, model: &mut Model) -> String {
    model.parent = if model.parent == "items" { "boxes" } else { "items" };
    if dice.once_in(2) {
        return format!("alter table public.parts drop constraint parts_item_fkey; {}", model.reference());
    }
    // The constraint goes with its table.
    around(
        model,
        "alter table public.items rename to swapped; alter table public.boxes rename to items;
         alter table public.swapped rename to boxes;",
    )
}
