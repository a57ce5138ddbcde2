//! External sign-in: another provider says who somebody is. The redirect there (`begin`), the way back (`callback`), an
//! ID token instead of both (`id_token`), the account that it makes or finds (`admit`), and links by hand
//! (`link_begin`, `link`).

pub(crate) mod admit;
pub(crate) mod begin;
pub(crate) mod callback;
pub(crate) mod find;
pub(crate) mod id_token;
pub(crate) mod link;
pub(crate) mod link_begin;
