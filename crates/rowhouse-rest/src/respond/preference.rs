//! `Preference-Applied`: the preferences that had an effect, in PostgREST's order.

use crate::plan::{Plan, WritePlan};
use crate::request::{ApiRequest, Count, Handling, Missing, Mutation, Representation, Resolution, Tx};

/// The header's value, if anything was applied.
pub(super) fn applied(request: &ApiRequest, plan: &Plan<'_>) -> Option<String> {
    let prefer = &request.prefer;
    let mut applied: Vec<&str> = Vec::new();
    let written = if let Plan::Write(write) = plan { Some(write) } else { None };
    applied.extend(written.and_then(|write| resolution(request, write)));
    let fills = written.is_some_and(|write| matches!(write.mutation, Mutation::Insert | Mutation::Update));
    applied.extend(prefer.missing.filter(|_| fills).map(|missing| match missing {
        Missing::Default => "missing=default",
        Missing::Null => "missing=null",
    }));
    applied.extend(prefer.representation.filter(|_| written.is_some()).map(|representation| {
        match representation {
            Representation::Full => "return=representation",
            Representation::HeadersOnly => "return=headers-only",
            Representation::Minimal => "return=minimal",
        }
    }));
    applied.extend(prefer.count.map(|count| match count {
        Count::Exact => "count=exact",
        Count::Planned => "count=planned",
        Count::Estimated => "count=estimated",
    }));
    applied.extend(prefer.tx.map(|tx| match tx {
        Tx::Commit => "tx=commit",
        Tx::Rollback => "tx=rollback",
    }));
    applied.extend(prefer.handling.map(|handling| match handling {
        Handling::Strict => "handling=strict",
        Handling::Lenient => "handling=lenient",
    }));
    let zone = prefer.time_zone.as_ref().map(|zone| format!("timezone={zone}"));
    applied.extend(zone.as_deref());
    let most =
        prefer.strict_max_affected().filter(|_| limits(plan)).map(|most| format!("max-affected={most}"));
    applied.extend(most.as_deref());
    (!applied.is_empty()).then(|| applied.join(", "))
}

fn resolution(request: &ApiRequest, write: &WritePlan<'_>) -> Option<&'static str> {
    let has_target = !write.table.primary_key.is_empty() || request.on_conflict.is_some();
    let resolution =
        request.prefer.resolution.filter(|_| write.mutation == Mutation::Insert && has_target)?;
    Some(match resolution {
        Resolution::Merge => "resolution=merge-duplicates",
        Resolution::Ignore => "resolution=ignore-duplicates",
    })
}

fn limits(plan: &Plan<'_>) -> bool {
    match plan {
        Plan::Call(_) => true,
        Plan::Write(write) => matches!(write.mutation, Mutation::Update | Mutation::Delete),
        Plan::Read(_) | Plan::Describe(_) | Plan::Root { .. } => false,
    }
}
