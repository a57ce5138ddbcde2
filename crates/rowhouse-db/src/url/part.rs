//! Which part of a database URL is wrong, where tokio-postgres would say nothing or misread it. Messages repeat no part of the
//! URL that could be a password in the wrong place. Leaves parameters to the parser.

/// Refuses another scheme, an `@` in the password, and hosts and ports that are none.
pub(super) fn check(text: &str) -> Result<(), String> {
    let scheme = text.split_once("://").filter(|(scheme, _)| scheme.chars().all(is_of_scheme));
    match scheme {
        Some(("postgres" | "postgresql", rest)) => check_servers(servers(rest)?),
        Some((scheme, _)) => Err(format!("the scheme is postgres or postgresql, not {scheme:?}")),
        None if text.contains('=') => Ok(()),
        None => Err("it has no scheme".to_owned()),
    }
}

/// RFC 3986 section 3.1.
fn is_of_scheme(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.')
}

/// Hosts and ports, between login and database.
fn servers(rest: &str) -> Result<&str, String> {
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    let servers = rest.split(['/', '?']).next().unwrap_or_default();
    match servers.contains('@') {
        true => Err("the password contains an @, which is written %40".to_owned()),
        false => Ok(servers),
    }
}

fn check_servers(servers: &str) -> Result<(), String> {
    // The host may be a parameter.
    if servers.is_empty() {
        return Ok(());
    }
    servers.split(',').enumerate().try_for_each(|(at, server)| {
        let port = port(server)?;
        if server.is_empty() || server.starts_with(':') {
            return Err(format!("host {} is empty", at + 1));
        }
        match port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
            true => Ok(()),
            false => Err(format!("the port of host {} is not a number from 1 to 65535", at + 1)),
        }
    })
}

/// What follows the host.
fn port(server: &str) -> Result<Option<&str>, String> {
    let Some(bracketed) = server.strip_prefix('[') else {
        return match server.matches(':').count() {
            0 => Ok(None),
            1 => Ok(server.split_once(':').map(|(_, port)| port)),
            _ => Err("an IPv6 address is written in brackets: [::1]".to_owned()),
        };
    };
    match bracketed.split_once(']') {
        Some((_, "")) => Ok(None),
        Some((_, rest)) => {
            rest.strip_prefix(':').map(Some).ok_or_else(|| "after ] comes a colon and the port".to_owned())
        }
        None => Err("the [ of a host has no ]".to_owned()),
    }
}
