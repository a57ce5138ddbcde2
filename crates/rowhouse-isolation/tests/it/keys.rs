//! What verifies tokens in a process of these tests, in place of the module that has users.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rowhouse_crypto::{Algorithm, Key, KeyPair, KeyRing, Purpose, Status};
use rowhouse_http::{CallerResolver, ForeignTokens};
use rowhouse_module::{Assembly, Module, ModuleFuture};

pub(crate) struct Keys;

impl Module for Keys {
    fn name(&self) -> &'static str {
        "keys"
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        let key = |purpose| {
            Key::new(KeyPair::generate(Algorithm::Es256).unwrap(), purpose, Status::Signing).unwrap()
        };
        let ring = KeyRing::new(vec![key(Purpose::Access), key(Purpose::Api)], None).unwrap();
        let shared = Arc::new(ArcSwap::new(Arc::new(ring)));
        let clock = Arc::clone(&assembly.origin.clock);
        assembly.provide(Arc::new(CallerResolver::new(shared, ForeignTokens::default(), clock)));
        Box::pin(async { Ok(()) })
    }
}
