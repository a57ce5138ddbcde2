//! What is tried on a relation, as columns of the matrix. Leaves the statements to `target` and `http`.

use serde::Serialize;

/// One kind of attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Reading the row of another.
    Select,
    /// Reading any row that is not one's own.
    SelectAny,
    /// Writing a row as another's.
    Insert,
    /// Writing a row that is nobody's.
    InsertNobody,
    /// Changing another's row.
    Update,
    /// Changing all rows with a statement that reads none, which policies for reading do not hold.
    UpdateAll,
    /// Handing one's own row to another.
    Move,
    /// Deleting another's row.
    Delete,
    /// Deleting all rows with a statement that reads none.
    DeleteAll,
    /// Inserting with the key of another's row, and changing that on conflict.
    Upsert,
    /// Changing another's row by MERGE.
    Merge,
    /// Referring to another's row.
    Refer,
    /// What a write of one's own does to the rows of others.
    SideEffect,
    /// Whether what one sees depends on the rows of others.
    Echo,
    /// What a function called with another's values does.
    Call,
    /// Reading the row of another over HTTP.
    HttpSelect,
    /// Counting it with HEAD.
    HttpCount,
    /// Writing a row as another's over HTTP.
    HttpInsert,
    /// Writing with `Prefer: return=representation`, which gives back what was written.
    HttpReturning,
    /// Changing another's row over HTTP.
    HttpUpdate,
    /// Changing all rows over HTTP with a request without a filter.
    HttpUpdateAll,
    /// Handing one's own rows to another over HTTP.
    HttpMove,
    /// Deleting another's row over HTTP.
    HttpDelete,
    /// Deleting all rows over HTTP with a request without a filter.
    HttpDeleteAll,
    /// The upsert over HTTP.
    HttpUpsert,
    /// Referring to another's row over HTTP.
    HttpRefer,
    /// The call over HTTP.
    HttpCall,
    /// Seeing what the request of another has left in a connection.
    Bleed,
}

impl Cell {
    /// All, in the order of the matrix.
    pub const ALL: [Self; 28] = [
        Self::Select,
        Self::SelectAny,
        Self::Insert,
        Self::InsertNobody,
        Self::Update,
        Self::UpdateAll,
        Self::Move,
        Self::Delete,
        Self::DeleteAll,
        Self::Upsert,
        Self::Merge,
        Self::Refer,
        Self::SideEffect,
        Self::Echo,
        Self::Call,
        Self::HttpSelect,
        Self::HttpCount,
        Self::HttpInsert,
        Self::HttpReturning,
        Self::HttpUpdate,
        Self::HttpUpdateAll,
        Self::HttpMove,
        Self::HttpDelete,
        Self::HttpDeleteAll,
        Self::HttpUpsert,
        Self::HttpRefer,
        Self::HttpCall,
        Self::Bleed,
    ];

    /// As in the document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::SelectAny => "select_any",
            Self::Insert => "insert",
            Self::InsertNobody => "insert_nobody",
            Self::Update => "update",
            Self::UpdateAll => "update_all",
            Self::Move => "move",
            Self::Delete => "delete",
            Self::DeleteAll => "delete_all",
            Self::Upsert => "upsert",
            Self::Merge => "merge",
            Self::Refer => "refer",
            Self::SideEffect => "side_effect",
            Self::Echo => "echo",
            Self::Call => "call",
            Self::HttpSelect => "http_select",
            Self::HttpCount => "http_count",
            Self::HttpInsert => "http_insert",
            Self::HttpReturning => "http_returning",
            Self::HttpUpdate => "http_update",
            Self::HttpUpdateAll => "http_update_all",
            Self::HttpMove => "http_move",
            Self::HttpDelete => "http_delete",
            Self::HttpDeleteAll => "http_delete_all",
            Self::HttpUpsert => "http_upsert",
            Self::HttpRefer => "http_refer",
            Self::HttpCall => "http_call",
            Self::Bleed => "bleed",
        }
    }

    /// What a request over HTTP comes to in SQL; of a statement, itself.
    pub(crate) fn in_sql(self) -> Self {
        match self {
            Self::HttpSelect | Self::HttpCount => Self::Select,
            Self::HttpInsert => Self::Insert,
            Self::HttpReturning | Self::HttpUpdate => Self::Update,
            Self::HttpUpdateAll => Self::UpdateAll,
            Self::HttpMove => Self::Move,
            Self::HttpDelete => Self::Delete,
            Self::HttpDeleteAll => Self::DeleteAll,
            Self::HttpUpsert => Self::Upsert,
            Self::HttpRefer => Self::Refer,
            Self::HttpCall => Self::Call,
            other => other,
        }
    }

    /// The privilege without which nothing can come of it.
    pub(crate) fn verb(self) -> &'static str {
        match self.in_sql() {
            Self::Insert | Self::InsertNobody | Self::Refer | Self::SideEffect | Self::Upsert => "insert",
            Self::Update | Self::UpdateAll | Self::Move | Self::Merge => "update",
            Self::Delete | Self::DeleteAll => "delete",
            _ => "select",
        }
    }

    /// The cell whose success by the owner shows that this one is refused for the right reason.
    pub(crate) fn control(self) -> Self {
        match self {
            Self::SelectAny => Self::Select,
            Self::InsertNobody => Self::Insert,
            other => other,
        }
    }
}
