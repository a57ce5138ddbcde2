//! Content negotiation: the media type of the answer and its handler.

use std::collections::HashSet;

use rowhouse_db::catalog::{HandlerSource, MediaHandler, QualifiedName, Snapshot};

use super::column::Columns;
use super::{PlanError, ReadNode, Selected};
use crate::request::{ApiRequest, ExplainMedia, Media, SelectItem};
use crate::settings::RestSettings;

/// How rows become a body.
#[derive(Debug)]
pub(crate) struct Format<'a> {
    /// `Content-Type`.
    pub(crate) media: Media,
    pub(crate) handler: BodyHandler<'a>,
    /// The query is explained rather than answered.
    pub(crate) explain: Option<&'a ExplainMedia>,
    /// For CSV the names of the columns, if they are known and unique.
    pub(crate) columns: Option<Vec<String>>,
}

/// The handler of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyHandler<'a> {
    /// An array of objects, or a function's bare result.
    Json,
    /// One object.
    Object {
        strip: bool,
    },
    /// An array of objects without nulls.
    Stripped,
    Csv,
    /// A collection of features (RFC 7946), each made by this function of PostGIS.
    Features(&'a QualifiedName),
    /// An object a line.
    Lines,
    /// A function or aggregate of the project.
    Custom(&'a MediaHandler),
}

impl Format<'_> {
    pub(crate) fn is_singular(&self) -> bool {
        matches!(self.handler, BodyHandler::Object { .. })
    }

    /// Sets the columns of a CSV, and shows values of represented domains as plain strings.
    pub(super) fn name_columns(&mut self, node: &mut ReadNode<'_>, columns: Columns<'_>) {
        if self.handler != BodyHandler::Csv {
            return;
        }
        self.columns = outputs(node, columns);
        for selected in &mut node.select {
            selected.as_text = selected.field.shown_by().is_some() && selected.aggregate.is_none();
        }
    }
}

/// The names that rows have in the answer; `None` if only the database knows them, or one occurs twice.
fn outputs(node: &ReadNode<'_>, columns: Columns<'_>) -> Option<Vec<String>> {
    let mut names: Vec<&str> = Vec::new();
    let is_star = |selected: &Selected<'_>| selected.field.name == "*" && selected.aggregate.is_none();
    if node.select.iter().any(is_star) || (node.select.is_empty() && node.embeds.is_empty()) {
        let all = columns.names();
        names.extend(all);
        if names.is_empty() {
            return None;
        }
        // A star is expanded in place.
        if node.select.iter().filter(|selected| is_star(selected)).count() > 1
            || node.select.first().is_some_and(|first| !is_star(first))
        {
            return None;
        }
    }
    names.extend(node.select.iter().filter(|selected| !is_star(selected)).map(Selected::output));
    for embed in node.embeds.iter().filter(|embed| embed.spread.is_some() || !embed.is_hidden) {
        match &embed.spread {
            Some(lifted) => names.extend(lifted.iter().map(|lifted| lifted.name)),
            None => names.push(embed.name),
        }
    }
    let different: HashSet<&str> = names.iter().copied().collect();
    (different.len() == names.len()).then(|| names.into_iter().map(str::to_owned).collect())
}

/// The first available media type of the client's list. `of` is the table, or the function whose result is the body.
pub(super) fn negotiate<'a>(
    request: &'a ApiRequest,
    snapshot: &'a Snapshot,
    settings: &RestSettings,
    of: &QualifiedName,
) -> Result<Format<'a>, PlanError> {
    let whole = selects_everything(&request.select);
    let pick = request.accept.iter().find_map(|media| match media {
        Media::Plan(explain) => {
            let (handler, _) =
                make(&explain.target, snapshot, of, whole).filter(|_| settings.plan_enabled)?;
            Some(Format { media: media.clone(), handler, explain: Some(explain), columns: None })
        }
        other => make(other, snapshot, of, whole).map(|(handler, media)| Format {
            media,
            handler,
            explain: None,
            columns: None,
        }),
    });
    let names = || request.accept.iter().map(|media| media.name().into_owned()).collect();
    pick.ok_or_else(|| PlanError::Media(names()))
}

/// The project's handlers take precedence, those of the table before those of any rows. A table's own handle whole
/// rows only.
fn make<'a>(
    media: &Media,
    snapshot: &'a Snapshot,
    of: &QualifiedName,
    whole: bool,
) -> Option<(BodyHandler<'a>, Media)> {
    match media {
        Media::Object { strip } => return Some((BodyHandler::Object { strip: *strip }, media.clone())),
        Media::StrippedArray => return Some((BodyHandler::Stripped, media.clone())),
        _ => {}
    }
    let name = media.name();
    let own = |handler: &&MediaHandler| match &handler.source {
        HandlerSource::Table(table) => table == of,
        HandlerSource::Itself => handler.function == *of,
        HandlerSource::AnyRows => false,
    };
    let find = |wanted: &str, fits: &dyn Fn(&&'a MediaHandler) -> bool| {
        snapshot.handlers().iter().find(|handler| handler.media == wanted && fits(handler))
    };
    let table = || find("*/*", &own).or_else(|| find(&name.to_ascii_lowercase(), &own)).filter(|_| whole);
    let any = || find(&name.to_ascii_lowercase(), &|handler| handler.source == HandlerSource::AnyRows);
    if !snapshot.handlers().is_empty()
        && let Some(handler) = table().or_else(any)
    {
        return Some((BodyHandler::Custom(handler), made_by(handler)));
    }
    match media {
        Media::Json | Media::Any => Some((BodyHandler::Json, Media::Json)),
        Media::Csv => Some((BodyHandler::Csv, Media::Csv)),
        Media::GeoJson => Some((BodyHandler::Features(snapshot.feature_maker()?), Media::GeoJson)),
        Media::Ndjson => Some((BodyHandler::Lines, Media::Ndjson)),
        _ => None,
    }
}

/// A handler of `*/*` makes bytes, unless it sets another type in `response.headers`.
fn made_by(handler: &MediaHandler) -> Media {
    if handler.media == "*/*" { Media::Binary } else { crate::parse::media(&handler.media) }
}

fn selects_everything(items: &[SelectItem]) -> bool {
    matches!(items, [SelectItem::Column(column)] if column.field.name == "*" && column.aggregate.is_none())
}
