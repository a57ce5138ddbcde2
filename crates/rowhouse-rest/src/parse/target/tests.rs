use crate::plan::tests::{request, request_with};
use crate::request::ApiRequest;
use crate::settings::RestSettings;

fn paths(request: &ApiRequest) -> Vec<String> {
    let filters = request.filters.iter().map(|(path, _)| path);
    let logic = request.logic.iter().map(|(path, _)| path);
    let order = request.order.iter().map(|(path, _)| path);
    let ranges = request.embed_ranges.iter().map(|(path, _)| path);
    filters.chain(logic).chain(order).chain(ranges).map(|path| path.join(".")).collect()
}

const TARGET: &str = "/lists?select=name,open:todos(id,mine:users(name))&todos.done=is.false\
                      &todos.or=(id.eq.1,id.eq.2)&todos.users.order=name&open.limit=1&todos.offset=2";

#[test]
fn table_of_an_aliased_embed_is_replaced_by_its_alias() {
    let request = request("GET", TARGET, &[], "");
    assert_eq!(paths(&request), ["open", "open", "open.mine", "open"]);
    let renamed = [("todos", "open"), ("users", "mine")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(request.legacy_targets, renamed);
    let range = request.embed_ranges[0].1;
    assert_eq!((range.lower, range.upper), (2, Some(2)), "limit and offset of one embed meet");
}

#[test]
fn aliases_of_embeds_are_not_replaced() {
    let both = "/lists?select=todos(id),old:todos(id)&todos.done=is.false&old.id=eq.1";
    let crossed = "/lists?select=todos:users(id),users:todos(id)&todos.id=eq.1&users.id=eq.2";
    for target in [both, crossed] {
        assert_eq!(request("GET", target, &[], "").legacy_targets, []);
    }
    assert_eq!(paths(&request("GET", crossed, &[], "")), ["todos", "users"]);
}

#[test]
fn names_are_not_replaced_if_the_setting_is_off() {
    let settings = RestSettings { legacy_target_names: false, ..RestSettings::default() };
    let request = request_with("GET", TARGET, &settings).unwrap();
    assert_eq!(paths(&request), ["todos", "todos", "todos.users", "open", "todos"]);
    assert_eq!(request.legacy_targets, []);
}
