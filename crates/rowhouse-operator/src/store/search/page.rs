//! A page of the users who fit, as SQL. Leaves who fits to its parent.
//!
//! What fits many users is found fastest by reading users in the order of their ids, what fits few of them by an index. Nobody
//! can tell beforehand which it is, also not the planner, which knows nothing of beginnings of words. So a bounded number of
//! users is read first, and the indexes are asked only if these do not fill the page.

use super::Fit;

/// Users that are read before an index is asked.
const WALKED: u32 = 1000;

/// Where users are read in the order of their ids: all of them, or the members of what they are narrowed to.
struct Walk {
    from: &'static str,
    id: &'static str,
    is_first: bool,
}

impl Walk {
    /// Of the page behind the id $8.
    fn behind(&self, id: &str) -> String {
        if self.is_first { "$8::uuid is null".to_owned() } else { format!("{id} > $8") }
    }

    fn select(&self, columns: &str) -> String {
        let Self { from, id, .. } = self;
        format!("select {columns} from {from} and {} order by {id} limit {WALKED}", self.behind(id))
    }

    /// Its users as `u`, and the column that they are in the order of. The planner cannot begin with an index on a condition.
    fn users(&self) -> (String, &'static str) {
        if self.id == "w.id" {
            return (format!("({}) u", self.select("w.*")), "u.id");
        }
        let of_member = "cross join lateral (select u.* from auth.users u where u.id = w.user_id offset 0) u";
        (format!("({}) w {of_member}", self.select("w.user_id")), "w.user_id")
    }
}

impl Fit {
    /// The ids of the first users in the order of ids, at most $9, behind the id $8 unless it is the first page.
    pub(crate) fn page(&self, is_first: bool) -> String {
        let walk = self.walk(is_first);
        let (users, id) = walk.users();
        let near =
            format!("select {id} as id from {users} where {} order by {id} limit $9", self.condition());
        format!(
            "with near as materialized ({near})
             select n.id from near n
             union
             select f.id from ({}) f
             where (select count(*) from near) < $9 and (select count(*) from ({}) w) = {WALKED}",
            self.far(&walk),
            walk.select(walk.id)
        )
    }

    fn walk(&self, is_first: bool) -> Walk {
        let (from, id) = match (self.tenant, self.organization) {
            (Some(_), _) => ("tenancy.memberships w where w.tenant_id = $5", "w.user_id"),
            (_, Some(_)) => ("tenancy.organization_members w where w.organization_id = $6", "w.user_id"),
            _ => ("auth.users w where true", "w.id"),
        };
        Walk { from, id, is_first }
    }

    /// By the indexes. What one finds is read before it is sorted, since the planner takes beginnings of words for more
    /// frequent than they are.
    fn far(&self, walk: &Walk) -> String {
        let behind = walk.behind("u.id");
        let indexed = |kind: &&str| {
            let condition = self.all(Some(kind));
            format!(
                "(select i.id from (select u.id from auth.users u where {condition} and {behind} offset 0) i
                  order by i.id limit $9)"
            )
        };
        if self.kinds.is_empty() {
            let condition = self.all(None);
            return format!(
                "select u.id from auth.users u where {condition} and {behind} order by u.id limit $9"
            );
        }
        self.kinds.iter().map(indexed).collect::<Vec<_>>().join(" union all ")
    }
}
