//! A store in this process's memory; several processes need a shared one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use time::OffsetDateTime;

use super::{Answer, Begun, IdempotencyStore, KEPT, KeyScope, Problem, RUNNING_LIMIT};

/// Keys of all callers; with the longest answers 32 MiB. The oldest are evicted first.
const MAX_KEYS: usize = 2000;
/// Keys of one caller, so that no caller can evict all keys of others.
const MAX_KEYS_OF_CALLER: usize = 500;

/// Keys in memory.
#[derive(Default)]
pub struct MemoryStore(Mutex<Kept>);

#[derive(Default)]
pub(super) struct Kept {
    entries: HashMap<KeyScope, Entry>,
    /// By age.
    pub(super) order: VecDeque<KeyScope>,
}

struct Entry {
    request: String,
    since: OffsetDateTime,
    answer: Option<Answer>,
}

impl Entry {
    fn is_over(&self, now: OffsetDateTime) -> bool {
        let limit = if self.answer.is_some() { KEPT } else { RUNNING_LIMIT };
        now - self.since >= limit
    }
}

impl Kept {
    fn begin(&mut self, scope: &KeyScope, request: &str, now: OffsetDateTime) -> Begun {
        match self.entries.get(scope) {
            Some(entry) if entry.is_over(now) => self.remove(scope),
            Some(entry) if entry.request != request => return Begun::OtherRequest,
            Some(entry) => return entry.answer.clone().map_or(Begun::Running, Begun::Answered),
            None => {}
        }
        self.make_room(&scope.caller);
        self.order.push_back(scope.clone());
        self.entries.insert(scope.clone(), Entry { request: request.to_owned(), since: now, answer: None });
        Begun::First
    }

    fn make_room(&mut self, caller: &str) {
        let theirs = |scope: &&KeyScope| scope.caller == caller;
        let oldest = if self.order.iter().filter(theirs).count() >= MAX_KEYS_OF_CALLER {
            self.order.iter().find(theirs).cloned()
        } else if self.order.len() >= MAX_KEYS {
            self.order.front().cloned()
        } else {
            None
        };
        if let Some(oldest) = oldest {
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, scope: &KeyScope) {
        self.entries.remove(scope);
        self.order.retain(|kept| kept != scope);
    }
}

impl MemoryStore {
    pub(super) fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdempotencyStore for MemoryStore {
    fn begin<'s>(
        &'s self,
        scope: &'s KeyScope,
        request: &'s str,
        now: OffsetDateTime,
    ) -> BoxFuture<'s, Result<Begun, Problem>> {
        let begun = self.kept().begin(scope, request, now);
        Box::pin(std::future::ready(Ok(begun)))
    }

    fn end<'s>(
        &'s self,
        scope: &'s KeyScope,
        answer: Option<Answer>,
        now: OffsetDateTime,
    ) -> BoxFuture<'s, Result<(), Problem>> {
        let mut kept = self.kept();
        match (answer, kept.entries.get_mut(scope)) {
            (Some(answer), Some(entry)) => {
                entry.answer = Some(answer);
                entry.since = now;
            }
            (None, Some(_)) => kept.remove(scope),
            (_, None) => {}
        }
        drop(kept);
        Box::pin(std::future::ready(Ok(())))
    }
}
