//! A random request, and the same in SQL.

use super::model::{Dice, Model, TABLES};

/// What is asked, over HTTP and plainly.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) body: String,
    /// Gives one JSON array.
    pub(crate) sql: String,
}

/// A column: in a select list, and as an expression over the row `t`.
struct Column {
    name: String,
    expression: String,
}

/// Where rows come from.
struct Rows {
    path: String,
    from: String,
    columns: Vec<Column>,
}

fn plain(name: &str) -> Column {
    Column { name: name.to_owned(), expression: format!("t.{name}") }
}

impl Model {
    fn columns(&self, table: &str) -> Vec<Column> {
        let mut columns = Vec::from(["id", "size", "tone", self.note].map(plain));
        columns.extend(self.extra.map(|made| plain(&format!("extra_{made}"))));
        columns.push(Column { name: "hue".to_owned(), expression: "public.json(t.hue)".to_owned() });
        if table == "items" {
            columns.push(Column { name: "score".to_owned(), expression: "public.score(t)".to_owned() });
        }
        columns
    }

    fn rows(&self, dice: &mut Dice) -> Rows {
        match dice.below(4) {
            0 => {
                let mut columns = vec![plain("id"), plain("size")];
                columns.extend(self.view.has_tone.then(|| plain("tone")));
                Rows { path: "shelf?".to_owned(), from: "public.shelf t".to_owned(), columns }
            }
            1 => {
                let fewest = dice.below(160);
                Rows {
                    path: format!("rpc/pick?fewest={fewest}&"),
                    from: format!("public.pick('{fewest}') t"),
                    columns: self.columns("items"),
                }
            }
            _ => {
                let table = *dice.of(&["items", "items", "boxes"]);
                Rows {
                    path: format!("{table}?"),
                    from: format!("public.{table} t"),
                    columns: self.columns(table),
                }
            }
        }
    }
}

/// A condition as a parameter, and in SQL.
fn filter(dice: &mut Dice, model: &Model, columns: &[Column]) -> (String, String) {
    let column = dice.of(columns);
    let (name, expression) = (&column.name, &column.expression);
    let operators = [("eq", "="), ("gte", ">="), ("lt", "<"), ("neq", "<>")];
    let (short, operator) = dice.of(&operators);
    match name.as_str() {
        "tone" => {
            let word = dice.of(&model.words).clone();
            (format!("{name}={short}.{word}"), format!("{expression} {operator} '{word}'"))
        }
        "note" | "remark" => {
            let part = dice.below(10);
            (format!("{name}=like.*{part}*"), format!("{expression} like '%{part}%'"))
        }
        "hue" => (format!("{name}=not.is.null"), "t.hue is not null".to_owned()),
        "size" if dice.once_in(3) => {
            let (one, two) = (dice.below(25), dice.below(100));
            (format!("{name}=in.({one},{two})"), format!("{expression} = any('{{{one},{two}}}')"))
        }
        _ => {
            let number = dice.below(if name == "id" { 160 } else { 25 });
            (format!("{name}={short}.{number}"), format!("{expression} {operator} '{number}'"))
        }
    }
}

/// Names in a select list, each with a name of its own in the answer half of the time.
fn select(dice: &mut Dice, columns: &[Column]) -> (String, String) {
    let (mut list, mut sql) = (vec!["id".to_owned()], vec!["t.id".to_owned()]);
    for (place, column) in columns.iter().enumerate().skip(1) {
        match dice.below(3) {
            0 => {
                list.push(column.name.clone());
                sql.push(format!("{} as {}", column.expression, column.name));
            }
            1 => {
                list.push(format!("a{place}:{}", column.name));
                sql.push(format!("{} as a{place}", column.expression));
            }
            _ => {}
        }
    }
    (list.join(","), sql.join(", "))
}

/// Conditions, and the order: always whole, so that both sides agree on it.
fn rest(dice: &mut Dice, model: &Model, columns: &[Column]) -> (String, String, String) {
    let (mut parameters, mut conditions) = (String::new(), "true".to_owned());
    for _ in 0..dice.below(3) {
        let (parameter, condition) = filter(dice, model, columns);
        parameters.push_str(&format!("&{parameter}"));
        conditions.push_str(&format!(" and {condition}"));
    }
    let sorted = columns
        .iter()
        .filter(|column| ["size", "tone", "score"].contains(&column.name.as_str()))
        .collect::<Vec<_>>();
    let by = dice.of(&sorted);
    let order = if dice.once_in(2) { "t.id".to_owned() } else { format!("{}, t.id", by.expression) };
    parameters.push_str(if order == "t.id" { "&order=id" } else { "&order=" });
    if order != "t.id" {
        parameters.push_str(&format!("{},id", by.name));
    }
    (parameters, conditions, order)
}

fn read(dice: &mut Dice, model: &Model) -> Ask {
    let rows = model.rows(dice);
    let (list, shown) = select(dice, &rows.columns);
    let (parameters, conditions, order) = rest(dice, model, &rows.columns);
    let (page, limit) = if dice.once_in(3) {
        let (limit, offset) = (1 + dice.below(6), dice.below(3));
        (format!("&limit={limit}&offset={offset}"), format!(" limit {limit} offset {offset}"))
    } else {
        (String::new(), String::new())
    };
    Ask {
        method: "GET",
        target: format!("/{}select={list}{parameters}{page}", rows.path),
        body: String::new(),
        sql: array(&format!("select {shown} from {} where {conditions} order by {order}{limit}", rows.from)),
    }
}

/// Parts with what they refer to, or the other way round.
fn embed(dice: &mut Dice, model: &Model) -> Ask {
    let columns = model.columns(model.parent);
    let (list, shown) = select(dice, &columns);
    let (parameter, condition) = filter(dice, model, &columns);
    let parent = model.parent;
    let (target, sql) = if dice.once_in(2) {
        (
            format!("/parts?select=id,{parent}!inner({list})&{parent}.{parameter}&order=id"),
            format!(
                "select p.id, to_json(r) as {parent} from public.parts p
                 join lateral (select {shown} from public.{parent} t where t.id = p.item_id and {condition}) r on true order by p.id"
            ),
        )
    } else {
        (
            format!("/{parent}?select={list},parts(id,label)&{parameter}&parts.order=id.desc&order=id"),
            format!(
                "select {shown}, (select coalesce(json_agg(p), '[]') from
                   (select id, label from public.parts where item_id = t.id order by id desc) p) as parts
                 from public.{parent} t where {condition} order by t.id"
            ),
        )
    };
    Ask { method: "GET", target, body: String::new(), sql: array(&sql) }
}

fn write(dice: &mut Dice, model: &Model) -> Ask {
    let table = *dice.of(&TABLES);
    let columns = model.columns(table);
    let (list, shown) = select(dice, &columns);
    let (parameters, conditions, order) = rest(dice, model, &columns);
    let (method, body, dml) = match dice.below(3) {
        0 => ("DELETE", String::new(), format!("delete from public.{table} t where {conditions}")),
        1 => {
            let (size, word) = (dice.below(50), dice.of(&model.words));
            (
                "PATCH",
                format!(r#"{{"size": {size}, "tone": "{word}"}}"#),
                format!("update public.{table} t set size = '{size}', tone = '{word}' where {conditions}"),
            )
        }
        _ => {
            let id = 1_000 + 2 * dice.below(50);
            (
                "POST",
                format!(r#"{{"id": {id}}}"#),
                format!("insert into public.{table} as t (id) values ({id})"),
            )
        }
    };
    let parameters = if method == "POST" { String::new() } else { parameters };
    // Returned under a name that no column has, so that the rows can be put in order.
    let by = order.strip_suffix(", t.id").unwrap_or(&order);
    let sql = format!(
        "with w as ({dml} returning {shown}, {by} as sorted)
         select coalesce(json_agg(to_jsonb(w) - 'sorted' order by sorted, id), '[]') from w"
    );
    Ask { method, target: format!("/{table}?select={list}{parameters}"), body, sql }
}

fn array(rows: &str) -> String {
    format!("select coalesce(json_agg(r), '[]') from ({rows}) r")
}

/// A read, an embed or a write.
pub(crate) fn random(dice: &mut Dice, model: &Model) -> Ask {
    match dice.below(6) {
        0 => embed(dice, model),
        1 | 2 => write(dice, model),
        _ => read(dice, model),
    }
}
