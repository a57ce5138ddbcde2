use super::{Entry, Origins, entries};

const RULE: &str = "({QUERY :commandType 1 :cteList <> :rtable ({RANGETBLENTRY :alias {ALIAS :aliasname odd\\}\\(name \
    :colnames (\"id\" \"x\\{\")} :subquery {QUERY :targetList ({TARGETENTRY :expr {VAR :varno 1} :resno 7 :resorigtbl 9 \
    :resorigcol 9 :resjunk false})}}) :targetList ({TARGETENTRY :expr {VAR :varno 1 :varattno 1} :resno 1 :resname id \
    :ressortgroupref 0 :resorigtbl 100 :resorigcol 3 :resjunk false} {TARGETENTRY :expr {CONST :constvalue 4 [ 1 0 ]} \
    :resno 2 :resname n :ressortgroupref 0 :resorigtbl 0 :resorigcol 0 :resjunk false}) :override 0})";

#[test]
fn only_the_outermost_target_list_counts() {
    assert_eq!(
        entries(RULE),
        [Entry { number: 1, table: 100, column: 3 }, Entry { number: 2, table: 0, column: 0 }]
    );
}

#[test]
fn chains_of_views_end_at_the_table() {
    let mut origins = Origins::default();
    origins.add(200, RULE);
    origins
        .add(300, &RULE.replace("resorigtbl 100", "resorigtbl 200").replace("resorigcol 3", "resorigcol 1"));
    assert_eq!(origins.resolved(), [((200, 1), (100, 3)), ((300, 1), (100, 3))]);
}

#[test]
fn mutually_recursive_views_terminate() {
    let mut origins = Origins::default();
    let over = |table: u32| {
        RULE.replace("resorigtbl 100", &format!("resorigtbl {table}")).replace("resorigcol 3", "resorigcol 1")
    };
    origins.add(1, &over(2));
    origins.add(2, &over(1));
    assert_eq!(origins.resolved().len(), 2);
}
