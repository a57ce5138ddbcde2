//! Names below which many own domains. The public list of suffixes has ten thousand entries and changes every week; this is a
//! bounded part of it: top-level domains, the registries of countries, and large hosts.
//! Whoever could name another suffix would still have to prove it.

/// Second labels under which registries of countries (two letters) sell names.
const REGISTRIES: [&str; 26] = [
    "ac", "co", "com", "edu", "firm", "gen", "go", "gob", "gouv", "gov", "gv", "id", "ind", "ltd", "me",
    "mil", "ne", "net", "nom", "or", "org", "plc", "police", "sch", "school", "web",
];

/// Hosts that give names to their customers.
const HOSTS: [&str; 40] = [
    "amazonaws.com",
    "appspot.com",
    "azurewebsites.net",
    "blogspot.com",
    "br.com",
    "cloudapp.net",
    "cloudfront.net",
    "cn.com",
    "de.com",
    "deno.dev",
    "dyndns.org",
    "eu.com",
    "eu.org",
    "firebaseapp.com",
    "fly.dev",
    "gb.net",
    "github.io",
    "gitlab.io",
    "glitch.me",
    "herokuapp.com",
    "jp.net",
    "myshopify.com",
    "netlify.app",
    "ngrok.app",
    "ngrok.io",
    "onrender.com",
    "pages.dev",
    "run.app",
    "sa.com",
    "se.net",
    "sharepoint.com",
    "surge.sh",
    "uk.com",
    "uk.net",
    "up.railway.app",
    "us.com",
    "vercel.app",
    "web.app",
    "wordpress.com",
    "workers.dev",
];

/// Top-level names without a registry (RFC 6761, RFC 7686, RFC 8375, and those of routers).
const SPECIAL: [&str; 11] = [
    "arpa",
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
];

/// Whether a top-level name is of this machine or of a private network.
pub(crate) fn is_special(last: &str) -> bool {
    SPECIAL.contains(&last)
}

/// Whether the name itself is a suffix, as far as is known here.
pub(crate) fn is_public_suffix(name: &str) -> bool {
    let registry = name
        .split_once('.')
        .is_some_and(|(first, rest)| rest.len() == 2 && !rest.contains('.') && REGISTRIES.contains(&first));
    registry || HOSTS.contains(&name)
}
